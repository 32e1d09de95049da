//! The load transaction: which statements, in which order, and what each is there for.
//!
//! The order is what makes a load exactly once, under SNAPSHOT and SERIALIZABLE alike: the gate first, so
//! that every snapshot is younger than the last load's commit; the guard before any COPY; the ledger rows in
//! the same transaction as the data.

use crate::sql::Names;
use crate::sql::load::{self, Copy, LedgerRow};
use common::event_name::EventName;
use common::source::SourceId;
use std::time::Duration;
use time::OffsetDateTime;

/// Most COPYs in one transaction: each takes two of the 40 entries that a batch has.
pub(crate) const COPIES_MAX: usize = 12;

/// How long a shared transaction waits for its gates: then each of its tables is tried alone.
const SHARED_LOCK_LIMIT: Duration = Duration::from_secs(15);

/// What an entry of the transaction is there for; a failing entry's number tells what failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Takes the gate.
    Lock,
    /// Bounds the time of each statement that follows.
    Timeout,
    /// Writes the batch's name into the gate: refused if the snapshot is older than the last commit.
    Hold,
    /// Exactly one gate row carries the name.
    GateCheck,
    /// No source of the batch is loaded.
    Guard,
    /// Where no table was there to remove rows from: no replaced source has any.
    Absent,
    /// Removes what a replaced generation left.
    Delete,
    /// Loads one group of parts.
    Copy,
    /// The COPY before it loaded every record.
    CountCheck,
    /// One ledger row per request.
    Ledger,
    /// The history that people read.
    History,
}

impl Role {
    /// What it means when this entry fails, for people.
    pub(crate) fn failed(self) -> &'static str {
        match self {
            Role::Lock => "could not lock the table's gate",
            Role::Timeout => "could not set the time limit of the load",
            Role::Hold => "could not hold the table's gate",
            Role::GateCheck => "the table's gate does not have exactly one row",
            Role::Guard => "a source is loaded already",
            Role::Absent => "an earlier generation has rows, and there was no table to remove them from",
            Role::Delete => "could not remove the rows of an earlier generation",
            Role::Copy => "COPY failed",
            Role::CountCheck => "COPY loaded another number of rows than the load requests say",
            Role::Ledger => "could not write the ledger",
            Role::History => "could not write the table loads",
        }
    }
}

/// Everything one load transaction says.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) batch: &'a str,
    /// One, or several quiet ones in the order of their names.
    pub(crate) tables: Vec<TablePlan<'a>>,
    pub(crate) timeout: Duration,
    pub(crate) started_at: OffsetDateTime,
}

/// What it says of one table.
#[derive(Debug)]
pub(crate) struct TablePlan<'a> {
    pub(crate) event: &'a EventName,
    /// One per request.
    pub(crate) rows: Vec<LedgerRow>,
    /// One per group of parts, with its records.
    pub(crate) copies: Vec<(Copy<'a>, u64)>,
    /// Whether there is an event table that earlier generations may have rows in.
    pub(crate) has_table: bool,
}

impl TablePlan<'_> {
    fn replaced(&self) -> impl Iterator<Item = &SourceId> {
        self.rows.iter().filter(|row| row.generation > 0).map(|row| &row.source_id)
    }
}

/// The statements with their roles.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) statements: Vec<String>,
    /// With the table that a statement is about, if it is about one.
    roles: Vec<(Role, Option<EventName>)>,
}

impl Transaction {
    pub(crate) fn new(names: &Names, plan: &Plan<'_>) -> Self {
        let Plan { batch, tables, .. } = plan;
        let mut transaction = Self { statements: Vec::new(), roles: Vec::new() };
        // 1. All gates, alone in their entry and before anything that takes a snapshot. Whoever holds some gates does not
        // wait long for the others; one table may wait for its own as long as it takes.
        if tables.len() > 1 {
            transaction.push(Role::Timeout, None, [load::statement_timeout(plan.timeout.min(SHARED_LOCK_LIMIT))]);
        }
        transaction.push(Role::Lock, None, [load::lock_gates(names, tables.iter().map(|table| table.event))]);
        // 2.
        transaction.push(Role::Timeout, None, [load::statement_timeout(plan.timeout)]);
        // 3. and 4.
        for TablePlan { event, .. } in tables {
            transaction.push(Role::Hold, Some(event), [load::hold_gate(names, event, batch)]);
            transaction.push(Role::GateCheck, Some(event), [load::gate_check(names, event, batch)]);
        }
        // 5. Of all tables before the first COPY: what is refused should be refused soon.
        for TablePlan { event, rows, .. } in tables {
            transaction.push(Role::Guard, Some(event), load::guards(names, event, rows));
        }
        for table in tables.iter().filter(|table| !table.has_table) {
            // Another load may have made the table since.
            transaction.push(Role::Absent, Some(table.event), load::absent(names, table.event, table.replaced()));
        }
        for table in tables {
            let TablePlan { event, rows, copies, has_table } = table;
            // 6.
            if *has_table {
                transaction.push(Role::Delete, Some(event), load::delete_earlier(names, event, table.replaced()));
            }
            // 7.
            for (copy, records) in copies {
                transaction.push(Role::Copy, Some(event), [load::copy(names, event, copy)]);
                transaction.push(Role::CountCheck, Some(event), [load::count_check(*records)]);
            }
            // 8.
            transaction.push(Role::Ledger, Some(event), load::insert_ledger(names, event, batch, rows));
        }
        // 9.
        let loads = tables.iter().map(|table| (table.event, table.rows.as_slice()));
        transaction.push(Role::History, None, [load::insert_loads(names, batch, loads, plan.started_at)]);
        transaction
    }

    fn push(&mut self, role: Role, event: Option<&EventName>, statements: impl IntoIterator<Item = String>) {
        self.statements.extend(statements);
        self.roles.resize(self.statements.len(), (role, event.cloned()));
    }

    /// The role of the entry with this number, counted from 1.
    pub(crate) fn role(&self, entry: usize) -> Option<Role> {
        self.entry(entry).map(|(role, _)| *role)
    }

    /// The table that the entry with this number is about, if it is about one.
    pub(crate) fn event(&self, entry: usize) -> Option<&EventName> {
        self.entry(entry)?.1.as_ref()
    }

    fn entry(&self, entry: usize) -> Option<&(Role, Option<EventName>)> {
        self.roles.get(entry.checked_sub(1)?)
    }

    /// How many COPYs it has.
    pub(crate) fn copies(&self) -> usize {
        self.roles.iter().filter(|(role, _)| *role == Role::Copy).count()
    }

    /// Which of the plan's copies the entry with this number is, if it is one.
    pub(crate) fn copy(&self, entry: usize) -> Option<usize> {
        let is_copy = |(role, _): &&(Role, Option<EventName>)| *role == Role::Copy;
        let before = self.roles.iter().take(entry.checked_sub(1)?).filter(is_copy).count();
        (self.role(entry) == Some(Role::Copy)).then_some(before)
    }
}

#[cfg(test)]
mod proof;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::load::Codec;
    use crate::sql::tests::names;
    use time::macros::datetime;

    pub(super) fn row(key: &str, generation: u32, rows: u64) -> LedgerRow {
        LedgerRow {
            source_id: SourceId::new("raw", key, "e"),
            generation,
            parts: usize::from(rows > 0),
            rows,
            rejected: 0,
            quarantine_key: None,
            source_time: datetime!(2025-06-01 00:00 UTC),
        }
    }

    pub(super) fn plan<'a>(event: &'a EventName, columns: &'a [String], rows: Vec<LedgerRow>) -> Plan<'a> {
        let copy = Copy {
            columns,
            manifest_uri: "s3://b/m",
            jsonpaths_uri: "s3://b/j",
            codec: Codec::Gzip,
            iam_role: "default",
        };
        let records = rows.iter().map(|row| row.rows).sum();
        Plan {
            batch: "b-1",
            tables: vec![TablePlan { event, rows, copies: vec![(copy, records)], has_table: true }],
            timeout: Duration::from_secs(60),
            started_at: datetime!(2025-06-01 00:00 UTC),
        }
    }

    #[test]
    fn the_order_of_statements_is_the_guarantee() {
        let event = EventName::of_type("page_view");
        let columns = ["_source".to_owned()];
        let (a, mut b) = (row("a", 0, 3), row("b", 2, 4));
        (b.rejected, b.quarantine_key) = (1, Some("q/b.json.gz".to_owned()));
        let transaction = Transaction::new(&names(), &plan(&event, &columns, vec![a.clone(), b.clone()]));
        let (a, b) = (a.source_id, b.source_id);
        assert_eq!(
            transaction.statements,
            [
                r#"LOCK "log_router"."gate_page_view""#.to_owned(),
                "SET statement_timeout TO 60000".to_owned(),
                r#"UPDATE "log_router"."gate_page_view" SET "holder" = 'b-1'"#.to_owned(),
                r#"SELECT CAST(CASE WHEN COUNT(*) = 1 THEN '1' ELSE 'gate rows: ' || COUNT(*) END AS INTEGER) FROM "log_router"."gate_page_view" WHERE "holder" = 'b-1'"#.to_owned(),
                format!(r#"SELECT CAST('a' || MIN("source_id") AS INTEGER) FROM "log_router"."ledger_page_view" WHERE ("source_id" = '{a}' AND "generation" >= 0) OR ("source_id" = '{b}' AND "generation" >= 2)"#),
                format!(r#"DELETE FROM "events"."page_view" WHERE "_source" IN ('{b}') AND ("_loaded_at" IS NULL OR "_loaded_at" >= (SELECT DATEADD(day, -1, MIN("loaded_at")) FROM "log_router"."ledger_page_view" WHERE "source_id" IN ('{b}')))"#),
                r#"COPY "events"."page_view" ("_source") FROM 's3://b/m' IAM_ROLE default MANIFEST FORMAT JSON 's3://b/j' GZIP TIMEFORMAT 'auto' DATEFORMAT 'auto' COMPUPDATE OFF STATUPDATE OFF"#.to_owned(),
                "SELECT CAST(CASE WHEN pg_last_copy_count() = 7 THEN '1' ELSE 'copied ' || pg_last_copy_count() || ' of 7' END AS INTEGER)".to_owned(),
                format!(r#"INSERT INTO "log_router"."ledger_page_view" ("source_id", "generation", "parts", "rows_loaded", "rows_rejected", "quarantine_key", "batch", "source_time") VALUES ('{a}', 0, 1, 3, 0, NULL, 'b-1', '2025-06-01 00:00:00.000000'), ('{b}', 2, 1, 4, 1, 'q/b.json.gz', 'b-1', '2025-06-01 00:00:00.000000')"#),
                r#"INSERT INTO "log_router"."loads" ("batch", "event", "requests", "parts", "rows_loaded", "rows_rejected", "started_at") VALUES ('b-1', 'page_view', 2, 2, 7, 1, '2025-06-01 00:00:00.000000')"#.to_owned(),
            ]
        );
        let roles: Vec<_> = (1..=11).map(|n| transaction.role(n)).collect();
        use Role::*;
        let expected = [Lock, Timeout, Hold, GateCheck, Guard, Delete, Copy, CountCheck, Ledger, History];
        assert_eq!(roles[..10], expected.map(Some));
        assert_eq!((roles[10], transaction.role(0)), (None, None));
        assert_eq!((transaction.copy(7), transaction.copy(8), transaction.copy(99)), (Some(0), None, None));
        assert_eq!(transaction.copies(), 1);
    }

    #[test]
    fn a_replace_that_left_nothing_only_writes_its_ledger_row_and_sees_that_no_rows_are_left() {
        let event = EventName::of_type("x");
        let mut plan = plan(&event, &[], vec![row("a", 1, 0)]);
        plan.tables[0].copies.clear();
        plan.tables[0].has_table = false;
        let transaction = Transaction::new(&names(), &plan);
        assert!(transaction.statements.iter().all(|sql| !sql.starts_with("COPY") && !sql.starts_with("DELETE")));
        assert_eq!(transaction.role(6), Some(Role::Absent));
        let source = &row("a", 1, 0).source_id;
        assert_eq!(
            transaction.statements[5],
            format!(
                r#"SELECT CAST('a' || MIN("source_id") AS INTEGER) FROM "log_router"."ledger_x" WHERE "source_id" IN ('{source}') AND "rows_loaded" > 0"#
            )
        );
        assert!(
            transaction
                .statements
                .iter()
                .any(|sql| sql.contains("VALUES ('") && sql.contains("', 1, 0, 0, 0, NULL, 'b-1'"))
        );
    }

    #[test]
    fn the_most_copies_leave_room_for_the_rest() {
        let event = EventName::of_type("x");
        let columns = ["a".to_owned()];
        let rows: Vec<_> = (0..crate::pending::BATCH_MAX).map(|n| row(&n.to_string(), 1, 1)).collect();
        let mut plan = plan(&event, &columns, rows);
        plan.tables[0].copies = vec![plan.tables[0].copies[0].clone(); COPIES_MAX];
        for has_table in [true, false] {
            plan.tables[0].has_table = has_table;
            assert!(Transaction::new(&names(), &plan).statements.len() <= crate::sql::BATCH_MAX_ENTRIES);
        }
    }

    #[test]
    fn tables_that_share_a_transaction_lock_their_gates_in_one_entry_and_check_all_before_the_first_copy() {
        let events = ["a", "b"].map(EventName::of_type);
        let columns = ["_source".to_owned()];
        let mut shared = plan(&events[0], &columns, vec![row("1", 0, 3)]);
        shared.tables.extend(plan(&events[1], &columns, vec![row("2", 0, 4)]).tables);
        let transaction = Transaction::new(&names(), &shared);
        let found: Vec<_> = (1..=transaction.statements.len())
            .map(|n| (transaction.role(n).unwrap(), transaction.event(n).map_or("", EventName::as_str)))
            .collect();
        use Role::*;
        #[rustfmt::skip]
        assert_eq!(found, [
            (Timeout, ""), (Lock, ""), (Timeout, ""),
            (Hold, "a"), (GateCheck, "a"), (Hold, "b"), (GateCheck, "b"), (Guard, "a"), (Guard, "b"),
            (Copy, "a"), (CountCheck, "a"), (Ledger, "a"), (Copy, "b"), (CountCheck, "b"), (Ledger, "b"),
            (History, ""),
        ]);
        let first = ["SET statement_timeout TO 15000", r#"LOCK "log_router"."gate_a", "log_router"."gate_b""#];
        assert_eq!(transaction.statements[..2], first);
        assert_eq!(transaction.statements[2], "SET statement_timeout TO 60000", "the real limit for what follows");
        let history = transaction.statements.last().unwrap();
        let values = history.split_once(" VALUES ").expect("rows").1;
        let (a, b) = (
            "('b-1', 'a', 1, 1, 3, 0, '2025-06-01 00:00:00.000000')",
            "('b-1', 'b', 1, 1, 4, 0, '2025-06-01 00:00:00.000000')",
        );
        assert_eq!(values, format!("{a}, {b}"));
    }

    #[test]
    fn as_many_quiet_tables_as_may_share_fit_one_batch() {
        let events: Vec<_> = (0..crate::pending::SHARING_MAX).map(|n| EventName::of_type(&format!("t{n}"))).collect();
        let columns = ["a".to_owned()];
        let rows: Vec<_> = (0..crate::pending::QUIET_REQUESTS).map(|n| row(&n.to_string(), 0, 1)).collect();
        let mut shared = plan(&events[0], &columns, rows.clone());
        for event in &events[1..] {
            shared.tables.extend(plan(event, &columns, rows.clone()).tables);
        }
        let statements = Transaction::new(&names(), &shared).statements;
        assert!((36..=crate::sql::BATCH_MAX_ENTRIES).contains(&statements.len()), "{}", statements.len());
        assert!(statements.iter().all(|sql| sql.len() <= crate::sql::STATEMENT_MAX_BYTES));
    }
}
