//! Statements that ask what COPY refuses, and why. They load nothing.

use super::Names;
use super::load::{self, Copy};
use common::event_name::EventName;

/// The COPY of a load that only reads (`NOLOAD`). With `max_errors` it goes on behind refused records and lists them all
/// (database developer guide, `copy-parameters-data-load`; at most 100,000), else it fails at the first.
pub(crate) fn copy(names: &Names, event: &EventName, copy: &Copy<'_>, max_errors: Option<usize>) -> String {
    let sql = load::copy(names, event, copy) + " NOLOAD";
    match max_errors {
        Some(max) => format!("{sql} MAXERROR {max}"),
        None => sql,
    }
}

/// The query that the session's last COPY was; also of one whose data was refused (`PG_LAST_COPY_ID`). The Data API's own
/// query ids are not those of the views where statements came as a batch.
pub(crate) fn last_copy_id() -> String {
    "SELECT pg_last_copy_id()".to_owned()
}

/// What one COPY refused: file, line, column, code, text. The view pads and cuts file names at 256 bytes, and its line is
/// the one a record ends on (`SYS_LOAD_ERROR_DETAIL`).
pub(crate) fn refused_by(query_id: i64, limit: usize) -> String {
    format!(
        "SELECT TRIM(\"file_name\"), \"line_number\", TRIM(\"column_name\"), \"error_code\", TRIM(\"error_message\") \
         FROM sys_load_error_detail WHERE \"query_id\" = {query_id} ORDER BY 1, 2 LIMIT {limit}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::load::Codec;
    use crate::sql::tests::names;

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
