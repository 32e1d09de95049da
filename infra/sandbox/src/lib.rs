//! S3, SQS and the Redshift Data API on one local endpoint, so that the whole pipeline runs on a laptop.
//!
//! Router and loader know it only as an endpoint URL. It keeps AWS's documented behaviour for the operations the product uses and
//! refuses the others by name; it is no security boundary: every access key is accepted and no signature is checked.

pub mod cli;
mod clock;
mod database;
mod demo;
mod digest;
mod dispatch;
mod faults;
mod form_encoding;
pub mod provision;
pub mod redshift;
mod request_counts;
mod s3;
mod scope;
mod server;
mod sql_command;
mod sql_output;
mod sqs;
#[cfg(test)]
mod test_stack;

pub use server::{Sandbox, SandboxOptions};

/// The one account everything in the sandbox belongs to.
pub const ACCOUNT_ID: &str = "000000000000";

/// The region of a request that names none.
pub const DEFAULT_REGION: &str = "us-east-1";
