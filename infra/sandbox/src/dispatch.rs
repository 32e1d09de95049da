//! Which service answers a request: told from its credential scope, as one endpoint serves all three.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use s3s::{Body, StdError};

use crate::request_counts::RequestCounts;
use crate::scope::{RequestScope, TargetService};
use crate::{redshift, s3, sqs};

/// Above the 1 MiB of an SQS batch in JSON's worst escaping, and any batch of SQL.
const MAX_JSON_BODY_BYTES: usize = 16 * 1024 * 1024;

pub(crate) struct Dispatch {
    pub(crate) s3: s3::Service,
    pub(crate) sqs: Arc<sqs::Service>,
    pub(crate) redshift: Arc<redshift::Service>,
    pub(crate) requests: Arc<RequestCounts>,
}

impl Dispatch {
    pub(crate) async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        if request.uri().path().starts_with("/_sandbox/") {
            return self.own_page(&request);
        }
        let scope = RequestScope::of(request.headers(), request.uri());
        let result = match scope.service {
            TargetService::S3 => {
                let request_id = uuid::Uuid::new_v4().simple().to_string().to_uppercase();
                self.s3.handle(request, s3::Caller { region: scope.region, request_id }).await
            }
            TargetService::Sqs => self.sqs(request, scope.region).await,
            TargetService::RedshiftData => self.redshift(request).await,
            TargetService::Other => {
                let message =
                    format!("the sandbox has no {} service; it has s3, sqs and redshift-data", scope.service_name);
                Ok(json(StatusCode::NOT_IMPLEMENTED, "UnknownServiceException", &message))
            }
        };
        result.unwrap_or_else(|error| {
            tracing::warn!(%error, "a request could not be answered");
            json(StatusCode::BAD_REQUEST, "SerializationException", &error.to_string())
        })
    }

    async fn sqs(&self, request: Request<Incoming>, region: String) -> Result<Response<Body>, StdError> {
        let Some(operation) = operation_of(&request, "AmazonSQS.") else {
            let message = "the sandbox speaks SQS's JSON protocol only; use an SDK or AWS CLI from 2024 or later";
            return Ok(json(StatusCode::BAD_REQUEST, "UnknownOperationException", message));
        };
        let host =
            request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost").to_owned();
        self.requests.add("sqs", &operation);
        let body = read(request).await?;
        let context = sqs::RequestContext { host, region };
        Ok(Arc::clone(&self.sqs).handle(&operation, &body, &context).await.map(Body::from))
    }

    async fn redshift(&self, request: Request<Incoming>) -> Result<Response<Body>, StdError> {
        let Some(operation) = operation_of(&request, "RedshiftData.") else {
            let message = "a Redshift Data API request names its operation as X-Amz-Target: RedshiftData.<Operation>";
            return Ok(json(StatusCode::BAD_REQUEST, "UnknownOperationException", message));
        };
        self.requests.add("redshift-data", &operation);
        let body = read(request).await?;
        Ok(Arc::clone(&self.redshift).handle(&operation, body).await.map(Body::http_body))
    }

    /// `/_sandbox/…`: about the sandbox itself. No bucket name starts with an underscore.
    fn own_page(&self, request: &Request<Incoming>) -> Response<Body> {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/_sandbox/health") => respond(StatusCode::OK, r#"{"status":"ok"}"#.to_owned()),
            (&Method::GET, "/_sandbox/requests") => respond(StatusCode::OK, self.requests.to_json()),
            (_, path) => {
                let message = format!("there is no {path}; try GET /_sandbox/health or /_sandbox/requests");
                json(StatusCode::NOT_FOUND, "NotFound", &message)
            }
        }
    }
}

fn operation_of(request: &Request<Incoming>, prefix: &str) -> Option<String> {
    request.headers().get("x-amz-target")?.to_str().ok()?.strip_prefix(prefix).map(str::to_owned)
}

async fn read(request: Request<Incoming>) -> Result<Bytes, StdError> {
    Ok(Limited::new(request.into_body(), MAX_JSON_BODY_BYTES).collect().await?.to_bytes())
}

fn json(status: StatusCode, error_type: &str, message: &str) -> Response<Body> {
    respond(status, serde_json::json!({ "__type": error_type, "message": message }).to_string())
}

fn respond(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}
