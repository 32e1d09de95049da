//! One fault as it is asked for: what goes wrong, where, and how often.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The request is refused because there are too many.
    Throttle,
    /// The request is refused with the service's own failure, status 500.
    ServerError,
    /// The request is refused: no permission.
    AccessDenied,
    /// The request is carried out, a statement to its end, and its connection closed without an answer.
    LostReply,
    /// The request waits first.
    Slow,
    /// Statements are refused: the warehouse is paused, resizes or is in maintenance.
    PausedWarehouse,
    /// The statement fails with a text of one's choice.
    StatementFails,
    /// The statement fails as one of two that cannot be put in an order.
    SerializationFailure,
    /// The statement waits first, with its transaction.
    SlowStatement,
    /// S3 refuses COPY a file, a manifest or a `JSONPaths` file.
    ObjectRefused,
    /// The message is in its queue twice.
    DuplicateMessage,
    /// The newest messages come first.
    ReorderedMessages,
    /// S3 tells nobody of the object.
    DroppedNotification,
}

impl Kind {
    /// What goes wrong with a request as such.
    pub(crate) const OF_REQUESTS: [Self; 6] =
        [Self::Throttle, Self::ServerError, Self::AccessDenied, Self::LostReply, Self::Slow, Self::PausedWarehouse];

    /// What goes wrong with one statement of a transaction.
    pub(crate) const OF_STATEMENTS: [Self; 3] = [Self::StatementFails, Self::SerializationFailure, Self::SlowStatement];
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    pub(crate) fault: Kind,
    /// `s3`, `sqs` or `redshift-data`; any where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    /// Any where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    /// A piece of the request, statement, message or key; any where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contains: Option<String>,
    /// How many that fit are let through first.
    #[serde(default)]
    pub(super) after: u64,
    /// How often it strikes; until it is taken back where there is no number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) times: Option<u64>,
    /// The text of what fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// Of an object that is refused: 403 or 503.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// How long what is slow waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) millis: Option<u64>,
}

/// Where a fault may strike.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) service: &'a str,
    pub(crate) operation: &'a str,
    pub(crate) text: &'a str,
}

impl Fault {
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let fault: Self = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let needs = |what: &str, is: bool, must: bool| match (is, must) {
            (false, true) => Err(format!("a fault {} needs {what}", fault.name())),
            (true, false) => Err(format!("a fault {} has no {what}", fault.name())),
            _ => Ok(()),
        };
        let is_slow = matches!(fault.fault, Kind::Slow | Kind::SlowStatement);
        needs("\"millis\"", fault.millis.is_some(), is_slow)?;
        let has_text = matches!(fault.fault, Kind::StatementFails | Kind::PausedWarehouse);
        needs(
            "\"error\"",
            fault.error.is_some(),
            has_text && (fault.fault == Kind::StatementFails || fault.error.is_some()),
        )?;
        if fault.status.is_some_and(|status| fault.fault != Kind::ObjectRefused || ![403, 503].contains(&status)) {
            return Err("\"status\" is 403 or 503, and of object_refused only".to_owned());
        }
        if fault.service.as_deref().is_some_and(|service| !["s3", "sqs", "redshift-data"].contains(&service)) {
            return Err("\"service\" is s3, sqs or redshift-data".to_owned());
        }
        if fault.times == Some(0) {
            return Err("\"times\" is at least 1; leave it out for a fault that stays".to_owned());
        }
        Ok(fault)
    }

    fn name(&self) -> String {
        serde_json::to_value(self.fault).map(|name| name.to_string()).unwrap_or_default()
    }

    pub(super) fn fits(&self, place: &Place<'_>) -> bool {
        self.service.as_deref().is_none_or(|service| service == place.service)
            && self.operation.as_deref().is_none_or(|operation| operation == place.operation)
            && self.contains.as_deref().is_none_or(|piece| place.text.contains(piece))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Fault, String> {
        Fault::parse(text.as_bytes())
    }

    #[test]
    fn a_fault_strikes_where_all_that_it_names_is() {
        let fault =
            parse(r#"{"fault":"throttle","service":"sqs","operation":"SendMessage","contains":"abc"}"#).unwrap();
        let place = Place { service: "sqs", operation: "SendMessage", text: "xabcx" };
        assert!(fault.fits(&place));
        for other in [
            Place { service: "s3", ..place },
            Place { operation: "SendMessageBatch", ..place },
            Place { text: "ab c", ..place },
        ] {
            assert!(!fault.fits(&other), "{other:?}");
        }
        assert!(parse(r#"{"fault":"throttle"}"#).unwrap().fits(&place));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (text, why) in [
            ("{}", "fault"),
            (r#"{"fault":"earthquake"}"#, "earthquake"),
            (r#"{"fault":"throttle","tiems":1}"#, "tiems"),
            (r#"{"fault":"throttle","times":0}"#, "times"),
            (r#"{"fault":"throttle","millis":1}"#, "millis"),
            (r#"{"fault":"throttle","error":"x"}"#, "error"),
            (r#"{"fault":"throttle","service":"S3"}"#, "service"),
            (r#"{"fault":"slow"}"#, "millis"),
            (r#"{"fault":"statement_fails"}"#, "error"),
            (r#"{"fault":"object_refused","status":404}"#, "status"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(parse(r#"{"fault":"paused_warehouse"}"#).is_ok());
        assert!(parse(r#"{"fault":"paused_warehouse","error":"x"}"#).is_ok());
    }
}
