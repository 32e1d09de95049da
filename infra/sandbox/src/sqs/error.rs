//! What SQS refuses, in its own words, and how each refusal looks on the wire.
//!
//! Texts and codes follow the service (API reference, `CommonErrors` and the operations' pages), since people search for them.

use serde_json::json;

#[derive(Debug, thiserror::Error)]
pub(crate) enum SqsError {
    #[error("The specified queue does not exist.")]
    QueueDoesNotExist,
    #[error("A queue already exists with the same name and a different value for attribute {attribute}")]
    QueueNameExists { attribute: String },
    #[error("There should be at least one {entry} in the request.")]
    EmptyBatch { entry: &'static str },
    #[error("Maximum number of entries per request are 10. You have sent {count}.")]
    TooManyEntries { count: usize },
    #[error("Id {id} repeated.")]
    IdsNotDistinct { id: String },
    #[error(
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long."
    )]
    InvalidBatchEntryId,
    #[error("Batch requests cannot be longer than 1048576 bytes. You have sent {bytes} bytes.")]
    BatchTooLong { bytes: usize },
    #[error("The message referred to is not in flight.")]
    MessageNotInflight,
    #[error("The input receipt handle \"{handle}\" is not a valid receipt handle.")]
    ReceiptHandleIsInvalid { handle: String },
    #[error(
        "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"
    )]
    InvalidMessageContents,
    #[error("Unknown Attribute {name}.")]
    InvalidAttributeName { name: String },
    #[error("Invalid value for the parameter {name}. Reason: {reason}")]
    InvalidAttributeValue { name: String, reason: String },
    #[error("Value {value} for parameter {name} is invalid. Reason: {reason}")]
    InvalidParameterValue { name: &'static str, value: String, reason: String },
    #[error("The request must contain the parameter {name}.")]
    MissingParameter { name: &'static str },
    #[error("Only one PurgeQueue operation on {queue} is allowed every 60 seconds.")]
    PurgeInProgress { queue: String },
    #[error("{what} does not exist.")]
    ResourceNotFound { what: String },
    #[error("{what}")]
    Unsupported { what: String },
    #[error("the sandbox does not know the SQS operation {operation}")]
    UnknownOperation { operation: String },
    #[error("the request body is not what {operation} expects: {source}")]
    Malformed { operation: String, source: serde_json::Error },
    #[error("the sandbox could not use its message store: {0}")]
    Storage(#[from] rusqlite::Error),
}

/// The shape's name, the code of the older query protocol, the HTTP status.
struct Wire {
    shape: &'static str,
    query_code: &'static str,
    status: u16,
}

impl SqsError {
    fn wire(&self) -> Wire {
        let (shape, query_code, status) = match self {
            Self::QueueDoesNotExist => {
                ("com.amazonaws.sqs#QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", 400)
            }
            Self::QueueNameExists { .. } => ("com.amazonaws.sqs#QueueNameExists", "QueueAlreadyExists", 400),
            Self::EmptyBatch { .. } => {
                ("com.amazonaws.sqs#EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest", 400)
            }
            Self::TooManyEntries { .. } => (
                "com.amazonaws.sqs#TooManyEntriesInBatchRequest",
                "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
                400,
            ),
            Self::IdsNotDistinct { .. } => {
                ("com.amazonaws.sqs#BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", 400)
            }
            Self::InvalidBatchEntryId => {
                ("com.amazonaws.sqs#InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId", 400)
            }
            Self::BatchTooLong { .. } => {
                ("com.amazonaws.sqs#BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong", 400)
            }
            Self::MessageNotInflight => {
                ("com.amazonaws.sqs#MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight", 400)
            }
            Self::ReceiptHandleIsInvalid { .. } => {
                ("com.amazonaws.sqs#ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", 400)
            }
            Self::InvalidMessageContents => ("com.amazonaws.sqs#InvalidMessageContents", "InvalidMessageContents", 400),
            Self::InvalidAttributeName { .. } => {
                ("com.amazonaws.sqs#InvalidAttributeName", "InvalidAttributeName", 400)
            }
            Self::InvalidAttributeValue { .. } => {
                ("com.amazonaws.sqs#InvalidAttributeValue", "InvalidAttributeValue", 400)
            }
            Self::InvalidParameterValue { .. } => {
                ("com.amazon.coral.service#InvalidParameterValueException", "InvalidParameterValue", 400)
            }
            Self::MissingParameter { .. } => {
                ("com.amazon.coral.service#MissingParameterException", "MissingParameter", 400)
            }
            Self::PurgeInProgress { .. } => {
                ("com.amazonaws.sqs#PurgeQueueInProgress", "AWS.SimpleQueueService.PurgeQueueInProgress", 403)
            }
            Self::ResourceNotFound { .. } => {
                ("com.amazonaws.sqs#ResourceNotFoundException", "ResourceNotFoundException", 404)
            }
            Self::Unsupported { .. } => {
                ("com.amazonaws.sqs#UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation", 400)
            }
            Self::UnknownOperation { .. } => {
                ("com.amazon.coral.service#UnknownOperationException", "UnknownOperationException", 404)
            }
            Self::Malformed { .. } => ("com.amazon.coral.service#SerializationException", "MalformedInput", 400),
            Self::Storage(_) => ("com.amazon.coral.service#InternalFailure", "InternalFailure", 500),
        };
        Wire { shape, query_code, status }
    }

    pub(crate) fn query_code(&self) -> &'static str {
        self.wire().query_code
    }

    pub(crate) fn is_senders_fault(&self) -> bool {
        self.wire().status < 500
    }

    /// Status, the `x-amzn-query-error` header that SDKs of the query protocol's days still read, and the body.
    pub(crate) fn to_http(&self) -> (u16, String, serde_json::Value) {
        let wire = self.wire();
        let fault = if self.is_senders_fault() { "Sender" } else { "Receiver" };
        (
            wire.status,
            format!("{};{fault}", wire.query_code),
            json!({ "__type": wire.shape, "message": self.to_string() }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_queue_keeps_the_query_protocols_code_in_the_header() {
        let (status, header, body) = SqsError::QueueDoesNotExist.to_http();
        assert_eq!((status, header.as_str()), (400, "AWS.SimpleQueueService.NonExistentQueue;Sender"));
        assert_eq!(body["__type"], "com.amazonaws.sqs#QueueDoesNotExist");
    }
}
