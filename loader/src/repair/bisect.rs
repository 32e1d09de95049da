//! Finds refused records where the error view shows none: checks ever smaller pieces of the parts.

use super::check::Check;
use super::search::Search;
use crate::load::{Blame, LoadFailure};
use crate::pieces::{self, PieceWriter};
use common::seal::Part;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Most records that are searched for in one batch: each takes some dozens of checks. Of a table that refuses more nobody
/// can tell what is wrong, until the view may be read.
const SEARCHED_MAX: usize = 100;

/// The lines that COPY refuses, by part; `None` where there are too many.
pub(super) async fn search(
    check: &Check<'_>,
    parts: &[Part],
) -> Result<Option<BTreeMap<String, BTreeSet<u64>>>, LoadFailure> {
    let mut among = Search::among(parts.len() as u64);
    loop {
        let ranges = among.questions();
        if ranges.is_empty() {
            break;
        }
        let keys = |range: &Range<u64>| -> Vec<String> {
            parts[range.start as usize..range.end as usize].iter().map(|part| part.key.clone()).collect()
        };
        among.answer(&check.refuses(&ranges.iter().map(keys).collect::<Vec<_>>()).await?);
        if among.least() > SEARCHED_MAX {
            return Ok(None);
        }
    }
    let (mut found, mut count) = (BTreeMap::new(), 0);
    for part in among.found().into_iter().map(|at| &parts[at as usize]) {
        let Some(lines) = lines(check, part, SEARCHED_MAX - count).await? else { return Ok(None) };
        count += lines.len();
        found.insert(part.key.clone(), lines);
    }
    Ok(Some(found))
}

/// The refused lines of one part; `None` where they are more than `max`.
async fn lines(check: &Check<'_>, part: &Part, max: usize) -> Result<Option<BTreeSet<u64>>, LoadFailure> {
    let mut among = Search::among(part.records);
    loop {
        let ranges = among.questions();
        if ranges.is_empty() {
            return Ok(Some(among.found().into_iter().map(|at| at + 1).collect()));
        }
        let sets = pieces_of(check, part, ranges).await?;
        among.answer(&check.refuses(&sets).await?);
        if among.least() > max {
            return Ok(None);
        }
    }
}

/// Writes each range of the part's lines as a piece; gives their keys.
async fn pieces_of(check: &Check<'_>, part: &Part, ranges: Vec<Range<u64>>) -> Result<Vec<Vec<String>>, LoadFailure> {
    let (s3, settings) = (&check.loader.s3, &check.loader.settings);
    let made = pieces::with_lines(s3, &settings.routed.bucket, part, move |lines, codec| {
        let (mut made, mut open) = (Vec::with_capacity(ranges.len()), None);
        let mut ranges = ranges.into_iter().peekable();
        while let Some((number, line)) = lines.next_line()? {
            let Some(range) = ranges.peek().filter(|range| range.contains(&(number - 1))) else { continue };
            let mut writer = open.take().map_or_else(|| PieceWriter::new(codec), Ok)?;
            writer.line(line)?;
            if range.end == number {
                made.extend(writer.finish()?);
                ranges.next();
            } else {
                open = Some(writer);
            }
        }
        Ok(made)
    });
    let mut keys = Vec::new();
    for piece in made.await? {
        let put = pieces::put(s3, &settings.routed.bucket, &settings.keys, check.event, &part.key, piece).await;
        keys.push(vec![put.map_err(|error| LoadFailure::aws(&error, Blame::Table))?.key]);
    }
    Ok(keys)
}
