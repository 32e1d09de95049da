//! A service that is killed, again and again, while it has work to do.

use crate::process::{Running, command};
use crate::stack::Stack;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A machine that is busy with other things takes its time.
const DRAINED_WITHIN: Duration = Duration::from_secs(600);

/// Where the logs of one service's processes go, and what chance it is killed by.
pub(crate) struct Chaos<'a> {
    pub(crate) stack: &'a Stack,
    pub(crate) service: &'static str,
    pub(crate) seed: u64,
}

impl Chaos<'_> {
    /// Starts the service and kills it `kills` times: whenever `progress` has passed the next of that many random
    /// marks below `all`, and a random moment after. Returns the process that is left to live.
    pub(crate) async fn run(&self, kills: u32, all: u64, progress: &AtomicU64) -> Running {
        let mut chance = Chance(self.seed);
        let mut marks: Vec<u64> = (0..kills).map(|_| chance.below(all * 8 / 10)).collect();
        marks.sort_unstable();
        for (nth, mark) in marks.into_iter().enumerate() {
            let running = self.start(nth);
            passed(progress, mark).await;
            tokio::time::sleep(Duration::from_millis(chance.below(1_000))).await;
            running.kill();
        }
        self.start(kills as usize)
    }

    /// As `router run` or `loader run` of a person.
    pub(crate) fn start(&self, nth: usize) -> Running {
        let mut command = command(self.stack, self.service);
        command.arg("run");
        Running::start_with_log(command, &self.log(nth))
    }

    fn log(&self, nth: usize) -> PathBuf {
        self.stack.dir().join(format!("{}-{nth}.log", self.service))
    }
}

/// Waits until a count is at least this.
pub(crate) async fn passed(progress: &AtomicU64, mark: u64) {
    while progress.load(Ordering::Relaxed) < mark {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until no queue holds anything, received or not.
pub(crate) async fn drained(stack: &Stack, queues: &[&str]) {
    let deadline = tokio::time::Instant::now() + DRAINED_WITHIN;
    for queue in queues {
        while stack.messages(queue).await > 0 {
            assert!(tokio::time::Instant::now() < deadline, "{queue} still holds {}", stack.messages(queue).await);
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
}

/// Numbers from a seed (xorshift64*).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}
