//! Which service and region a request is meant for, read from its `SigV4` credential scope.
//!
//! Nothing here verifies a signature: the scope is only an address.

use http::{HeaderMap, Uri};

use crate::DEFAULT_REGION;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TargetService {
    S3,
    Sqs,
    RedshiftData,
    /// A service the sandbox does not have.
    Other,
}

/// Travels with an S3 request as an extension, since `s3s` itself sees every request as anonymous.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestScope {
    pub(crate) service: TargetService,
    /// The scope's own word for the service, for error messages.
    pub(crate) service_name: String,
    pub(crate) region: String,
}

impl RequestScope {
    pub(crate) fn of(headers: &HeaderMap, uri: &Uri) -> Self {
        let credential = headers
            .get(http::header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(credential_of_authorization)
            .or_else(|| credential_of_query(uri));
        // ACCESS_KEY/DATE/REGION/SERVICE/aws4_request; an access key may itself hold slashes, so count from the end.
        if let Some(credential) = credential {
            let mut parts = credential.rsplit('/');
            if let (Some("aws4_request"), Some(service), Some(region)) = (parts.next(), parts.next(), parts.next()) {
                return Self::new(service, region);
            }
        }
        match headers.get("x-amz-target").and_then(|value| value.to_str().ok()).and_then(|t| t.split_once('.')) {
            Some(("AmazonSQS", _)) => Self::new("sqs", DEFAULT_REGION),
            Some(("RedshiftData", _)) => Self::new("redshift-data", DEFAULT_REGION),
            _ => Self::new("s3", DEFAULT_REGION),
        }
    }

    fn new(service: &str, region: &str) -> Self {
        let target = match service {
            "s3" => TargetService::S3,
            "sqs" => TargetService::Sqs,
            "redshift-data" => TargetService::RedshiftData,
            _ => TargetService::Other,
        };
        Self { service: target, service_name: service.to_owned(), region: region.to_owned() }
    }
}

fn credential_of_authorization(value: &str) -> Option<String> {
    let rest = value.split_once("Credential=")?.1;
    rest.split([',', ' ']).next().map(str::to_owned)
}

fn credential_of_query(uri: &Uri) -> Option<String> {
    let value = uri.query()?.split('&').find_map(|pair| pair.strip_prefix("X-Amz-Credential="))?;
    Some(percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(authorization: Option<&str>, target: Option<&str>, uri: &str) -> RequestScope {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert("authorization", value.parse().unwrap());
        }
        if let Some(value) = target {
            headers.insert("x-amz-target", value.parse().unwrap());
        }
        RequestScope::of(&headers, &uri.parse().unwrap())
    }

    #[test]
    fn the_credential_scope_names_service_and_region() {
        let auth = "AWS4-HMAC-SHA256 Credential=any/20261121/eu-west-1/redshift-data/aws4_request, SignedHeaders=host, Signature=0";
        let found = scope(Some(auth), Some("AmazonSQS.SendMessage"), "/");
        assert_eq!((found.service, found.region.as_str()), (TargetService::RedshiftData, "eu-west-1"));
    }

    #[test]
    fn a_presigned_url_carries_its_scope_in_the_query() {
        let found = scope(None, None, "/b/k?X-Amz-Credential=any%2F20261121%2Feu-west-1%2Fs3%2Faws4_request&x=1");
        assert_eq!((found.service, found.region.as_str()), (TargetService::S3, "eu-west-1"));
    }

    #[test]
    fn without_a_scope_the_target_header_decides_and_s3_is_the_rest() {
        assert_eq!(scope(None, Some("AmazonSQS.SendMessage"), "/").service, TargetService::Sqs);
        assert_eq!(scope(None, Some("RedshiftData.ExecuteStatement"), "/").service, TargetService::RedshiftData);
        assert_eq!(scope(None, None, "/bucket/key").service, TargetService::S3);
    }

    #[test]
    fn a_service_the_sandbox_lacks_keeps_its_name() {
        let auth =
            "AWS4-HMAC-SHA256 Credential=any/20261121/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=0";
        let found = scope(Some(auth), None, "/");
        assert_eq!((found.service, found.service_name.as_str()), (TargetService::Other, "kinesis"));
    }
}
