//! Preconditions on entity tags and times, for writes and for reads.
//!
//! Writes: `If-None-Match` takes only `*` (S3 user guide, `conditional-writes`). Reads follow RFC 9110 as S3's `GetObject` page does:
//! a true `If-Match` outweighs `If-Unmodified-Since`, a false `If-None-Match` outweighs `If-Modified-Since`.

use s3s::dto::{ETagCondition, Timestamp};
use s3s::{S3Result, s3_error};
use time::OffsetDateTime;

pub(super) fn allow_write(
    current_etag: Option<&str>,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    match if_none_match {
        None => {}
        Some(ETagCondition::Any) if current_etag.is_some() => return Err(failed("If-None-Match")),
        Some(ETagCondition::Any) => {}
        Some(ETagCondition::ETag(_)) => {
            return Err(s3_error!(
                NotImplemented,
                "A header you provided implies functionality that is not implemented: only If-None-Match: * is supported for writes"
            ));
        }
    }
    match (if_match, current_etag) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(s3_error!(NoSuchKey, "The specified key does not exist.")),
        (Some(condition), Some(etag)) if matches(condition, etag) => Ok(()),
        (Some(_), Some(_)) => Err(failed("If-Match")),
    }
}

#[derive(Default)]
pub(super) struct ReadConditions<'a> {
    pub(super) if_match: Option<&'a ETagCondition>,
    pub(super) if_none_match: Option<&'a ETagCondition>,
    pub(super) if_modified_since: Option<&'a Timestamp>,
    pub(super) if_unmodified_since: Option<&'a Timestamp>,
}

impl ReadConditions<'_> {
    pub(super) fn allow(&self, etag: &str, modified_ms: i64) -> S3Result<()> {
        let modified = OffsetDateTime::from_unix_timestamp(modified_ms / 1_000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let since = |at: &Timestamp| OffsetDateTime::from(at.clone());
        match (self.if_match, self.if_unmodified_since) {
            (Some(condition), _) if !matches(condition, etag) => return Err(failed("If-Match")),
            (None, Some(at)) if modified > since(at) => return Err(failed("If-Unmodified-Since")),
            _ => {}
        }
        match (self.if_none_match, self.if_modified_since) {
            (Some(condition), _) if matches(condition, etag) => Err(s3_error!(NotModified)),
            (None, Some(at)) if modified <= since(at) => Err(s3_error!(NotModified)),
            _ => Ok(()),
        }
    }
}

fn matches(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(given) => given.value() == etag,
    }
}

fn failed(condition: &str) -> s3s::S3Error {
    s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold: {condition}")
}

#[cfg(test)]
mod tests {
    use s3s::dto::ETag;

    use super::*;

    fn etag(value: &str) -> ETagCondition {
        ETagCondition::ETag(ETag::Strong(value.to_owned()))
    }

    fn code(result: S3Result<()>) -> String {
        result.map_or_else(|e| e.code().as_str().to_owned(), |()| "ok".to_owned())
    }

    #[test]
    fn if_none_match_star_lets_only_the_first_write_through() {
        assert_eq!(code(allow_write(None, None, Some(&ETagCondition::Any))), "ok");
        assert_eq!(code(allow_write(Some("a"), None, Some(&ETagCondition::Any))), "PreconditionFailed");
        assert_eq!(code(allow_write(None, None, Some(&etag("a")))), "NotImplemented");
    }

    #[test]
    fn if_match_needs_the_very_object() {
        assert_eq!(code(allow_write(Some("a"), Some(&etag("a")), None)), "ok");
        assert_eq!(code(allow_write(Some("b"), Some(&etag("a")), None)), "PreconditionFailed");
        assert_eq!(code(allow_write(None, Some(&etag("a")), None)), "NoSuchKey");
    }

    #[test]
    fn reads_answer_not_modified_or_precondition_failed() {
        let a = etag("a");
        let long_ago = Timestamp::from(OffsetDateTime::UNIX_EPOCH);
        let match_a = ReadConditions { if_match: Some(&a), if_unmodified_since: Some(&long_ago), ..Default::default() };
        assert_eq!(code(match_a.allow("a", 5_000)), "ok");
        assert_eq!(code(match_a.allow("b", 5_000)), "PreconditionFailed");
        let none_a = ReadConditions { if_none_match: Some(&a), ..Default::default() };
        assert_eq!(code(none_a.allow("a", 5_000)), "NotModified");
        let unmodified = ReadConditions { if_unmodified_since: Some(&long_ago), ..Default::default() };
        assert_eq!(code(unmodified.allow("a", 5_000)), "PreconditionFailed");
        let modified = ReadConditions { if_modified_since: Some(&long_ago), ..Default::default() };
        assert_eq!(
            (code(modified.allow("a", 0)), code(modified.allow("a", 5_000))),
            ("NotModified".to_owned(), "ok".to_owned())
        );
    }
}
