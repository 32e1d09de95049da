//! What an AWS call answered when it failed: converted here, so that no SDK type leaks further.

use crate::telemetry::chain;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use std::fmt;

/// A failed AWS call: the operation, the thing it was for, and what the service said.
#[derive(Debug)]
pub struct AwsError {
    /// The operation, for example `PutObject`.
    pub operation: &'static str,
    /// What it worked on: a bucket and key, a queue, a statement.
    pub on: String,
    /// The service's error code; none where no answer came.
    pub code: Option<String>,
    /// HTTP status; none where no answer came.
    pub status: Option<u16>,
    message: String,
    request_id: Option<String>,
}

impl AwsError {
    /// Takes what matters out of the SDK's error.
    pub fn new<E>(operation: &'static str, on: impl Into<String>, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let response = error.raw_response();
        let status = response.map(|r| r.status().as_u16());
        let request_id = response.and_then(|r| {
            let names = ["x-amzn-requestid", "x-amz-request-id"];
            names.iter().find_map(|name| r.headers().get(*name)).map(str::to_owned)
        });
        let code = error.code().map(str::to_owned);
        let message = match error.message() {
            Some(message) => message.to_owned(),
            // No answer: the SDK's own words are in the chain of sources.
            None => chain(&error),
        };
        Self { operation, on: on.into(), code, status, message, request_id }
    }

    /// An answer that broke off while its body was read.
    pub fn interrupted(
        operation: &'static str,
        on: impl Into<String>,
        error: &(dyn std::error::Error + 'static),
    ) -> Self {
        Self { operation, on: on.into(), code: None, status: None, message: chain(error), request_id: None }
    }

    /// One entry of a batch call that the service refused.
    pub fn refused(operation: &'static str, on: &str, code: &str, message: &str, callers_fault: bool) -> Self {
        let status = Some(if callers_fault { 400 } else { 500 });
        let (on, code, message) = (on.to_owned(), Some(code.to_owned()), message.to_owned());
        Self { operation, on, code, status, message, request_id: None }
    }

    /// Whether the bucket or queue asked for does not exist, as far as anybody can tell.
    pub fn is_not_found(&self) -> bool {
        matches!(self.code.as_deref(), Some("NoSuchBucket" | "NotFound" | "QueueDoesNotExist"))
            || self.code.as_deref().is_some_and(|c| c.ends_with("NonExistentQueue"))
            || self.status == Some(404)
    }

    /// Whether S3 itself says that there is no such object. A bare 404 does not say so: a proxy or a wrong endpoint
    /// answers that about objects that are there.
    pub fn is_no_such_object(&self) -> bool {
        matches!(self.code.as_deref(), Some("NoSuchKey" | "NoSuchVersion"))
    }

    /// Whether S3 itself says that a condition of the request did not hold (`If-Match`, `If-None-Match`).
    pub fn is_precondition_failed(&self) -> bool {
        self.code.as_deref() == Some("PreconditionFailed")
    }

    /// Whether the same call may succeed later without anybody doing anything: no answer, throttling, 5xx.
    pub fn is_transient(&self) -> bool {
        let throttled = self.code.as_deref().is_some_and(|code| {
            code.contains("Throttl")
                || code.contains("TooManyRequests")
                || code == "SlowDown"
                || code.starts_with("Active")
        });
        throttled || self.status.is_none_or(|status| status >= 500 || status == 429 || status == 409)
    }
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {} failed: ", self.operation, self.on)?;
        if let Some(status) = self.status {
            write!(f, "{status} ")?;
        }
        if let Some(code) = &self.code {
            write!(f, "{code}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(id) = &self.request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}

impl std::error::Error for AwsError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, code: Option<&str>) -> AwsError {
        let code = code.map(str::to_owned);
        let (on, message) = ("s3://raw/k".to_owned(), String::new());
        AwsError { operation: "GetObject", on, code, status: Some(status), message, request_id: None }
    }

    #[test]
    fn only_s3_itself_can_say_that_an_object_is_gone_or_a_condition_failed() {
        let of_a_proxy = [answer(404, None), answer(412, None), answer(404, Some("NotFound"))];
        for error in of_a_proxy.iter().chain([&answer(404, Some("NoSuchBucket"))]) {
            assert!(!error.is_no_such_object() && !error.is_precondition_failed(), "{error}");
        }
        assert!(answer(404, Some("NoSuchKey")).is_no_such_object());
        assert!(answer(404, Some("NoSuchVersion")).is_no_such_object());
        assert!(answer(412, Some("PreconditionFailed")).is_precondition_failed());
    }
}
