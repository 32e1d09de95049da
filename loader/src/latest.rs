//! The view `<event>_latest`: the newest row per key, for tables that have a key in the settings.
//!
//! Made and renewed apart from loads, by what the mapping says of the key's fields. A view that cannot be made
//! is told and stops nothing.

use crate::Loader;
use crate::batch::new_name;
use crate::grants;
use crate::mapping::{Column, Mapping};
use crate::schema::Schema;
use crate::sql::ddl::{Change, insert_changes};
use crate::sql::{Names, readers};
use crate::table::Table;
use crate::warehouse::{Warehouse, WarehouseError, required};
use common::event_name::EventName;
use common::settings::TableSettings;
use common::telemetry::chain;

/// What this process knows of one table's view.
#[derive(Debug, Default)]
pub(crate) struct Latest {
    /// As last made here.
    definition: Option<String>,
    /// Why it could not be made, once told.
    told: Option<String>,
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
pub(crate) async fn follow(loader: &Loader, table: &mut Table) {
    let Some(schema) = table.schema.as_ref().filter(|schema| schema.has_table()) else { return };
    refresh(loader, &table.event, schema, &mut table.latest).await;
}

/// At start: views of tables that have a key by now, whether anything is loaded into them or not.
pub(crate) async fn at_start(loader: &Loader) {
    for (event, _) in loader.settings.tables.iter().filter(|(_, table)| !table.key.is_empty()) {
        match Schema::look(&loader.warehouse, &loader.names, event).await {
            Ok(schema) if schema.has_table() => refresh(loader, event, &schema, &mut Latest::default()).await,
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
    let Some(viewed) = viewed.filter(|viewed| !loader.settings.table(viewed).key.is_empty()) else { return Ok(None) };
    let found = loader.warehouse.query("latest", &readers::kind_of_relation(&loader.names, event.as_str())).await?;
    let is_view = found.first().map(|row| required(row, 0)).transpose()? == Some("VIEW");
    Ok(is_view.then(|| {
        format!(
            "{event} is the view of the newest rows of {viewed}: give the event another name in [router.rename], or leave \
             out tables.{viewed}.key and drop the view"
        )
    }))
}

async fn refresh(loader: &Loader, event: &EventName, schema: &Schema, latest: &mut Latest) {
    let settings = loader.settings.table(event);
    let Some(definition) = definition(&loader.names, event, &settings, &schema.mapping) else { return };
    if latest.definition.as_ref() == Some(&definition) {
        return;
    }
    match make(&loader.warehouse, &loader.names, event, &definition).await {
        Ok(()) => {
            let view = readers::latest_name(event);
            grants::relation(&loader.warehouse, &loader.names, &loader.settings.loader.grant_to, &view).await;
            *latest = Latest { definition: Some(definition), told: None };
        }
        Err(why) if latest.told.as_ref() == Some(&why) => {}
        Err(why) => {
            tracing::warn!(event = event.as_str(), why, "the latest view could not be made; loads go on");
            latest.told = Some(why);
        }
    }
}

async fn make(warehouse: &Warehouse, names: &Names, event: &EventName, definition: &str) -> Result<(), String> {
    let explain = |error: WarehouseError| chain(&error);
    let view = readers::latest_name(event);
    let found = warehouse.query("latest", &readers::kind_of_relation(names, &view)).await.map_err(explain)?;
    let mut statements = vec![definition.to_owned()];
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
    fn a_table_without_a_key_has_no_view() {
        let mapping = Mapping::new([column("id", "id", Kind::Bigint)]);
        let names = crate::sql::tests::names();
        assert_eq!(definition(&names, &EventName::of_type("x"), &settings(""), &mapping), None);
    }
}
