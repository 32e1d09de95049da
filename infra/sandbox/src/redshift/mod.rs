//! A local stand-in for Amazon Redshift as the Data API shows it: asynchronous statements over a SQL engine and a COPY
//! of its own, kept in one embedded database file.
//!
//! It speaks Redshift's rules and words (types, errors, transactions, load error views), not its speed: one writer at a
//! time, readers beside it. What it does not know it refuses by name; it never answers with something else.
//!
//! One statement's way: `data_api` accepts it, `run` gives it a transaction, `parse` reads it, `plan` turns it into SQL
//! for the embedded database with every type known, `functions` compute as Redshift would, and `copy` loads.

mod catalog;
mod copy;
mod data_api;
pub(crate) mod error;
mod functions;
mod parse;
mod plan;
pub(crate) mod run;
mod sql_type;
#[cfg(test)]
mod test_bench;
mod values;
pub(crate) mod warehouse;

use std::io;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use http::Response;
use http_body_util::Full;

use crate::faults::Faults;
use data_api::DataApi;
use warehouse::Warehouse;

/// Where COPY reads its files from: the sandbox's own object store, or a map in tests.
pub trait ObjectSource: Send + Sync {
    fn open(&self, bucket: &str, key: &str) -> Result<Box<dyn io::Read + Send>, ObjectSourceError>;
}

#[derive(Debug, thiserror::Error)]
pub enum ObjectSourceError {
    #[error("the specified bucket does not exist")]
    NoSuchBucket,
    #[error("the specified key does not exist")]
    NoSuchKey,
    /// S3 is there and does not hand it out: 403 or 503.
    #[error("{}", refused_by_s3(*status))]
    Refused { status: u16 },
    #[error(
        "{}",
        s3_exception("The operation is not valid for the object's storage class,Status 403,Error InvalidObjectState")
    )]
    Archived,
    #[error(transparent)]
    Io(io::Error),
}

/// The warehouse behind one endpoint.
pub struct Service {
    data_api: DataApi,
}

impl Service {
    /// Opens (or creates) the database under `{dir}/redshift/`.
    pub(crate) fn open(
        dir: &Path,
        objects: Arc<dyn ObjectSource>,
        faults: Arc<Faults>,
    ) -> anyhow::Result<Arc<Service>> {
        let folder = dir.join("redshift");
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let warehouse = Warehouse::open(&folder.join("warehouse.db"), objects, faults)
            .with_context(|| format!("cannot open the warehouse in {}", folder.display()))?;
        Ok(Arc::new(Service { data_api: DataApi::new(warehouse) }))
    }

    /// Answers one `X-Amz-Target: RedshiftData.<operation>` request.
    pub async fn handle(self: Arc<Self>, operation: &str, body: Bytes) -> Response<Full<Bytes>> {
        self.data_api.handle(operation, &body).await
    }

    /// Waits for the end of the statement that an answer tells of, if it does.
    pub(crate) async fn wait_until_ended(&self, answer: &Response<Full<Bytes>>) {
        self.data_api.wait_until_ended(answer).await;
    }
}

/// S3's answer as a failed COPY shows it.
fn refused_by_s3(status: u16) -> String {
    let what = match status {
        503 => "Please reduce your request rate.,Status 503,Error SlowDown",
        _ => "Access Denied,Status 403,Error AccessDenied",
    };
    s3_exception(what)
}

fn s3_exception(what: &str) -> String {
    format!("S3ServiceException:{what},Rid SANDBOX,ExtRid SANDBOX,CanRetry 1")
}
