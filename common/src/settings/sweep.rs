//! `[sweep]`: how often what is not sealed, and what is sealed and not done, is looked for.

use super::reader::Section;
use std::time::Duration;

/// `[sweep]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepSettings {
    /// Pause between sweeps; one of all loaders sweeps, and one of all routers.
    pub every: Duration,
    /// What was sealed this recently is looked at by every sweep of the loader, what is older and open every six hours.
    /// Raw objects as young as this are looked at by every sweep of the router.
    pub window: Duration,
    /// What was sealed this recently is taken to be on its way.
    pub lag: Duration,
    /// Raw objects as young as this are taken to be on their way to a router.
    pub raw_lag: Duration,
    /// How often the router's sweep looks into folders whose dates are older than its window, where they hold much.
    pub full_every: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl SweepSettings {
    /// `longest_wait`: how long a request may wait for its load as a matter of course.
    pub(super) fn read(mut section: Section<'_>, longest_wait: Duration) -> Self {
        let every = section.or("every", Duration::from_secs(3600));
        let lag = section.or("lag", Duration::from_secs(15 * 60).max(longest_wait.saturating_mul(2)));
        let raw_lag = section.or("raw_lag", Duration::from_secs(15 * 60));
        let full_every = section.or("full_every", DAY);
        // Days are looked at whole, and what the last sweep took to be on its way must still lie in one of the next.
        let least = every.saturating_add(lag.max(raw_lag)).saturating_add(DAY);
        let window = section.or("window", Duration::from_secs(48 * 3600).max(least));
        if every < Duration::from_secs(1) {
            section.problem("every", "is less than a second: sweeps would never end");
        }
        // None at all is a choice: whatever is not loaded is announced, waiting or not.
        if !lag.is_zero() && lag < longest_wait {
            let what = format!(
                "is less than the longest flush_age or load_every ({}s): what only waits would be announced again",
                longest_wait.as_secs()
            );
            section.problem("lag", what);
        }
        if window < least {
            let what = format!(
                "is less than every, the longer lag and 24h together ({}s): seals would be overlooked",
                least.as_secs()
            );
            section.problem("window", what);
        }
        section.finish();
        Self { every, window, lag, raw_lag, full_every }
    }
}
