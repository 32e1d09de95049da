//! What each part of a batch loads as: itself, where all its records need the same columns, or two pieces: the records of
//! its commonest choice, verbatim, and the rest, rewritten.
//!
//! A piece's records are read and written one by one, so one part at a time is held, compressed
//! (see [`crate::pieces`]). Every line of a part is in exactly one piece.

mod columns;
mod look;
mod rewrite;

pub(crate) use columns::Columns;
pub(crate) use rewrite::restored;

use crate::contents::Contents;
use crate::mapping::Mapping;
use crate::mapping::choice::{Choice, NoRecordColumn, choose, needs};
use crate::pieces::{self, Lines, Piece, PieceError, PieceWriter};
use crate::record::Record;
use crate::sql::load::Codec;
use crate::transaction::COPIES_MAX;
use common::event_name::EventName;
use common::keys::KeyLayout;
use common::seal::Part;
use common::sketch::{SketchNode, Types};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::sync::Arc;

/// A file to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) part: Part,
    pub(crate) columns: Arc<Columns>,
}

/// How a file's records are written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layout {
    /// As they came, for this choice of columns.
    Chosen(Choice),
    /// With values apart, for all columns ([`rewrite`]).
    Rewritten,
}

/// A file of the request with this number.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Load {
    request: usize,
    part: Part,
    layout: Layout,
}

/// A part that cannot be split.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SplitError {
    #[error(transparent)]
    Mapping(#[from] NoRecordColumn),
    #[error(transparent)]
    Piece(#[from] PieceError),
    #[error("the pieces of part {part} have {pieces} records, and its seal says {records}")]
    Unbalanced { part: String, pieces: u64, records: u64 },
}

/// Different choices that are told apart in one part; what comes later is rare and rewritten.
const CHOICES_TOLD: usize = 256;

/// Choices that keep a COPY of their own where there are too many: in either codec rewritten records and whole ones
/// need theirs.
const CHOICES_KEPT: usize = COPIES_MAX - 4;

/// Reads parts and writes pieces.
#[derive(Debug)]
pub(crate) struct Splitter<'a> {
    pub(crate) s3: &'a aws_sdk_s3::Client,
    pub(crate) bucket: &'a str,
    pub(crate) keys: &'a KeyLayout,
    pub(crate) event: &'a EventName,
    pub(crate) mapping: Arc<Mapping>,
}

impl Splitter<'_> {
    /// Where a sketch does not tell what is under mapped paths, the records do: it then tells that of them alone.
    pub(crate) async fn look_into_hidden(&self, contents: &mut [Contents<'_>]) -> Result<(), SplitError> {
        let hiding = contents.iter_mut().filter(|contents| look::hides_columns(&self.mapping, &contents.sketch));
        for contents in hiding {
            let mut sketch = SketchNode { types: Types::OBJECT, ..Default::default() };
            for part in contents.parts.iter() {
                let mapping = self.mapping.clone();
                let look = move |lines: &mut Lines<'_>, _| look::look(&mapping, lines, sketch);
                sketch = pieces::with_lines(self.s3, self.bucket, part, look).await?;
            }
            contents.sketch = Cow::Owned(sketch);
        }
        Ok(())
    }

    /// The files to load for each of these requests: as many records as its parts have.
    pub(crate) async fn files(&self, contents: &[Contents<'_>]) -> Result<Vec<Vec<File>>, SplitError> {
        let mut loads = Vec::new();
        for (request, Contents { parts, sketch }) in contents.iter().enumerate() {
            if parts.is_empty() {
                continue;
            }
            let choice = choose(&self.mapping, sketch)?;
            for part in parts.iter() {
                match &choice {
                    Some(choice) => loads.push(Load::whole(request, part, choice.clone())),
                    None => loads.extend(self.split(request, part).await?),
                }
            }
        }
        let mut columns: BTreeMap<Layout, Arc<Columns>> = BTreeMap::new();
        let mut files = vec![Vec::new(); contents.len()];
        for Load { request, part, layout } in self.within_limit(loads).await? {
            let columns =
                columns.entry(layout).or_insert_with_key(|layout| Arc::new(Columns::of(&self.mapping, layout)));
            files[request].push(File { part, columns: columns.clone() });
        }
        Ok(files)
    }

    /// Rewrites the choices of the fewest records where there are more than COPYs.
    async fn within_limit(&self, loads: Vec<Load>) -> Result<Vec<Load>, SplitError> {
        let group_of = |load: &Load| (Codec::of_key(&load.part.key), load.layout.clone());
        let mut weights: BTreeMap<(Option<Codec>, Layout), u64> = BTreeMap::new();
        for load in &loads {
            *weights.entry(group_of(load)).or_default() += load.part.records;
        }
        if weights.len() <= COPIES_MAX {
            return Ok(loads);
        }
        let mut kept: Vec<_> = weights.into_iter().filter(|((_, layout), _)| *layout != Layout::Rewritten).collect();
        kept.sort_by(|(a, n), (b, m)| (m, a).cmp(&(n, b)));
        let kept: BTreeSet<_> = kept.into_iter().take(CHOICES_KEPT).map(|(group, _)| group).collect();
        let mut within = Vec::new();
        for load in loads {
            if load.layout == Layout::Rewritten || kept.contains(&group_of(&load)) {
                within.push(load);
            } else {
                within.extend(self.pieces(load.request, &load.part, None).await?);
            }
        }
        Ok(within)
    }

    async fn split(&self, request: usize, part: &Part) -> Result<Vec<Load>, SplitError> {
        let mapping = self.mapping.clone();
        let tally = pieces::with_lines(self.s3, self.bucket, part, move |lines, _| Tally::of(&mapping, lines));
        match tally.await??.commonest() {
            (Some(only), true) => Ok(vec![Load::whole(request, part, only)]),
            (commonest, _) => self.pieces(request, part, commonest).await,
        }
    }

    async fn pieces(&self, request: usize, part: &Part, verbatim: Option<Choice>) -> Result<Vec<Load>, SplitError> {
        let mapping = self.mapping.clone();
        let write = move |lines: &mut Lines<'_>, codec| write(&mapping, lines, codec, verbatim);
        let written = pieces::with_lines(self.s3, self.bucket, part, write).await??;
        let records = written.iter().map(|(piece, _)| piece.records).sum();
        if records != part.records {
            return Err(SplitError::Unbalanced { part: part.key.clone(), pieces: records, records: part.records });
        }
        let mut loads = Vec::new();
        for (piece, layout) in written {
            let put = pieces::put(self.s3, self.bucket, self.keys, self.event, &part.key, piece).await;
            loads.push(Load { request, part: put.map_err(PieceError::Aws)?, layout });
        }
        Ok(loads)
    }
}

impl Load {
    fn whole(request: usize, part: &Part, choice: Choice) -> Self {
        Self { request, part: part.clone(), layout: Layout::Chosen(choice) }
    }
}

/// How many records need which choice.
#[derive(Debug, Default)]
struct Tally {
    choices: HashMap<Choice, u64>,
    others: u64,
}

impl Tally {
    fn of(mapping: &Mapping, lines: &mut Lines<'_>) -> io::Result<Result<Self, NoRecordColumn>> {
        let mut tally = Self::default();
        while let Some((_, line)) = lines.next_line()? {
            let record = Record::read(line)?;
            let choice = match needs(mapping, &record.root) {
                Ok(needs) => needs.choice,
                Err(missing) => return Ok(Err(missing)),
            };
            let has_room = tally.choices.len() < CHOICES_TOLD;
            match tally.choices.get_mut(&choice) {
                Some(count) => *count += 1,
                None if has_room => tally.choices.extend([(choice, 1)]),
                None => tally.others += 1,
            }
        }
        Ok(Ok(tally))
    }

    /// The choice of most records, and whether it is that of all.
    fn commonest(self) -> (Option<Choice>, bool) {
        let is_only = self.choices.len() == 1 && self.others == 0;
        let commonest = self.choices.into_iter().max_by(|(a, n), (b, m)| (n, b).cmp(&(m, a)));
        (commonest.map(|(choice, _)| choice), is_only)
    }
}

/// Writes each line into one of three pieces: verbatim if it needs this choice, else rewritten, and whole where that would
/// make it larger than COPY takes.
fn write(
    mapping: &Mapping,
    lines: &mut Lines<'_>,
    codec: Codec,
    verbatim: Option<Choice>,
) -> io::Result<Result<Vec<(Piece, Layout)>, NoRecordColumn>> {
    let mut fitting = PieceWriter::new(codec)?;
    let mut rewritten = PieceWriter::new(codec)?;
    let mut whole = PieceWriter::new(codec)?;
    let mut text = Vec::new();
    while let Some((_, line)) = lines.next_line()? {
        let record = Record::read(line)?;
        let needs = match needs(mapping, &record.root) {
            Ok(needs) => needs,
            Err(missing) => return Ok(Err(missing)),
        };
        if verbatim.as_ref() == Some(&needs.choice) {
            fitting.line(line)?;
        } else if rewrite::rewrite(mapping, line, &record, needs, &mut text) {
            rewritten.line(&text)?;
        } else {
            whole.line(line)?;
        }
    }
    let mut pieces = Vec::new();
    if let (Some(piece), Some(choice)) = (fitting.finish()?, verbatim) {
        pieces.push((piece, Layout::Chosen(choice)));
    }
    pieces.extend(rewritten.finish()?.map(|piece| (piece, Layout::Rewritten)));
    if let Some(piece) = whole.finish()? {
        match Choice::whole_records(mapping) {
            Ok(choice) => pieces.push((piece, Layout::Chosen(choice))),
            Err(missing) => return Ok(Err(missing)),
        }
    }
    Ok(Ok(pieces))
}

#[cfg(test)]
pub(crate) mod tests;
