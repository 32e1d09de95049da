//! The verdict on a failure: its class decides who is tried again, who is set aside and what stops.
//!
//! The failing entry's role comes first; texts are the second source, and every text known here is
//! recorded in `verdict/recorded.toml`. Which sources are loaded is never read from a text: the ledger is asked.

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
const TRANSIENT: [&str; 38] = [
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
    "status 500",
    "status 502",
    "status 503",
    "status 504",
    "error internalerror",
    "we encountered an internal error",
    "error requesttimeout",
    "error expiredtoken",
    "server closed the connection",
    "terminating connection",
    "connection to server was lost",
    "connection closed",
    "broken pipe",
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
        Some(Role::CountCheck | Role::Absent) => Class::Unknown,
        Some(Role::Copy) if says(&MISSING_PART) => Class::MissingPart,
        Some(Role::Copy) if says(&DATA) => Class::Data,
        _ if says(&CONFIGURATION) => Class::Configuration,
        _ => Class::Unknown,
    }
}

/// Whether the statement was refused because its object is somebody else's.
pub(crate) fn lacks_permission(message: &str) -> bool {
    let unnamed = without_names(&message.to_lowercase());
    ["must be owner", "permission denied"].iter().any(|text| unnamed.contains(text))
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

    /// Every text of the fixture: role, class, text.
    fn recorded() -> Vec<(Option<Role>, Class, String)> {
        let fixture: toml::Table = include_str!("verdict/recorded.toml").parse().expect("TOML");
        let one = |entry: &toml::Value| {
            let text = |key: &str| entry.get(key).and_then(toml::Value::as_str);
            let role = text("role").map(|name| role_named(name).unwrap_or_else(|| panic!("{name} is no role")));
            assert!(text("name").is_some() && text("source").is_some(), "{entry}");
            (role, class_named(text("class").expect("a class")), text("text").expect("a text").to_owned())
        };
        fixture["recorded"].as_array().expect("an array").iter().map(one).collect()
    }

    fn role_named(name: &str) -> Option<Role> {
        use Role::{Copy, CountCheck, Delete, GateCheck, Guard, History, Hold, Ledger, Lock, Timeout};
        let all = [Lock, Timeout, Hold, GateCheck, Guard, Delete, Copy, CountCheck, Ledger, History];
        all.into_iter().find(|role| format!("{role:?}").to_lowercase() == name.replace('_', ""))
    }

    fn class_named(name: &str) -> Class {
        use Class::{AlreadyLoaded, Cancelled, Configuration, Data, MissingPart, TooLarge, Transient, Unknown};
        let all = [Transient, Data, MissingPart, Configuration, AlreadyLoaded, TooLarge, Cancelled, Unknown];
        let found = all.into_iter().find(|class| format!("{class:?}").to_lowercase() == name.replace('_', ""));
        found.unwrap_or_else(|| panic!("{name} is no class"))
    }

    #[test]
    fn recorded_messages_have_their_class() {
        let recorded = recorded();
        assert!(recorded.len() > 30);
        for (role, class, message) in recorded {
            assert_eq!(classify(role, &message), class, "{role:?}: {message}");
        }
    }

    #[test]
    fn names_in_a_message_do_not_decide() {
        let copy = Some(Role::Copy);
        for (role, class, message) in [
            (None, Class::Configuration, "column \"is paused\" does not exist in page_view"),
            (None, Class::Configuration, "permission denied for relation slowdown"),
            (copy, Class::Data, "Load into table 'disk full' failed.  Check 'sys_load_error_detail' system table"),
            (
                copy,
                Class::MissingPart,
                "Problem reading s3://b/deadlock_detected/57014 - S3ServiceException:The specified key does not exist.,Status 404",
            ),
            (copy, Class::Unknown, "something nobody has seen"),
            (copy, Class::Unknown, "something nobody has seen [ErrorId: 1-57014abc-67bc80cb57014898]"),
            (copy, Class::Unknown, "the user's table 'rate exceeded' is odd"),
            (None, Class::Unknown, "Relation \"page_view\" already exists"),
            (None, Class::Transient, "Query (168) cancelled on user's request"),
        ] {
            assert_eq!(classify(role, message), class, "{message}");
        }
    }

    #[test]
    fn a_missing_permission_is_told_from_names_that_say_so() {
        assert!(lacks_permission("must be owner of relation page_view"));
        assert!(lacks_permission("permission denied for relation page_view"));
        assert!(!lacks_permission("column \"permission denied\" does not exist in page_view"));
    }

    #[test]
    fn the_role_decides_where_texts_are_alike() {
        let digit = "Invalid digit, Value 'a', Pos 0, Type: Integer";
        let roles = [Role::Guard, Role::Absent, Role::GateCheck, Role::CountCheck];
        let classes = roles.map(|role| classify(Some(role), digit));
        // `Absent` is tried again with the schema read anew; where a person dropped the table, that is told in the end.
        assert_eq!(classes, [Class::AlreadyLoaded, Class::Unknown, Class::Configuration, Class::Unknown]);
        assert_eq!(classify(Some(Role::Guard), "1023"), Class::Transient, "a guard may lose a race too");
    }
}
