//! Waiting out a service that fails for a moment: work of hours must not end with one answer that did not come.

use common::aws_error::AwsError;
use std::time::Duration;
use tokio::time::Instant;

/// Pause before the first of the further tries; it doubles.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Failures one after the other from which on it is hardly the objects: S3 is down, or something is not permitted.
pub(crate) const ALL_FAIL: u32 = 3;

/// Pause before the next object after so many failures one after the other.
pub(crate) fn pause_after(failures: u32) -> Duration {
    Duration::from_secs((failures + 1).saturating_sub(ALL_FAIL).into()).min(PAUSE_MAX)
}

/// Asks again for as long as this while the failure may pass.
pub(crate) async fn patiently<T, F>(patience: Duration, mut ask: impl FnMut() -> F) -> Result<T, AwsError>
where
    F: Future<Output = Result<T, AwsError>>,
{
    let (since, mut pause) = (Instant::now(), PAUSE_MIN);
    loop {
        match ask().await {
            Err(error) if error.is_transient() && since.elapsed() + pause <= patience => {
                tracing::warn!(%error, "tried again in {pause:?}");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            answered => return answered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Answers `Ok` to the third, unless it is the caller's fault.
    async fn asked(patience: u64, is_callers_fault: bool) -> (bool, u32) {
        let asked = Cell::new(0);
        let answer = patiently(Duration::from_secs(patience), || {
            asked.set(asked.get() + 1);
            let failed = AwsError::refused("ListObjectsV2", "s3://raw/", "SlowDown", "why", is_callers_fault);
            std::future::ready(if asked.get() < 3 { Err(failed) } else { Ok(()) })
        });
        (answer.await.is_ok(), asked.get())
    }

    #[test]
    fn objects_that_fail_now_and_then_hold_nothing_up_and_an_outage_does() {
        assert_eq!([0, 2, 3, 4, 1_000].map(|failures| pause_after(failures).as_secs()), [0, 0, 1, 2, 30]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_that_may_pass_is_waited_out_and_no_longer_than_asked() {
        assert_eq!(asked(60, false).await, (true, 3));
        assert_eq!(asked(1, false).await, (false, 2), "a second pause would be longer");
        assert_eq!(asked(0, false).await, (false, 1));
    }
}
