//! One walk over the range: every object in it, with what is to be done about it, some thousands at a time.

use super::Cause;
use super::selection::Options;
use super::standing::{Replacing, Seals, Standing};
use crate::known::Known;
use crate::listing::{Order, RawObject, list_in_order};
use crate::patience::patiently;
use common::aws_error::AwsError;
use common::settings::Settings;
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
    pub(super) listed: Listed,
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
}

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
            listed: Listed::default(),
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
        let sealed = patiently(patience, || self.known.sealed(&objects)).await?;
        let replacing = self.replacing.as_ref();
        let standings = patiently(patience, || self.seals.standings(&objects, &sealed, replacing)).await?;
        let judged = objects.into_iter().zip(sealed).zip(standings).map(|((object, sealed), standing)| Judged {
            object,
            generation: sealed.map(|sealed| sealed.generation),
            standing,
        });
        Ok(Some(judged.collect()))
    }

    /// Pages of the index of hours that were listed.
    pub(super) fn index_requests(&self) -> u64 {
        self.known.requests()
    }
}
