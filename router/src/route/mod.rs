//! The pure core: bytes of one source object in, parts and counts out.
//!
//! No S3, no SQS, no clock, no environment; one thread, bounded memory. The same core serves the
//! queue and `router split`.

pub mod classify;
pub mod decode;
pub mod drop_rules;
pub mod fixed;
pub mod framing;
pub mod lineage;
pub mod object;
pub mod pieces;
pub mod quarantined;
pub mod routing_id;
pub mod scan;
pub mod sketching;

#[cfg(test)]
mod oracle;
