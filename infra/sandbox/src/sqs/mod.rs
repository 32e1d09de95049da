//! SQS: standard queues over the AWS JSON 1.0 protocol.
//!
//! Not here: FIFO queues, and the older query protocol (no current SDK speaks it to SQS).

mod attributes;
mod batch;
mod error;
mod message_attributes;
mod move_task;
mod queues;
mod receive;
mod send;
mod settle;
mod store;
mod tags;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::faults::{Faults, Kind, Place};
pub(crate) use error::SqsError;
use move_task::MoveTasks;
use store::{Queue, Store};

/// What a request says beside its body.
pub(crate) struct RequestContext {
    /// The Host header: queue URLs echo it, so that they work for whoever asked.
    pub(crate) host: String,
    pub(crate) region: String,
}

pub(crate) struct Service {
    store: Store,
    /// One per queue anybody waited on; woken when a message becomes receivable.
    wakers: Mutex<HashMap<i64, Arc<Notify>>>,
    last_purges: Mutex<HashMap<i64, i64>>,
    move_tasks: MoveTasks,
    stopping: CancellationToken,
    faults: Arc<Faults>,
}

impl Service {
    /// `stopping` ends long polls and move tasks.
    pub(crate) fn open(dir: &Path, stopping: CancellationToken, faults: Arc<Faults>) -> anyhow::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            store: Store::open(dir)?,
            wakers: Mutex::default(),
            last_purges: Mutex::default(),
            move_tasks: MoveTasks::default(),
            stopping,
            faults,
        }))
    }

    /// Answers one `X-Amz-Target: AmazonSQS.<operation>` request.
    pub(crate) async fn handle(
        self: Arc<Self>,
        operation: &str,
        body: &[u8],
        context: &RequestContext,
    ) -> http::Response<Bytes> {
        let result = match operation {
            "CreateQueue" => respond(operation, body, |r| self.create_queue(r, context)),
            "DeleteQueue" => respond(operation, body, |r| self.delete_queue(&r)),
            "GetQueueUrl" => respond(operation, body, |r| self.get_queue_url(&r, context)),
            "ListQueues" => respond(operation, body, |r| self.list_queues(&r, context)),
            "ListDeadLetterSourceQueues" => respond(operation, body, |r| self.list_sources(&r, context)),
            "GetQueueAttributes" => respond(operation, body, |r| self.get_queue_attributes(&r)),
            "SetQueueAttributes" => respond(operation, body, |r| self.set_queue_attributes(&r)),
            "PurgeQueue" => respond(operation, body, |r| self.purge_queue(&r)),
            "TagQueue" => respond(operation, body, |r| self.tag_queue(r)),
            "UntagQueue" => respond(operation, body, |r| self.untag_queue(&r)),
            "ListQueueTags" => respond(operation, body, |r| self.list_queue_tags(&r)),
            "SendMessage" => respond(operation, body, |r| self.send_message(r)),
            "SendMessageBatch" => respond(operation, body, |r| self.send_message_batch(r)),
            "ReceiveMessage" => match parse(operation, body) {
                Ok(request) => self.receive_message(request).await.and_then(|response| to_body(operation, &response)),
                Err(e) => Err(e),
            },
            "DeleteMessage" => respond(operation, body, |r| self.delete_message(&r)),
            "DeleteMessageBatch" => respond(operation, body, |r| self.delete_message_batch(&r)),
            "ChangeMessageVisibility" => respond(operation, body, |r| self.change_visibility(&r)),
            "ChangeMessageVisibilityBatch" => respond(operation, body, |r| self.change_visibility_batch(&r)),
            "StartMessageMoveTask" => respond(operation, body, |r| self.start_move_task(&r)),
            "ListMessageMoveTasks" => respond(operation, body, |r| self.list_move_tasks(&r)),
            "CancelMessageMoveTask" => respond(operation, body, |r| self.cancel_move_task(&r)),
            "AddPermission" | "RemovePermission" => Err(SqsError::Unsupported {
                what: format!(
                    "the sandbox checks no permissions; {operation} is not supported, set the Policy attribute"
                ),
            }),
            _ => Err(SqsError::UnknownOperation { operation: operation.to_owned() }),
        };
        match result {
            Ok(body) => http_response(200, None, body),
            Err(error) => {
                tracing::debug!(operation, %error, "sqs request refused");
                let (status, query_error, body) = error.to_http();
                http_response(status, Some(&query_error), Bytes::from(body.to_string()))
            }
        }
    }

    /// What S3 does with a notification: no request, no limits, just the message.
    pub(crate) fn deliver(&self, queue_arn: &str, body: String) -> Result<(), SqsError> {
        let queue = self.store.transaction(|tx| {
            let queue = store::queue_named(tx, name_of_arn(queue_arn))?;
            self.insert(tx, &queue, crate::clock::now_ms(), &send::plain(body, queue.attributes.delay_secs))?;
            Ok(queue)
        })?;
        self.wake(queue.id);
        Ok(())
    }

    fn insert(
        &self,
        tx: &rusqlite::Transaction<'_>,
        queue: &Queue,
        now_ms: i64,
        message: &store::NewMessage,
    ) -> Result<(), SqsError> {
        store::insert_message(tx, queue.id, now_ms, message)?;
        // At least once, as SQS says: the same message, with the same id.
        if self.is_struck(Kind::DuplicateMessage, queue, &message.body) {
            store::insert_message(tx, queue.id, now_ms, message)?;
        }
        Ok(())
    }

    /// A fault of messages goes by the queue's name and the body.
    fn is_struck(&self, kind: Kind, queue: &Queue, body: &str) -> bool {
        if self.faults.is_empty() {
            return false;
        }
        let text = format!("{} {body}", queue.name);
        self.faults.strike(&[kind], &Place { service: "sqs", operation: "", text: &text }).is_some()
    }

    pub(crate) fn queue_exists(&self, queue_arn: &str) -> Result<bool, SqsError> {
        self.store.transaction(|tx| Ok(store::find_queue(tx, name_of_arn(queue_arn))?.is_some()))
    }

    fn waker(&self, queue: i64) -> Arc<Notify> {
        Arc::clone(self.wakers.lock().unwrap_or_else(PoisonError::into_inner).entry(queue).or_default())
    }

    fn wake(&self, queue: i64) {
        self.waker(queue).notify_waiters();
    }
}

fn parse<R: DeserializeOwned>(operation: &str, body: &[u8]) -> Result<R, SqsError> {
    // Some SDKs send no body at all for a request without members.
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|source| SqsError::Malformed { operation: operation.to_owned(), source })
}

fn respond<R: DeserializeOwned, A: Serialize>(
    operation: &str,
    body: &[u8],
    run: impl FnOnce(R) -> Result<A, SqsError>,
) -> Result<Bytes, SqsError> {
    to_body(operation, &run(parse(operation, body)?)?)
}

fn to_body<A: Serialize>(operation: &str, answer: &A) -> Result<Bytes, SqsError> {
    serde_json::to_vec(answer)
        .map(Bytes::from)
        .map_err(|source| SqsError::Malformed { operation: operation.to_owned(), source })
}

fn http_response(status: u16, query_error: Option<&str>, body: Bytes) -> http::Response<Bytes> {
    let mut response = http::Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amzn-requestid", uuid::Uuid::new_v4().to_string());
    if let Some(query_error) = query_error {
        response = response.header("x-amzn-query-error", query_error);
    }
    response.body(body).expect("the status and the headers are constants, a uuid and code names")
}

/// An operation that answers nothing answers an empty object.
#[derive(Serialize)]
struct Empty {}

fn name_of_arn(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or_default()
}

/// Host and account of a queue URL are not looked at: the sandbox has one account, and a client may reach it by several hosts.
fn name_of_url(url: &str) -> &str {
    url.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

fn url_of(queue: &Queue, context: &RequestContext) -> String {
    format!("http://{}/{}/{}", context.host, crate::ACCOUNT_ID, queue.name)
}
