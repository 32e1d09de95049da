//! Who backfills what, and how far: one small object for each, so that `status` can tell and a second one who does the
//! same knows it. It decides nothing: what is done is what is sealed.

use super::progress::{Left, Progress};
use aws_sdk_s3::Client;
use common::aws_error::AwsError;
use common::keys::KeyLayout;
use common::source::hex16;
use common::{objects, timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::Instant;

/// Silent for this long means dead.
const DEAD_AFTER: time::Duration = time::Duration::minutes(2);

/// Renewed this often.
const RENEW: Duration = Duration::from_secs(15);

/// Backfills of one selection at once that are told apart.
const SEATS: usize = 16;

/// What is told of a backfill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Of this form.
    pub version: u32,
    /// Host and process, for people, and something that no other process has.
    pub owner: String,
    /// Which objects.
    pub what: String,
    /// Whether its process routes, without the raw queue.
    pub is_direct: bool,
    /// The replace that it is, if it is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replace_id: Option<String>,
    /// How it stands.
    pub state: State,
    /// When it began.
    #[serde(with = "timestamp")]
    pub started_at: OffsetDateTime,
    /// When this was written.
    #[serde(with = "timestamp")]
    pub renewed_at: OffsetDateTime,
    /// Objects that the plan found to do.
    pub to_route: u64,
    /// Done of them.
    pub done: u64,
    /// Records of what its process saw sealed.
    pub records: u64,
    /// Of them in quarantine.
    pub quarantined: u64,
    /// Sent or begun, and not sealed yet.
    pub in_work: u64,
    /// What is left, once it has ended.
    #[serde(default)]
    pub left: Left,
}

/// How a backfill stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// At work, as far as it said.
    Running,
    /// All is sealed.
    Done,
    /// Ended, and something is left.
    Incomplete,
    /// Ended before its end, by a person.
    Interrupted,
}

impl Report {
    /// Whether it is at work and was heard of lately.
    pub fn is_alive(&self, now: OffsetDateTime) -> bool {
        self.state == State::Running && now - self.renewed_at < DEAD_AFTER
    }
}

/// This backfill's object.
pub(super) struct Board {
    s3: Client,
    bucket: String,
    key: String,
    etag: Option<String>,
    report: Report,
    written: Instant,
}

/// Every backfill that was told of, the newest first.
pub(super) async fn reports(s3: &Client, bucket: &str, keys: &KeyLayout) -> Result<Vec<Report>, AwsError> {
    let mut reports = Vec::new();
    for key in objects::list(s3, bucket, &keys.backfill_root()).await? {
        if let Some((bytes, _)) = objects::get_with_etag(s3, bucket, &key).await?
            && let Ok(report) = serde_json::from_slice::<Report>(&bytes)
        {
            reports.push(report);
        }
    }
    reports.sort_by_key(|report| std::cmp::Reverse(report.started_at));
    Ok(reports)
}

impl Board {
    /// Takes a seat. Tells how many others do the same at this moment.
    pub(super) async fn join(
        s3: &Client,
        bucket: &str,
        keys: &KeyLayout,
        report: Report,
    ) -> Result<(Self, usize), AwsError> {
        let now = OffsetDateTime::now_utc();
        let folder = format!("{}{}", keys.backfill_root(), hex16(&[report.what.as_bytes()]));
        let (mut board, mut others) = (None, 0);
        for seat in 0..SEATS {
            let key = format!("{folder}-{seat:02}.json");
            let found = objects::get_with_etag(s3, bucket, &key).await?;
            let is_end = found.is_none();
            let etag = match found {
                Some((bytes, etag)) => {
                    let there = serde_json::from_slice::<Report>(&bytes);
                    if there.is_ok_and(|there| there.is_alive(now)) {
                        others += 1;
                        continue;
                    }
                    Some(etag)
                }
                None => None,
            };
            if board.is_none() {
                match objects::put_if_unchanged(s3, bucket, &key, etag.as_deref(), json(&report)).await? {
                    Some(etag) => board = Some((key, etag)),
                    None => others += 1,
                }
            }
            if is_end && board.is_some() {
                break;
            }
        }
        let (key, etag) = match board {
            Some((key, etag)) => (key, Some(etag)),
            // Everybody is at work; this one is not told of.
            None => (String::new(), None),
        };
        let (s3, bucket) = (s3.clone(), bucket.to_owned());
        Ok((Self { s3, bucket, key, etag, report, written: Instant::now() }, others))
    }

    /// Says how far it is, every now and then.
    pub(super) async fn renew(&mut self, progress: &Progress) {
        if self.written.elapsed() >= RENEW {
            self.write(State::Running, progress, &Left::default()).await;
        }
    }

    /// The last word.
    pub(super) async fn end(mut self, state: State, progress: &Progress, left: &Left) {
        self.write(state, progress, left).await;
    }

    /// What cannot be written is not told; the work goes on.
    async fn write(&mut self, state: State, progress: &Progress, left: &Left) {
        let Some(etag) = &self.etag else { return };
        self.written = Instant::now();
        self.report = Report {
            state,
            renewed_at: OffsetDateTime::now_utc(),
            done: progress.done,
            records: progress.records,
            quarantined: progress.quarantined,
            in_work: progress.in_work,
            left: left.clone(),
            ..self.report.clone()
        };
        let etag = etag.clone();
        match self.write_over(&etag).await {
            Ok(etag) => self.etag = etag,
            Err(error) => tracing::debug!(%error, "could not write how far the backfill is"),
        }
    }

    /// Writes over what has this ETag. A write whose reply was lost has left another one, and is this process's own.
    /// `None`: it was silent for so long that another took its seat.
    async fn write_over(&self, etag: &str) -> Result<Option<String>, AwsError> {
        let Self { s3, bucket, key, report, .. } = self;
        if let Some(etag) = objects::put_if_unchanged(s3, bucket, key, Some(etag), json(report)).await? {
            return Ok(Some(etag));
        }
        let found = objects::get_with_etag(s3, bucket, key).await?;
        let own = found.filter(|(bytes, _)| {
            let there = serde_json::from_slice::<Report>(bytes);
            there.is_ok_and(|there| (there.owner, there.started_at) == (report.owner.clone(), report.started_at))
        });
        match own {
            Some((_, etag)) => objects::put_if_unchanged(s3, bucket, key, Some(&etag), json(report)).await,
            None => Ok(None),
        }
    }
}

fn json(report: &Report) -> Vec<u8> {
    serde_json::to_vec_pretty(report).expect("it has string keys only, so it always serialises")
}

/// Host and process.
pub(super) fn owner() -> String {
    // Where the kernel tells the name, no variable has to be asked for it.
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "unknown host" } else { host.trim() };
    format!("{host}, process {}", std::process::id())
}
