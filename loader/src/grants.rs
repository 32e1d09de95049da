//! Who may read: everybody in `loader.grant_to` may, what is loaded and what is told about loads.
//!
//! Asks what is granted and grants what is missing; never revokes. A grant that fails is told and stops nothing:
//! rows come first.

use crate::batch::new_name;
use crate::sql::{BATCH_MAX_ENTRIES, Names, ledger_name, readers};
use crate::warehouse::{Warehouse, WarehouseError, required};
use common::event_name::EventName;
use common::settings::Grantee;
use common::telemetry::chain;
use std::collections::{BTreeMap, BTreeSet};

/// Schema, relation (none: the schema itself), and who has the right.
type Grants = BTreeSet<(String, Option<String>, Grantee)>;

/// Grants at start: both schemas, what people read of the bookkeeping, and every event table that exists.
pub(crate) async fn at_start(warehouse: &Warehouse, names: &Names, grantees: &[Grantee]) {
    if grantees.is_empty() {
        return;
    }
    if let Err(error) = grant_what_exists(warehouse, names, grantees).await {
        tracing::warn!(
            why = chain(&error),
            "loader.grant_to: could not see what is granted; trying again at the next start"
        );
    }
}

/// Grants one relation of the event schema.
pub(crate) async fn relation(warehouse: &Warehouse, names: &Names, grantees: &[Grantee], relation: &str) {
    if grantees.is_empty() {
        return;
    }
    match granted(warehouse, &readers::relation_grants(names, Some(relation))).await {
        Ok(granted) => {
            let wanted = grantees.iter().map(|to| (names.schema.clone(), Some(relation.to_owned()), to.clone()));
            grant(warehouse, wanted.filter(|grant| !granted.contains(grant)).collect()).await;
        }
        Err(error) => tracing::warn!(
            relation,
            why = chain(&error),
            "loader.grant_to: could not see what is granted; trying again at the next start"
        ),
    }
}

async fn grant_what_exists(warehouse: &Warehouse, names: &Names, grantees: &[Grantee]) -> Result<(), WarehouseError> {
    let mut granted_now = granted(warehouse, &readers::relation_grants(names, None)).await?;
    for row in warehouse.query("grants", &readers::schema_grants(names)).await? {
        if let Some(grantee) = grantee(required(&row, 1)?, row.get(2).and_then(Option::as_deref)) {
            granted_now.insert((required(&row, 0)?.to_owned(), None, grantee));
        }
    }
    let (mut events, mut bookkeeping) = (BTreeSet::new(), BTreeSet::new());
    for row in warehouse.query("grants", &readers::relations(names)).await? {
        let (schema, relation) = (required(&row, 0)?, required(&row, 1)?.to_owned());
        let relations = if schema == names.schema { &mut events } else { &mut bookkeeping };
        relations.insert(relation);
    }
    let is_ours = |relation: &String| {
        let event = relation.strip_suffix("_latest").filter(|event| events.contains(*event)).unwrap_or(relation);
        EventName::try_from(event.to_owned()).is_ok_and(|event| bookkeeping.contains(&ledger_name(&event)))
    };
    let readable = readers::READABLE.into_iter().map(str::to_owned).filter(|name| bookkeeping.contains(name));
    let mut objects = vec![(&names.schema, None), (&names.bookkeeping, None)];
    objects.extend(readable.map(|name| (&names.bookkeeping, Some(name))));
    objects.extend(events.iter().filter(|name| is_ours(name)).map(|name| (&names.schema, Some(name.clone()))));
    let wanted = objects
        .iter()
        .flat_map(|(schema, name)| grantees.iter().map(move |to| ((*schema).clone(), name.clone(), to.clone())));
    grant(warehouse, wanted.filter(|grant| !granted_now.contains(grant)).collect()).await;
    Ok(())
}

async fn granted(warehouse: &Warehouse, sql: &str) -> Result<Grants, WarehouseError> {
    let mut grants = Grants::new();
    for row in warehouse.query("grants", sql).await? {
        if let Some(grantee) = grantee(required(&row, 2)?, row.get(3).and_then(Option::as_deref)) {
            grants.insert((required(&row, 0)?.to_owned(), Some(required(&row, 1)?.to_owned()), grantee));
        }
    }
    Ok(grants)
}

fn grantee(kind: &str, name: Option<&str>) -> Option<Grantee> {
    let name = name.map(str::to_owned);
    match kind {
        "role" => name.map(Grantee::Role),
        "group" => name.map(Grantee::Group),
        "user" => name.map(Grantee::User),
        "public" => Some(Grantee::Public),
        _ => None,
    }
}

/// Many relations in one statement, and where that fails each alone: what fails fails alone.
async fn grant(warehouse: &Warehouse, missing: Vec<(String, Option<String>, Grantee)>) {
    let (mut schemas, mut relations) = (Vec::new(), BTreeMap::<_, Vec<String>>::new());
    for (schema, relation, to) in missing {
        match relation {
            None => schemas.push(readers::grant_usage(&schema, &to)),
            Some(relation) => relations.entry((schema, to)).or_default().push(relation),
        }
    }
    each(warehouse, schemas).await;
    for ((schema, to), relations) in relations {
        for some in relations.chunks(readers::GRANT_MAX) {
            let together = readers::grant_select(&schema, some, &to);
            match warehouse.execute(&new_name("grants"), &together).await {
                Ok(()) => tracing::info!(grants = some.len(), "granted what was missing"),
                Err(_) => {
                    let alone = some.iter().map(|one| readers::grant_select(&schema, std::slice::from_ref(one), &to));
                    each(warehouse, alone.collect()).await;
                }
            }
        }
    }
}

/// Each in a transaction of its own.
async fn each(warehouse: &Warehouse, statements: Vec<String>) {
    for some in statements.chunks(BATCH_MAX_ENTRIES) {
        match warehouse.each(&new_name("grants"), some.to_vec()).await {
            Ok(()) => tracing::info!(grants = some.len(), "granted what was missing"),
            Err(error) => tracing::warn!(
                why = chain(&error),
                "loader.grant_to: not everything could be granted; correct the setting, or the owner of what it is about"
            ),
        }
    }
}
