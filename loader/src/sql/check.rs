//! Statements that ask what COPY refuses, and why. They load nothing.

use super::Names;
use super::load::{self, Copy};
use common::event_name::EventName;
use time::OffsetDateTime;

/// The COPY of a load that only reads (`NOLOAD`). With `max_errors` it goes on behind refused records and lists them all
/// (database developer guide, `copy-parameters-data-load`; at most 100,000), else it fails at the first.
pub(crate) fn copy(names: &Names, event: &EventName, copy: &Copy<'_>, max_errors: Option<usize>) -> String {
    let sql = load::copy(names, event, copy) + " NOLOAD";
    match max_errors {
        Some(max) => format!("{sql} MAXERROR {max}"),
        None => sql,
    }
}

/// Whose COPYs the view may show.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Copies {
    /// The one of this query id.
    Query(i64),
    /// Those of a session, begun since then: the view's query ids need not be those of `pg_last_copy_id`.
    Session(i64, OffsetDateTime),
}

/// The query that the session's last COPY was, also of one whose data was refused (`PG_LAST_COPY_ID`), and the session. The
/// Data API's own query ids are not those of the views where statements came as a batch.
pub(crate) fn last_copy() -> String {
    "SELECT pg_last_copy_id(), pg_backend_pid()".to_owned()
}

/// What was refused: file, line, column, code, text. The view pads and cuts file names at 256 bytes, and its line is the one
/// a record ends on (`SYS_LOAD_ERROR_DETAIL`).
pub(crate) fn refused_by(copies: Copies, limit: usize) -> String {
    let whose = match copies {
        Copies::Query(query_id) => format!("\"query_id\" = {query_id}"),
        Copies::Session(session_id, since) => {
            format!("\"session_id\" = {session_id} AND \"start_time\" >= '{}'", load::timestamp(since))
        }
    };
    format!(
        "SELECT TRIM(\"file_name\"), \"line_number\", TRIM(\"column_name\"), \"error_code\", TRIM(\"error_message\") \
         FROM sys_load_error_detail WHERE {whose} ORDER BY 1, 2 LIMIT {limit}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::load::Codec;
    use crate::sql::tests::names;

    #[test]
    fn refused_records_are_those_of_one_query_or_of_a_session_since_then() {
        let since = time::macros::datetime!(2025-06-01 10:00 UTC);
        assert!(refused_by(Copies::Query(7), 9).contains(r#" WHERE "query_id" = 7 ORDER BY 1, 2 LIMIT 9"#));
        let session = r#" WHERE "session_id" = 3 AND "start_time" >= '2025-06-01 10:00:00.000000' ORDER BY"#;
        assert!(refused_by(Copies::Session(3, since), 9).contains(session));
    }

    #[test]
    fn a_check_is_the_loads_own_copy_without_loading() {
        let (columns, event) = (["a".to_owned()], EventName::of_type("x"));
        let codec = Codec::Gzip;
        let spec =
            Copy { columns: &columns, manifest_uri: "s3://b/m", jsonpaths_uri: "s3://b/j", codec, iam_role: "default" };
        let loading = load::copy(&names(), &event, &spec);
        assert_eq!(copy(&names(), &event, &spec, None), format!("{loading} NOLOAD"));
        assert_eq!(copy(&names(), &event, &spec, Some(9)), format!("{loading} NOLOAD MAXERROR 9"));
    }
}
