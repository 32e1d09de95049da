//! Message move tasks: from a dead-letter queue back to where the messages came from, or to a queue that is named.
//!
//! Tasks live in memory: a restart ends them, and what they had not moved stays where it is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_smithy_types::base64;
use rusqlite::Transaction;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::error::SqsError;
use super::store::{self, Queue};
use super::{Service, name_of_arn};
use crate::clock::now_ms;

/// Moved per transaction where no rate is asked for.
const CHUNK: usize = 500;
/// `ListMessageMoveTasks` shows at most ten.
const LISTED: usize = 10;

#[derive(Default)]
pub(super) struct MoveTasks {
    tasks: Mutex<Vec<Task>>,
}

impl MoveTasks {
    fn lock(&self) -> MutexGuard<'_, Vec<Task>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, handle: &str, change: impl FnOnce(&mut Task)) {
        if let Some(task) = self.lock().iter_mut().find(|task| task.handle == handle) {
            change(task);
        }
    }
}

struct Task {
    handle: String,
    source_arn: String,
    destination_arn: Option<String>,
    rate: Option<u32>,
    status: &'static str,
    to_move: i64,
    moved: i64,
    failure: Option<String>,
    started_ms: i64,
    cancel: CancellationToken,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StartMoveTask {
    source_arn: String,
    destination_arn: Option<String>,
    max_number_of_messages_per_second: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CancelMoveTask {
    task_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListMoveTasks {
    source_arn: String,
    max_results: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TaskHandle {
    task_handle: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Cancelled {
    approximate_number_of_messages_moved: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MoveTaskList {
    results: Vec<MoveTaskEntry>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct MoveTaskEntry {
    /// Shown only while it can still be cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    task_handle: Option<String>,
    status: &'static str,
    source_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_number_of_messages_per_second: Option<u32>,
    approximate_number_of_messages_moved: i64,
    approximate_number_of_messages_to_move: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<String>,
    started_timestamp: i64,
}

impl Service {
    pub(super) fn start_move_task(self: &Arc<Self>, request: &StartMoveTask) -> Result<TaskHandle, SqsError> {
        if request.max_number_of_messages_per_second.is_some_and(|rate| !(1..=500).contains(&rate)) {
            return Err(SqsError::InvalidParameterValue {
                name: "MaxNumberOfMessagesPerSecond",
                value: request.max_number_of_messages_per_second.unwrap_or_default().to_string(),
                reason: "Must be between 1 and 500, if provided.".to_owned(),
            });
        }
        let (source, to_move) = self.store.transaction(|tx| {
            let source = by_arn(tx, &request.source_arn)?;
            if let Some(destination) = &request.destination_arn {
                by_arn(tx, destination)?;
            }
            let is_target = |q: &Queue| {
                q.attributes.redrive.as_ref().is_some_and(|r| r.dead_letter_target_arn == request.source_arn)
            };
            if !store::list_queues(tx, "", "", usize::MAX)?.iter().any(is_target) {
                return Err(SqsError::Unsupported {
                    what: "Source queue must be configured as a Dead Letter Queue.".to_owned(),
                });
            }
            let to_move = store::counts(tx, source.id, now_ms())?.visible;
            Ok((source, to_move))
        })?;
        let cancel = self.stopping.child_token();
        // The handle is opaque to clients; SQS's own is base64 as well.
        let handle = base64::encode(format!("{}/{}", uuid::Uuid::new_v4(), request.source_arn));
        {
            let mut tasks = self.move_tasks.lock();
            if tasks.iter().any(|task| task.source_arn == request.source_arn && task.status == "RUNNING") {
                return Err(SqsError::Unsupported { what: "There is already a task running.".to_owned() });
            }
            tasks.push(Task {
                handle: handle.clone(),
                source_arn: request.source_arn.clone(),
                destination_arn: request.destination_arn.clone(),
                rate: request.max_number_of_messages_per_second,
                status: "RUNNING",
                to_move,
                moved: 0,
                failure: None,
                started_ms: now_ms(),
                cancel: cancel.clone(),
            });
        }
        let run = MoveRun {
            handle: handle.clone(),
            source,
            destination_arn: request.destination_arn.clone(),
            rate: request.max_number_of_messages_per_second,
            cancel,
        };
        let service = Arc::clone(self);
        tokio::spawn(async move { run.run(&service).await });
        Ok(TaskHandle { task_handle: handle })
    }

    pub(super) fn list_move_tasks(&self, request: &ListMoveTasks) -> Result<MoveTaskList, SqsError> {
        self.store.transaction(|tx| by_arn(tx, &request.source_arn))?;
        let tasks = self.move_tasks.lock();
        let newest_first = tasks.iter().rev().filter(|task| task.source_arn == request.source_arn);
        let results = newest_first.take(request.max_results.unwrap_or(1).clamp(1, LISTED)).map(|task| MoveTaskEntry {
            task_handle: (task.status == "RUNNING").then(|| task.handle.clone()),
            status: task.status,
            source_arn: task.source_arn.clone(),
            destination_arn: task.destination_arn.clone(),
            max_number_of_messages_per_second: task.rate,
            approximate_number_of_messages_moved: task.moved,
            approximate_number_of_messages_to_move: task.to_move,
            failure_reason: task.failure.clone(),
            started_timestamp: task.started_ms,
        });
        Ok(MoveTaskList { results: results.collect() })
    }

    pub(super) fn cancel_move_task(&self, request: &CancelMoveTask) -> Result<Cancelled, SqsError> {
        let mut tasks = self.move_tasks.lock();
        let task = tasks.iter_mut().find(|task| task.handle == request.task_handle);
        let Some(task) = task else { return Err(SqsError::ResourceNotFound { what: "Task".to_owned() }) };
        if task.status != "RUNNING" {
            return Err(SqsError::Unsupported { what: "Only active tasks can be cancelled.".to_owned() });
        }
        task.cancel.cancel();
        task.status = "CANCELLED";
        Ok(Cancelled { approximate_number_of_messages_moved: task.moved })
    }
}

struct MoveRun {
    handle: String,
    source: Queue,
    destination_arn: Option<String>,
    rate: Option<u32>,
    cancel: CancellationToken,
}

impl MoveRun {
    async fn run(self, service: &Service) {
        let chunk = self.rate.map_or(CHUNK, |rate| rate as usize);
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        loop {
            if self.rate.is_some() {
                tokio::select! {
                    _ = tick.tick() => {}
                    () = self.cancel.cancelled() => return,
                }
            }
            if self.cancel.is_cancelled() {
                return;
            }
            match service.store.transaction(|tx| self.move_chunk(tx, chunk)) {
                Ok(targets) if targets.is_empty() => {
                    return service.move_tasks.update(&self.handle, |task| task.status = "COMPLETED");
                }
                Ok(targets) => {
                    let moved = i64::try_from(targets.len()).unwrap_or(i64::MAX);
                    service.move_tasks.update(&self.handle, |task| task.moved += moved);
                    for queue in targets {
                        service.wake(queue);
                    }
                }
                Err(error) => {
                    return service.move_tasks.update(&self.handle, |task| {
                        task.status = "FAILED";
                        task.failure = Some(error.to_string());
                    });
                }
            }
            tokio::task::yield_now().await;
        }
    }

    /// The queue each message went to. Only visible messages move, oldest first.
    fn move_chunk(&self, tx: &Transaction<'_>, chunk: usize) -> Result<Vec<i64>, SqsError> {
        let now = now_ms();
        let mut targets = Vec::new();
        for message in store::visible(tx, self.source.id, now, chunk, false)? {
            let Some(arn) = self.destination_arn.as_ref().or(message.dead_letter_source.as_ref()) else {
                let what =
                    "a message was sent to the dead-letter queue directly; name a DestinationArn to move it".to_owned();
                return Err(SqsError::Unsupported { what });
            };
            let target = by_arn(tx, arn)?;
            store::redrive(tx, message.seq, target.id, &uuid::Uuid::new_v4().to_string(), now)?;
            targets.push(target.id);
        }
        Ok(targets)
    }
}

fn by_arn(tx: &Transaction<'_>, arn: &str) -> Result<Queue, SqsError> {
    store::find_queue(tx, name_of_arn(arn))?
        .filter(|queue| queue.arn() == arn)
        .ok_or_else(|| SqsError::ResourceNotFound { what: format!("The resource {arn}") })
}
