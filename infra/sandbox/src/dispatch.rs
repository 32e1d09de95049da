//! Which service answers a request: told from its credential scope, as one endpoint serves all three.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use s3s::{Body, StdError};

use crate::faults::{Faults, Kind, Place, Refused, ReplyLost, Turn};
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
    pub(crate) faults: Arc<Faults>,
}

impl Dispatch {
    /// Fails where nobody is to hear of the answer: the connection is then closed.
    pub(crate) async fn handle(&self, request: Request<Incoming>) -> Result<Response<Body>, ReplyLost> {
        if request.uri().path().starts_with("/_sandbox/") {
            return Ok(self.own_page(request).await);
        }
        let scope = RequestScope::of(request.headers(), request.uri());
        let result = match scope.service {
            TargetService::S3 => {
                let request_id = uuid::Uuid::new_v4().simple().to_string().to_uppercase();
                self.s3.handle(request, s3::Caller::new(scope.region, request_id)).await
            }
            TargetService::Sqs => self.sqs(request, scope.region).await,
            TargetService::RedshiftData => self.redshift(request).await,
            TargetService::Other => {
                let message =
                    format!("the sandbox has no {} service; it has s3, sqs and redshift-data", scope.service_name);
                Ok(json(StatusCode::NOT_IMPLEMENTED, "UnknownServiceException", &message))
            }
        };
        result.or_else(|error| {
            if let Some(lost) = error.downcast_ref::<ReplyLost>() {
                return Err(*lost);
            }
            tracing::warn!(%error, "a request could not be answered");
            Ok(json(StatusCode::BAD_REQUEST, "SerializationException", &error.to_string()))
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
        let turn = match self.turn("sqs", &operation, &body).await {
            Ok(turn) => turn,
            Err(refused) => return Ok(refusal(&refused, "RequestThrottled", "InternalFailure")),
        };
        let context = sqs::RequestContext { host, region };
        let answer = Arc::clone(&self.sqs).handle(&operation, &body, &context).await;
        heard(turn, answer.map(Body::from))
    }

    async fn redshift(&self, request: Request<Incoming>) -> Result<Response<Body>, StdError> {
        let Some(operation) = operation_of(&request, "RedshiftData.") else {
            let message = "a Redshift Data API request names its operation as X-Amz-Target: RedshiftData.<Operation>";
            return Ok(json(StatusCode::BAD_REQUEST, "UnknownOperationException", message));
        };
        self.requests.add("redshift-data", &operation);
        let body = read(request).await?;
        let turn = match self.turn("redshift-data", &operation, &body).await {
            Ok(turn) => turn,
            Err(refused) => return Ok(refusal(&refused, "ThrottlingException", "InternalServerException")),
        };
        let answer = Arc::clone(&self.redshift).handle(&operation, body).await;
        if turn == Turn::AnswerNobody {
            // What the reply would have told is over by then: nothing is left to hope for.
            self.redshift.wait_until_ended(&answer).await;
        }
        heard(turn, answer.map(Body::http_body))
    }

    async fn turn(&self, service: &str, operation: &str, body: &[u8]) -> Result<Turn, Refused> {
        if self.faults.is_empty() {
            return Ok(Turn::Answer);
        }
        let text = String::from_utf8_lossy(body);
        self.faults.at_request(&Place { service, operation, text: &text }).await
    }

    /// `/_sandbox/…`: about the sandbox itself. No bucket name starts with an underscore.
    async fn own_page(&self, request: Request<Incoming>) -> Response<Body> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        match (&method, path.as_str()) {
            (&Method::GET, "/_sandbox/health") => respond(StatusCode::OK, r#"{"status":"ok"}"#.to_owned()),
            (&Method::GET, "/_sandbox/requests") => respond(StatusCode::OK, self.requests.to_json()),
            (&Method::GET, "/_sandbox/faults") => respond(StatusCode::OK, self.faults.list().to_string()),
            (&Method::POST, "/_sandbox/faults") => match read(request).await {
                Ok(body) => match self.faults.add(&body) {
                    Ok(id) => respond(StatusCode::CREATED, serde_json::json!({ "id": id }).to_string()),
                    Err(why) => json(StatusCode::BAD_REQUEST, "ValidationException", &why),
                },
                Err(error) => json(StatusCode::BAD_REQUEST, "SerializationException", &error.to_string()),
            },
            (&Method::DELETE, "/_sandbox/faults") => {
                self.faults.clear();
                respond(StatusCode::OK, "{}".to_owned())
            }
            (&Method::DELETE, path) if fault_id(path).is_some_and(|id| self.faults.remove(id)) => {
                respond(StatusCode::OK, "{}".to_owned())
            }
            (_, path) => {
                let message = format!(
                    "there is no {method} {path}; try GET /_sandbox/health, /_sandbox/requests or /_sandbox/faults"
                );
                json(StatusCode::NOT_FOUND, "NotFound", &message)
            }
        }
    }
}

fn fault_id(path: &str) -> Option<u64> {
    path.strip_prefix("/_sandbox/faults/")?.parse().ok()
}

/// The answer, unless nobody is to hear of it.
fn heard(turn: Turn, answer: Response<Body>) -> Result<Response<Body>, StdError> {
    match turn {
        Turn::Answer => Ok(answer),
        Turn::AnswerNobody => Err(ReplyLost.into()),
    }
}

/// A refusal in AWS JSON; the services' words for the same differ.
fn refusal(refused: &Refused, throttled: &str, failed: &str) -> Response<Body> {
    let (status, error_type) = match refused.kind {
        Kind::Throttle => (StatusCode::BAD_REQUEST, throttled),
        Kind::AccessDenied => (StatusCode::BAD_REQUEST, "AccessDeniedException"),
        Kind::PausedWarehouse => (StatusCode::BAD_REQUEST, "ValidationException"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, failed),
    };
    json(status, error_type, &refused.message)
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
