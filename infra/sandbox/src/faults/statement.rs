//! What goes wrong with one statement of a transaction. The end of a transaction that writes is a statement `COMMIT`.

use std::time::{Duration, Instant};

use super::{Faults, Kind, Place};
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::run::INTERRUPTED;
use crate::redshift::warehouse::Stop;

/// Redshift's text for 1023 is the number, the rest is its detail.
const SERIALIZATION_FAILURE: &str = "1023\n  Detail: Serializable isolation violation on table - 100001, transactions \
                                     forming the cycle are: 1001, 1002 (pid:1073741824)";

/// How often a statement that was made slow looks whether it should stop.
const LOOK: Duration = Duration::from_millis(10);

impl Faults {
    /// Fails where the statement is to fail, after it has waited where it is to wait.
    pub(crate) fn at_statement(&self, sql: &str, stop: &Stop) -> SqlResult<()> {
        if self.is_empty() {
            return Ok(());
        }
        let place = Place { service: "redshift-data", operation: "", text: sql };
        let Some(fault) = self.strike(&Kind::OF_STATEMENTS, &place) else { return Ok(()) };
        match fault.fault {
            Kind::SerializationFailure => Err(SqlError::new(SERIALIZATION_FAILURE)),
            Kind::SlowStatement => {
                let until = Instant::now() + Duration::from_millis(fault.millis.unwrap_or_default());
                while Instant::now() < until && !stop.should_stop() {
                    std::thread::sleep(LOOK);
                }
                if stop.should_stop() { Err(SqlError::new(INTERRUPTED)) } else { Ok(()) }
            }
            _ => Err(SqlError::new(fault.error.unwrap_or_default())),
        }
    }
}
