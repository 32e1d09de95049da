//! Every SQL text of the loader, rendered here and nowhere else.
//!
//! Plain functions from values to text; nothing here talks to a warehouse. Values are quoted into the
//! text: named parameters of the Data API cannot stand in COPY, LOCK or for names.

pub(crate) mod ask;
pub(crate) mod audit;
pub(crate) mod bookkeeping;
pub(crate) mod check;
pub(crate) mod ddl;
pub(crate) mod inventory;
pub(crate) mod load;
pub(crate) mod readers;
pub(crate) mod rebuild;
pub(crate) mod sweep;

use common::event_name::EventName;
pub(crate) use common::ledger::ledger_name;
use common::settings::Settings;
pub(crate) use common::warehouse::{BATCH_MAX_ENTRIES, STATEMENT_MAX_BYTES, identifier, literal};

/// The two schemas, and the names of what lives in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    /// Event tables.
    pub(crate) schema: String,
    /// Gates, ledgers and what people ask about loads.
    pub(crate) bookkeeping: String,
}

impl Names {
    /// As the settings say.
    pub(crate) fn of(settings: &Settings) -> Self {
        Self { schema: settings.loader.schema.clone(), bookkeeping: settings.loader.bookkeeping_schema.clone() }
    }

    /// The event's own table.
    pub(crate) fn event_table(&self, event: &EventName) -> String {
        qualified(&self.schema, event.as_str())
    }

    /// The row that load transactions of one event contend for.
    pub(crate) fn gate(&self, event: &EventName) -> String {
        qualified(&self.bookkeeping, &gate_name(event))
    }

    /// Which sources of one event are loaded.
    pub(crate) fn ledger(&self, event: &EventName) -> String {
        qualified(&self.bookkeeping, &ledger_name(event))
    }

    /// A table that all events share: rows are only ever added.
    pub(crate) fn shared(&self, table: &str) -> String {
        qualified(&self.bookkeeping, table)
    }
}

pub(crate) fn gate_name(event: &EventName) -> String {
    format!("gate_{event}")
}

fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", identifier(schema), identifier(name))
}

/// Renders `head item, item, …` as often as it takes to keep each text within the Data API's limit.
fn chunked(head: &str, separator: &str, tail: &str, items: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut statements: Vec<String> = Vec::new();
    let mut current = String::new();
    for item in items {
        if current.is_empty() {
            current = format!("{head}{item}");
        } else if current.len() + separator.len() + item.len() + tail.len() > STATEMENT_MAX_BYTES {
            statements.push(std::mem::replace(&mut current, format!("{head}{item}")) + tail);
        } else {
            current.push_str(separator);
            current.push_str(&item);
        }
    }
    if !current.is_empty() {
        statements.push(current + tail);
    }
    statements
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn names() -> Names {
        Names { schema: "events".into(), bookkeeping: "log_router".into() }
    }

    #[test]
    fn long_lists_are_cut_at_the_limit_and_lose_nothing() {
        let items: Vec<String> = (0..30_000).map(|n| format!("({n:08})")).collect();
        let statements = chunked("INSERT VALUES ", ", ", ";", items.clone());
        assert!(statements.len() > 3);
        assert!(statements.iter().all(|s| s.len() <= STATEMENT_MAX_BYTES && s.ends_with(");")));
        let joined: Vec<&str> = statements
            .iter()
            .flat_map(|s| s.trim_start_matches("INSERT VALUES ").trim_end_matches(';').split(", "))
            .collect();
        assert_eq!(joined, items);
        assert!(chunked("x ", ",", "", Vec::new()).is_empty(), "no items, no statement");
    }
}
