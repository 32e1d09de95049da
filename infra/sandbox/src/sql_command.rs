//! `sandbox sql`: one statement through the Data API, all pages of its result.

use anyhow::{Context, bail};
use aws_sdk_redshiftdata::Client;
use aws_sdk_redshiftdata::error::ProvideErrorMetadata;
use aws_sdk_redshiftdata::operation::describe_statement::DescribeStatementOutput;
use aws_sdk_redshiftdata::types::{Field, StatusString};
use clap::Args;
use common::settings::{LoaderSettings, Warehouse};

use crate::sql_output::{Format, Rows, Value};

const DEFAULT_DATABASE: &str = "dev";
const DEFAULT_WORKGROUP: &str = "sandbox";
/// The Data API's longest wait in one call.
const LONG_POLL_SECS: i32 = 30;

#[derive(Args)]
pub(crate) struct SqlArguments {
    /// The statement
    statement: String,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[arg(long, value_name = "URL", help = "Endpoint [default: AWS_ENDPOINT_URL, else http://127.0.0.1:4566]")]
    pub(crate) endpoint_url: Option<String>,
}

pub(crate) async fn run_sql(
    client: &Client,
    loader: Option<&LoaderSettings>,
    arguments: &SqlArguments,
) -> anyhow::Result<()> {
    match run(client, loader, &arguments.statement).await? {
        Answer::Rows(rows) => print!("{}", arguments.format.render(&rows)),
        Answer::Affected(count) => eprintln!("done, {count} rows affected"),
    }
    Ok(())
}

/// What a statement came to.
enum Answer {
    Rows(Rows),
    Affected(i64),
}

/// The rows of a SELECT.
pub(crate) async fn query(client: &Client, loader: &LoaderSettings, statement: &str) -> anyhow::Result<Rows> {
    match run(client, Some(loader), statement).await? {
        Answer::Rows(rows) => Ok(rows),
        Answer::Affected(_) => bail!("the statement gives no rows"),
    }
}

async fn run(client: &Client, loader: Option<&LoaderSettings>, statement: &str) -> anyhow::Result<Answer> {
    let id = submit(client, loader, statement).await?;
    let finished = wait(client, &id).await?;
    if !matches!(finished.status(), Some(StatusString::Finished)) {
        bail!("{}", finished.error().unwrap_or("the statement did not finish"));
    }
    match finished.has_result_set() {
        Some(true) => Ok(Answer::Rows(fetch(client, &id).await?)),
        _ => Ok(Answer::Affected(finished.result_rows().max(0))),
    }
}

async fn submit(client: &Client, loader: Option<&LoaderSettings>, statement: &str) -> anyhow::Result<String> {
    let request = client.execute_statement().sql(statement);
    let request = match loader {
        None => request.database(DEFAULT_DATABASE).workgroup_name(DEFAULT_WORKGROUP),
        Some(loader) => {
            let request = request.database(&loader.database);
            match &loader.warehouse {
                Warehouse::Workgroup { name, secret_arn } => {
                    request.workgroup_name(name).set_secret_arn(secret_arn.clone())
                }
                Warehouse::Cluster { name, db_user, secret_arn } => {
                    request.cluster_identifier(name).set_db_user(db_user.clone()).set_secret_arn(secret_arn.clone())
                }
            }
        }
    };
    let answer = request.send().await.map_err(service_text)?;
    answer.id.context("the Data API gave the statement no id")
}

async fn wait(client: &Client, id: &str) -> anyhow::Result<DescribeStatementOutput> {
    loop {
        let description = client
            .describe_statement()
            .id(id)
            .wait_time_seconds(LONG_POLL_SECS)
            .send()
            .await
            .map_err(service_text)
            .context("could not follow the statement")?;
        let ended =
            matches!(description.status(), Some(StatusString::Finished | StatusString::Failed | StatusString::Aborted));
        if ended {
            return Ok(description);
        }
    }
}

async fn fetch(client: &Client, id: &str) -> anyhow::Result<Rows> {
    let mut rows = Rows::default();
    let mut token = None;
    loop {
        let page = client
            .get_statement_result()
            .id(id)
            .set_next_token(token)
            .send()
            .await
            .map_err(service_text)
            .context("could not read the result")?;
        if rows.columns.is_empty() {
            let columns = page.column_metadata().iter();
            rows.columns =
                columns.map(|column| column.label().or(column.name()).unwrap_or_default().to_owned()).collect();
        }
        rows.values.extend(page.records().iter().map(|record| record.iter().map(value_of).collect()));
        token = page.next_token;
        if token.is_none() {
            return Ok(rows);
        }
    }
}

fn value_of(field: &Field) -> Value {
    match field {
        Field::BooleanValue(value) => Value::Boolean(*value),
        Field::LongValue(value) => Value::Integer(*value),
        Field::DoubleValue(value) => Value::Double(*value),
        Field::StringValue(value) => Value::Text(value.clone()),
        Field::BlobValue(value) => Value::Text(crate::digest::hex(value.as_ref())),
        _ => Value::Null,
    }
}

/// No service answered at all.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unreachable(String);

/// The service's own words where there are any: an SDK error prints only "service error".
fn service_text<E, R>(error: aws_sdk_redshiftdata::error::SdkError<E, R>) -> anyhow::Error
where
    E: std::error::Error + aws_sdk_redshiftdata::error::ProvideErrorMetadata + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match error.message() {
        Some(message) => anyhow::anyhow!("{message}"),
        None => Unreachable(common::telemetry::chain(&error)).into(),
    }
}
