//! One hour as a sweep sees it: what it listed, joined with what earlier sweeps remember.

use super::SweepError;
use super::due;
use super::hours::Documents;
use super::round::{Listed, READS};
use super::standing::{self, Standing};
use crate::known::Known;
use crate::listing::RawObject;
use common::settings::Overwrite;
use common::swept::Unsealed;
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};

/// An hour with everything that is known of it.
#[derive(Debug)]
pub(super) struct OpenHour {
    pub(super) documents: Documents,
    /// Its objects, if everything was listed that may be of it.
    pub(super) objects: Option<u64>,
    /// Those without a seal.
    pub(super) unsealed: Vec<Unsealed>,
    /// More of them, of which only the number is known.
    pub(super) unnamed: u64,
    /// Keys of those that are archived.
    pub(super) archived: BTreeSet<String>,
    /// What earlier sweeps found, and this one did not list.
    unlisted: Vec<Unsealed>,
}

impl OpenHour {
    pub(super) fn new(documents: Documents, listed: Listed, objects: Option<u64>) -> Self {
        let mut before: BTreeMap<&str, &Unsealed> =
            documents.unsealed().iter().map(|object| (object.key.as_str(), object)).collect();
        let mut archived = BTreeSet::new();
        let mut unsealed = Vec::new();
        for object in listed.unsealed {
            if object.is_archived {
                archived.insert(object.key.clone());
            }
            let known = before.remove(object.key.as_str());
            unsealed.push(due::entry(object, known));
        }
        let unlisted = before.into_values().cloned().collect();
        Self { documents, objects, unsealed, unnamed: listed.unnamed, archived, unlisted }
    }

    /// Hands over what has to be asked about one by one.
    pub(super) fn take_unlisted(&mut self) -> Vec<Unsealed> {
        std::mem::take(&mut self.unlisted)
    }
}

/// Of objects that were not listed, those that still have no seal, and how many nobody can route any more.
pub(super) async fn remembered(
    known: &Known,
    overwrite: Overwrite,
    unlisted: Vec<Unsealed>,
) -> Result<(Vec<Unsealed>, u64), SweepError> {
    if unlisted.is_empty() {
        return Ok((unlisted, 0));
    }
    let listed: Vec<RawObject> = unlisted.iter().map(as_listed).collect();
    let generations = known.generations(&listed).await?;
    let left = unlisted.into_iter().zip(generations).filter(|(_, generation)| generation.is_none());
    let asked: Vec<_> = left.map(|(object, _)| standing::of_remembered(known, overwrite, object)).collect();
    let asked: Vec<_> = stream::iter(asked).buffered(READS).try_collect().await?;
    let (mut still, mut lost) = (Vec::new(), 0);
    for (object, standing) in asked {
        match standing {
            Standing::Unsealed => still.push(object),
            Standing::Settled => {}
            Standing::Lost => {
                lost += 1;
                let uri = format!("s3://{}/{}", known.raw_bucket, object.key);
                tracing::warn!(source.key = object.key, "lost: {uri} was deleted or overwritten before it was routed");
            }
        }
    }
    Ok((still, lost))
}

fn as_listed(object: &Unsealed) -> RawObject {
    let Unsealed { key, etag, bytes, time, .. } = object.clone();
    RawObject { key, etag, bytes, modified: time, is_archived: false }
}
