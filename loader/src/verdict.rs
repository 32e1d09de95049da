//! The verdict on a failure: its class decides who is tried again, who is set aside and what stops.
//!
//! The failing entry's role comes first; texts are the second source, and every text known here is
//! recorded in the tests. Which sources are loaded is never read from a text: the ledger is asked.

use crate::transaction::Role;

/// What a failure means for what failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The same may succeed later without anybody doing anything.
    Transient,
    /// COPY refused what is in the files.
    Data,
    /// A file that the manifest names is gone.
    MissingPart,
    /// A person must change something: a grant, a role, a schema.
    Configuration,
    /// A source of the batch is in the ledger.
    AlreadyLoaded,
    /// More than one transaction takes: half of it may do.
    TooLarge,
    /// Cut short while it loaded, by its own time limit or by somebody: half of it may do.
    Cancelled,
    /// None of these.
    Unknown,
}

/// Lower-case pieces of messages, as public sources record them.
const TRANSIENT: [&str; 25] = [
    "serializable isolation violation",
    "could not serialize access",
    "conflict with concurrent transaction",
    "concurrent update",
    "could not open relation with oid",
    "deadlock detected",
    "detail: relation does not exist",
    "disk full",
    "resize mode",
    "being resized",
    "is paused",
    "being paused",
    "being resumed",
    "is resuming",
    "in maintenance",
    "system requested abort",
    "connection timeout",
    "connection reset",
    "connection refused",
    "could not connect",
    "curlerror",
    "error slowdown",
    "reduce your request rate",
    "service unavailable",
    "rate exceeded",
];

/// Redshift does not say who cancelled: `statement_timeout`, a queue's rule or a person.
const CANCELLED: [&str; 5] = [
    "cancelled on user's request",
    "canceled on user's request",
    "query cancelled",
    "query canceled",
    "statement timeout",
];

const MISSING_PART: [&str; 2] = ["mandatory url is not present", "the specified key does not exist"];

const DATA: [&str; 3] = ["stl_load_errors", "sys_load_error_detail", "string length exceeds ddl length"];

const CONFIGURATION: [&str; 13] = [
    "permission denied",
    "must be owner",
    "access denied",
    "accessdenied",
    "not authorized",
    "iam role",
    "iam_role",
    "does not exist",
    "nonexistent table",
    "jsonpath",
    "must be addressed using the specified endpoint",
    "cannot alter type of a column used by a view",
    "cannot insert a null value",
];

/// The class of a failed statement; `role` is the failing entry's in a load transaction.
pub(crate) fn classify(role: Option<Role>, message: &str) -> Class {
    let message = message.to_lowercase();
    let says = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
    // Redshift's text for 1023 is nothing but the number, with the rest in the detail.
    let code = message.split([' ', '\n']).next().unwrap_or_default().trim_end_matches(':');
    let unnamed = without_names(&message);
    let is_code = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()) == "57014";
    if unnamed.split_whitespace().any(is_code) || CANCELLED.iter().any(|text| unnamed.contains(text)) {
        // Loading takes the time it takes; every other entry only ever waits for somebody.
        return match role {
            Some(Role::Copy | Role::Delete) => Class::Cancelled,
            _ => Class::Transient,
        };
    }
    if matches!(code, "1023" | "1018") || TRANSIENT.iter().any(|text| unnamed.contains(text)) {
        return Class::Transient;
    }
    match role {
        Some(Role::Guard) => Class::AlreadyLoaded,
        Some(Role::GateCheck) => Class::Configuration,
        Some(Role::CountCheck) => Class::Unknown,
        Some(Role::Copy) if says(&MISSING_PART) => Class::MissingPart,
        Some(Role::Copy) if says(&DATA) => Class::Data,
        _ if says(&CONFIGURATION) => Class::Configuration,
        _ => Class::Unknown,
    }
}

/// A table, column or key may be called anything, also `is paused`: leaves out quoted names and URIs. An
/// apostrophe within a word opens no quote.
fn without_names(message: &str) -> String {
    let unquoted: String = message.split('"').step_by(2).collect();
    let mut kept = String::new();
    let mut rest = unquoted.as_str();
    while let Some(at) = rest.find('\'') {
        let (before, quoted) = (&rest[..at], &rest[at + 1..]);
        kept.push_str(before);
        let is_opening = !before.ends_with(char::is_alphanumeric);
        rest = match quoted.find('\'').filter(|_| is_opening) {
            Some(end) => &quoted[end + 1..],
            None => {
                kept.push('\'');
                quoted
            }
        };
    }
    kept.push_str(rest);
    kept.split(' ').filter(|word| !word.contains("://")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_messages_have_their_class() {
        let copy = Some(Role::Copy);
        for (role, class, message) in [
            (
                copy,
                Class::Data,
                "Load into table 'customer' failed.  Check 'stl_load_errors' system table for details.",
            ),
            (
                copy,
                Class::Data,
                "Load into table 'customer' failed.  Check 'sys_load_error_detail' system table for details. [ErrorId: 1-656a6401-67bc80cb02ba7898069d8916]",
            ),
            (copy, Class::MissingPart, "Mandatory url is not present in manifest file"),
            (
                copy,
                Class::MissingPart,
                "Problem reading manifest file - S3ServiceException:The specified key does not exist.,Status 404,Error NoSuchKey",
            ),
            (
                copy,
                Class::Configuration,
                "Problem reading manifest file - S3ServiceException:The bucket you are attempting to access must be addressed using the specified endpoint.",
            ),
            (copy, Class::Configuration, "S3ServiceException:Access Denied,Status 403,Error AccessDenied"),
            (copy, Class::Configuration, "Cannot COPY into nonexistent table page_view"),
            (
                copy,
                Class::Configuration,
                "Number of jsonpaths and the number of columns should match. JSONPath size: 3, Number of columns in table or column list: 4",
            ),
            (copy, Class::Configuration, "permission denied for relation page_view"),
            (
                copy,
                Class::Transient,
                "AwsClientException: - Failed to perform AWS request, curlError=Connection timeout after 30002 ms",
            ),
            (copy, Class::Cancelled, "Query (168) cancelled on user's request"),
            (copy, Class::Cancelled, "Query (168) canceled on user's request"),
            (copy, Class::Cancelled, "57014 Query cancelled. (NFTSetupSessionStateOnRestore)"),
            (Some(Role::Delete), Class::Cancelled, "Query (168) cancelled on user's request"),
            (Some(Role::Guard), Class::Transient, "Query (168) cancelled on user's request"),
            (None, Class::Transient, "Query (168) cancelled on user's request"),
            (
                copy,
                Class::Transient,
                "S3ServiceException:Please reduce your request rate.,Status 503,Error SlowDown,Rid 1",
            ),
            (copy, Class::Transient, "Disk Full"),
            (copy, Class::Unknown, "something nobody has seen"),
            (
                Some(Role::Lock),
                Class::Transient,
                "1023 DETAIL: Serializable isolation violation on table - 26416290, transactions forming the cycle are: 403386940, 403444165 (pid:1073812017)",
            ),
            (Some(Role::Lock), Class::Transient, "1023"),
            (Some(Role::Lock), Class::Transient, "1018 DETAIL: Relation does not exist."),
            (Some(Role::Hold), Class::Transient, "could not complete because of conflict with concurrent transaction"),
            (Some(Role::Hold), Class::Transient, "could not serialize access due to concurrent update"),
            (Some(Role::Lock), Class::Transient, "could not open relation with OID 12345"),
            (Some(Role::Lock), Class::Transient, "deadlock detected"),
            (Some(Role::Copy), Class::Transient, "Cannot execute write query because system is in resize mode"),
            (Some(Role::Lock), Class::Configuration, "relation \"log_router.gate_x\" does not exist"),
            (None, Class::Configuration, "must be owner of relation page_view"),
            (None, Class::Configuration, "column \"is paused\" does not exist in page_view"),
            (None, Class::Configuration, "permission denied for relation slowdown"),
            (copy, Class::Data, "Load into table 'disk full' failed.  Check 'sys_load_error_detail' system table"),
            (
                copy,
                Class::MissingPart,
                "Problem reading s3://b/deadlock_detected/57014 - S3ServiceException:The specified key does not exist.,Status 404",
            ),
            (copy, Class::Unknown, "something nobody has seen [ErrorId: 1-57014abc-67bc80cb57014898]"),
            (copy, Class::Unknown, "the user's table 'rate exceeded' is odd"),
            (None, Class::Unknown, "Relation \"page_view\" already exists"),
        ] {
            assert_eq!(classify(role, message), class, "{message}");
        }
    }

    #[test]
    fn the_role_decides_where_texts_are_alike() {
        let digit = "Invalid digit, Value 'a', Pos 0, Type: Integer";
        assert_eq!(classify(Some(Role::Guard), digit), Class::AlreadyLoaded);
        assert_eq!(classify(Some(Role::GateCheck), digit), Class::Configuration);
        assert_eq!(classify(Some(Role::CountCheck), digit), Class::Unknown);
        assert_eq!(classify(Some(Role::Guard), "1023"), Class::Transient, "a guard may lose a race too");
    }
}
