//! Asks Redshift which records COPY refuses, and why, without loading anything.

use crate::Loader;
use crate::batch::new_name;
use crate::copy_inputs;
use crate::groups::Group;
use crate::load::{Blame, LoadFailure};
use crate::sql::check::Copies;
use crate::sql::load::{Copy, statement_timeout};
use crate::sql::{BATCH_MAX_ENTRIES, check};
use crate::transaction::Role;
use crate::verdict::{self, Class};
use crate::warehouse::{Classed as _, Ended, Failure, Row, number};
use common::event_name::EventName;
use common::seal::Part;
use common::telemetry::chain;
use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;
use std::time::Duration;
use time::OffsetDateTime;

/// Most records that are taken out of one batch; COPY lists as many (`MAXERROR`). More are held to be the table's fault,
/// and are what a batch may hold of reasons in memory: some 20 MB.
pub(super) const REFUSED_MAX: usize = 100_000;

/// System views show what happened some time after it did: pauses, in milliseconds, before they are looked at (again).
const LOOK_AGAIN_MILLIS: [u64; 6] = [0, 250, 750, 2_000, 5_000, 10_000];

/// How far the loader's clock may be ahead of the warehouse's.
const CLOCKS_APART: Duration = Duration::from_secs(60);

/// The view's `file_name` is a CHAR of so many bytes.
const FILE_NAME_BYTES: usize = 256;

/// Why COPY refuses a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Redshift's load error code; 0 where the view says nothing.
    pub(super) code: u32,
    /// Empty where it is about the whole record.
    pub(super) column: String,
    pub(super) message: String,
}

/// Refused lines by part.
pub(super) type Refused = BTreeMap<String, BTreeMap<u64, Refusal>>;

/// Checks parts as the COPY of one group reads them.
pub(super) struct Check<'a> {
    pub(super) loader: &'a Loader,
    pub(super) event: &'a EventName,
    pub(super) group: &'a Group,
    pub(super) jsonpaths_uri: String,
    /// Whether it was said that the view cannot be read.
    is_said: OnceLock<()>,
}

impl Refusal {
    /// Of a record that COPY refuses alone, without a word in the view.
    pub(super) fn unexplained() -> Self {
        let message = "COPY refuses the record, and sys_load_error_detail does not show the loader why".to_owned();
        Self { code: 0, column: String::new(), message }
    }
}

impl<'a> Check<'a> {
    pub(super) async fn of_group(
        loader: &'a Loader,
        event: &'a EventName,
        group: &'a Group,
    ) -> Result<Self, LoadFailure> {
        let (s3, bucket, keys) = (&loader.s3, &loader.settings.routed.bucket, &loader.settings.keys);
        let inputs = copy_inputs::write(s3, bucket, keys, event, group).await;
        let inputs = inputs.map_err(|error| LoadFailure::aws(&error, Blame::Table))?;
        Ok(Self { loader, event, group, jsonpaths_uri: inputs.jsonpaths_uri, is_said: OnceLock::new() })
    }

    /// What the error view shows to be refused of these parts: nothing where it may not be read, or is late, or where its
    /// files and lines are none of theirs.
    pub(super) async fn listed(&self, parts: &[Part]) -> Result<Refused, LoadFailure> {
        let warehouse = &self.loader.warehouse;
        let keys: Vec<String> = parts.iter().map(|part| part.key.clone()).collect();
        // The first tells whether the view will show anything, the second lists all of it.
        let (any, all) = (self.copy(&keys, None).await?, self.copy(&keys, Some(REFUSED_MAX)).await?);
        let since = OffsetDateTime::now_utc() - CLOCKS_APART;
        let sqls = vec![self.timeout(), any, all, check::last_copy()];
        let ended = warehouse.each_told(&new_name("check"), sqls).await?;
        let [_, any, all, asked] = &ended[..] else { return Ok(Refused::new()) };
        is_refused(all)?;
        if !is_refused(any)? {
            return Ok(Refused::new());
        }
        let Some((query_id, session_id)) = self.last_copy(asked).await? else { return Ok(Refused::new()) };
        let by_query = LOOK_AGAIN_MILLIS.map(|pause| (pause, Copies::Query(query_id)));
        // Last, because it may show the first COPY before it shows all of the second.
        let by_session = session_id.map(|session_id| (0, Copies::Session(session_id, since)));
        for (pause, copies) in by_query.into_iter().chain(by_session) {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            match warehouse.query("load errors", &check::refused_by(copies, REFUSED_MAX)).await {
                Ok(rows) if rows.is_empty() => {}
                Ok(rows) => return Ok(refused(&rows, &self.loader.settings.routed.bucket, parts)),
                Err(error) if error.class() == Class::Transient => return Err(error.into()),
                Err(error) => {
                    if self.is_said.set(()).is_ok() {
                        let (event, why) = (self.event.as_str(), chain(&error));
                        tracing::warn!(
                            event,
                            why,
                            "cannot read sys_load_error_detail: refused records are searched for"
                        );
                    }
                    break;
                }
            }
        }
        Ok(Refused::new())
    }

    /// The query that the last COPY was, and its session, if that could be asked: else refused records are searched for.
    async fn last_copy(&self, asked: &Ended) -> Result<Option<(i64, Option<i64>)>, LoadFailure> {
        if let Some(Failure { message, .. }) = &asked.failure {
            tracing::debug!(event = self.event.as_str(), why = message, "could not ask which query the last COPY was");
            return Ok(None);
        }
        match self.loader.warehouse.rows_of(asked).await {
            Ok(rows) => Ok(rows.first().and_then(|row| Some((number(row, 0).ok()?, number(row, 1).ok())))),
            Err(error) if error.class() == Class::Transient => Err(error.into()),
            Err(_) => Ok(None),
        }
    }

    /// Whether COPY refuses something of each of these sets of parts.
    pub(super) async fn refuses(&self, sets: &[Vec<String>]) -> Result<Vec<bool>, LoadFailure> {
        let mut refuses = Vec::with_capacity(sets.len());
        for sets in sets.chunks(BATCH_MAX_ENTRIES - 1) {
            let mut sqls = vec![self.timeout()];
            for keys in sets {
                sqls.push(self.copy(keys, None).await?);
            }
            let ended = self.loader.warehouse.each_told(&new_name("check"), sqls).await?;
            for copied in ended.iter().skip(1) {
                refuses.push(is_refused(copied)?);
            }
        }
        match refuses.len() == sets.len() {
            true => Ok(refuses),
            false => {
                let what = format!("{} of {} checks were told of by the Data API", refuses.len(), sets.len());
                Err(LoadFailure { class: Class::Unknown, blame: Blame::Batch, what })
            }
        }
    }

    fn timeout(&self) -> String {
        statement_timeout(self.loader.settings.loader.statement_timeout)
    }

    async fn copy(&self, keys: &[String], max_errors: Option<usize>) -> Result<String, LoadFailure> {
        let Loader { s3, settings, names, .. } = self.loader;
        let written = copy_inputs::write_manifest(s3, &settings.routed.bucket, &settings.keys, self.event, keys).await;
        let manifest_uri = written.map_err(|error| LoadFailure::aws(&error, Blame::Table))?;
        let copy = Copy {
            columns: &self.group.columns,
            manifest_uri: &manifest_uri,
            jsonpaths_uri: &self.jsonpaths_uri,
            codec: self.group.codec,
            iam_role: &settings.loader.iam_role,
        };
        Ok(check::copy(names, self.event, &copy, max_errors))
    }
}

/// Whether a COPY failed for its data; any other failure is none of its records'.
fn is_refused(copied: &Ended) -> Result<bool, LoadFailure> {
    let Some(Failure { message, .. }) = &copied.failure else { return Ok(false) };
    match verdict::classify(Some(Role::Copy), message) {
        Class::Data => Ok(true),
        class => {
            let what = format!("could not check which records COPY refuses: {message}");
            Err(LoadFailure { class, blame: Blame::Batch, what })
        }
    }
}

/// Reads the view's rows. Of several for one record the first column's counts.
fn refused(rows: &[Row], bucket: &str, parts: &[Part]) -> Refused {
    // A name that the view cut may be that of several parts, and tells nothing then.
    let mut by_name: HashMap<String, Option<&Part>> = HashMap::new();
    for part in parts {
        let mut uri = format!("s3://{bucket}/{}", part.key);
        uri.truncate(uri.floor_char_boundary(FILE_NAME_BYTES));
        by_name.entry(uri).and_modify(|part| *part = None).or_insert(Some(part));
    }
    let mut refused = Refused::new();
    for row in rows {
        let text = |at: usize| row.get(at).and_then(Option::as_deref).unwrap_or_default().trim();
        let (Some(Some(part)), Ok(line)) = (by_name.get(text(0)), text(1).parse::<u64>()) else { continue };
        if (1..=part.records).contains(&line) {
            let code = text(3).parse().unwrap_or(0);
            let refusal = Refusal { code, column: text(2).to_owned(), message: text(4).to_owned() };
            refused.entry(part.key.clone()).or_default().entry(line).or_insert(refusal);
        }
    }
    refused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(key: &str) -> Part {
        Part { key: key.to_owned(), records: 9, bytes: 90 }
    }

    fn row(file: &str, line: &str) -> Row {
        [file, line, "n   ", "1207", "Invalid digit, Value 'a', Pos 0, Type: Long "]
            .map(|text| Some(text.to_owned()))
            .into()
    }

    #[test]
    fn only_lines_that_a_part_has_are_believed() {
        let parts = [part("x/a.gz"), part("x/b.gz")];
        let rows = [
            row("s3://b/x/a.gz   ", "2"),
            row("s3://b/x/a.gz", "2"),
            row("s3://b/x/a.gz", "0"),
            row("s3://b/x/a.gz", "10"),
            row("s3://b/x/c.gz", "1"),
            row("s3://b/x/b.gz", "-1"),
            vec![None, None],
        ];
        let refused = refused(&rows, "b", &parts);
        let message = "Invalid digit, Value 'a', Pos 0, Type: Long".to_owned();
        let refusal = Refusal { code: 1207, column: "n".into(), message };
        assert_eq!(refused, Refused::from([("x/a.gz".to_owned(), BTreeMap::from([(2, refusal)]))]));
    }

    #[test]
    fn a_name_that_the_view_cut_is_believed_where_it_is_one_parts() {
        let long = "x".repeat(300);
        let shown = |key: &str| format!("s3://b/{key}")[..FILE_NAME_BYTES].to_owned();
        let one = [part(&long), part("y")];
        assert_eq!(refused(&[row(&shown(&long), "1")], "b", &one).keys().collect::<Vec<_>>(), [&long]);
        let two = [part(&format!("{long}1")), part(&format!("{long}2"))];
        assert!(refused(&[row(&shown(&long), "1")], "b", &two).is_empty());
    }
}
