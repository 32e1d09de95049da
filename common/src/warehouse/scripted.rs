//! A warehouse that answers as a test says: for tests of what stands on it.

use super::{Client, Target, Warehouse};
use aws_sdk_redshiftdata::config::http::{HttpRequest, HttpResponse};
use aws_sdk_redshiftdata::config::retry::RetryConfig;
use aws_sdk_redshiftdata::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::result::ConnectorError;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// One expected call with its answer: status and body, or no answer.
pub type Answer = (&'static str, Option<(u16, String)>);

/// The calls that are still expected.
#[derive(Clone, Debug)]
pub struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

impl HttpConnector for Script {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
        let (operation, answer) =
            self.answers.lock().expect("no panic while it is held").pop_front().expect("no further call is expected");
        assert_eq!(target, format!("RedshiftData.{operation}"));
        HttpConnectorFuture::ready(match answer {
            Some((status, body)) => {
                Ok(HttpResponse::new(status.try_into().expect("a test's own status"), SdkBody::from(body)))
            }
            None => Err(ConnectorError::io("connection reset".into())),
        })
    }
}

/// A warehouse that answers as scripted, and the script, to see whether all of it was used.
pub fn scripted(answers: Vec<Answer>) -> (Warehouse, Script) {
    let script = Script { answers: Arc::new(Mutex::new(answers.into())) };
    let connector = SharedHttpConnector::new(script.clone());
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .build();
    let target = Target::Workgroup { name: "analytics".into(), secret_arn: None };
    (Warehouse { client: Client::from_conf(config), target, database: "dev".into() }, script)
}

impl Script {
    /// Fails if a call was not made.
    pub fn assert_used_up(&self) {
        assert_eq!(self.left(), 0, "calls that were not made");
    }

    /// Calls that were not made.
    pub fn left(&self) -> usize {
        self.answers.lock().expect("no panic while it is held").len()
    }
}

/// A call that succeeded.
pub fn ok(body: &str) -> Option<(u16, String)> {
    Some((200, body.to_owned()))
}
