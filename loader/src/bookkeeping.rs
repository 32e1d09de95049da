//! The bookkeeping schema: shared tables and the claim at start, gate and ledger of each event before its
//! first load.

use crate::batch::new_name;
use crate::sql::sweep::{COMPLETE_VIEW, view_complete};
use crate::sql::{Names, ask, bookkeeping as sql};
use crate::verdict::Class;
use crate::warehouse::{Classed as _, Warehouse, WarehouseError, required};
use common::event_name::EventName;

/// Makes what is missing of both schemas and the shared tables.
pub(crate) async fn prepare(warehouse: &Warehouse, names: &Names) -> Result<(), WarehouseError> {
    for schema in [&names.bookkeeping, &names.schema] {
        match warehouse.execute("bookkeeping", &sql::create_schema(schema)).await {
            Ok(()) => {}
            // Whoever may not create schemas may still use those that were made for him.
            Err(error) if error.class() == Class::Configuration => {
                tracing::info!(%error, schema, "may not create the schema; it is used as it is");
            }
            Err(error) => return Err(error),
        }
    }
    let rows = warehouse.query("bookkeeping", &sql::relations_of(&names.bookkeeping)).await?;
    let found: Vec<&str> = rows.iter().filter_map(|row| row.first()?.as_deref()).collect();
    for (table, columns) in sql::SHARED_TABLES {
        if !found.contains(&table) {
            warehouse.execute("bookkeeping", &sql::create_shared_table(names, table, columns)).await?;
        }
    }
    if !found.contains(&sql::TABLES_VIEW) {
        warehouse.execute("bookkeeping", &sql::view_tables(names)).await?;
    }
    if !found.contains(&COMPLETE_VIEW) {
        warehouse.execute("bookkeeping", &view_complete(names)).await?;
    }
    Ok(())
}

/// Somebody else's seals and tables are behind this bookkeeping schema.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClaimError {
    #[error(
        "loader.bookkeeping_schema: {bookkeeping:?} belongs to the seals at {claimed}, and these settings say {wanted}: \
         give this deployment a bookkeeping schema of its own, or correct the settings"
    )]
    Another { bookkeeping: String, claimed: String, wanted: String },
    #[error("loader.bookkeeping_schema: the claim on {bookkeeping:?} could not be checked")]
    Unchecked {
        bookkeeping: String,
        #[source]
        cause: WarehouseError,
    },
}

/// Claims the schemas for these seals, or finds them claimed for the same.
pub(crate) async fn claim(warehouse: &Warehouse, names: &Names, location: &str) -> Result<(), ClaimError> {
    let unchecked = |cause| ClaimError::Unchecked { bookkeeping: names.bookkeeping.clone(), cause };
    if read_claim(warehouse, names).await.map_err(unchecked)?.is_empty() {
        warehouse.batch(&new_name("claim"), sql::claim(names, location)).await.map_err(unchecked)?;
    }
    // Read again: another loader may have claimed at the same moment.
    let claims = read_claim(warehouse, names).await.map_err(unchecked)?;
    let wanted = (location.to_owned(), names.schema.clone());
    match claims.into_iter().find(|claim| *claim != wanted) {
        None => Ok(()),
        Some(other) => Err(ClaimError::Another {
            bookkeeping: names.bookkeeping.clone(),
            claimed: format!("{} with the tables of schema {:?}", other.0, other.1),
            wanted: format!("{} with {:?}", wanted.0, wanted.1),
        }),
    }
}

async fn read_claim(warehouse: &Warehouse, names: &Names) -> Result<Vec<(String, String)>, WarehouseError> {
    let rows = warehouse.query("claim", &sql::read_claim(names)).await?;
    rows.iter().map(|row| Ok((required(row, 0)?.to_owned(), required(row, 1)?.to_owned()))).collect()
}

/// Makes gate and ledger of an event that has neither. An error may mean that another loader was first:
/// the caller looks again before it believes it.
pub(crate) async fn create_gate_and_ledger(
    warehouse: &Warehouse,
    names: &Names,
    event: &EventName,
) -> Result<(), WarehouseError> {
    warehouse.batch(&new_name("gate"), sql::create_gate_and_ledger(names, event)).await
}

/// Whether the table has rows that must be in a ledger.
pub(crate) async fn holds_loaded_rows(
    warehouse: &Warehouse,
    names: &Names,
    event: &EventName,
) -> Result<bool, WarehouseError> {
    let rows = warehouse.query("gate", &ask::holds_loaded_rows(names, event)).await?;
    Ok(!rows.is_empty())
}
