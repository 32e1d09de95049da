//! Takes lines out of parts: what is left of a part is loaded, what was taken out is kept aside.

use crate::Loader;
use crate::load::{Blame, LoadFailure};
use crate::pieces::{self, PieceWriter};
use common::event_name::EventName;
use common::seal::Part;
use std::collections::{BTreeMap, BTreeSet};
use tokio::task::JoinSet;

/// Parts that are read and written anew at once. Each is held compressed, twice.
const CONCURRENCY: usize = 4;

/// A part without some of its lines.
#[derive(Debug)]
pub(super) struct Split {
    pub(super) of: Part,
    /// The lines taken out, in order.
    pub(super) lines: Vec<u64>,
    /// The part without them; none where nothing is left.
    pub(super) kept: Option<Part>,
    /// These lines alone, as a part: its first line is the first of `lines`.
    pub(super) taken: Part,
}

/// Takes these lines out of these parts; parts without any are left out.
pub(super) async fn split(
    loader: &Loader,
    event: &EventName,
    parts: &[Part],
    lines: &BTreeMap<String, BTreeSet<u64>>,
) -> Result<Vec<Split>, LoadFailure> {
    let named = parts.iter().filter_map(|part| Some((part, lines.get(&part.key)?)));
    let (mut tasks, mut splits) = (JoinSet::new(), Vec::new());
    for (part, lines) in named.filter(|(_, lines)| !lines.is_empty()) {
        if tasks.len() >= CONCURRENCY {
            splits.extend(joined(tasks.join_next().await)?);
        }
        tasks.spawn(split_one(loader.s3.clone(), loader.settings.clone(), event.clone(), part.clone(), lines.clone()));
    }
    while !tasks.is_empty() {
        splits.extend(joined(tasks.join_next().await)?);
    }
    splits.sort_by(|a: &Split, b| a.of.key.cmp(&b.of.key));
    Ok(splits)
}

type Joined = Option<Result<Result<Option<Split>, LoadFailure>, tokio::task::JoinError>>;

fn joined(joined: Joined) -> Result<Option<Split>, LoadFailure> {
    let Some(joined) = joined else { return Ok(None) };
    joined.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

async fn split_one(
    s3: aws_sdk_s3::Client,
    settings: common::settings::Settings,
    event: EventName,
    of: Part,
    wanted: BTreeSet<u64>,
) -> Result<Option<Split>, LoadFailure> {
    let (bucket, keys) = (&settings.routed.bucket, &settings.keys);
    let lines = wanted.iter().copied().collect();
    let written = pieces::with_lines(&s3, bucket, &of, move |lines, codec| {
        let (mut kept, mut taken) = (PieceWriter::new(codec)?, PieceWriter::new(codec)?);
        while let Some((number, line)) = lines.next_line()? {
            let writer = if wanted.contains(&number) { &mut taken } else { &mut kept };
            writer.line(line)?;
        }
        Ok((kept.finish()?, taken.finish()?))
    });
    let (kept, Some(taken)) = written.await? else { return Ok(None) };
    let put = async |piece| {
        let put = pieces::put(&s3, bucket, keys, &event, &of.key, piece).await;
        put.map_err(|error| LoadFailure::aws(&error, Blame::Table))
    };
    let taken = put(taken).await?;
    let kept = match kept {
        Some(kept) => Some(put(kept).await?),
        None => None,
    };
    Ok(Some(Split { of, lines, kept, taken }))
}
