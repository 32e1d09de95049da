//! What COPY refused of a batch: counted, and kept in quarantine beside what the router found unfit.

use super::check::Refusal;
use super::record::without_lineage;
use super::split::Split;
use crate::Loader;
use crate::batch::Member;
use crate::contents::ContentsError;
use crate::load::{Blame, LoadFailure};
use crate::pieces::{self, PieceWriter};
use crate::sql::load::Codec;
use common::load_request::LoadRequest;
use common::objects;
use common::quarantine::{QuarantinedRecord, Reason, kept_bytes};
use common::seal::{Part, Seal};
use common::settings::Settings;
use std::collections::BTreeMap;
use std::io;
use tokio::task::JoinSet;

/// Quarantine objects that are written at once. Each is held compressed.
const CONCURRENCY: usize = 8;

/// The refused records of a batch's members, so far.
#[derive(Debug, Default)]
pub(crate) struct Rejected {
    of_member: BTreeMap<usize, Refusals>,
    /// The router's part behind each piece.
    made_of: BTreeMap<String, String>,
}

/// Those of one member.
#[derive(Clone, Debug, Default)]
struct Refusals {
    taken: Vec<Taken>,
    /// The quarantine object that holds just them, once it is written.
    key: Option<String>,
}

/// Lines taken out of one part.
#[derive(Clone, Debug)]
struct Taken {
    /// The part that the router wrote.
    of: String,
    lines: Part,
    /// Why each was refused.
    refusals: Vec<Refusal>,
}

impl Rejected {
    /// Records of this member.
    pub(crate) fn of(&self, member: usize) -> u64 {
        self.of_member.get(&member).into_iter().flat_map(|of| &of.taken).map(|taken| taken.lines.records).sum()
    }

    /// Records of all members.
    pub(crate) fn records(&self) -> u64 {
        self.of_member.keys().map(|member| self.of(*member)).sum()
    }

    /// The quarantine object that holds this member's.
    pub(crate) fn key(&self, member: usize) -> Option<&str> {
        self.of_member.get(&member)?.key.as_deref()
    }

    /// Columns with how many records each cost, for the log: `n 2, whole record 1`.
    pub(crate) fn summary(&self) -> String {
        let mut columns: BTreeMap<&str, u64> = BTreeMap::new();
        let taken = self.of_member.values().flat_map(|of| &of.taken);
        for refusal in taken.flat_map(|taken| &taken.refusals) {
            let name = if refusal.column.is_empty() { "whole record" } else { &refusal.column };
            *columns.entry(name).or_default() += 1;
        }
        columns.iter().map(|(column, count)| format!("{column} {count}")).collect::<Vec<_>>().join(", ")
    }

    /// Takes in what a split took out.
    pub(super) fn add(&mut self, member: usize, split: &Split, refusals: Vec<Refusal>) {
        let of = self.made_of.get(&split.of.key).unwrap_or(&split.of.key).clone();
        self.made_of.extend(split.kept.iter().map(|kept| (kept.key.clone(), of.clone())));
        let of_member = self.of_member.entry(member).or_default();
        of_member.key = None;
        of_member.taken.push(Taken { of, lines: split.taken.clone(), refusals });
        // In the order of parts: the same records make the same object, whoever found them first.
        of_member.taken.sort_by(|a, b| a.of.cmp(&b.of));
    }

    /// Writes the quarantine objects that are not written yet. Before the transaction: ledger rows make them count.
    pub(super) async fn write<D>(&mut self, loader: &Loader, members: &[Member<D>]) -> Result<(), LoadFailure> {
        let mut tasks: JoinSet<Result<(usize, Option<String>), LoadFailure>> = JoinSet::new();
        let mut unwritten: Vec<usize> =
            self.of_member.iter().filter(|(_, of)| of.key.is_none()).map(|(member, _)| *member).collect();
        while !(unwritten.is_empty() && tasks.is_empty()) {
            if tasks.len() < CONCURRENCY
                && let Some(member) = unwritten.pop()
            {
                let (s3, settings) = (loader.s3.clone(), loader.settings.clone());
                let (request, taken) = (members[member].request().clone(), self.of_member[&member].taken.clone());
                tasks.spawn(async move { Ok((member, write_one(&s3, &settings, &request, taken).await?)) });
            } else if let Some(written) = tasks.join_next().await {
                let written = written.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
                let (member, key) = written?;
                self.of_member.entry(member).or_default().key = key;
            }
        }
        Ok(())
    }
}

/// Writes the quarantine object of one member; gives its key.
async fn write_one(
    s3: &aws_sdk_s3::Client,
    settings: &Settings,
    request: &LoadRequest,
    taken: Vec<Taken>,
) -> Result<Option<String>, LoadFailure> {
    let (bucket, keys) = (&settings.routed.bucket, &settings.keys);
    let (source_id, generation) = (&request.source_id, request.generation);
    // The request names the source by its id alone.
    let seal_key = keys.seal(source_id, generation);
    let seal = objects::get(s3, bucket, &seal_key).await.map_err(ContentsError::from)?;
    let seal = Seal::parse(&seal_key, &seal).map_err(ContentsError::from)?;
    let template = QuarantinedRecord {
        source: seal.source.uri(),
        source_id: source_id.clone(),
        generation,
        line: 0,
        offset: None,
        reason: Reason::RejectedByCopy,
        detail: String::new(),
        raw: None,
        raw_base64: None,
    };
    let mut writer = PieceWriter::new(Codec::Gzip).map_err(unwritable)?;
    for Taken { of, lines, refusals } in taken {
        let template = template.clone();
        writer = pieces::with_lines(s3, bucket, &lines, move |lines, _| {
            let mut refusals = refusals.iter();
            while let Some((_, line)) = lines.next_line()? {
                writer.line(&quarantined(&template, line, &of, refusals.next()))?;
            }
            Ok(writer)
        })
        .await?;
    }
    let Some(piece) = writer.finish().map_err(unwritable)? else { return Ok(None) };
    let key = keys.rejected(&request.event, request.source_time, source_id, generation, &piece.hash);
    let put = objects::put_bytes_if_absent(s3, &settings.quarantine_bucket, &key, piece.stored).await;
    put.map_err(|error| LoadFailure::aws(&error, Blame::Table))?;
    Ok(Some(key))
}

/// One line of the quarantine object, without its line break.
fn quarantined(template: &QuarantinedRecord, line: &[u8], of: &str, refusal: Option<&Refusal>) -> Vec<u8> {
    let (record, line) = without_lineage(line);
    let (raw, raw_base64) = kept_bytes(&record);
    let mut detail = refusal.map(detail).unwrap_or_default();
    if line.is_none() {
        detail.push_str(&format!(" (in part {of})"));
    }
    let record = QuarantinedRecord { line: line.unwrap_or(0), detail, raw, raw_base64, ..template.clone() };
    serde_json::to_vec(&record).expect("a Vec takes every write, and the keys are strings")
}

fn detail(Refusal { code, column, message }: &Refusal) -> String {
    match (code, column.is_empty()) {
        (0, _) => message.clone(),
        (_, true) => format!("COPY error {code}: {message}"),
        _ => format!("COPY error {code} in column {column:?}: {message}"),
    }
}

fn unwritable(error: io::Error) -> LoadFailure {
    let what = format!("could not compress a quarantine object: {error}");
    LoadFailure { class: crate::verdict::Class::Unknown, blame: Blame::Batch, what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::source::SourceId;

    #[test]
    fn a_refused_record_is_kept_with_redshifts_reason_and_its_sources_line() {
        let template = QuarantinedRecord {
            source: "s3://raw/k".into(),
            source_id: SourceId::new("raw", "k", "e"),
            generation: 2,
            line: 0,
            offset: None,
            reason: Reason::RejectedByCopy,
            detail: String::new(),
            raw: None,
            raw_base64: None,
        };
        let refusal = |code, column: &str| Refusal { code, column: column.into(), message: "no".into() };
        let kept = |line: &str, refusal| -> QuarantinedRecord {
            serde_json::from_slice(&quarantined(&template, line.as_bytes(), "routed/x/p", Some(&refusal)))
                .expect("JSON")
        };
        let one = kept(r#"{"_lr":{"s":"ab","l":7},"n":"x"}"#, refusal(1207, "n"));
        assert_eq!((one.line, one.generation, one.raw.as_deref()), (7, 2, Some(r#"{"n":"x"}"#)));
        assert_eq!(one.detail, "COPY error 1207 in column \"n\": no");
        assert_eq!(kept(r#"{"_lr":{"s":"ab","l":7}}"#, refusal(1216, "")).detail, "COPY error 1216: no");
        let without = kept(r#"{"n":1}"#, refusal(0, ""));
        assert_eq!((without.line, without.detail.as_str()), (0, "no (in part routed/x/p)"));
    }
}
