//! What a replay would do, found out before anything is done.

use super::due::{Due, DueReader, DueWriter};
use super::raw::{Contents, Raw, Refusal};
use super::standing::{Judge, Standing};
use super::{Held, Listing, Quarantine, QuarantineError, Selection};
use common::replace::{self, Kind, ReplaceDocument, ReplaceError};
use futures::{StreamExt, stream};
use std::io;
use std::path::Path;
use time::OffsetDateTime;

/// Raw objects that are looked for at once.
const LOOKS: usize = 16;

/// How a replay is meant.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Also sources whose records the same rules put aside.
    pub force: bool,
    /// Also sources that another replace took since this one was started.
    pub over_others: bool,
}

/// A replay that was looked into, and has not begun.
#[derive(Debug)]
pub struct Plan {
    /// The replace's id, where it goes on.
    pub goes_on: Option<String>,
    /// Records that are tried again.
    pub listing: Listing,
    /// Sources that are to be routed again.
    pub due: u64,
    /// Their stored bytes.
    pub bytes: u64,
    /// Sources that this replay routed before it was interrupted.
    pub done: u64,
    /// Of them, those of which COPY refused records again: a replay that is started anew takes them.
    pub again: u64,
    /// Sources that were routed again already and wait for the loader.
    pub waiting: u64,
    /// Sources of which the same rules would put the same records aside again.
    pub unchanged: u64,
    /// Sources that cannot be routed again.
    pub refused: u64,
    /// Sources that another replace took.
    pub lost: u64,
    /// Sources of which nobody can tell.
    pub unknown: u64,
    /// The replace that ends when this one is begun.
    pub(super) ends: Option<String>,
    pub(super) sources: DueReader,
    pub(super) what: replace::Selection,
    pub(super) routing_id: String,
}

/// What a person has to know about one source, told as it is found out.
#[derive(Debug)]
pub enum Notice {
    /// It cannot be routed again.
    Refused {
        /// The raw object.
        uri: String,
        /// Why.
        why: Refusal,
    },
    /// Another replace took it.
    Lost {
        /// The raw object.
        uri: String,
        /// The other replace.
        by: String,
    },
    /// Nobody can tell what it has in quarantine.
    Unknown(QuarantineError),
    /// It could not be routed here: the whole error.
    Failed(String),
}

/// A plan cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Without lineage nobody knows which rows are a source's.
    #[error("a replay replaces rows by the lineage that they carry, and router.lineage is false")]
    NoLineage,
    /// What is in quarantine cannot be told.
    #[error(transparent)]
    Quarantine(#[from] QuarantineError),
    /// The replace's document.
    #[error("the document of the replay cannot be read")]
    Document(#[from] ReplaceError),
    /// The list of sources.
    #[error("router.spool_dir: the list of sources cannot be written")]
    Spool(#[from] io::Error),
}

impl Quarantine {
    /// Looks into a replay of what is selected. Everything that is not simply done is told to `notice`.
    pub async fn plan(
        &self,
        selection: &Selection,
        options: &Options,
        spool_dir: &Path,
        notice: &mut impl FnMut(Notice),
    ) -> Result<Plan, PlanError> {
        if !self.lineage {
            return Err(PlanError::NoLineage);
        }
        let force = if options.force { ", also by unchanged rules" } else { "" };
        let what = replace::Selection {
            kind: Kind::Replay,
            what: format!("quarantine replay of {selection}{force}"),
            routing_id: Some(self.routing_id.clone()),
        };
        let goes_on = replace::find(self.place(), &what).await?.filter(|document| document.finished_at.is_none());
        let goes_on = goes_on.map(|ReplaceDocument { id, started_at, .. }| (id, started_at));
        let plan = self.plan_from(selection, options, spool_dir, notice, &what, goes_on).await?;
        if plan.due > 0 || plan.again == 0 {
            return Ok(plan);
        }
        // It has been through with all that it can do: what was refused meanwhile is for another one.
        let anew = self.plan_from(selection, options, spool_dir, notice, &what, None).await?;
        Ok(Plan { ends: plan.goes_on, ..anew })
    }

    async fn plan_from(
        &self,
        selection: &Selection,
        options: &Options,
        spool_dir: &Path,
        notice: &mut impl FnMut(Notice),
        what: &replace::Selection,
        goes_on: Option<(String, OffsetDateTime)>,
    ) -> Result<Plan, PlanError> {
        let judge = Judge {
            goes_on: goes_on.clone(),
            routing_id: self.routing_id.clone(),
            force: options.force,
            over_others: options.over_others,
        };
        let mut writer = DueWriter::new(spool_dir)?;
        let mut plan = Counts::default();
        let mut listing = Listing::default();
        let held = stream::unfold(self.held(selection), |mut held| async { held.recv().await.map(|one| (one, held)) });
        let mut judged = held.map(|held| self.judge(&judge, held)).buffered(LOOKS).boxed();
        while let Some(judged) = judged.next().await {
            match judged {
                Err(error) if error.is_of_one_source() => {
                    plan.unknown += 1;
                    notice(Notice::Unknown(error));
                }
                Err(error) => return Err(error.into()),
                Ok((held, Judged::Due(raw))) => {
                    plan.due += 1;
                    plan.bytes += held.seal.source.bytes;
                    listing.add(&held);
                    writer.push(&Due::after(&held.seal, raw))?;
                }
                Ok((held, Judged::Refused(why))) => {
                    plan.refused += 1;
                    notice(Notice::Refused { uri: held.seal.source.uri(), why });
                }
                Ok((held, Judged::Lost(by))) => {
                    plan.lost += 1;
                    notice(Notice::Lost { uri: held.seal.source.uri(), by });
                }
                Ok((_, Judged::Done)) => plan.done += 1,
                Ok((_, Judged::Again)) => (plan.done, plan.again) = (plan.done + 1, plan.again + 1),
                Ok((_, Judged::Waiting)) => plan.waiting += 1,
                Ok((_, Judged::Unchanged)) => plan.unchanged += 1,
            }
        }
        let Counts { due, bytes, done, again, waiting, unchanged, refused, lost, unknown } = plan;
        let (goes_on, routing_id) = (goes_on.map(|(id, _)| id), self.routing_id.clone());
        let sources = writer.finish()?;
        Ok(Plan {
            goes_on,
            listing,
            due,
            bytes,
            done,
            again,
            waiting,
            unchanged,
            refused,
            lost,
            unknown,
            ends: None,
            sources,
            what: what.clone(),
            routing_id,
        })
    }

    async fn judge(
        &self,
        judge: &Judge,
        held: Result<Held, QuarantineError>,
    ) -> Result<(Held, Judged), QuarantineError> {
        let held = held?;
        if let Some(source) = held.unbalanced
            && held.objects.is_empty()
        {
            return Err(QuarantineError::Unbalanced { uri: held.seal.source.uri(), source });
        }
        let judged = match judge.standing(&held) {
            Standing::Due => match self.find_raw(Contents::of_seal(&held.seal)).await? {
                Raw::Refused(why) => Judged::Refused(why),
                raw => Judged::Due(raw),
            },
            Standing::Done => Judged::Done,
            Standing::Again => Judged::Again,
            Standing::Waiting => Judged::Waiting,
            Standing::Unchanged => Judged::Unchanged,
            Standing::Lost(by) => Judged::Lost(by),
        };
        Ok((held, judged))
    }
}

/// A standing, after a look at the raw object of what is due.
enum Judged {
    Due(Raw),
    Refused(Refusal),
    Done,
    Again,
    Waiting,
    Unchanged,
    Lost(String),
}

#[derive(Default)]
struct Counts {
    due: u64,
    bytes: u64,
    done: u64,
    again: u64,
    waiting: u64,
    unchanged: u64,
    refused: u64,
    lost: u64,
    unknown: u64,
}
