//! Keeps one delivery invisible for as long as it is worked on.

use super::Queue;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinHandle;

/// Extends a delivery's visibility at a third of its time; stops when dropped.
#[derive(Debug)]
pub(super) struct Heartbeat {
    lost: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Heartbeat {
    pub(super) fn start(queue: Queue, receipt_handle: String) -> Self {
        let lost = Arc::new(AtomicBool::new(false));
        let flag = lost.clone();
        let task = tokio::spawn(async move {
            let mut failures = 0;
            loop {
                tokio::time::sleep(queue.visibility / 3).await;
                match queue.change_visibility(&receipt_handle, queue.visibility).await {
                    Ok(()) => failures = 0,
                    // Two thirds of the time are left: one failed call may still be made good.
                    Err(error) if error.is_transient() && failures == 0 => failures = 1,
                    Err(error) => {
                        tracing::warn!(queue = queue.name, %error, "could not keep a message invisible; it will be delivered again");
                        flag.store(true, Ordering::Release);
                        return;
                    }
                }
            }
        });
        Self { lost, task }
    }

    /// Whether the message may have become visible to others.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    pub(super) fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.task.abort();
    }
}
