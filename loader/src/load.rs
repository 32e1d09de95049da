//! One try at loading one batch into one table: from requests to a committed transaction, or a failure that
//! says what it means and whom it concerns.

use crate::Loader;
use crate::batch::{Member, new_name};
use crate::contents::{self, Contents, ContentsError};
use crate::copy_inputs::{self, CopyInputs};
use crate::grants;
use crate::groups::{self, Group, UnknownCodec};
use crate::latest;
use crate::ledger;
use crate::mapping::Mapping;
use crate::mapping::extend::Seen;
use crate::pieces::PieceError;
use crate::repair::{Rejected, repair};
use crate::schema::{Rules, Schema, SchemaError};
use crate::split::{File, SplitError, Splitter};
use crate::sql::load::{Copy, LedgerRow};
use crate::table::Table;
use crate::transaction::{Plan, Role, TablePlan, Transaction};
use crate::verdict::{self, Class};
use crate::warehouse::{Classed as _, WarehouseError};
use common::event_name::EventName;
use common::load_request::LoadRequest;
use common::seal::{Part, SealError};
use common::sketch::SketchNode;
use common::telemetry::chain;
use std::sync::Arc;
use std::time::Instant;
use time::OffsetDateTime;

/// How often a batch is repaired before it is given up as it is: every time something was found, so that a batch of
/// many groups and stubborn columns ends.
const REPAIRS_MAX: usize = 20;

/// How often a mapping is grown by what records lack: variants, then the column for whole records, once more where
/// another loader was in between.
const SPLITS_MAX: usize = 3;

/// What one try came to.
#[derive(Debug)]
pub(crate) struct Attempt<D> {
    /// In the ledger now, by this try or an earlier one.
    pub(crate) done: Vec<Member<D>>,
    /// Rows that this try committed; `None` where it committed nothing.
    pub(crate) rows: Option<u64>,
    /// Not in the ledger, and why.
    pub(crate) failed: Option<(Vec<Member<D>>, LoadFailure)>,
}

/// Why a batch was not loaded.
#[derive(Debug)]
pub(crate) struct LoadFailure {
    pub(crate) class: Class,
    pub(crate) blame: Blame,
    /// For people, causes included.
    pub(crate) what: String,
}

/// Whom a failure concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// Every request of the table, whatever it holds.
    Table,
    /// Some request of the batch.
    Batch,
}

/// Loads what the ledger does not have yet.
pub(crate) async fn load<D>(loader: &Loader, table: &mut Table, members: Vec<Member<D>>) -> Attempt<D> {
    // Asked before every try: redelivered requests must not cost a COPY, and the outcome of a lost reply is only here.
    let (mut done, owed) = match ask(loader, table, &members).await {
        Ok(loaded) => ledger::part(members, &loaded),
        Err(failure) => return Attempt { done: Vec::new(), rows: None, failed: Some((members, failure)) },
    };
    if owed.is_empty() {
        return Attempt { done, rows: None, failed: None };
    }
    match submit(loader, table, &owed).await {
        Ok(rows) => {
            done.extend(owed);
            Attempt { done, rows: Some(rows), failed: None }
        }
        Err(failure) => Attempt { done, rows: None, failed: Some((owed, failure)) },
    }
}

/// After a load, and after its messages are deleted: readers may read the table, and its latest view follows it.
pub(crate) async fn show(loader: &Loader, table: &mut Table) {
    let Loader { warehouse, names, settings, .. } = loader;
    let has_table = table.schema.as_ref().is_some_and(Schema::has_table);
    if has_table && !std::mem::replace(&mut table.is_granted, true) {
        grants::relation(warehouse, names, &settings.loader.grant_to, table.event.as_str()).await;
    }
    latest::follow(loader, table).await;
}

/// Asks the ledger which of the members are loaded; reads the table's schema first if it is not known.
pub(crate) async fn ask<D>(
    loader: &Loader,
    table: &mut Table,
    members: &[Member<D>],
) -> Result<ledger::Loaded, LoadFailure> {
    let Loader { warehouse, names, .. } = loader;
    if table.schema.is_none() {
        table.is_fresh = true;
        if let Some(what) = latest::in_the_way(loader, &table.event).await? {
            return Err(LoadFailure { class: Class::Configuration, blame: Blame::Table, what });
        }
        table.schema = Some(Schema::read(warehouse, names, &table.event).await?);
    }
    Ok(ledger::loaded(warehouse, names, &table.event, members).await?)
}

async fn submit<D>(loader: &Loader, table: &mut Table, members: &[Member<D>]) -> Result<u64, LoadFailure> {
    let mut files = files(loader, table, members).await?;
    // Once, as a rule: what COPY refuses is taken out, and the rest tried again.
    let mut rejected = Rejected::default();
    for _ in 0..REPAIRS_MAX {
        match transact(loader, table, members, &files, &rejected).await {
            // A refusal may come from what was remembered of the schema: that is read anew before records are blamed.
            Err(Refused { group: Some(group), .. })
                if table.is_fresh && repair(loader, table, members, &group, &mut files, &mut rejected).await? => {}
            ended => return ended.map_err(|refused| refused.failure),
        }
    }
    transact(loader, table, members, &files, &rejected).await.map_err(|refused| refused.failure)
}

/// Makes the table fit for these members, and tells what each of their parts loads as. [`ask`] comes before.
pub(crate) async fn files<D>(
    loader: &Loader,
    table: &mut Table,
    members: &[Member<D>],
) -> Result<Vec<Vec<File>>, LoadFailure> {
    let Loader { warehouse, names, settings, s3, .. } = loader;
    let (bucket, rules) = (&settings.routed.bucket, Rules::of(settings, &table.event));

    // The schema first, in transactions of its own: DDL and COPY in one could deadlock with another loader.
    let mut contents = contents::of_members(s3, bucket, members).await?;
    let schema = table.schema.as_mut().expect("the ledger was asked through it");
    let event = table.event.clone();
    let splitter = |mapping: Mapping, is_grown| {
        let (s3, bucket, keys) = (s3.clone(), bucket.clone(), settings.keys.clone());
        Splitter { s3, bucket, keys, event: event.clone(), mapping: Arc::new(mapping), is_grown }
    };
    splitter(schema.foreseen(&seen(&contents), rules), false).look_into_hidden(&mut contents).await?;
    schema.grow(warehouse, names, &event, &seen(&contents), rules).await?;
    let left_out = schema.left_out(&seen(&contents), rules);
    table.told.tell(warehouse, names, &event, &left_out, schema.frozen_by()).await?;

    // What each part loads as, by a mapping that holds all of it. What sketches could not promise, the records tell.
    let mut found: Vec<SketchNode> = Vec::new();
    loop {
        match splitter(schema.loadable(rules), !found.is_empty()).files(&contents).await {
            Err(SplitError::Lacking(lacking)) if found.len() < SPLITS_MAX => found.push(*lacking),
            files => return Ok(files?),
        }
        let misfits = found.iter().map(|node| Seen { records: 0, node });
        let seen: Vec<Seen<'_>> = seen(&contents).into_iter().chain(misfits).collect();
        schema.grow(warehouse, names, &event, &seen, rules).await?;
    }
}

/// What the parts of these requests show; a request without parts shows nothing.
fn seen<'c>(contents: &'c [Contents<'_>]) -> Vec<Seen<'c>> {
    let with_parts = contents.iter().filter(|contents| !contents.parts.is_empty());
    let records = |parts: &[Part]| parts.iter().map(|part| part.records).sum();
    with_parts.map(|Contents { parts, sketch }| Seen { records: records(parts), node: sketch.as_ref() }).collect()
}

/// A transaction that did not commit.
struct Refused {
    failure: LoadFailure,
    /// The parts whose data COPY refused, if that is why.
    group: Option<Group>,
}

/// Loads the members' files, without what was rejected of them.
async fn transact<D>(
    loader: &Loader,
    table: &Table,
    members: &[Member<D>],
    files: &[Vec<File>],
    rejected: &Rejected,
) -> Result<u64, Refused> {
    let (clock, batch) = (Instant::now(), new_name("b"));
    let mut prepared = prepare(loader, table, members, files, rejected).await?;
    match commit(loader, &batch, vec![prepared.plan(loader, &table.event)]).await {
        Ok(()) => {
            let rows = prepared.tell_loaded(&table.event, members, &batch, clock);
            if rejected.records() > 0 {
                tracing::warn!(
                    event = table.event.as_str(),
                    records = rejected.records(),
                    columns = rejected.summary(),
                    batch,
                    "COPY refused records: they are in quarantine (rejected_by_copy), all others are loaded"
                );
            }
            Ok(rows)
        }
        Err(Uncommitted { failure, copy, .. }) => {
            Err(Refused { failure, group: copy.map(|copy| prepared.groups.swap_remove(copy)) })
        }
    }
}

/// A table's part in a transaction, with all in place that COPY reads.
#[derive(Debug)]
pub(crate) struct Prepared {
    rows: Vec<LedgerRow>,
    pub(crate) groups: Vec<Group>,
    /// One per group.
    inputs: Vec<CopyInputs>,
    has_table: bool,
    fields_left_out: Option<usize>,
}

/// Checks what is to be loaded, and writes what COPY reads beside it.
pub(crate) async fn prepare<D>(
    loader: &Loader,
    table: &Table,
    members: &[Member<D>],
    files: &[Vec<File>],
    rejected: &Rejected,
) -> Result<Prepared, LoadFailure> {
    let Loader { settings, s3, .. } = loader;
    let schema = table.schema.as_ref().expect("the ledger was asked through it");
    let mut rows = Vec::with_capacity(members.len());
    for (at, (member, files)) in members.iter().zip(files).enumerate() {
        let row = ledger_row(member, rejected.of(at), rejected.key(at));
        check_counts(&row, files, member.request())?;
        rows.push(row);
    }
    let groups = groups::group(files.iter().flatten())?;
    let mut inputs = Vec::with_capacity(groups.len());
    for group in &groups {
        let written = copy_inputs::write(s3, &settings.routed.bucket, &settings.keys, &table.event, group).await;
        inputs.push(written.map_err(|error| LoadFailure::aws(&error, Blame::Table))?);
    }
    let (has_table, fields_left_out) = (schema.has_table(), table.told.fields_left_out());
    Ok(Prepared { rows, groups, inputs, has_table, fields_left_out })
}

impl Prepared {
    pub(crate) fn plan<'a>(&'a self, loader: &'a Loader, event: &'a EventName) -> TablePlan<'a> {
        let iam_role = &loader.settings.loader.iam_role;
        let copies = self.groups.iter().zip(&self.inputs).map(|(group, inputs)| copy(group, inputs, iam_role));
        TablePlan { event, rows: self.rows.clone(), copies: copies.collect(), has_table: self.has_table }
    }

    /// Tells of the committed load, and how many rows it brought the table.
    pub(crate) fn tell_loaded<D>(&self, event: &EventName, members: &[Member<D>], batch: &str, clock: Instant) -> u64 {
        let rows = self.rows.iter().map(|row| row.rows).sum();
        tracing::info!(
            event = event.as_str(),
            requests = members.len(),
            parts = self.rows.iter().map(|row| row.parts).sum::<usize>(),
            rows,
            bytes = members.iter().map(|member| member.request().bytes()).sum::<u64>(),
            fields_left_out = self.fields_left_out,
            seconds = clock.elapsed().as_millis() as f64 / 1000.0,
            batch,
            "loaded"
        );
        rows
    }
}

/// A transaction that did not commit, as far as is known.
#[derive(Debug)]
pub(crate) struct Uncommitted {
    pub(crate) failure: LoadFailure,
    /// Whose statement failed, where a statement of one table did.
    pub(crate) event: Option<EventName>,
    /// Which of the transaction's COPYs refused its data, if that is why.
    copy: Option<usize>,
}

/// The transaction: of one table, or of several in the order of their names.
pub(crate) async fn commit(loader: &Loader, batch: &str, tables: Vec<TablePlan<'_>>) -> Result<(), Uncommitted> {
    let Loader { warehouse, names, settings, .. } = loader;
    let timeout = settings.loader.statement_timeout;
    let transaction = Transaction::new(names, &Plan { batch, tables, timeout, started_at: OffsetDateTime::now_utc() });
    let Err(error) = warehouse.batch(batch, transaction.statements.clone()).await else { return Ok(()) };
    if matches!(error, WarehouseError::Unanswered { .. }) {
        // Nothing of this batch is submitted again while a statement of its name may still commit. Where that
        // cannot be told, the guard stands in: whoever loads these sources next finds out. The time limit is each
        // statement's, and COPYs are what takes time.
        let limit = timeout * u32::try_from(transaction.copies().max(1)).unwrap_or(u32::MAX);
        loader.shutdown.run_until_cancelled(warehouse.wait_for_named(batch, limit)).await;
    }
    let failure = LoadFailure::of_transaction(&transaction, &error);
    let entry = match &error {
        WarehouseError::Failed(failed) => failed.entry,
        _ => None,
    };
    let event = entry.and_then(|entry| transaction.event(entry)).cloned();
    let copy = entry.filter(|_| failure.class == Class::Data).and_then(|entry| transaction.copy(entry));
    Err(Uncommitted { failure, event, copy })
}

/// The request's own row, whatever became of its parts.
fn ledger_row<D>(member: &Member<D>, rejected: u64, quarantine_key: Option<&str>) -> LedgerRow {
    let request = member.request();
    LedgerRow {
        source_id: request.source_id.clone(),
        generation: request.generation,
        parts: request.part_count(),
        rows: request.records() - rejected.min(request.records()),
        rejected,
        quarantine_key: quarantine_key.map(str::to_owned),
        source_time: request.source_time,
    }
}

/// Nothing is submitted that does not add up: what is loaded and what is rejected are what the seal says.
fn check_counts(row: &LedgerRow, files: &[File], request: &LoadRequest) -> Result<(), LoadFailure> {
    let loaded: u64 = files.iter().map(|file| file.part.records).sum();
    let sealed = request.records();
    if loaded == row.rows && loaded + row.rejected == sealed {
        return Ok(());
    }
    let what = format!("{loaded} records to be loaded and {} rejected are not the {sealed} of the seal", row.rejected);
    Err(LoadFailure { class: Class::Unknown, blame: Blame::Batch, what })
}

fn copy<'a>(group: &'a Group, inputs: &'a CopyInputs, iam_role: &'a str) -> (Copy<'a>, u64) {
    let CopyInputs { manifest_uri, jsonpaths_uri } = inputs;
    (Copy { columns: &group.columns, manifest_uri, jsonpaths_uri, codec: group.codec, iam_role }, group.records)
}

impl LoadFailure {
    fn of_transaction(transaction: &Transaction, error: &WarehouseError) -> Self {
        let WarehouseError::Failed(failure) = error else {
            return Self { class: error.class(), blame: Blame::Batch, what: chain(error) };
        };
        let role = failure.entry.and_then(|entry| transaction.role(entry));
        let class = verdict::classify(role, &failure.message);
        // The gate is the table's, and so is everything before the guard.
        let blame = match role {
            Some(Role::Lock | Role::Timeout | Role::Hold | Role::GateCheck) => Blame::Table,
            _ => Blame::Batch,
        };
        let what = match role {
            Some(role) => format!("{}: {} (statement {})", role.failed(), failure.message, failure.id),
            None => failure.to_string(),
        };
        Self { class, blame, what }
    }

    pub(crate) fn aws(error: &common::aws_error::AwsError, blame: Blame) -> Self {
        let class = match (error.is_transient(), error.is_no_such_object()) {
            (true, _) => Class::Transient,
            (_, true) => Class::MissingPart,
            _ => Class::Configuration,
        };
        Self { class, blame, what: error.to_string() }
    }
}

impl From<WarehouseError> for LoadFailure {
    fn from(error: WarehouseError) -> Self {
        Self { class: error.class(), blame: Blame::Table, what: chain(&error) }
    }
}

impl From<SchemaError> for LoadFailure {
    fn from(error: SchemaError) -> Self {
        Self { class: error.class(), blame: Blame::Table, what: chain(&error) }
    }
}

impl From<ContentsError> for LoadFailure {
    fn from(error: ContentsError) -> Self {
        match &error {
            ContentsError::Unreadable(cause) => Self::aws(cause, Blame::Batch),
            // Nothing is wrong with it: it waits for a newer loader, as long as that takes.
            ContentsError::Unusable(SealError::TooNew { .. }) => {
                Self { class: Class::Configuration, blame: Blame::Table, what: chain(&error) }
            }
            _ => Self { class: Class::Unknown, blame: Blame::Batch, what: chain(&error) },
        }
    }
}

impl From<PieceError> for LoadFailure {
    fn from(error: PieceError) -> Self {
        match &error {
            PieceError::Aws(cause) => Self::aws(cause, Blame::Batch),
            _ => Self { class: Class::Unknown, blame: Blame::Batch, what: chain(&error) },
        }
    }
}

impl<E: Into<LoadFailure>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self { failure: error.into(), group: None }
    }
}

impl From<UnknownCodec> for LoadFailure {
    fn from(error: UnknownCodec) -> Self {
        Self { class: Class::Unknown, blame: Blame::Batch, what: error.to_string() }
    }
}

impl From<SplitError> for LoadFailure {
    fn from(error: SplitError) -> Self {
        match error {
            SplitError::Piece(error) => error.into(),
            // The mapping was grown by what it lacked, as often as that helps: some of these records have no place.
            SplitError::Lacking(_) | SplitError::Unbalanced { .. } => {
                Self { class: Class::Unknown, blame: Blame::Batch, what: chain(&error) }
            }
        }
    }
}
