//! What each part of a batch loads as: itself, where all its records need the same columns, or two pieces: the records of
//! its commonest choice, verbatim, and the rest, rewritten.
//!
//! Records are read and written one by one, so what is held are a few parts with their pieces, compressed
//! (see [`crate::pieces`]). Every line of a part is in exactly one piece.

mod columns;
mod look;
mod rewrite;

pub(crate) use columns::Columns;
pub(crate) use rewrite::restored;

use crate::contents::Contents;
use crate::mapping::Mapping;
use crate::mapping::choice::{Choice, Needs, choose, needs};
use crate::pieces::{self, Lines, Piece, PieceError, PieceWriter};
use crate::record::{Record, Value};
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
use tokio::task::JoinSet;

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
    /// What only the records tell: the mapping could hold more of them. To be grown by this sketch, of misfits alone.
    #[error(
        "the table has no column for some values of the records, and none for whole records (_record SUPER) could be made: \
         let the loader ALTER the table, or add that column"
    )]
    Lacking(Box<SketchNode>),
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

/// Parts that are read, and written anew, at once. Each is held compressed, with its pieces.
const CONCURRENCY: usize = 4;

/// Reads parts and writes pieces.
#[derive(Clone, Debug)]
pub(crate) struct Splitter {
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) bucket: String,
    pub(crate) keys: KeyLayout,
    pub(crate) event: EventName,
    pub(crate) mapping: Arc<Mapping>,
    /// The mapping was grown by what it lacked: what has no column still is in whole records.
    pub(crate) is_grown: bool,
}

/// A part of the request with this number, whose records differ.
#[derive(Clone, Debug)]
struct Mixed {
    request: usize,
    part: Part,
    /// What loads verbatim.
    commonest: Option<Choice>,
}

impl Splitter {
    /// Where a sketch does not tell what is under mapped paths, the records do: it then tells that of them alone.
    pub(crate) async fn look_into_hidden(&self, contents: &mut [Contents<'_>]) -> Result<(), SplitError> {
        let hiding = contents.iter_mut().filter(|contents| look::hides_columns(&self.mapping, &contents.sketch));
        for contents in hiding {
            let mut sketch = SketchNode { types: Types::OBJECT, ..Default::default() };
            for part in contents.parts.iter() {
                let mapping = self.mapping.clone();
                let look = move |lines: &mut Lines<'_>, _| look::look(&mapping, lines, sketch);
                sketch = pieces::with_lines(&self.s3, &self.bucket, part, look).await?;
            }
            contents.sketch = Cow::Owned(sketch);
        }
        Ok(())
    }

    /// The files to load for each of these requests: as many records as its parts have.
    pub(crate) async fn files(&self, contents: &[Contents<'_>]) -> Result<Vec<Vec<File>>, SplitError> {
        // All are asked before anything is written: the mapping grows once, by all that it lacks.
        let (mut loads, mut mixed, mut lacking) = (Vec::new(), Vec::new(), SketchNode::default());
        for (request, Contents { parts, sketch }) in contents.iter().enumerate() {
            if parts.is_empty() {
                continue;
            }
            if let Some(choice) = choose(&self.mapping, sketch) {
                lacking.collapsed |= choice.keeps_record() && !self.mapping.has_record_column();
                loads.extend(parts.iter().map(|part| Load::whole(request, part, choice.clone())));
                continue;
            }
            mixed.extend(parts.iter().map(|part| Mixed { request, part: part.clone(), commonest: None }));
        }
        let told = a_few_at_once(mixed, |mixed| self.clone().tally(mixed)).await?;
        let mut mixed = Vec::new();
        for (Mixed { request, part, commonest }, is_only, lacks) in told {
            // Not by merging alone: that forgets the keys of what hides some.
            let collapsed = std::mem::take(&mut lacking.collapsed) || lacks.collapsed;
            lacking.merge(&SketchNode { collapsed: false, ..lacks });
            lacking.collapsed = collapsed;
            match commonest {
                Some(only) if is_only => loads.push(Load::whole(request, &part, only)),
                commonest => mixed.push(Mixed { request, part, commonest }),
            }
        }
        if lacking != SketchNode::default() {
            return Err(SplitError::Lacking(Box::new(lacking)));
        }
        loads.extend(a_few_at_once(mixed, |mixed| self.clone().pieces(mixed)).await?.into_iter().flatten());
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
        let fits = |load: &Load| load.layout == Layout::Rewritten || kept.contains(&group_of(load));
        let (mut within, beyond): (Vec<Load>, Vec<Load>) = loads.into_iter().partition(fits);
        let beyond = beyond.into_iter().map(|Load { request, part, .. }| Mixed { request, part, commonest: None });
        let rewritten = a_few_at_once(beyond.collect(), |mixed| self.clone().pieces(mixed)).await?;
        within.extend(rewritten.into_iter().flatten());
        Ok(within)
    }

    /// The part with the choice of most of its records, whether it is that of all, and what the mapping lacks for them.
    async fn tally(self, mixed: Mixed) -> Result<(Mixed, bool, SketchNode), SplitError> {
        let (mapping, is_grown) = (self.mapping, self.is_grown);
        let tally = move |lines: &mut Lines<'_>, _| Tally::of(&mapping, lines, is_grown);
        let tally = pieces::with_lines(&self.s3, &self.bucket, &mixed.part, tally).await?;
        let is_only = tally.is_one_choice();
        let (commonest, lacking) = tally.commonest();
        Ok((Mixed { commonest, ..mixed }, is_only, lacking))
    }

    async fn pieces(self, Mixed { request, part, commonest }: Mixed) -> Result<Vec<Load>, SplitError> {
        let mapping = self.mapping.clone();
        let write = move |lines: &mut Lines<'_>, codec| write(&mapping, lines, codec, commonest);
        let written = pieces::with_lines(&self.s3, &self.bucket, &part, write).await?;
        if written.iter().any(|(_, layout)| layout.keeps_record()) && !self.mapping.has_record_column() {
            let lacking = SketchNode { types: Types::OBJECT, collapsed: true, ..Default::default() };
            return Err(SplitError::Lacking(Box::new(lacking)));
        }
        let records = written.iter().map(|(piece, _)| piece.records).sum();
        if records != part.records {
            return Err(SplitError::Unbalanced { part: part.key, pieces: records, records: part.records });
        }
        let mut loads = Vec::new();
        for (piece, layout) in written {
            let put = pieces::put(&self.s3, &self.bucket, &self.keys, &self.event, &part.key, piece).await;
            loads.push(Load { request, part: put.map_err(PieceError::Aws)?, layout });
        }
        Ok(loads)
    }
}

/// Does the same with all of them, some at a time; gives what came of it in their order.
async fn a_few_at_once<T, R, F>(all: Vec<T>, work: impl Fn(T) -> F) -> Result<Vec<R>, SplitError>
where
    R: Send + 'static,
    F: Future<Output = Result<R, SplitError>> + Send + 'static,
{
    let (mut tasks, mut done) = (JoinSet::new(), BTreeMap::new());
    let mut left = all.into_iter().enumerate();
    loop {
        while tasks.len() < CONCURRENCY
            && let Some((at, one)) = left.next()
        {
            let task = work(one);
            tasks.spawn(async move { (at, task.await) });
        }
        let Some(joined) = tasks.join_next().await else { return Ok(done.into_values().collect()) };
        let (at, result) = joined.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        done.insert(at, result?);
    }
}

impl Layout {
    fn keeps_record(&self) -> bool {
        matches!(self, Layout::Chosen(choice) if choice.keeps_record())
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
    /// What a mapping that may grow has no columns for.
    lacking: SketchNode,
}

impl Tally {
    fn of(mapping: &Mapping, lines: &mut Lines<'_>, is_grown: bool) -> io::Result<Self> {
        let mut tally = Self::default();
        while let Some((_, line)) = lines.next_line()? {
            let record = Record::read(line)?;
            let needs = needs(mapping, &record.root);
            tally.lacks(mapping, &needs, is_grown);
            let has_room = tally.choices.len() < CHOICES_TOLD;
            match tally.choices.get_mut(&needs.choice) {
                Some(count) => *count += 1,
                None if has_room => tally.choices.extend([(needs.choice, 1)]),
                None => tally.others += 1,
            }
        }
        Ok(tally)
    }

    fn lacks(&mut self, mapping: &Mapping, needs: &Needs<'_, Value<'_>>, is_grown: bool) {
        if !mapping.has_record_column() {
            self.lacking.collapsed |= needs.has_unmapped || (is_grown && needs.choice.keeps_record());
        }
        for (path, value) in needs.lacking.iter().filter(|_| !is_grown) {
            let node = path.iter().fold(&mut self.lacking, |node, key| {
                node.types |= Types::OBJECT;
                node.keys.entry((*key).to_owned()).or_default()
            });
            node.merge(&value.sketch());
        }
    }

    fn is_one_choice(&self) -> bool {
        self.choices.len() == 1 && self.others == 0
    }

    /// The choice of most records, and what is lacking.
    fn commonest(self) -> (Option<Choice>, SketchNode) {
        let commonest = self.choices.into_iter().max_by(|(a, n), (b, m)| (n, b).cmp(&(m, a)));
        (commonest.map(|(choice, _)| choice), self.lacking)
    }
}

/// Writes each line into one of three pieces: verbatim if it needs this choice, else rewritten, and whole where that would
/// make it larger than COPY takes.
fn write(
    mapping: &Mapping,
    lines: &mut Lines<'_>,
    codec: Codec,
    verbatim: Option<Choice>,
) -> io::Result<Vec<(Piece, Layout)>> {
    let mut fitting = PieceWriter::new(codec)?;
    let mut rewritten = PieceWriter::new(codec)?;
    let mut whole = PieceWriter::new(codec)?;
    let mut text = Vec::new();
    while let Some((_, line)) = lines.next_line()? {
        let record = Record::read(line)?;
        let needs = needs(mapping, &record.root);
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
    pieces.extend(whole.finish()?.map(|piece| (piece, Layout::Chosen(Choice::whole_records(mapping)))));
    Ok(pieces)
}

#[cfg(test)]
pub(crate) mod tests;
