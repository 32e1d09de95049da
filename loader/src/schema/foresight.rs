//! What would become of a schema. Changes nothing.

use super::{Rules, Schema, SchemaError, follow_statements};
use crate::mapping::extend::Seen;
use crate::sql::Names;
use crate::sql::ddl::Change;
use common::event_name::EventName;

/// What would become of a schema.
#[derive(Debug)]
pub(crate) struct Outlook {
    pub(crate) changes: Vec<Change>,
    /// The DDL, each in order.
    pub(crate) statements: Vec<String>,
    /// With the mapping as it would be.
    pub(crate) schema: Schema,
}

impl Schema {
    /// What loading these parts would change: the table in words and in statements. Changes nothing.
    pub(crate) fn outlook(
        &self,
        names: &Names,
        event: &EventName,
        parts: &[Seen<'_>],
        rules: Rules,
    ) -> Result<Outlook, SchemaError> {
        let rows = if parts.is_empty() { Vec::new() } else { self.wanted(parts, rules) };
        let is_first = self.version == 0 && !parts.is_empty();
        let changes = self.changes(names, event, &rows, is_first);
        let mut after = self.clone();
        after.mapping.add(rows);
        after.check_types(names, event)?;
        let missing = if parts.is_empty() { Vec::new() } else { self.actual.missing(&after.mapping) };
        let (mut statements, wider) = follow_statements(names, event, &after.mapping, &missing);
        statements.extend(wider);
        Ok(Outlook { changes, statements, schema: after })
    }
}
