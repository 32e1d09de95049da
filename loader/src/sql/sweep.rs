//! Statements of the sweep: what the ledgers have, how far sweeps came, which hours are complete, what failed.

use super::load::timestamp;
use super::{Names, STATEMENT_MAX_BYTES, chunked, literal};
use common::event_name::EventName;
pub(crate) use common::ledger::event_of_ledger;
use common::source::SourceId;
use time::OffsetDateTime;

/// The view of [`view_complete`].
pub(crate) const COMPLETE_VIEW: &str = "complete_now";

/// How far sweeps came: whatever lies under `prefix` (below `seals.prefix`) and is older than `settled_before` needs no
/// more looking at. Rows are only added, and the latest time of a prefix counts; [`crate::sweep::look_again`] may speak against it.
pub(crate) const SWEEPS: (&str, &str) = (
    "sweeps",
    "\"prefix\" VARCHAR(64) NOT NULL, \"settled_before\" TIMESTAMP NOT NULL, \"swept_at\" TIMESTAMP DEFAULT SYSDATE",
);

/// Whether an hour (of source time) of an event is complete, as far as was visible at `checked_at`. Rows are only added;
/// what was said last counts, also where it speaks of an earlier time.
pub(crate) const COMPLETE: (&str, &str) = (
    "complete",
    "\"event\" VARCHAR(127) NOT NULL, \"hour\" TIMESTAMP NOT NULL, \"sealed\" BIGINT NOT NULL, \"loaded\" BIGINT NOT NULL, \
     \"complete\" BOOLEAN NOT NULL, \"checked_at\" TIMESTAMP NOT NULL, \"said_at\" TIMESTAMP DEFAULT SYSDATE",
);

/// One row of [`COMPLETE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CompleteRow {
    pub(crate) event: EventName,
    pub(crate) sealed: u64,
    pub(crate) loaded: u64,
    pub(crate) complete: bool,
}

/// What was said last of each event and hour.
pub(crate) fn view_complete(names: &Names) -> String {
    let columns = "\"event\", \"hour\", \"sealed\", \"loaded\", \"complete\", \"checked_at\", \"said_at\"";
    format!(
        "CREATE OR REPLACE VIEW {} AS SELECT {columns} FROM (SELECT {columns}, ROW_NUMBER() OVER \
         (PARTITION BY \"event\", \"hour\" ORDER BY \"said_at\" DESC, \"complete\") AS \"age\" FROM {}) AS \"rows\" \
         WHERE \"age\" = 1",
        names.shared(COMPLETE_VIEW),
        names.shared(COMPLETE.0)
    )
}

pub(crate) fn settled(names: &Names) -> String {
    format!("SELECT \"prefix\", MAX(\"settled_before\") FROM {} GROUP BY \"prefix\"", names.shared(SWEEPS.0))
}

pub(crate) fn insert_settled(names: &Names, rows: &[(String, OffsetDateTime)]) -> Vec<String> {
    let head = format!("INSERT INTO {} (\"prefix\", \"settled_before\") VALUES ", names.shared(SWEEPS.0));
    let rows = rows.iter().map(|(prefix, at)| format!("({}, {})", literal(prefix), literal(&timestamp(*at))));
    chunked(&head, ", ", "", rows)
}

/// Which of these sources the events' ledgers have, each with its highest generation: many ledgers in one statement,
/// as many as its length allows.
pub(crate) fn loaded_of_events<'a>(
    names: &Names,
    wanted: impl IntoIterator<Item = (&'a EventName, Vec<&'a SourceId>)>,
) -> Vec<String> {
    let tail = ") GROUP BY \"source_id\"";
    let mut selects = Vec::new();
    for (event, sources) in wanted {
        let head = format!(
            "SELECT CAST({} AS VARCHAR(127)) AS \"event\", \"source_id\", MAX(\"generation\") FROM {} WHERE \"source_id\" IN (",
            literal(event.as_str()),
            names.ledger(event)
        );
        selects.extend(chunked(&head, ", ", tail, sources.into_iter().map(|id| literal(id.as_str()))));
    }
    let (mut statements, mut length) = (Vec::<Vec<String>>::new(), 0);
    for select in selects {
        length += UNION.len() + select.len();
        match statements.last_mut() {
            // A statement of hundreds of ledgers takes long to plan.
            Some(last) if length <= STATEMENT_MAX_BYTES && last.len() < UNION_MAX => last.push(select),
            _ => {
                length = select.len();
                statements.push(vec![select]);
            }
        }
    }
    statements.into_iter().map(|selects| selects.join(UNION)).collect()
}

const UNION: &str = " UNION ALL ";
const UNION_MAX: usize = 50;

/// Which requests of these sources were set aside, each with its highest generation.
pub(crate) fn failed_of<'a>(names: &Names, sources: impl IntoIterator<Item = &'a SourceId>) -> Vec<String> {
    let head = format!(
        "SELECT \"event\", \"source_id\", MAX(\"generation\") FROM {} WHERE \"source_id\" IN (",
        names.shared("failed")
    );
    chunked(&head, ", ", ") GROUP BY \"event\", \"source_id\"", sources.into_iter().map(|id| literal(id.as_str())))
}

/// Everything that was set aside, newest first.
pub(crate) fn failed(names: &Names, event: Option<&EventName>, source_id: Option<&SourceId>) -> String {
    format!(
        "SELECT \"event\", \"source_id\", \"generation\", \"why\", \"failed_at\" FROM {}{} ORDER BY \"failed_at\" DESC",
        names.shared("failed"),
        chosen(event, source_id)
    )
}

/// Lifts what [`failed()`] shows, up to its newest row: what fails meanwhile stays.
pub(crate) fn delete_failed(
    names: &Names,
    event: &EventName,
    source_id: &SourceId,
    generation: u32,
    failed_at: &str,
) -> String {
    format!(
        "DELETE FROM {}{} AND \"generation\" <= {generation} AND \"failed_at\" <= {}",
        names.shared("failed"),
        chosen(Some(event), Some(source_id)),
        literal(failed_at)
    )
}

fn chosen(event: Option<&EventName>, source_id: Option<&SourceId>) -> String {
    let event = event.map(|event| format!("\"event\" = {}", literal(event.as_str())));
    let source = source_id.map(|id| format!("\"source_id\" = {}", literal(id.as_str())));
    let conditions: Vec<String> = event.into_iter().chain(source).collect();
    if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) }
}

/// What was said last of some hours.
pub(crate) fn complete_of(names: &Names, hours: &[OffsetDateTime]) -> String {
    let hours: Vec<String> = hours.iter().map(|hour| literal(&timestamp(*hour))).collect();
    format!(
        "SELECT \"hour\", \"event\", \"sealed\", \"loaded\", \"complete\" FROM {} WHERE \"hour\" IN ({})",
        names.shared(COMPLETE_VIEW),
        hours.join(", ")
    )
}

/// Events and hours that are not complete, with what they wait for.
pub(crate) fn incomplete(names: &Names) -> String {
    format!(
        "SELECT \"event\", \"hour\", \"sealed\" FROM {} WHERE \"complete\" = FALSE ORDER BY \"event\", \"hour\"",
        names.shared(COMPLETE_VIEW)
    )
}

/// How many sources of each hour an event's ledger has.
pub(crate) fn loaded_by_hour(names: &Names, event: &EventName, from: OffsetDateTime, to: OffsetDateTime) -> String {
    format!(
        "SELECT DATE_TRUNC('hour', \"source_time\") AS \"hour\", COUNT(DISTINCT \"source_id\") FROM {} \
         WHERE \"source_time\" >= {} AND \"source_time\" < {} GROUP BY 1",
        names.ledger(event),
        literal(&timestamp(from)),
        literal(&timestamp(to))
    )
}

/// Adds what is to be said of hours, each with the time up to which it vouches.
pub(crate) fn insert_complete(names: &Names, said: &[(OffsetDateTime, OffsetDateTime, CompleteRow)]) -> Vec<String> {
    let head = format!(
        "INSERT INTO {} (\"event\", \"hour\", \"sealed\", \"loaded\", \"complete\", \"checked_at\") VALUES ",
        names.shared(COMPLETE.0)
    );
    let rows = said.iter().map(|(hour, checked_at, row)| {
        let CompleteRow { event, sealed, loaded, complete } = row;
        let [hour, checked_at] = [hour, checked_at].map(|at| literal(&timestamp(*at)));
        let complete = if *complete { "TRUE" } else { "FALSE" };
        format!("({}, {hour}, {sealed}, {loaded}, {complete}, {checked_at})", literal(event.as_str()))
    });
    chunked(&head, ", ", "", rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::tests::names;

    #[test]
    fn many_ledgers_are_asked_by_few_statements_within_the_limit() {
        let events: Vec<EventName> = (0..120).map(|n| EventName::of_type(&format!("e{n}"))).collect();
        let sources: Vec<SourceId> = (0..300).map(|n| SourceId::new("raw", &n.to_string(), "e")).collect();
        let wanted = |events: &[EventName], count: usize| {
            let wanted: Vec<_> = events.iter().map(|event| (event, sources[..count].iter().collect())).collect();
            loaded_of_events(&names(), wanted)
        };
        let statements = wanted(&events, 300);
        assert!(statements.iter().all(|sql| sql.len() <= STATEMENT_MAX_BYTES), "{}", statements.len());
        let asked: usize = statements.iter().map(|sql| sql.matches(", '").count() + sql.matches("IN ('").count()).sum();
        assert_eq!(asked, 120 * 300);
        assert_eq!(wanted(&events, 1).len(), 3, "50 ledgers at most in one");
        assert_eq!(
            wanted(&events[..1], 1),
            [format!(
                r#"SELECT CAST('e0' AS VARCHAR(127)) AS "event", "source_id", MAX("generation") FROM "log_router"."ledger_e0" WHERE "source_id" IN ('{}') GROUP BY "source_id""#,
                sources[0]
            )]
        );
        assert!(wanted(&events, 0).is_empty());
    }

    #[test]
    fn only_what_was_shown_is_lifted() {
        let (event, source) = (EventName::of_type("a"), SourceId::new("raw", "k", "e"));
        assert_eq!(
            delete_failed(&names(), &event, &source, 2, "2025-06-01 00:00:00"),
            format!(
                r#"DELETE FROM "log_router"."failed" WHERE "event" = 'a' AND "source_id" = '{source}' AND "generation" <= 2 AND "failed_at" <= '2025-06-01 00:00:00'"#
            )
        );
        assert!(!failed(&names(), None, None).contains("WHERE"));
    }

    #[test]
    fn a_ledgers_name_is_its_events() {
        assert_eq!(event_of_ledger("ledger_page_view"), Some(EventName::of_type("page_view")));
        assert_eq!(event_of_ledger("gate_page_view"), None);
    }
}
