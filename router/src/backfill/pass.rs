//! One walk over the range: every object in it, with what is to be done about it, some thousands at a time.

use super::Cause;
use super::proof::Proof;
use super::selection::Options;
use super::standing::{Replacing, Seals, Standing};
use crate::known::{Known, Sealed};
use crate::listing::{Order, RawObject, list_in_order};
use crate::patience::patiently;
use common::aws_error::AwsError;
use common::settings::Settings;
use futures::stream::{self, StreamExt, TryStreamExt};
use std::time::Duration;
use tokio::sync::mpsc;

pub(super) struct Pass {
    pages: mpsc::Receiver<Result<Vec<RawObject>, AwsError>>,
    known: Known,
    seals: Seals,
    options: Options,
    replacing: Option<Replacing>,
    /// Objects judged together: an hour of the index is listed once for all of them.
    at_once: usize,
    /// Objects without a seal in the index that may still be looked for by their ids.
    looks_left: usize,
    pub(super) listed: Listed,
    proof: Proof,
}

/// An object of the range.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub(super) object: RawObject,
    /// Its highest generation, if it is sealed.
    pub(super) generation: Option<u32>,
    pub(super) standing: Standing,
}

/// What the walk has cost so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Listed {
    /// Objects shown, in the range or not.
    pub(super) objects: u64,
    /// Answers that showed any.
    pub(super) pages: u64,
}

/// How a pass goes about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) order: Order,
    pub(super) at_once: usize,
    /// How long what is known of an hour is believed.
    pub(super) fresh_for: Duration,
    /// Objects looked for by their ids, a LIST each: what the index does not show may be sealed under another hour.
    pub(super) looks: usize,
}

/// Looks of a walk that meets all that was never sealed: some, so that a range that was routed can be told exactly.
pub(super) const SOME_LOOKS: usize = 1_000;

/// Looks at once.
const LOOKS_AT_ONCE: usize = 64;

impl Pass {
    pub(super) fn start(
        settings: &Settings,
        seals: &Seals,
        options: &Options,
        prefix: &str,
        replacing: Option<&Replacing>,
        manner: Manner,
    ) -> Self {
        let known = Known::new(&seals.s3, settings, manner.fresh_for);
        Self {
            pages: list_in_order(&seals.s3, &settings.raw.bucket, prefix, manner.order, options.patience),
            known: known.with_recent_since(replacing.map(Replacing::recent_since)),
            seals: seals.clone(),
            options: options.clone(),
            replacing: replacing.cloned(),
            at_once: manner.at_once,
            looks_left: manner.looks,
            listed: Listed::default(),
            proof: Proof::new(options, prefix == settings.raw.prefix),
        }
    }

    /// The next objects of the range; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Judged>>, Cause> {
        let mut objects = Vec::new();
        while objects.len() < self.at_once {
            let Some(page) = self.pages.recv().await else { break };
            let page = page?;
            self.listed.objects += page.len() as u64;
            self.listed.pages += 1;
            objects.extend(page.into_iter().filter(|object| self.options.wants(object)));
        }
        if objects.is_empty() {
            return Ok(None);
        }
        let patience = self.options.patience;
        let mut sealed = patiently(patience, || self.known.sealed(&objects)).await?;
        let unknown: Vec<usize> = (0..objects.len()).filter(|at| sealed[*at].is_none()).take(self.looks_left).collect();
        self.looks_left -= unknown.len();
        for (at, generation) in patiently(patience, || self.moved(&objects, &unknown)).await? {
            // Recent, so that its seal is read.
            sealed[at] = Some(Sealed { generation, is_recent: true });
        }
        let replacing = self.replacing.as_ref();
        let standings = patiently(patience, || self.seals.standings(&objects, &sealed, replacing)).await?;
        let judged = objects.into_iter().zip(sealed).zip(standings).map(|((object, sealed), standing)| Judged {
            object,
            generation: sealed.map(|sealed| sealed.generation),
            standing,
        });
        let judged: Vec<Judged> = judged.collect();
        judged.iter().for_each(|judged| self.proof.add(judged));
        Ok(Some(judged))
    }

    /// What the walk has proven, after its last object.
    pub(super) fn into_proof(self) -> Proof {
        self.proof
    }

    /// Marks the hours that are proven to be sealed, after the last object.
    pub(super) async fn mark(&self) -> Result<(), Cause> {
        let marks = self.proof.mark(&self.known).await?;
        tracing::debug!(marks, "marked hours that are sealed");
        Ok(())
    }

    /// Which of these are sealed under another hour, and their generations.
    async fn moved(&self, objects: &[RawObject], unknown: &[usize]) -> Result<Vec<(usize, u32)>, AwsError> {
        let looks = unknown.iter().map(|at| async { Ok((*at, self.seals.moved(&objects[*at]).await?)) });
        let found: Vec<_> = stream::iter(looks).buffer_unordered(LOOKS_AT_ONCE).try_collect().await?;
        Ok(found.into_iter().filter_map(|(at, generation)| Some((at, generation?))).collect())
    }

    /// Pages of the index of hours that were listed.
    pub(super) fn index_requests(&self) -> u64 {
        self.known.requests()
    }
}
