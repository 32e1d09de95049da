//! The view `<event>_latest`: the newest row per key, for tables that have a key in the settings.
//!
//! Made and renewed apart from loads, by what the mapping says of the key's fields. A view that cannot be made
//! is told and stops nothing.

use crate::Loader;
use crate::batch::new_name;
use crate::grants;
use crate::mapping::name::path_text;
use crate::mapping::{Column, Mapping};
use crate::schema::{DDL_TIMEOUT, Schema};
use crate::sql::ddl::{Change, insert_changes};
use crate::sql::{Names, load, readers};
use crate::table::Table;
use crate::warehouse::{Warehouse, WarehouseError, required};
use common::event_name::EventName;
use common::settings::{Field, TableSettings};
use common::telemetry::chain;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// A view that could not be made is tried again after this time: until then loads do not wait for it.
const RETRY: Duration = Duration::from_secs(15 * 60);

/// What this process knows of the views of all tables.
#[derive(Debug, Default)]
pub(crate) struct Views(Mutex<HashMap<EventName, Arc<Mutex<Latest>>>>);

impl Views {
    async fn of(&self, event: &EventName) -> Arc<Mutex<Latest>> {
        self.0.lock().await.entry(event.clone()).or_default().clone()
    }
}

/// What this process knows of one table's view.
#[derive(Debug, Default)]
struct Latest {
    /// As last made here.
    definition: Option<String>,
    /// When it last could not be made.
    failed: Option<Instant>,
    /// Why it could not be made, once told.
    told: Option<String>,
    /// Whether it was told that fields of key or version have no column.
    told_of_missing: bool,
}

impl Latest {
    /// Whether the view has to be made, and may be tried now.
    fn is_due(&self, definition: &str, now: Instant) -> bool {
        let may_try = self.failed.is_none_or(|failed| now - failed >= RETRY);
        may_try && self.definition.as_deref() != Some(definition)
    }
}

/// Fields of key and version that no column holds, as the settings name them.
fn missing(settings: &TableSettings, mapping: &Mapping) -> Vec<String> {
    let fields = settings.key.iter().chain(&settings.version).map(Field::path);
    fields.filter(|path| mapping.columns_at(path).is_empty()).map(path_text).collect()
}

/// The view's definition by the columns that exist; none while a field of the key has no column.
fn definition(names: &Names, event: &EventName, settings: &TableSettings, mapping: &Mapping) -> Option<String> {
    let mut keys: Vec<&Column> = Vec::new();
    for field in &settings.key {
        let columns = mapping.columns_at(field.path());
        if columns.is_empty() {
            return None;
        }
        keys.extend(columns);
    }
    let versions = settings.version.as_ref().map(|field| mapping.columns_at(field.path())).unwrap_or_default();
    (!keys.is_empty()).then(|| readers::create_latest(names, event, &keys, &versions))
}

/// After a load: the view follows what the load added.
pub(crate) async fn follow(loader: &Loader, table: &Table) {
    let Some(schema) = table.schema.as_ref().filter(|schema| schema.has_table()) else { return };
    refresh(loader, &table.event, schema).await;
}

/// At start: views of tables that have a key by now, whether anything is loaded into them or not.
pub(crate) async fn at_start(loader: &Loader) {
    for (event, _) in loader.settings.tables.iter().filter(|(_, table)| !table.key.is_empty()) {
        match Schema::look(&loader.warehouse, &loader.names, event).await {
            Ok(schema) if schema.has_table() => refresh(loader, event, &schema).await,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(event = event.as_str(), why = chain(&error), "could not see to the latest view")
            }
        }
    }
}

/// Why an event cannot have a table: its name is that of another event's view.
pub(crate) async fn in_the_way(loader: &Loader, event: &EventName) -> Result<Option<String>, WarehouseError> {
    let viewed = event.as_str().strip_suffix("_latest").and_then(|name| EventName::try_from(name.to_owned()).ok());
    // Whether it has a key now does not matter: the view stays when the setting goes.
    let Some(viewed) = viewed else { return Ok(None) };
    let found = loader.warehouse.query("latest", &readers::kind_of_relation(&loader.names, event.as_str())).await?;
    let is_view = found.first().map(|row| required(row, 0)).transpose()? == Some("VIEW");
    Ok(is_view.then(|| {
        format!(
            "{event} is the view of the newest rows of {viewed}: give the event another name in [router.rename], or leave \
             out tables.{viewed}.key and drop the view"
        )
    }))
}

async fn refresh(loader: &Loader, event: &EventName, schema: &Schema) {
    let settings = loader.settings.table(event);
    if settings.key.is_empty() {
        return;
    }
    // Held while the view is made: the start and a load would be in each other's way.
    let latest = loader.views.of(event).await;
    let mut latest = latest.lock().await;
    let missing = missing(&settings, &schema.mapping);
    if !missing.is_empty() && !std::mem::replace(&mut latest.told_of_missing, true) {
        tracing::warn!(
            event = event.as_str(),
            fields = missing.join(", "),
            "tables.<event>.key or version names fields that no column holds yet: without the key there is no latest view; \
             a field further down is written with slashes, \"/user/id\" and not \"user.id\""
        );
    }
    let Some(definition) = definition(&loader.names, event, &settings, &schema.mapping) else { return };
    if !latest.is_due(&definition, Instant::now()) {
        return;
    }
    match make(&loader.warehouse, &loader.names, event, &definition).await {
        Ok(()) => {
            let view = readers::latest_name(event);
            grants::relation(&loader.warehouse, &loader.names, &loader.settings.loader.grant_to, &view).await;
            *latest = Latest { definition: Some(definition), failed: None, told: None, ..*latest };
        }
        Err(why) => {
            latest.failed = Some(Instant::now());
            if latest.told.as_ref() != Some(&why) {
                tracing::warn!(event = event.as_str(), why, "the latest view could not be made; loads go on");
                latest.told = Some(why);
            }
        }
    }
}

async fn make(warehouse: &Warehouse, names: &Names, event: &EventName, definition: &str) -> Result<(), String> {
    let explain = |error: WarehouseError| chain(&error);
    let view = readers::latest_name(event);
    let found = warehouse.query("latest", &readers::kind_of_relation(names, &view)).await.map_err(explain)?;
    // A reader's long query may hold the view.
    let mut statements = vec![load::statement_timeout(DDL_TIMEOUT), definition.to_owned()];
    let name = new_name("latest");
    match found.first() {
        None => {
            let detail = format!("{}.{view}", names.schema);
            statements.extend(insert_changes(names, event, &name, &[Change { what: "new view", detail }]));
        }
        Some(row) if required(row, 0).map_err(explain)? == "VIEW" => {}
        Some(_) => return Err(format!("there is a table {view}: rename one of the events, or leave out the key")),
    }
    warehouse.batch(&name, statements).await.map_err(explain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::kind::Kind;
    use crate::mapping::tests::{column, variant};
    use common::settings::Settings;
    use std::path::Path;

    fn settings(lines: &str) -> TableSettings {
        let text = format!(
            "raw = {{ bucket = \"a\", queue = \"q\" }}\nrouted = {{ bucket = \"b\", queue = \"r\" }}\n\
             router = {{ event_type = [\"/event\"] }}\nloader = {{ database = \"dev\", workgroup = \"w\" }}\n[tables.x]\n{lines}"
        );
        let settings = Settings::parse(Path::new("log-router.toml"), &text, Default::default()).unwrap();
        settings.table(&EventName::of_type("x"))
    }

    #[test]
    fn a_view_needs_a_column_for_every_field_of_its_key_and_for_no_other() {
        let names = crate::sql::tests::names();
        let settings = settings("key = [\"id\", \"/shop/id\"]\nversion = \"at\"");
        let of = |columns: Vec<Column>| definition(&names, &EventName::of_type("x"), &settings, &Mapping::new(columns));
        let (id, shop) = (column("id", "id", Kind::Bigint), column("shop.id", "shop_id", Kind::Varchar));
        assert_eq!(of(vec![id.clone()]), None);
        let first = of(vec![id.clone(), shop.clone()]).expect("both are there");
        assert!(first.contains("PARTITION BY t.\"id\", t.\"shop_id\" ORDER BY s.\"source_time\""), "{first}");
        let other = column("other", "other", Kind::Bigint);
        assert_eq!(of(vec![id.clone(), shop.clone(), other]), Some(first.clone()), "it follows by itself");
        let at = column("at", "at", Kind::Timestamp);
        let misfit = variant("id", "id", "id__varchar", Kind::Varchar);
        let second = of(vec![id, shop, at, misfit]).expect("still there");
        assert!(second.contains("t.\"id__varchar\"") && second.contains("ORDER BY t.\"at\" DESC"), "{second}");
    }

    #[test]
    fn a_view_that_could_not_be_made_waits_and_one_that_was_made_is_left_alone() {
        let (now, mut latest) = (Instant::now(), Latest::default());
        assert!(latest.is_due("a", now));
        latest.failed = Some(now);
        assert!(!latest.is_due("a", now + RETRY / 2) && latest.is_due("a", now + RETRY));
        latest = Latest { definition: Some("a".into()), ..Latest::default() };
        assert!(!latest.is_due("a", now) && latest.is_due("b", now));
    }

    #[test]
    fn fields_without_a_column_are_named() {
        let mapping = Mapping::new([column("id", "id", Kind::Bigint)]);
        let settings = settings("key = [\"id\", \"user.id\"]\nversion = \"/a/at\"");
        assert_eq!(missing(&settings, &mapping), [r#"["user.id"]"#, r#"["a","at"]"#]);
    }

    #[test]
    fn a_table_without_a_key_has_no_view() {
        let mapping = Mapping::new([column("id", "id", Kind::Bigint)]);
        let names = crate::sql::tests::names();
        assert_eq!(definition(&names, &EventName::of_type("x"), &settings(""), &mapping), None);
    }
}
