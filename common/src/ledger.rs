//! The ledgers as others than the loader read them: their names, and what COPY refused.
//!
//! A ledger row is a contract like a seal: once committed, it says what is in the table and what is in quarantine. This is
//! the one statement outside the loader, and it only asks (docs/adr/0021).

use crate::event_name::EventName;
use crate::source::SourceId;
use crate::warehouse::{Row, STATEMENT_MAX_BYTES, Warehouse, WarehouseError, identifier, literal, number, required};
use time::OffsetDateTime;
use time::macros::format_description;

/// Ledgers in one statement: one of hundreds takes long to plan.
const LEDGERS_MAX: usize = 50;

/// The name of an event's ledger, in the bookkeeping schema.
pub fn ledger_name(event: &EventName) -> String {
    format!("ledger_{event}")
}

/// The event whose ledger this relation is.
pub fn event_of_ledger(relation: &str) -> Option<EventName> {
    let event = EventName::try_from(relation.strip_prefix("ledger_")?.to_owned()).ok()?;
    (ledger_name(&event) == relation).then_some(event)
}

/// Records of one event of one source that COPY refused, as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The event.
    pub event: EventName,
    /// The source.
    pub source_id: SourceId,
    /// The source's highest generation in this ledger: what the table holds is of it.
    pub generation: u32,
    /// How many.
    pub records: u64,
    /// Where they are kept.
    pub quarantine_key: String,
}

/// Everything that COPY refused and no later load of its source took the place of: of this event or of all, and of
/// sources no older than `since`. Without a ledger there is nothing.
pub async fn rejected(
    warehouse: &Warehouse,
    schema: &str,
    event: Option<&EventName>,
    since: Option<OffsetDateTime>,
) -> Result<Vec<Rejected>, WarehouseError> {
    let rows = warehouse.query("quarantine", &ledgers_in(schema)).await?;
    let ledgers = rows.iter().filter_map(|row| event_of_ledger(row.first()?.as_deref()?));
    let ledgers: Vec<EventName> = ledgers.filter(|found| event.is_none_or(|event| event == found)).collect();
    let mut rejected = Vec::new();
    for statement in rejected_in(schema, &ledgers, since) {
        for row in warehouse.query("quarantine", &statement).await? {
            rejected.push(rejected_of(&row)?);
        }
    }
    Ok(rejected)
}

/// The names of ledgers: one for each event that was ever loaded. `_` would stand for any character in LIKE.
pub fn ledgers_in(schema: &str) -> String {
    format!(
        "SELECT \"table_name\" FROM svv_tables WHERE \"table_schema\" = {} AND LEFT(\"table_name\", 7) = 'ledger_' ORDER BY 1",
        literal(schema)
    )
}

/// A source of several generations counts with the highest one alone.
fn rejected_in(schema: &str, ledgers: &[EventName], since: Option<OffsetDateTime>) -> Vec<String> {
    let since = since.map(|at| format!(" WHERE \"source_time\" >= {}", literal(&timestamp(at)))).unwrap_or_default();
    let one = |event: &EventName| {
        format!(
            "SELECT CAST({} AS VARCHAR(127)) AS \"event\", \"source_id\", \"generation\", \"rows_rejected\", \"quarantine_key\" \
             FROM (SELECT \"source_id\", \"generation\", \"rows_rejected\", \"quarantine_key\", ROW_NUMBER() OVER (PARTITION BY \
             \"source_id\" ORDER BY \"generation\" DESC) AS \"n\" FROM {}.{}{since}) AS l WHERE \"n\" = 1 AND \"rows_rejected\" > 0",
            literal(event.as_str()),
            identifier(schema),
            identifier(&ledger_name(event))
        )
    };
    let mut statements: Vec<(usize, String)> = Vec::new();
    for select in ledgers.iter().map(one) {
        const UNION: &str = " UNION ALL ";
        match statements.last_mut() {
            Some((held, text))
                if *held < LEDGERS_MAX && text.len() + UNION.len() + select.len() <= STATEMENT_MAX_BYTES =>
            {
                *held += 1;
                text.push_str(UNION);
                text.push_str(&select);
            }
            _ => statements.push((1, select)),
        }
    }
    statements.into_iter().map(|(_, text)| text).collect()
}

/// As TIMESTAMP columns hold it: UTC, in microseconds.
fn timestamp(at: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:6]");
    at.to_offset(time::UtcOffset::UTC).format(&format).expect("years 0..=9999 always format so")
}

fn rejected_of(row: &Row) -> Result<Rejected, WarehouseError> {
    let unexpected = |expected| WarehouseError::Unexpected { found: format!("{row:?}"), expected };
    Ok(Rejected {
        event: EventName::try_from(required(row, 0)?.to_owned()).map_err(|_| unexpected("an event name"))?,
        source_id: SourceId::try_from(required(row, 1)?.to_owned()).map_err(|_| unexpected("a source id"))?,
        generation: number(row, 2)?,
        records: number(row, 3)?,
        quarantine_key: required(row, 4)?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::warehouse::scripted::{ok, scripted};
    use time::macros::datetime;

    #[test]
    fn a_ledger_is_known_by_its_name() {
        let event = EventName::of_type("page_view");
        assert_eq!(event_of_ledger(&ledger_name(&event)), Some(event));
        assert_eq!(
            (event_of_ledger("gate_a"), event_of_ledger("ledger_A"), event_of_ledger("ledger_")),
            (None, None, None)
        );
    }

    #[test]
    fn any_number_of_ledgers_is_asked_in_statements_of_legal_length() {
        let events: Vec<EventName> =
            (0..1_000).map(|n| EventName::of_type(&format!("{}{n}", "x".repeat(90)))).collect();
        let statements = rejected_in("log_router", &events, Some(datetime!(2025-06-01 02:00 +02:00)));
        assert!(statements.len() >= 20 && statements.iter().all(|sql| sql.len() <= STATEMENT_MAX_BYTES));
        assert_eq!(
            statements.iter().map(|sql| sql.matches("'2025-06-01 00:00:00.000000'").count()).sum::<usize>(),
            1_000
        );
        assert!(rejected_in("log_router", &[], None).is_empty());
    }

    #[tokio::test]
    async fn only_the_ledgers_that_exist_are_asked() {
        let (warehouse, script) = scripted(vec![
            ("ExecuteStatement", ok(r#"{"Id":"1","Status":"FINISHED"}"#)),
            ("GetStatementResult", ok(r#"{"Records":[[{"stringValue":"ledger_a"}],[{"stringValue":"ledger_b"}]]}"#)),
            ("ExecuteStatement", ok(r#"{"Id":"2","Status":"FINISHED"}"#)),
            (
                "GetStatementResult",
                ok(&format!(
                    r#"{{"Records":[[{{"stringValue":"b"}},{{"stringValue":"{}"}},{{"longValue":2}},{{"longValue":7}},{{"stringValue":"q/k"}}]]}}"#,
                    SourceId::new("raw", "k", "e")
                )),
            ),
            ("ExecuteStatement", ok(r#"{"Id":"3","Status":"FINISHED"}"#)),
            ("GetStatementResult", ok(r#"{"Records":[]}"#)),
        ]);
        let found = rejected(&warehouse, "log_router", Some(&EventName::of_type("b")), None).await.expect("read");
        let of = |one: &Rejected| (one.generation, one.records, one.quarantine_key.clone());
        assert_eq!(found.iter().map(of).collect::<Vec<_>>(), [(2, 7, "q/k".to_owned())]);
        assert!(rejected(&warehouse, "log_router", None, None).await.expect("no ledger, no question").is_empty());
        script.assert_used_up();
    }
}
