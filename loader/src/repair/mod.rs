//! One bad record costs one record: finds what COPY refuses, takes it out, and leaves the rest to be loaded.
//!
//! Asked only when a COPY was refused for its data. The error view names the records; each is checked again apart from
//! all others before it is believed. Where the view says nothing, or what is not so, ever smaller pieces are checked.
//! Nothing here is part of the load transaction: parts are written anew before it, under names that say their content,
//! so whoever tries again finds the same.
//!
//! Not repaired: a table that no record can fill, and more refusals than [`check::REFUSED_MAX`] in one batch.

mod bisect;
mod check;
mod length;
mod record;
mod rejected;
mod search;
mod split;

pub(crate) use rejected::Rejected;

use crate::Loader;
use crate::batch::Member;
use crate::groups::Group;
use crate::load::{Blame, LoadFailure};
use crate::mapping::Mapping;
use crate::split::File;
use crate::table::Table;
use crate::verdict::Class;
use check::{Check, REFUSED_MAX, Refusal, Refused};
use common::seal::Part;
use split::{Split, split};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// "Missing data for not-null field" (database developer guide, `r_Load_Error_Reference`).
const MISSING: u32 = 1213;

/// Takes out of the members' files what COPY refuses of this group, or makes columns hold it. Tells whether anything was done:
/// if so the transaction is worth another try.
pub(crate) async fn repair<D>(
    loader: &Loader,
    table: &mut Table,
    members: &[Member<D>],
    group: &Group,
    files: &mut [Vec<File>],
    rejected: &mut Rejected,
) -> Result<bool, LoadFailure> {
    let schema = table.schema.as_mut().expect("the batch was grouped by it");
    let check = Check::of_group(loader, &table.event, group).await?;
    let keys: HashSet<&str> = group.parts.iter().map(String::as_str).collect();
    let parts = files.iter().flatten().map(|file| &file.part);
    let parts: Vec<Part> = parts.filter(|part| keys.contains(part.key.as_str())).cloned().collect();

    let Some((splits, mut refused)) = find(&check, &parts, &schema.mapping).await? else { return Ok(false) };
    let count: usize = refused.values().map(BTreeMap::len).sum();
    if count + rejected.records() as usize >= REFUSED_MAX {
        tracing::warn!(event = table.event.as_str(), records = count, "COPY refuses too many records of one batch");
        return Ok(false);
    }
    let fitting = length::make_room(loader, &table.event, schema, &splits, &refused).await?;
    for (part, lines) in &fitting {
        refused.entry(part.clone()).or_default().retain(|line, _| !lines.contains(line));
    }
    for split in settled(&check, splits, &refused).await? {
        replace(files, rejected, &split, &refused);
    }
    rejected.write(loader, members).await?;
    Ok(true)
}

/// What is refused, and the parts without it; `None` where nothing is found.
async fn find(
    check: &Check<'_>,
    parts: &[Part],
    mapping: &Mapping,
) -> Result<Option<(Vec<Split>, Refused)>, LoadFailure> {
    let listed = check.listed(parts).await?;
    fault_of_the_table(&listed, mapping)?;
    let splits = split(check.loader, check.event, parts, &lines_of(&listed)).await?;
    let refused = again(check, &splits).await?;
    if !refused.is_empty() {
        return Ok(Some((splits, refused)));
    }
    let lines = bisect::search(check, parts).await?;
    let splits = split(check.loader, check.event, parts, &lines).await?;
    let mut refused = again(check, &splits).await?;
    for split in &splits {
        let refusals = refused.entry(split.of.key.clone()).or_default();
        for line in &split.lines {
            refusals.entry(*line).or_insert_with(Refusal::unexplained);
        }
    }
    fault_of_the_table(&refused, mapping)?;
    Ok((!splits.is_empty()).then_some((splits, refused)))
}

/// What COPY refuses of the lines that were taken out, in the lines of the parts they come from. Whom the view accused
/// wrongly, by a number off by one or by what the table was before, is acquitted here.
async fn again(check: &Check<'_>, splits: &[Split]) -> Result<Refused, LoadFailure> {
    if splits.is_empty() {
        return Ok(Refused::new());
    }
    let taken: Vec<Part> = splits.iter().map(|split| split.taken.clone()).collect();
    let mut listed = check.listed(&taken).await?;
    let mut refused = Refused::new();
    for split in splits {
        let lines = listed.remove(&split.taken.key).unwrap_or_default();
        let lines = lines.into_iter().map(|(at, refusal)| (split.lines[at as usize - 1], refusal));
        refused.insert(split.of.key.clone(), lines.collect());
    }
    refused.retain(|_, lines| !lines.is_empty());
    Ok(refused)
}

/// The splits that take out just what is refused.
async fn settled(check: &Check<'_>, splits: Vec<Split>, refused: &Refused) -> Result<Vec<Split>, LoadFailure> {
    let wanted = lines_of(refused);
    let (mut right, wrong): (Vec<_>, Vec<_>) = splits
        .into_iter()
        .partition(|split| wanted.get(&split.of.key).is_some_and(|lines| lines.iter().eq(&split.lines)));
    let parts: Vec<Part> = wrong.into_iter().map(|split| split.of).collect();
    right.extend(split(check.loader, check.event, &parts, &wanted).await?);
    right.sort_by(|a, b| a.of.key.cmp(&b.of.key));
    Ok(right)
}

fn lines_of(refused: &Refused) -> BTreeMap<String, BTreeSet<u64>> {
    refused.iter().map(|(part, lines)| (part.clone(), lines.keys().copied().collect())).collect()
}

/// A column that must not be NULL and that no record is loaded into is not the records' fault.
fn fault_of_the_table(refused: &Refused, mapping: &Mapping) -> Result<(), LoadFailure> {
    let is_mapped = |name: &str| mapping.columns().iter().any(|column| column.name == name);
    let mut missing = refused.values().flat_map(BTreeMap::values).filter(|refusal| refusal.code == MISSING);
    match missing.find(|refusal| !refusal.column.is_empty() && !is_mapped(&refusal.column)) {
        None => Ok(()),
        Some(Refusal { column, message, .. }) => Err(LoadFailure {
            class: Class::Configuration,
            blame: Blame::Table,
            what: format!(
                "COPY failed: no record fills column {column:?}, which must not be NULL ({message}): drop the column or \
                 make it again without NOT NULL"
            ),
        }),
    }
}

fn replace(files: &mut [Vec<File>], rejected: &mut Rejected, split: &Split, refused: &Refused) {
    let place = files
        .iter()
        .enumerate()
        .find_map(|(member, files)| Some((member, files.iter().position(|file| file.part.key == split.of.key)?)));
    let Some((member, at)) = place else { return };
    match &split.kept {
        Some(kept) => files[member][at].part = kept.clone(),
        None => drop(files[member].remove(at)),
    }
    let refusals = refused.get(&split.of.key).into_iter().flat_map(BTreeMap::values).cloned();
    rejected.add(member, split, refusals.collect());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::kind::Kind;
    use crate::mapping::tests::column;
    use crate::split::tests::columns_of;
    use common::sketch::Sketch;

    fn refused(code: u32, column: &str) -> Refused {
        let refusal = Refusal { code, column: column.into(), message: "no".into() };
        Refused::from([("p".to_owned(), BTreeMap::from([(1, refusal)]))])
    }

    #[test]
    fn a_column_that_no_record_fills_is_the_tables_fault() {
        let mapping = Mapping::new([column("n", "n", Kind::Bigint)]);
        let failure = fault_of_the_table(&refused(MISSING, "must_have"), &mapping).expect_err("stops the table");
        assert_eq!((failure.class, failure.blame), (Class::Configuration, Blame::Table));
        assert!(failure.what.contains("\"must_have\""), "{}", failure.what);
        assert!(fault_of_the_table(&refused(MISSING, "n"), &mapping).is_ok(), "this record lacks what others have");
        assert!(fault_of_the_table(&refused(1207, "must_have"), &mapping).is_ok());
    }

    #[test]
    fn what_is_left_of_a_part_takes_its_place_and_nothing_takes_none() {
        let part = |key: &str, records| Part { key: key.to_owned(), records, bytes: 10 };
        let columns = columns_of(&Mapping::default(), &Sketch::default());
        let of = |parts: Vec<Part>| {
            parts.into_iter().map(|part| File { part, columns: columns.clone() }).collect::<Vec<_>>()
        };
        let mut files = [of(vec![part("o", 1)]), of(vec![part("p", 3), part("q", 1)])];
        let mut rejected = Rejected::default();
        let split = |of: Part, lines: Vec<u64>, kept: Option<Part>| {
            let taken = part("taken", lines.len() as u64);
            Split { of, lines, kept, taken }
        };
        replace(&mut files, &mut rejected, &split(part("p", 3), vec![2], Some(part("kept", 2))), &refused(1207, "n"));
        replace(&mut files, &mut rejected, &split(part("kept", 2), vec![1, 2], None), &Refused::new());
        assert_eq!((files[0].len(), &files[1]), (1, &of(vec![part("q", 1)])));
        assert_eq!((rejected.of(0), rejected.of(1), rejected.records()), (0, 3, 3));
        assert_eq!(rejected.summary(), "n 1");
    }
}
