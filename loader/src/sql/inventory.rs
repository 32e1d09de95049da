//! Statements behind `loader tables`: what there is, how much, how fresh.

use super::{Names, chunked, literal, qualified};
use common::ledger::ledgers_in;

/// The names of ledgers.
pub(crate) fn ledgers(names: &Names) -> String {
    ledgers_in(&names.bookkeeping)
}

/// Per ledger: sources, rows loaded and rejected (of each source's highest generation: that is what the table holds),
/// first and last load, the newest source's time, and the age of the last two in seconds.
pub(crate) fn sums(names: &Names, ledgers: &[String]) -> Vec<String> {
    let one = |ledger: &String| {
        format!(
            "SELECT {} AS \"ledger\", COUNT(*) AS \"sources\", SUM(\"rows_loaded\") AS \"rows_loaded\", \
             SUM(\"rows_rejected\") AS \"rows_rejected\", MIN(\"loaded_at\") AS \"first_load\", MAX(\"loaded_at\") AS \
             \"last_load\", MAX(\"source_time\") AS \"newest_source\", DATEDIFF(second, MAX(\"loaded_at\"), SYSDATE) AS \
             \"load_age\", DATEDIFF(second, MAX(\"source_time\"), SYSDATE) AS \"source_age\" FROM (SELECT *, ROW_NUMBER() \
             OVER (PARTITION BY \"source_id\" ORDER BY \"generation\" DESC) AS \"n\" FROM {}) AS l WHERE \"n\" = 1",
            literal(ledger),
            qualified(&names.bookkeeping, ledger)
        )
    };
    chunked("", " UNION ALL ", "", ledgers.iter().map(one))
}

/// Every column of every relation in the event schema, in order.
pub(crate) fn columns(names: &Names) -> String {
    format!(
        "SELECT \"table_name\", \"column_name\", \"data_type\", \"character_maximum_length\", \"numeric_precision\", \
         \"numeric_scale\" FROM svv_columns WHERE \"table_schema\" = {} ORDER BY \"table_name\", \"ordinal_position\"",
        literal(&names.schema)
    )
}

/// Which field is in which column, and since when.
pub(crate) fn fields(names: &Names) -> String {
    format!(
        "SELECT \"event\", \"column_name\", \"path\", \"variant_of\", MIN(\"created_at\") FROM {} \
         GROUP BY \"event\", \"column_name\", \"path\", \"variant_of\"",
        names.shared("columns")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::tests::names;

    #[test]
    fn any_number_of_ledgers_is_asked_in_statements_of_legal_length() {
        let ledgers: Vec<String> = (0..1_000).map(|n| format!("ledger_{n}")).collect();
        let statements = sums(&names(), &ledgers);
        assert!(statements.len() > 1 && statements.iter().all(|sql| sql.len() <= crate::sql::STATEMENT_MAX_BYTES));
        assert_eq!(statements.iter().map(|sql| sql.matches("WHERE \"n\" = 1").count()).sum::<usize>(), 1_000);
        assert!(statements.iter().all(|sql| sql.starts_with("SELECT 'ledger_") && !sql.ends_with(" UNION ALL ")));
    }
}
