//! One try at loading one batch into one table: from requests to a committed transaction, or a failure that
//! says what it means and whom it concerns.

use crate::Loader;
use crate::batch::{Member, new_name};
use crate::contents::{self, ContentsError};
use crate::copy_inputs::{self, CopyInputs};
use crate::groups::{self, Group, GroupError};
use crate::ledger;
use crate::mapping::extend::Seen;
use crate::schema::{Schema, SchemaError};
use crate::sql::load::{Copy, LedgerRow};
use crate::table::Table;
use crate::transaction::{Plan, Role, Transaction};
use crate::verdict::{self, Class};
use crate::warehouse::WarehouseError;
use common::telemetry::chain;
use std::time::Instant;
use time::OffsetDateTime;

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

async fn ask<D>(loader: &Loader, table: &mut Table, members: &[Member<D>]) -> Result<ledger::Loaded, LoadFailure> {
    let Loader { warehouse, names, .. } = loader;
    if table.schema.is_none() {
        table.is_fresh = true;
        table.schema = Some(Schema::read(warehouse, names, &table.event).await?);
    }
    Ok(ledger::loaded(warehouse, names, &table.event, members).await?)
}

async fn submit<D>(loader: &Loader, table: &mut Table, members: &[Member<D>]) -> Result<u64, LoadFailure> {
    let Loader { warehouse, names, settings, s3, .. } = loader;
    let (event, bucket, max_depth) = (&table.event, &settings.routed.bucket, settings.loader.max_depth);
    let schema = table.schema.as_mut().expect("the ledger was asked through it");
    let clock = Instant::now();
    let batch = new_name("b");

    // The schema first, in transactions of its own: DDL and COPY in one could deadlock with another loader.
    let contents = contents::of_members(s3, bucket, members).await?;
    let with_parts = members.iter().zip(&contents).filter(|(_, contents)| !contents.parts.is_empty());
    let seen: Vec<Seen<'_>> = with_parts
        .map(|(member, contents)| Seen { records: member.request().records(), node: contents.sketch.as_ref() })
        .collect();
    schema.grow(warehouse, names, event, &seen, max_depth).await?;

    // What COPY reads, before the transaction.
    let groups = groups::group(&schema.mapping, &contents, max_depth)?;
    let mut inputs = Vec::with_capacity(groups.len());
    for group in &groups {
        let written = copy_inputs::write(s3, bucket, &settings.keys, event, group).await;
        inputs.push(written.map_err(|error| LoadFailure::aws(&error, Blame::Table))?);
    }

    // The transaction.
    let plan = Plan {
        batch: &batch,
        event,
        rows: members.iter().map(ledger_row).collect(),
        copies: groups
            .iter()
            .zip(&inputs)
            .map(|(group, inputs)| copy(group, inputs, &settings.loader.iam_role))
            .collect(),
        has_table: schema.has_table(),
        timeout: settings.loader.statement_timeout,
        started_at: OffsetDateTime::now_utc(),
    };
    let transaction = Transaction::new(names, &plan);
    match warehouse.batch(&batch, transaction.statements.clone()).await {
        Ok(()) => {
            let parts: usize = plan.rows.iter().map(|row| row.parts).sum();
            let rows: u64 = plan.rows.iter().map(|row| row.rows).sum();
            tracing::info!(
                event = event.as_str(),
                requests = members.len(),
                parts,
                rows,
                bytes = members.iter().map(|member| member.request().bytes()).sum::<u64>(),
                seconds = clock.elapsed().as_millis() as f64 / 1000.0,
                batch,
                "loaded"
            );
            Ok(rows)
        }
        Err(error) => {
            if matches!(error, WarehouseError::Unanswered { .. }) {
                // Nothing of this batch is submitted again while a statement of its name may still commit. Where that
                // cannot be told, the guard stands in: whoever loads these sources next finds out.
                tokio::select! {
                    () = warehouse.wait_for_named(&batch, settings.loader.statement_timeout) => {}
                    () = loader.shutdown.cancelled() => {}
                }
            }
            Err(LoadFailure::of_transaction(&transaction, &error))
        }
    }
}

fn ledger_row<D>(member: &Member<D>) -> LedgerRow {
    let request = member.request();
    LedgerRow {
        source_id: request.source_id.clone(),
        generation: request.generation,
        parts: request.part_count(),
        rows: request.records(),
        source_time: request.source_time,
    }
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

    fn aws(error: &common::aws_error::AwsError, blame: Blame) -> Self {
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
            _ => Self { class: Class::Unknown, blame: Blame::Batch, what: chain(&error) },
        }
    }
}

impl From<GroupError> for LoadFailure {
    fn from(error: GroupError) -> Self {
        let (class, blame) = match error {
            GroupError::TooMany => (Class::TooLarge, Blame::Batch),
            GroupError::Codec(_) => (Class::Unknown, Blame::Batch),
            GroupError::Mapping(_) => (Class::Configuration, Blame::Table),
        };
        Self { class, blame, what: error.to_string() }
    }
}
