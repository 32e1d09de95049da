//! Which raw objects are sealed, from the index of hours: key and ETag give the source id, so no object is asked about.

use crate::listing::RawObject;
use aws_sdk_s3::Client;
use common::aws_error::AwsError;
use common::keys::KeyLayout;
use common::objects;
use common::source::SourceId;
use std::collections::{BTreeMap, HashMap};
use time::OffsetDateTime;

/// The seals of one deployment, as its index of hours shows them.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) s3: Client,
    pub(crate) raw_bucket: String,
    pub(crate) routed_bucket: String,
    pub(crate) keys: KeyLayout,
}

impl Known {
    /// The highest generation of each object, in their order; `None`: no seal is in the index. Holds the source ids of
    /// one hour at a time.
    pub(crate) async fn generations(&self, objects: &[RawObject]) -> Result<Vec<Option<u32>>, AwsError> {
        let mut by_hour: BTreeMap<OffsetDateTime, Vec<usize>> = BTreeMap::new();
        for (at, object) in objects.iter().enumerate() {
            by_hour.entry(hour_of(object.modified)).or_default().push(at);
        }
        let mut generations = vec![None; objects.len()];
        for (hour, members) in by_hour {
            let sealed = self.sealed_in(hour).await?;
            for at in members {
                generations[at] = sealed.get(&objects[at].source_id(&self.raw_bucket)).copied();
            }
        }
        Ok(generations)
    }

    async fn sealed_in(&self, hour: OffsetDateTime) -> Result<HashMap<SourceId, u32>, AwsError> {
        let mut highest = HashMap::new();
        let mut pages = objects::pages(&self.s3, &self.routed_bucket, &self.keys.hour_prefix(hour));
        while let Some(page) = pages.next().await? {
            for (source_id, generation) in page.iter().filter_map(|entry| self.keys.index_entry(&entry.key)) {
                let known = highest.entry(source_id).or_insert(generation);
                *known = generation.max(*known);
            }
        }
        Ok(highest)
    }
}

/// The hour (UTC) that a time lies in.
pub(crate) fn hour_of(at: OffsetDateTime) -> OffsetDateTime {
    let at = at.to_offset(time::UtcOffset::UTC);
    at.replace_time(time::Time::from_hms(at.hour(), 0, 0).expect("an hour that a time has"))
}
