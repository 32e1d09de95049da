//! What is to be done about a raw object: nothing, routing it, or routing it again.

use super::facts::{Facts, read_facts};
use crate::known::{Sealed, hour_of};
use crate::listing::RawObject;
use aws_sdk_s3::Client;
use common::aws_error::AwsError;
use common::keys::KeyLayout;
use common::objects;
use common::replace::ReplaceDocument;
use futures::stream::{self, StreamExt, TryStreamExt};
use time::OffsetDateTime;

/// Seals read at once.
const READS_AT_ONCE: usize = 64;

/// Clocks of routers, of S3 and of this machine differ by less.
pub(super) const CLOCKS_DIFFER: time::Duration = time::Duration::minutes(5);

/// What is to be done about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing: it is sealed, or this replace has been through with it.
    Done,
    /// It has no seal.
    Unsealed,
    /// It is to be this generation.
    Replace(u32),
    /// Another replace made its highest generation since this one began.
    Others,
    /// It is to be routed, and has to be restored first.
    Archived,
}

/// The replace that a backfill with `--replace` is.
#[derive(Clone, Debug)]
pub(super) struct Replacing {
    pub(super) document: ReplaceDocument,
    pub(super) routing_id: String,
    /// Whether it replaces what others have replaced since it began.
    pub(super) over_others: bool,
}

impl Replacing {
    /// Whatever was sealed before cannot be this replace's doing, nor a claim that it lost.
    pub(super) fn recent_since(&self) -> OffsetDateTime {
        self.document.started_at - CLOCKS_DIFFER
    }

    /// Goes by the highest seal of an object.
    fn standing(&self, generation: u32, seal: &Facts) -> Standing {
        match &seal.replace_id {
            Some(id) if *id == self.document.id => Standing::Done,
            Some(_) if seal.sealed_at >= self.document.started_at && !self.over_others => Standing::Others,
            // Routed for the first time since, by the rules that are wanted.
            None if seal.sealed_at >= self.document.started_at && seal.routing_id == self.routing_id => Standing::Done,
            _ => Standing::Replace(generation + 1),
        }
    }
}

/// Where seals lie.
#[derive(Clone, Debug)]
pub(super) struct Seals {
    pub(super) s3: Client,
    pub(super) bucket: String,
    pub(super) keys: KeyLayout,
    pub(super) raw_bucket: String,
}

impl Seals {
    /// The facts of an object's seal of this generation, if there is one.
    pub(super) async fn facts(&self, object: &RawObject, generation: u32) -> Result<Option<Facts>, AwsError> {
        let key = self.keys.seal(&object.source_id(&self.raw_bucket), generation);
        read_facts(&self.s3, &self.bucket, &key).await
    }

    /// The highest generation of an object that was sealed with another hour than it has now: copied onto itself it has
    /// a new time, and the index shows it under the old one. What is missing in the index of its own hour is for the
    /// router to mend.
    pub(super) async fn moved(&self, object: &RawObject) -> Result<Option<u32>, AwsError> {
        let prefix = self.keys.seals_of(&object.source_id(&self.raw_bucket));
        let found = objects::list(&self.s3, &self.bucket, &prefix).await?;
        let Some(highest) = found.iter().filter_map(|key| self.keys.generation_of_seal(key)).max() else {
            return Ok(None);
        };
        let facts = self.facts(object, highest).await?;
        let is_moved = facts.is_some_and(|seal| hour_of(seal.source.time) != hour_of(object.modified));
        Ok(is_moved.then_some(highest))
    }

    /// The standing of each object, in their order; reads the seals of those that were sealed since a replace began.
    pub(super) async fn standings(
        &self,
        objects: &[RawObject],
        sealed: &[Option<Sealed>],
        replacing: Option<&Replacing>,
    ) -> Result<Vec<Standing>, AwsError> {
        let looks = objects.iter().zip(sealed).map(|(object, sealed)| async move {
            let standing = match (replacing, sealed) {
                (_, None) => Standing::Unsealed,
                (None, Some(_)) => Standing::Done,
                (Some(_), Some(Sealed { generation, is_recent: false })) => Standing::Replace(generation + 1),
                (Some(replacing), Some(Sealed { generation, .. })) => match self.facts(object, *generation).await? {
                    Some(seal) => replacing.standing(*generation, &seal),
                    None => Standing::Replace(generation + 1),
                },
            };
            let waits = object.is_archived && matches!(standing, Standing::Unsealed | Standing::Replace(_));
            Ok(if waits { Standing::Archived } else { standing })
        });
        stream::iter(looks).buffered(READS_AT_ONCE).try_collect().await
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::SourceTime;
    use super::*;
    use common::replace::Kind;
    use time::macros::datetime;

    #[test]
    fn the_highest_seal_says_whose_an_object_is() {
        let started_at = datetime!(2025-06-01 12:00 UTC);
        let document = ReplaceDocument {
            version: 1,
            id: "mine".into(),
            kind: Kind::Backfill,
            what: "all".into(),
            routing_id: Some("rules".into()),
            started_at,
            finished_at: None,
        };
        let mut replacing = Replacing { document, routing_id: "rules".into(), over_others: false };
        let before = started_at - time::Duration::minutes(1);
        let seal = |id: Option<&str>, routing_id: &str, sealed_at| Facts {
            replace_id: id.map(str::to_owned),
            routing_id: routing_id.to_owned(),
            sealed_at,
            counts: Default::default(),
            source: SourceTime { time: before },
        };
        let standing = |of: &Replacing, generation, seal: Facts| of.standing(generation, &seal);
        assert_eq!(standing(&replacing, 2, seal(Some("mine"), "rules", started_at)), Standing::Done);
        assert_eq!(standing(&replacing, 2, seal(Some("other"), "x", started_at)), Standing::Others);
        assert_eq!(standing(&replacing, 2, seal(Some("other"), "x", before)), Standing::Replace(3));
        assert_eq!(standing(&replacing, 0, seal(None, "rules", started_at)), Standing::Done, "new, by these rules");
        assert_eq!(standing(&replacing, 0, seal(None, "rules", before)), Standing::Replace(1));
        assert_eq!(standing(&replacing, 0, seal(None, "x", started_at)), Standing::Replace(1));
        replacing.over_others = true;
        assert_eq!(standing(&replacing, 2, seal(Some("other"), "x", started_at)), Standing::Replace(3));
    }
}
