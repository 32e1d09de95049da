//! Errors in the shape AWS SDKs read: the type in a header and in `__type`, the message beside it.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

pub(super) type ApiResult<T> = Result<T, ApiError>;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub(super) struct ApiError {
    kind: &'static str,
    message: String,
    resource: Option<String>,
    status: u16,
}

impl ApiError {
    pub(super) fn validation(message: impl Into<String>) -> ApiError {
        ApiError { kind: "ValidationException", message: message.into(), resource: None, status: 400 }
    }

    /// A request of real AWS that the sandbox does not carry out.
    pub(super) fn unsupported(form: &str, instead: &str) -> ApiError {
        ApiError::validation(format!("the sandbox does not support {form}; {instead}"))
    }

    pub(super) fn not_found(id: &str, message: impl Into<String>) -> ApiError {
        ApiError {
            kind: "ResourceNotFoundException",
            message: message.into(),
            resource: Some(id.to_owned()),
            status: 400,
        }
    }

    pub(super) fn too_many_statements() -> ApiError {
        ApiError {
            kind: "ActiveStatementsExceededException",
            message: "Active statements exceeded the allowed quota (500).".to_owned(),
            resource: None,
            status: 400,
        }
    }

    pub(super) fn unknown_operation(operation: &str) -> ApiError {
        ApiError {
            kind: "UnknownOperationException",
            message: format!("the sandbox does not support the operation RedshiftData.{operation}"),
            resource: None,
            status: 400,
        }
    }

    pub(super) fn serialization(error: &serde_json::Error) -> ApiError {
        ApiError { kind: "SerializationException", message: error.to_string(), resource: None, status: 400 }
    }

    pub(super) fn internal(message: impl Into<String>) -> ApiError {
        ApiError { kind: "InternalServerException", message: message.into(), resource: None, status: 500 }
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let mut body = json!({ "__type": self.kind, "message": self.message });
        if let Some(resource) = self.resource {
            body["ResourceId"] = Value::from(resource);
        }
        respond(self.status, Some(self.kind), &body)
    }
}

pub(super) fn respond(status: u16, error: Option<&'static str>, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/x-amz-json-1.1"));
    if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()) {
        headers.insert("x-amzn-requestid", id);
    }
    if let Some(kind) = error {
        headers.insert("x-amzn-errortype", HeaderValue::from_static(kind));
    }
    response
}
