//! The message by which we ask the router for an object ourselves: backfill, sweep, repair, replay. It travels on the raw
//! queues, beside S3's notifications.

use crate::event_name::EventName;
use serde::{Deserialize, Serialize};

/// The format this code writes, and the highest it reads.
pub const ROUTE_REQUEST_VERSION: u32 = 1;

/// The member that tells these messages from S3's.
const MARKER: &str = "log_router";
const MARKED: &str = "route";

/// Why an object is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// A person replays old logs.
    Backfill,
    /// A sweep found it without a seal.
    Sweep,
    /// An audit found something missing or doubled.
    Repair,
    /// Quarantined records are to be tried again.
    Replay,
}

/// A whole object routed again, as its next generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replace {
    /// The replace's id, which its seals carry: an object whose highest seal has it is done.
    pub id: String,
    /// The generation to be made: one above the highest there was. Whoever writes its seal first has it.
    pub generation: u32,
    /// The rules that it is to be routed by; `None`: whatever rules the router has.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub routing_id: Option<String>,
}

/// A raw object that is to be routed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteRequest {
    /// [`ROUTE_REQUEST_VERSION`] at writing.
    pub version: u32,
    /// Always the same: what this message is.
    log_router: String,
    /// The raw object's bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// The contents that are meant, without quotes.
    pub etag: String,
    /// Its version, in a versioned bucket, where it is not the current one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version_id: Option<String>,
    /// Why it is asked for.
    pub why: Why,
    /// Routed again even if it is sealed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replace: Option<Replace>,
    /// Announced to the loader at once; `None`: all. What is not stays owed, and the loader's sweep announces it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub events: Option<Vec<EventName>>,
}

/// A message of ours that cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum RouteRequestError {
    /// Ours, and broken.
    #[error("the message is no route request")]
    Malformed(#[source] serde_json::Error),
    /// Written by a newer release: to be returned for later, never poison.
    #[error(
        "route request version {0} is newer than {ROUTE_REQUEST_VERSION}, the newest this release knows: upgrade it"
    )]
    TooNew(u64),
}

impl RouteRequest {
    /// Asks for the current contents of a key, as long as they have this ETag.
    pub fn new(bucket: &str, key: &str, etag: &str, why: Why) -> Self {
        Self {
            version: ROUTE_REQUEST_VERSION,
            log_router: MARKED.to_owned(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            etag: etag.trim_matches('"').to_owned(),
            version_id: None,
            why,
            replace: None,
            events: None,
        }
    }

    /// Reads a message body; `None` if it is none of ours.
    pub fn read(body: &serde_json::Value) -> Option<Result<Self, RouteRequestError>> {
        if body.get(MARKER)?.as_str() != Some(MARKED) {
            return None;
        }
        let version = body["version"].as_u64().unwrap_or_default();
        if version > u64::from(ROUTE_REQUEST_VERSION) {
            return Some(Err(RouteRequestError::TooNew(version)));
        }
        Some(Self::deserialize(body).map_err(RouteRequestError::Malformed))
    }

    /// The message body, in ASCII: keys may hold characters that SQS refuses (SQS API, `SendMessage`).
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string(self).expect("a route request has string keys only, so it always serialises");
        if json.is_ascii() {
            return json;
        }
        let mut ascii = String::with_capacity(json.len());
        for character in json.chars() {
            if character.is_ascii() {
                ascii.push(character);
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    ascii.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
        ascii
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_request_survives_its_message_whatever_its_key_holds() {
        let mut request = RouteRequest::new("raw", "a\u{1}é\u{fffe}𝄞\".gz", "\"e\"", Why::Replay);
        let replace = Replace { id: "r".into(), generation: 2, routing_id: Some("01234567".into()) };
        (request.replace, request.events) = (Some(replace), Some(vec![EventName::of_type("a")]));
        let body = request.to_json();
        assert!(body.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{body}");
        let read = RouteRequest::read(&serde_json::from_str(&body).expect("JSON")).expect("ours").expect("whole");
        assert_eq!((&read, read.etag.as_str()), (&request, "e"));
    }

    #[test]
    fn other_messages_are_not_ours_and_newer_ones_are_told() {
        assert!(RouteRequest::read(&json!({"Records": []})).is_none());
        let newer = RouteRequest::read(&json!({"log_router": "route", "version": 2}));
        assert!(matches!(newer, Some(Err(RouteRequestError::TooNew(2)))));
        let broken = RouteRequest::read(&json!({"log_router": "route", "version": 1}));
        assert!(matches!(broken, Some(Err(RouteRequestError::Malformed(_)))));
    }
}
