//! What SET may change. A parameter that would change what statements do and is not honoured here is refused.

use crate::redshift::catalog::DEFAULT_SCHEMA;
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::parse::fold;

#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// In microseconds; `None` for no limit.
    pub(super) statement_timeout: Option<i64>,
    pub(super) search_path: Vec<String>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { statement_timeout: None, search_path: vec![DEFAULT_SCHEMA.to_owned()] }
    }
}

impl Settings {
    pub(super) fn set(&mut self, name: &str, value: &str) -> SqlResult<()> {
        let lower = value.to_ascii_lowercase();
        match name {
            "statement_timeout" => {
                let limit: i64 = value.parse().map_err(|_| {
                    SqlError::new(format!("invalid value for parameter \"statement_timeout\": \"{value}\""))
                })?;
                if !(0..=2_147_483_647).contains(&limit) {
                    return Err(SqlError::new(format!(
                        "{limit} is outside the valid range for parameter \"statement_timeout\" (0 .. 2147483647)"
                    )));
                }
                // 0 turns it off, like DEFAULT.
                self.statement_timeout = (limit > 0).then_some(limit * 1_000);
                Ok(())
            }
            "search_path" => {
                let schemas = value.split(',').map(|schema| fold(schema.trim()));
                // "$user" names a schema nobody has here.
                self.search_path = schemas.filter(|schema| schema != "$user").collect();
                Ok(())
            }
            // Labels only.
            "query_group" | "application_name" | "wlm_query_slot_count" => Ok(()),
            "timezone" | "time zone" if matches!(lower.as_str(), "utc" | "gmt" | "default") => Ok(()),
            "datestyle" if lower.starts_with("iso") => Ok(()),
            // The default says what happens here anyway.
            "enable_case_sensitive_identifier"
            | "enable_case_sensitive_super_attribute"
            | "json_parse_truncate_strings"
                if matches!(lower.as_str(), "off" | "false" | "default") =>
            {
                Ok(())
            }
            "timezone"
            | "time zone"
            | "datestyle"
            | "enable_case_sensitive_identifier"
            | "enable_case_sensitive_super_attribute"
            | "json_parse_truncate_strings" => {
                Err(SqlError::unsupported(format!("SET {name} TO {value}"), "keep the default"))
            }
            other => Err(SqlError::new(format!("unrecognized configuration parameter \"{other}\""))),
        }
    }
}
