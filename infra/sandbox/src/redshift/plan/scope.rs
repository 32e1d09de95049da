//! Which columns a name may mean, inner query first, and which of them a grouped query may show.

use super::{OutputColumn, Planner, Typed};
use crate::redshift::error::{SqlError, SqlResult};

#[derive(Debug, Default)]
pub(super) struct Scope {
    pub(super) relations: Vec<ScopeRelation>,
    /// Select list entries by alias: later entries, WHERE, GROUP BY and HAVING may use them (lateral aliases).
    pub(super) aliases: Vec<(String, Typed)>,
    /// The planned GROUP BY expressions.
    pub(super) group_keys: Vec<String>,
    pub(super) saw_aggregate: bool,
    pub(super) in_aggregate: bool,
    pub(super) allow_aggregates: bool,
    /// Columns named outside aggregates and not (yet) found to be part of a group key.
    pub(super) loose: Vec<String>,
}

#[derive(Debug, Clone)]
pub(super) struct ScopeRelation {
    /// What the planned SQL calls it.
    pub(super) alias: String,
    /// What the user calls it.
    pub(super) name: String,
    pub(super) schema: Option<String>,
    pub(super) columns: Vec<OutputColumn>,
    /// Columns merged into the left side by USING: found by their qualified name only.
    pub(super) merged: Vec<String>,
}

impl ScopeRelation {
    pub(super) fn answers_to(&self, schema: Option<&str>, name: &str) -> bool {
        self.name == name && (schema.is_none() || self.schema.as_deref() == schema)
    }

    pub(super) fn column(&self, name: &str) -> Option<Typed> {
        let column = self.columns.iter().find(|column| column.name == name)?;
        let sql = match self.alias.as_str() {
            "" => column.sql_name.clone(),
            alias => format!("{alias}.{}", column.sql_name),
        };
        Some(Typed::new(sql, column.ty))
    }

    fn has_twice(&self, name: &str) -> bool {
        self.columns.iter().filter(|column| column.name == name).count() > 1
    }
}

impl Planner<'_> {
    pub(super) fn scope(&mut self) -> &mut Scope {
        if self.scopes.is_empty() {
            self.scopes.push(Scope::default());
        }
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    /// An unqualified column; `None` where no relation in sight has it.
    pub(super) fn find_column(&mut self, name: &str) -> SqlResult<Option<Typed>> {
        for level in (0..self.scopes.len()).rev() {
            let scope = &self.scopes[level];
            let mut found: Option<(Typed, String)> = None;
            for relation in &scope.relations {
                if relation.merged.iter().any(|merged| merged == name) {
                    continue;
                }
                if let Some(column) = relation.column(name) {
                    if found.is_some() || relation.has_twice(name) {
                        return Err(SqlError::new(format!("column reference \"{name}\" is ambiguous")));
                    }
                    found = Some((column, format!("{}.{name}", relation.name)));
                }
            }
            if let Some((column, shown)) = found {
                self.note_use(level, &column.sql, shown);
                return Ok(Some(column));
            }
            if let Some((_, aliased)) = scope.aliases.iter().find(|(alias, _)| alias == name) {
                return Ok(Some(aliased.clone()));
            }
        }
        Ok(None)
    }

    pub(super) fn find_qualified(
        &mut self,
        schema: Option<&str>,
        table: &str,
        column: &str,
    ) -> SqlResult<Option<Typed>> {
        for level in (0..self.scopes.len()).rev() {
            let Some(relation) = self.scopes[level].relations.iter().find(|r| r.answers_to(schema, table)) else {
                continue;
            };
            if relation.has_twice(column) {
                return Err(SqlError::new(format!("column reference \"{column}\" is ambiguous")));
            }
            let Some(found) = relation.column(column) else {
                return Err(SqlError::new(format!("column {table}.{column} does not exist")));
            };
            let shown = format!("{}.{column}", relation.name);
            self.note_use(level, &found.sql, shown);
            return Ok(Some(found));
        }
        Ok(None)
    }

    /// The complaint about a column nobody has: names the table where only one can be meant.
    pub(super) fn no_such_column(&self, name: &str) -> SqlError {
        let tables: Vec<_> = self.scopes.last().map(|scope| scope.relations.iter().collect()).unwrap_or_default();
        match tables.as_slice() {
            [only] => SqlError::new(format!("column \"{name}\" does not exist in {}", only.name)),
            _ => SqlError::new(format!("column \"{name}\" does not exist")),
        }
    }

    fn note_use(&mut self, level: usize, sql: &str, shown: String) {
        let scope = &mut self.scopes[level];
        if !scope.in_aggregate && !scope.group_keys.iter().any(|key| key == sql) {
            scope.loose.push(shown);
        }
    }

    /// A whole expression that is a group key makes the columns in it good.
    pub(super) fn settle_group_key(&mut self, mark: usize, sql: &str) {
        let scope = self.scope();
        if scope.loose.len() > mark && scope.group_keys.iter().any(|key| key == sql) {
            scope.loose.truncate(mark);
        }
    }
}
