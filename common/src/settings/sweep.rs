//! `[sweep]`: how often what is sealed and not done is looked for.

use super::reader::Section;
use std::time::Duration;

/// `[sweep]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepSettings {
    /// Pause between sweeps; one of all loaders sweeps.
    pub every: Duration,
    /// What was sealed this recently is looked at by every sweep, what is older and open every six hours.
    pub window: Duration,
    /// What was sealed this recently is taken to be on its way.
    pub lag: Duration,
}

impl SweepSettings {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let settings = Self {
            every: section.or("every", Duration::from_secs(3600)),
            window: section.or("window", Duration::from_secs(48 * 3600)),
            lag: section.or("lag", Duration::from_secs(15 * 60)),
        };
        if settings.every < Duration::from_secs(1) {
            section.problem("every", "is less than a second: sweeps would never end");
        }
        section.finish();
        settings
    }
}
