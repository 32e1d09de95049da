//! `loader plan`: what loading seals would do, changing nothing.

use super::connection;
use super::tables::pointer;
use crate::outlook::{EventOutlook, by_event, offline, online};
use crate::schema::Rules;
use crate::sql::Names;
use clap::Args;
use common::clients::Clients;
use common::objects;
use common::seal::Seal;
use common::settings::{DEFAULT_CONFIG, Settings, SettingsError};
use common::telemetry::chain;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Stands in for a settings file where there is none: of it only the defaults of `[loader]` count.
const NO_SETTINGS: &str = r#"
raw = { bucket = "local", prefix = "raw/", queue = "raw-objects" }
routed = { bucket = "local", queue = "routed-parts" }
router = { event_type = ["/event"] }
loader = { database = "dev", workgroup = "none" }
"#;

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// Seals: files, as router split writes them below seals/, or <s3://bucket/key>
    #[arg(required = true, value_name = "SEAL")]
    seals: Vec<String>,
    /// Ask no warehouse: as if nothing had ever been loaded
    #[arg(long)]
    offline: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

impl PlanArgs {
    pub(super) async fn run(&self, config: Option<&Path>) -> Result<(), String> {
        let settings = self.settings(config)?;
        let mut seals = Vec::with_capacity(self.seals.len());
        for place in &self.seals {
            seals.push(read(place).await?);
        }
        let connection = match self.offline {
            true => None,
            false => Some(connection(&settings).await?),
        };
        let names = Names::of(&settings);
        let mut outlooks = Vec::new();
        for (event, planned) in by_event(&seals) {
            let rules = Rules::of(&settings, event);
            outlooks.push(match &connection {
                None => offline(&names, event, &planned, rules),
                Some((warehouse, _)) => {
                    online(warehouse, &names, event, &planned, rules).await.map_err(|error| chain(&error))?
                }
            });
        }
        match self.json {
            true => println!("{}", json!({ "events": outlooks.iter().map(to_json).collect::<Vec<_>>() })),
            false => outlooks.iter().for_each(|outlook| print!("{}", describe(outlook))),
        }
        let stops: Vec<&str> = outlooks.iter().filter(|o| o.problem.is_some()).map(|o| o.event.as_str()).collect();
        match stops.is_empty() {
            true => Ok(()),
            false => Err(format!("these tables would stop: {}", stops.join(", "))),
        }
    }

    fn settings(&self, config: Option<&Path>) -> Result<Settings, String> {
        match Settings::load(config) {
            // Nobody named a file, there is none, and no warehouse is asked for either.
            Err(SettingsError::Unreadable { path, .. })
                if self.offline && config.is_none() && path == Path::new(DEFAULT_CONFIG) =>
            {
                Settings::parse(&path, NO_SETTINGS, BTreeMap::new()).map_err(|error| chain(&error))
            }
            loaded => loaded.map_err(|error| chain(&error)),
        }
    }
}

async fn read(place: &str) -> Result<Seal, String> {
    let bytes = match place.strip_prefix("s3://").and_then(|rest| rest.split_once('/')) {
        Some((bucket, key)) => {
            let clients = Clients::from_env().await.map_err(|error| chain(&error))?;
            objects::get(&clients.s3, bucket, key).await.map_err(|error| chain(&error))?.to_vec()
        }
        None => std::fs::read(place).map_err(|error| format!("could not read {place}: {error}"))?,
    };
    Seal::parse(place, &bytes).map_err(|error| chain(&error))
}

fn describe(outlook: &EventOutlook) -> String {
    let EventOutlook { event, sources, parts, rows, copies, .. } = outlook;
    let mut lines = vec![format!(
        "{event}: {} in {} of {}, {}",
        counted(*rows, "row"),
        counted(*parts as u64, "part"),
        counted(*sources as u64, "file"),
        counted(*copies as u64, "COPY"),
    )];
    if outlook.split > 0 {
        lines.push(format!(
            "  {} with records that need different columns: each is asked",
            counted(outlook.split as u64, "part")
        ));
    }
    if outlook.loaded > 0 {
        lines.push(format!("  loaded already: {}", counted(outlook.loaded as u64, "file")));
    }
    if outlook.replaced > 0 {
        lines.push(format!("  replaces the rows of {}", counted(outlook.replaced as u64, "file")));
    }
    lines.extend(outlook.changes.iter().map(|change| format!("  {} {}", change.what, change.detail)));
    for (column, rows) in &outlook.variants {
        lines.push(format!("  values that do not fit go to {column} (parts of {})", counted(*rows, "row")));
    }
    if outlook.whole_records > 0 {
        let rows = counted(outlook.whole_records, "row");
        lines.push(format!("  whole records are kept in _record (parts of {rows})"));
    }
    lines.extend(outlook.left_out.iter().map(|path| format!("  left out {}: the table is frozen", pointer(path))));
    lines.extend(outlook.problem.iter().map(|problem| format!("  the table would stop: {problem}")));
    lines.extend(outlook.statements.iter().map(|sql| format!("  {sql};")));
    lines.join("\n") + "\n"
}

fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn to_json(outlook: &EventOutlook) -> Value {
    let changes: Vec<Value> =
        outlook.changes.iter().map(|change| json!({ "change": change.what, "detail": change.detail })).collect();
    json!({
        "event": outlook.event,
        "files": outlook.sources,
        "parts": outlook.parts,
        "rows": outlook.rows,
        "bytes": outlook.bytes,
        "copies": outlook.copies,
        "parts_to_split": outlook.split,
        "files_loaded_already": outlook.loaded,
        "files_replaced": outlook.replaced,
        "changes": changes,
        "statements": outlook.statements,
        "variants": outlook.variants,
        "whole_records": outlook.whole_records,
        "left_out": outlook.left_out,
        "problem": outlook.problem,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::ddl::Change;

    #[test]
    fn a_plan_names_rows_changes_conflicts_and_statements() {
        let outlook = EventOutlook {
            event: "order".into(),
            sources: 2,
            parts: 3,
            rows: 10,
            loaded: 1,
            copies: 2,
            changes: vec![Change { what: "new column", detail: "id BIGINT".into() }],
            statements: vec!["ALTER TABLE x".into()],
            variants: [("id__varchar".to_owned(), 1)].into(),
            left_out: [vec!["a".to_owned(), "b".to_owned()]].into(),
            problem: Some("column \"x\" is numeric".into()),
            ..Default::default()
        };
        let expected = [
            "order: 10 rows in 3 parts of 2 files, 2 COPYs",
            "  loaded already: 1 file",
            "  new column id BIGINT",
            "  values that do not fit go to id__varchar (parts of 1 row)",
            "  left out /a/b: the table is frozen",
            "  the table would stop: column \"x\" is numeric",
            "  ALTER TABLE x;",
        ];
        assert_eq!(describe(&outlook).lines().collect::<Vec<_>>(), expected);
        assert_eq!(to_json(&outlook)["left_out"], json!([["a", "b"]]));
    }

    #[test]
    fn without_a_settings_file_the_defaults_are_used() {
        let settings = Settings::parse(Path::new("none"), NO_SETTINGS, BTreeMap::new()).expect("valid");
        assert_eq!(settings.loader.schema, "events");
    }
}
