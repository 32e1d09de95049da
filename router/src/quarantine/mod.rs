//! Quarantine as a person asks about it: what is there, what the records are, and another try at them.
//!
//! A quarantine object exists only if the highest seal of its source names it or, for what COPY refused, the highest ledger
//! row. So everything here goes through seals and ledgers; nobody lists the prefix, where orphans lie too. `held` walks
//! them, `records` reads what they name, `list` counts, `plan` says what a replay would do and `replay` does it. A replay is
//! a replace and nothing else: identity, lineage and once-ness are the replace's.

mod due;
mod event;
mod held;
mod list;
mod plan;
mod raw;
mod records;
mod replay;
mod selection;
mod standing;

pub use held::{Held, HeldObject, Unbalanced};
pub use list::{Group, Listing};
pub use plan::{Notice, Options, Plan, PlanError};
pub use raw::Refusal;
pub use records::{Unreadable, records};
pub use replay::{Progress, ReplayError, Replayed, Way};
pub use selection::{InvalidSince, Selection, Since};

use crate::route::routing_id::routing_id;
use common::aws_error::AwsError;
use common::clients::Clients;
use common::keys::KeyLayout;
use common::replace::Place;
use common::seals::SealReadError;
use common::settings::Settings;
use common::warehouse::{Warehouse, WarehouseError};
use event::Events;

/// Quarantine objects of one deployment, and what they are found by. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Quarantine {
    s3: aws_sdk_s3::Client,
    raw_bucket: String,
    raw_prefix: String,
    routed_bucket: String,
    bucket: String,
    keys: KeyLayout,
    warehouse: Warehouse,
    bookkeeping_schema: String,
    events: Events,
    /// The rules that a replay routes by.
    routing_id: String,
    lineage: bool,
}

/// What keeps anybody from knowing what is in quarantine.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    /// The index of seals, or a quarantine object, could not be read.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// A seal cannot be used.
    #[error("the quarantine of a source cannot be told")]
    Seal(#[source] SealReadError),
    /// Its seal contradicts itself.
    #[error("the seal of {uri} contradicts itself")]
    Unbalanced {
        /// The source.
        uri: String,
        /// How.
        #[source]
        source: Unbalanced,
    },
    /// A ledger names what no seal is behind.
    #[error(
        "the ledger of {event} has records of source {source_id} in quarantine, and that has no seal: nothing under seals.prefix may ever be deleted"
    )]
    Unsealed {
        /// The event.
        event: String,
        /// The source.
        source_id: String,
    },
    /// The warehouse could not be asked.
    #[error(
        "the ledgers could not be asked what COPY refused: check the permissions of who runs this on loader.bookkeeping_schema, or leave them out with --reason and one of the router's reasons"
    )]
    Ledgers(#[source] WarehouseError),
    /// A quarantine object is not what its name says.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

impl QuarantineError {
    /// Whether the same may succeed a moment later.
    fn is_transient(&self) -> bool {
        match self {
            Self::Aws(error) | Self::Seal(SealReadError::Aws(error)) => error.is_transient(),
            _ => false,
        }
    }

    /// Whether it is about one source alone, so that the others can be told all the same.
    pub fn is_of_one_source(&self) -> bool {
        match self {
            Self::Seal(SealReadError::Unusable(_))
            | Self::Unbalanced { .. }
            | Self::Unsealed { .. }
            | Self::Unreadable(_) => true,
            Self::Seal(SealReadError::Aws(error)) | Self::Aws(error) => error.is_no_such_object(),
            Self::Ledgers(_) => false,
        }
    }
}

impl Quarantine {
    /// Of these settings.
    pub fn new(settings: &Settings, clients: &Clients) -> Self {
        Self {
            s3: clients.s3.clone(),
            raw_bucket: settings.raw.bucket.clone(),
            raw_prefix: settings.raw.prefix.clone(),
            routed_bucket: settings.routed.bucket.clone(),
            bucket: settings.quarantine_bucket.clone(),
            keys: settings.keys.clone(),
            warehouse: Warehouse::new(clients.redshift.clone(), &settings.loader),
            bookkeeping_schema: settings.loader.bookkeeping_schema.clone(),
            events: Events::new(&settings.router),
            routing_id: routing_id(&settings.router),
            lineage: settings.router.lineage,
        }
    }

    /// Where documents of replaces lie.
    fn place(&self) -> Place<'_> {
        Place { s3: &self.s3, bucket: &self.routed_bucket, keys: &self.keys }
    }

    /// The URI of a quarantine object.
    pub fn uri(&self, object: &HeldObject) -> String {
        format!("s3://{}/{}", self.bucket, object.key)
    }
}
