//! Whether a ledger is the one that belongs to its table's rows: one that was restored from a backup may be older.

use super::SchemaError;
use crate::actual::Actual;
use crate::sql::{Names, audit};
use crate::verdict;
use crate::warehouse::{Warehouse, WarehouseError, required};
use common::event_name::EventName;

/// Fails if the table holds rows that came after all that the ledger knows, of a source that it does not know. Rows and ledger
/// row commit together, so no load does that. The table is sorted by time: only its end is read.
pub(super) async fn check(
    warehouse: &Warehouse,
    names: &Names,
    event: &EventName,
    actual: &Actual,
) -> Result<(), SchemaError> {
    if !(actual.has_source_column() && actual.has_loaded_at_column()) {
        return Ok(());
    }
    match warehouse.query("schema", &audit::newer_than_ledger(names, event)).await {
        Ok(rows) => match rows.first() {
            None => Ok(()),
            Some(row) => {
                let source_id = required(row, 0)?.to_owned();
                Err(SchemaError::LedgerOlder { table: names.event_table(event), source_id })
            }
        },
        // Loading into a table takes no right to read it.
        Err(WarehouseError::Failed(failure)) if verdict::lacks_permission(&failure.message) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
