//! What can go wrong between a caller and a statement's outcome. What to do about it is the caller's to say.

use crate::aws_error::AwsError;

/// A statement that did not come back finished.
#[derive(Debug, thiserror::Error)]
pub enum WarehouseError {
    /// The Data API did not take the statement: nothing runs.
    #[error(transparent)]
    Refused(AwsError),
    /// No answer: the statement may run, may have run, or may never run. Only the ledger knows.
    #[error("the outcome of statement {name:?} is unknown")]
    Unanswered {
        /// Its statement name.
        name: String,
        /// The call that was not answered.
        #[source]
        cause: AwsError,
    },
    /// The warehouse ran it and failed; all of it is rolled back.
    #[error(transparent)]
    Failed(Failure),
    /// More than the Data API takes: the batch must be made smaller.
    #[error("{entries} statements of up to {bytes} bytes are more than one batch of the Data API takes")]
    TooLarge {
        /// Statements in the batch.
        entries: usize,
        /// The longest.
        bytes: usize,
    },
    /// An answer that is not what was asked for.
    #[error("the warehouse answered {found:?} where {expected} was expected")]
    Unexpected {
        /// What came.
        found: String,
        /// What was asked.
        expected: &'static str,
    },
}

/// A failed statement or batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message} (statement {id})", entry.map(|n| format!("statement #{n} of the batch failed: ")).unwrap_or_default())]
pub struct Failure {
    /// Number of the failing entry of a batch, from 1; none where it could not be told.
    pub entry: Option<usize>,
    /// The engine's text, without the Data API's prefixes.
    pub message: String,
    /// The Data API's id of the statement.
    pub id: String,
}

impl Failure {
    /// Reads the Data API's error text: `Query #2 failed with ERROR: …`, `ERROR: …`.
    pub(super) fn new(id: &str, failed_sub_statement: Option<usize>, error: &str) -> Self {
        let (numbered, text) = match error.strip_prefix("Query #").and_then(|rest| rest.split_once(" failed with ")) {
            Some((number, text)) => (number.parse().ok(), text),
            None => (None, error),
        };
        let message = text.strip_prefix("ERROR:").unwrap_or(text).trim().to_owned();
        Self { entry: failed_sub_statement.or(numbered), message, id: id.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failing_entry_is_read_from_the_sub_statements_or_the_text() {
        let text = "Query #2 failed with ERROR: column \"order_dow\" does not exist in orders";
        let failure = Failure::new("id", None, text);
        assert_eq!(
            (failure.entry, failure.message.as_str()),
            (Some(2), "column \"order_dow\" does not exist in orders")
        );
        assert_eq!(Failure::new("id", Some(5), text).entry, Some(5), "the sub-statement's status wins");
        let plain = Failure::new("id", None, "ERROR: syntax error at or near \"FROM\"\n  Position: 12");
        assert_eq!((plain.entry, plain.message.as_str()), (None, "syntax error at or near \"FROM\"\n  Position: 12"));
    }
}
