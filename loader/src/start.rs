//! What must hold before the first receive. Each failure is one message that names the setting and the fix.

use crate::bookkeeping::{self, ClaimError};
use crate::sql::{Names, ask};
use crate::sweep::Sweeper;
use crate::warehouse::{Warehouse, WarehouseError};
use common::clients::Clients;
use common::load_request::Lane;
use common::objects::{BucketError, check_bucket};
use common::queue::{LaneQueues, Queue, QueueError};
use common::settings::{Settings, Warehouse as Target};

/// The loader cannot start.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct StartError(#[from] Cause);

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Bucket(#[from] BucketError),
    #[error(
        "{setting}: no statement runs in database {database:?} of {warehouse}: check the name, permissions, region and endpoint"
    )]
    Warehouse {
        setting: &'static str,
        database: String,
        warehouse: String,
        #[source]
        cause: WarehouseError,
    },
    #[error(
        "loader.bookkeeping_schema: schema {schema:?} cannot be prepared: grant CREATE on the database, or make the schema and grant ALL on it"
    )]
    Bookkeeping {
        schema: String,
        #[source]
        cause: WarehouseError,
    },
    #[error(transparent)]
    Claim(#[from] ClaimError),
}

/// Opens the queues and the warehouse.
pub(crate) async fn open(settings: &Settings, clients: &Clients) -> Result<(LaneQueues, Warehouse, Names), StartError> {
    Ok(check(settings, clients).await?)
}

/// Opens what the sweep needs beside that.
pub(crate) async fn sweeper(
    settings: &Settings,
    clients: &Clients,
    queue: &Queue,
    warehouse: &Warehouse,
    names: &Names,
) -> Result<Sweeper, StartError> {
    let opened = Sweeper::open(settings, clients, queue.clone(), warehouse.clone(), names.clone()).await;
    opened.map_err(|error| Cause::from(error).into())
}

async fn check(settings: &Settings, clients: &Clients) -> Result<(LaneQueues, Warehouse, Names), Cause> {
    let queues = LaneQueues::open(&clients.sqs, &settings.routed.queues, "routed").await?;
    if queues.get(Lane::Backfill).is_none() {
        let queue = &settings.routed.queues.backfill;
        tracing::warn!(queue, "there is no backfill lane: create the queue before old logs are loaded again");
    }
    check_bucket(&clients.s3, &settings.routed.bucket, "routed.bucket").await?;
    // Needed only once COPY refuses a record: too late to find out that it is not there.
    check_bucket(&clients.s3, &settings.quarantine_bucket, "quarantine.bucket").await?;
    let warehouse = Warehouse::new(clients.redshift.clone(), &settings.loader);
    warehouse.query("start", &ask::reachable()).await.map_err(|cause| {
        let (setting, warehouse) = match &settings.loader.warehouse {
            Target::Workgroup { name, .. } => ("loader.workgroup", format!("workgroup {name:?}")),
            Target::Cluster { name, .. } => ("loader.cluster", format!("cluster {name:?}")),
        };
        Cause::Warehouse { setting, database: settings.loader.database.clone(), warehouse, cause }
    })?;
    let names = Names::of(settings);
    let prepared = bookkeeping::prepare(&warehouse, &names).await;
    prepared.map_err(|cause| Cause::Bookkeeping { schema: names.bookkeeping.clone(), cause })?;
    let location = format!("s3://{}/{}", settings.routed.bucket, settings.keys.seals);
    bookkeeping::claim(&warehouse, &names, &location).await?;
    Ok((queues, warehouse, names))
}
