//! Statements from submission to the end of their retention: status, error, results of each entry. In memory: like on
//! AWS they are gone after a day; unlike there also with the process.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::error::{ApiError, ApiResult};
use super::request::{Parameter, Target};
use crate::redshift::error::SqlError;
use crate::redshift::run::{Outcome, ResultSet};
use crate::redshift::values::timestamp::now_micros;
use crate::redshift::warehouse::Stop;

const HOUR: i64 = 3_600_000_000;
/// Management Guide: `data-api`, results and statements are kept for 24 hours, client tokens for 8.
const STATEMENT_RETENTION: i64 = 24 * HOUR;
const TOKEN_RETENTION: i64 = 8 * HOUR;
const MAX_ACTIVE: usize = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Submitted,
    Picked,
    Started,
    Finished,
    Failed,
    Aborted,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Status::Submitted => "SUBMITTED",
            Status::Picked => "PICKED",
            Status::Started => "STARTED",
            Status::Finished => "FINISHED",
            Status::Failed => "FAILED",
            Status::Aborted => "ABORTED",
        }
    }

    pub(super) fn is_final(self) -> bool {
        matches!(self, Status::Finished | Status::Failed | Status::Aborted)
    }
}

/// What was asked for; never changes.
pub(super) struct Submitted {
    pub(super) name: Option<String>,
    pub(super) statements: Vec<String>,
    pub(super) batch: bool,
    pub(super) execution_mode: Option<String>,
    pub(super) target: Target,
    pub(super) parameters: Vec<Parameter>,
    pub(super) process_id: i64,
}

pub(super) struct StatementRecord {
    pub(super) id: String,
    pub(super) submitted: Submitted,
    pub(super) created_at: i64,
    pub(super) stop: Arc<Stop>,
    life: Mutex<Life>,
    ended: watch::Sender<bool>,
}

#[derive(Clone)]
pub(super) struct Life {
    pub(super) status: Status,
    pub(super) error: Option<String>,
    pub(super) updated_at: i64,
    pub(super) entries: Vec<Entry>,
}

/// One statement of a batch, or the only one.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) status: Status,
    pub(super) error: Option<String>,
    /// Returned or affected; -1 before it ran.
    pub(super) rows: i64,
    pub(super) query_id: i64,
    pub(super) started_at: Option<i64>,
    pub(super) updated_at: i64,
    pub(super) result: Option<Arc<ResultSet>>,
}

impl Entry {
    pub(super) fn duration_nanos(&self) -> i64 {
        self.started_at.map_or(-1, |started| (self.updated_at - started).max(0) * 1_000)
    }
}

impl StatementRecord {
    fn new(submitted: Submitted) -> StatementRecord {
        let now = now_micros();
        let waiting = Entry {
            status: Status::Submitted,
            error: None,
            rows: -1,
            query_id: -1,
            started_at: None,
            updated_at: now,
            result: None,
        };
        let entries = vec![waiting; submitted.statements.len()];
        StatementRecord {
            id: uuid::Uuid::new_v4().to_string(),
            submitted,
            created_at: now,
            stop: Stop::new(),
            life: Mutex::new(Life { status: Status::Submitted, error: None, updated_at: now, entries }),
            ended: watch::Sender::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Life> {
        // Every change below is complete before the lock is let go, panic or not.
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn life(&self) -> Life {
        self.lock().clone()
    }

    pub(super) fn picked(&self) {
        let mut life = self.lock();
        life.status = Status::Picked;
        life.updated_at = now_micros();
    }

    pub(super) fn started(&self, index: usize, query_id: i64) {
        let mut life = self.lock();
        let now = now_micros();
        life.status = Status::Started;
        life.updated_at = now;
        if let Some(entry) = life.entries.get_mut(index) {
            entry.status = Status::Started;
            entry.query_id = query_id;
            entry.started_at = Some(now);
            entry.updated_at = now;
        }
    }

    pub(super) fn entry_ended(&self, index: usize, result: Result<Outcome, SqlError>) {
        let mut life = self.lock();
        let now = now_micros();
        life.updated_at = now;
        let Some(entry) = life.entries.get_mut(index) else { return };
        entry.updated_at = now;
        match result {
            Ok(outcome) => {
                entry.status = Status::Finished;
                entry.rows = outcome.rows;
                entry.result = outcome.result.map(Arc::new);
            }
            Err(SqlError::Cancelled) => {
                entry.status = Status::Aborted;
                entry.error = Some(error_text(&SqlError::Cancelled));
            }
            Err(error) => {
                entry.status = Status::Failed;
                entry.error = Some(error_text(&error));
            }
        }
    }

    /// The last word: what became of the whole.
    pub(super) fn ended(&self, result: Result<(), (usize, SqlError)>) {
        let mut life = self.lock();
        life.updated_at = now_micros();
        match result {
            Ok(()) => life.status = Status::Finished,
            Err((index, error)) => {
                life.status = if error == SqlError::Cancelled { Status::Aborted } else { Status::Failed };
                life.error = Some(if self.submitted.batch {
                    format!("Query #{} failed with {}", index + 1, error_text(&error))
                } else {
                    error_text(&error)
                });
                // What could not even begin says why, what came later never ran.
                for (i, entry) in life.entries.iter_mut().enumerate() {
                    if !entry.status.is_final() {
                        let is_culprit = i == index && error != SqlError::Cancelled;
                        entry.status = if is_culprit { Status::Failed } else { Status::Aborted };
                        entry.error = is_culprit.then(|| error_text(&error));
                    }
                }
            }
        }
        drop(life);
        self.ended.send_replace(true);
    }

    /// Returns at the end of the statement or after that long.
    pub(super) async fn wait(&self, seconds: u64) {
        let mut ended = self.ended.subscribe();
        let end = ended.wait_for(|ended| *ended);
        // Running out of time is an answer too; the sender lives as long as the record.
        if let Ok(Err(error)) = tokio::time::timeout(Duration::from_secs(seconds), end).await {
            tracing::debug!(%error, "a statement's record went away while it was waited for");
        }
    }
}

fn error_text(error: &SqlError) -> String {
    format!("ERROR: {error}")
}

#[derive(Default)]
pub(super) struct Registry {
    shelf: Mutex<Shelf>,
}

#[derive(Default)]
struct Shelf {
    by_id: HashMap<String, Arc<StatementRecord>>,
    /// Oldest first, like the tokens: what is too old is found at the front.
    by_age: VecDeque<Arc<StatementRecord>>,
    active: Vec<Arc<StatementRecord>>,
    tokens: HashMap<String, TokenUse>,
    tokens_by_age: VecDeque<(i64, String)>,
    submissions: i64,
}

struct TokenUse {
    fingerprint: String,
    record: Arc<StatementRecord>,
}

impl Shelf {
    fn forget_old(&mut self, now: i64) {
        while self.by_age.front().is_some_and(|record| now - record.created_at >= STATEMENT_RETENTION) {
            if let Some(old) = self.by_age.pop_front() {
                self.by_id.remove(&old.id);
            }
        }
        while self.tokens_by_age.front().is_some_and(|(at, _)| now - at >= TOKEN_RETENTION) {
            if let Some((_, token)) = self.tokens_by_age.pop_front() {
                self.tokens.remove(&token);
            }
        }
        self.active.retain(|record| !record.lock().status.is_final());
    }
}

/// Whether a submission is new, or a retry whose statement is known.
pub(super) enum Submission {
    New(Arc<StatementRecord>),
    Known(Arc<StatementRecord>),
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A process id for the next session: unique while the process lives.
    pub(super) fn next_process_id(&self) -> i64 {
        let mut shelf = self.lock();
        shelf.submissions += 1;
        1_073_741_824 + shelf.submissions
    }

    pub(super) fn submit(
        &self,
        submitted: Submitted,
        token: Option<&str>,
        fingerprint: String,
    ) -> ApiResult<Submission> {
        let now = now_micros();
        let mut shelf = self.lock();
        shelf.forget_old(now);
        if let Some(used) = token.and_then(|token| shelf.tokens.get(token)) {
            if used.fingerprint != fingerprint {
                return Err(ApiError::validation("ClientToken was already used with a different request."));
            }
            return Ok(Submission::Known(Arc::clone(&used.record)));
        }
        if shelf.active.len() >= MAX_ACTIVE {
            return Err(ApiError::too_many_statements());
        }
        let record = Arc::new(StatementRecord::new(submitted));
        shelf.by_id.insert(record.id.clone(), Arc::clone(&record));
        shelf.by_age.push_back(Arc::clone(&record));
        shelf.active.push(Arc::clone(&record));
        if let Some(token) = token {
            shelf.tokens_by_age.push_back((now, token.to_owned()));
            shelf.tokens.insert(token.to_owned(), TokenUse { fingerprint, record: Arc::clone(&record) });
        }
        Ok(Submission::New(record))
    }

    /// By id, or by the id of an entry, `<id>:<n>`.
    pub(super) fn find(&self, id: &str) -> ApiResult<(Arc<StatementRecord>, Option<usize>)> {
        let (whole, entry) = match id.split_once(':') {
            Some((whole, number)) => (whole, Some(number.parse::<usize>().ok())),
            None => (id, None),
        };
        let missing = || ApiError::not_found(id, format!("Query {id} does not exist."));
        let record = self.lock().by_id.get(whole).cloned().ok_or_else(missing)?;
        match entry {
            None => Ok((record, None)),
            Some(Some(number))
                if record.submitted.batch && (1..=record.submitted.statements.len()).contains(&number) =>
            {
                Ok((record, Some(number - 1)))
            }
            Some(_) => Err(missing()),
        }
    }

    /// Newest first.
    pub(super) fn newest_first(&self) -> Vec<Arc<StatementRecord>> {
        self.lock().by_age.iter().rev().cloned().collect()
    }
}
