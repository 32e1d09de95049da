//! Finds refused records where the error view shows none: checks ever smaller pieces of the parts.

use super::check::Check;
use super::search::Search;
use crate::load::{Blame, LoadFailure};
use crate::pieces::{self, PieceWriter};
use crate::verdict::Class;
use common::seal::Part;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Most records that are searched for in one batch: each takes some dozens of checks. A table that refuses more waits
/// until the view can be read.
const SEARCHED_MAX: usize = 100;

/// The lines that COPY refuses, by part.
pub(super) async fn search(check: &Check<'_>, parts: &[Part]) -> Result<BTreeMap<String, BTreeSet<u64>>, LoadFailure> {
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
        go_on(check, among.least(), SEARCHED_MAX)?;
    }
    let (mut found, mut count) = (BTreeMap::new(), 0);
    for part in among.found().into_iter().map(|at| &parts[at as usize]) {
        let lines = lines(check, part, SEARCHED_MAX - count).await?;
        count += lines.len();
        found.insert(part.key.clone(), lines);
    }
    Ok(found)
}

/// Whether a search that found this many so far is worth going on with.
fn go_on(check: &Check<'_>, found: usize, max: usize) -> Result<(), LoadFailure> {
    if check.loader.shutdown.is_cancelled() {
        let what = "the loader ends while it searches for refused records".to_owned();
        return Err(LoadFailure { class: Class::Transient, blame: Blame::Batch, what });
    }
    if found > max {
        let what = format!(
            "COPY refuses more than {SEARCHED_MAX} records, and sys_load_error_detail does not show which: let the loader's \
             user read the view, or compare the table with the records of s3://{}/{}",
            check.loader.settings.routed.bucket,
            check.group.parts.first().map_or("", String::as_str)
        );
        return Err(LoadFailure { class: Class::Configuration, blame: Blame::Table, what });
    }
    Ok(())
}

/// The refused lines of one part, at most `max`.
async fn lines(check: &Check<'_>, part: &Part, max: usize) -> Result<BTreeSet<u64>, LoadFailure> {
    let mut among = Search::among(part.records);
    loop {
        let ranges = among.questions();
        if ranges.is_empty() {
            return Ok(among.found().into_iter().map(|at| at + 1).collect());
        }
        let sets = pieces_of(check, part, ranges).await?;
        among.answer(&check.refuses(&sets).await?);
        go_on(check, among.least(), max)?;
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
