//! When an object was last modified: now, in whole seconds, unless its metadata says when.
//!
//! The one thing here that S3 does not do. Tests of backfills need months of old objects, and nobody else may set this time: so the
//! user metadata `sandbox-last-modified` (RFC 3339) is the object's Last-Modified wherever one is shown or compared. A copy takes
//! it along with the other metadata.

use std::collections::BTreeMap;

use s3s::{S3Result, s3_error};

use crate::clock;

const METADATA: &str = "sandbox-last-modified";

pub(super) fn modified_ms(metadata: &BTreeMap<String, String>) -> S3Result<i64> {
    let Some(text) = metadata.get(METADATA) else { return Ok(now_in_seconds()) };
    let at = common::timestamp::parse(text).map_err(|error| {
        s3_error!(InvalidArgument, "x-amz-meta-{METADATA} is {text:?}, which is not an RFC 3339 time: {error}")
    })?;
    Ok(at.unix_timestamp() * 1_000)
}

/// S3's object times have whole seconds, everywhere they are shown.
pub(super) fn now_in_seconds() -> i64 {
    clock::now_ms() / 1_000 * 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> S3Result<i64> {
        modified_ms(&BTreeMap::from([(METADATA.to_owned(), text.to_owned())]))
    }

    #[test]
    fn metadata_sets_the_time_in_whole_seconds() {
        assert_eq!(of("1970-01-02T01:00:00.9+01:00").unwrap(), 86_400_000);
        assert!(modified_ms(&BTreeMap::new()).unwrap() > 1_700_000_000_000);
    }

    #[test]
    fn a_time_that_cannot_be_read_is_refused() {
        assert_eq!(of("yesterday").unwrap_err().code(), &s3s::S3ErrorCode::InvalidArgument);
    }
}
