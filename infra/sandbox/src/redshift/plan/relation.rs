//! FROM: tables, views, system views, sub-SELECTs, joins, and arrays unnested beside their table.

use sqlparser::ast::{
    Join, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, TableAlias, TableFactor, TableWithJoins,
};

use super::scope::ScopeRelation;
use super::{OutputColumn, Planner, Rows, system};
use crate::redshift::catalog::{self, Relation};
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::parse::{fold_ident, is_reserved, object_name, parse_query};
use crate::redshift::sql_type::SqlType;

/// Views reading views reading views: a cycle would otherwise never end.
const MAX_VIEW_DEPTH: usize = 32;

impl Planner<'_> {
    /// The FROM clause's SQL; its relations enter the current scope.
    pub(super) fn from(&mut self, tables: &[TableWithJoins]) -> SqlResult<String> {
        let mut parts = Vec::with_capacity(tables.len());
        for table in tables {
            let joined = self.joined(table)?;
            parts.push(if table.joins.is_empty() || tables.len() == 1 { joined } else { format!("({joined})") });
        }
        let mut names: Vec<&str> = self.scopes.last().map_or(Vec::new(), |scope| {
            scope.relations.iter().map(|relation| relation.name.as_str()).filter(|name| !name.is_empty()).collect()
        });
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(SqlError::new(format!("table name \"{}\" specified more than once", pair[0])));
        }
        Ok(parts.join(", "))
    }

    fn joined(&mut self, table: &TableWithJoins) -> SqlResult<String> {
        let mut sql = self.factor(&table.relation)?;
        for join in &table.joins {
            sql = self.join(sql, join)?;
        }
        Ok(sql)
    }

    fn join(&mut self, left: String, join: &Join) -> SqlResult<String> {
        let right = self.factor(&join.relation)?;
        let (word, constraint) = match &join.join_operator {
            JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => ("JOIN", constraint),
            JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => ("LEFT JOIN", constraint),
            JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => ("RIGHT JOIN", constraint),
            JoinOperator::FullOuter(constraint) => ("FULL JOIN", constraint),
            JoinOperator::CrossJoin(JoinConstraint::None) => return Ok(format!("{left} CROSS JOIN {right}")),
            other => {
                return Err(SqlError::unsupported(
                    format!("the join {other:?}"),
                    "use INNER, LEFT, RIGHT or FULL JOIN",
                ));
            }
        };
        let condition = match constraint {
            JoinConstraint::On(condition) => self.condition(condition, "JOIN/ON")?,
            JoinConstraint::Using(columns) if matches!(word, "JOIN" | "LEFT JOIN") => self.using(columns)?,
            JoinConstraint::Using(_) => {
                return Err(SqlError::unsupported(format!("{word} … USING"), "write the condition in ON"));
            }
            JoinConstraint::Natural => return Err(SqlError::unsupported("NATURAL JOIN", "write the condition in ON")),
            JoinConstraint::None => return Err(SqlError::new("syntax error: a JOIN needs ON or USING")),
        };
        Ok(format!("{left} {word} {right} ON {condition}"))
    }

    /// The right side's columns merge into the left's, which is right where the left side always has them.
    fn using(&mut self, columns: &[ObjectName]) -> SqlResult<String> {
        let Some(right) = self.scope().relations.pop() else { return Err(SqlError::new("JOIN without tables")) };
        let mut merged = Vec::new();
        let mut conditions = Vec::new();
        for column in columns {
            let name = object_name(column)?.name;
            let left = self.find_column(&name)?;
            let (Some(left), Some(own)) = (left, right.column(&name)) else {
                return Err(SqlError::new(format!(
                    "column \"{name}\" specified in USING clause does not exist in both tables"
                )));
            };
            conditions.push(self.compare(left, "=", own)?.sql);
            merged.push(name);
        }
        self.scope().relations.push(ScopeRelation { merged, ..right });
        Ok(conditions.join(" AND "))
    }

    fn factor(&mut self, factor: &TableFactor) -> SqlResult<String> {
        match factor {
            TableFactor::Table { name, alias, args: None, sample: None, version: None, json_path: None, .. } => {
                self.named(name, alias.as_ref())
            }
            TableFactor::Derived { lateral: false, subquery, alias, sample: None } => {
                let Some(alias) = alias else { return Err(SqlError::new("subquery in FROM must have an alias")) };
                // A sub-SELECT does not see its siblings.
                let siblings = std::mem::take(&mut self.scope().relations);
                let rows = self.query(subquery);
                self.scope().relations = siblings;
                self.rows_as(rows?, Some(alias), "", None)
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                Ok(format!("({})", self.joined(table_with_joins)?))
            }
            other => Err(SqlError::unsupported(
                format!("the table expression {other}"),
                "use a table, a view or a sub-SELECT",
            )),
        }
    }

    fn named(&mut self, name: &ObjectName, alias: Option<&TableAlias>) -> SqlResult<String> {
        if let Some(unnested) = self.unnest(name, alias)? {
            return Ok(unnested);
        }
        let target = object_name(name)?;
        if let Some(ObjectNamePart::Identifier(ident)) = name.0.last()
            && ident.quote_style.is_none()
            && is_reserved(&ident.value)
        {
            return Err(SqlError::new(format!("syntax error at or near \"{}\"", ident.value)));
        }
        if target.schema.is_none()
            && let Some((_, rows)) = self.ctes.iter().rev().find(|(cte, _)| *cte == target.name)
        {
            let rows = rows.clone();
            return self.rows_as(rows, alias, &target.name, None);
        }
        if let Some(relation) = catalog::resolve(self.db, &self.facts.search_path, &target)? {
            let schema = relation.schema.clone();
            let rows = self.relation_rows(relation)?;
            return self.rows_as(rows, alias, &target.name, Some(schema));
        }
        match system::system_relation(target.schema.as_deref(), &target.name, self.facts) {
            Some(rows) => self.rows_as(rows, alias, &target.name, target.schema.clone()),
            None => Err(match &target.schema {
                Some(schema) if !catalog::schema_exists(self.db, schema)? => catalog::missing_schema(schema),
                _ => catalog::missing(&target),
            }),
        }
    }

    fn relation_rows(&mut self, relation: Relation) -> SqlResult<Rows> {
        let Some(query) = &relation.view_query else {
            let columns = relation.columns.iter().map(|column| OutputColumn {
                name: column.name.clone(),
                sql_name: column.storage(),
                ty: column.ty,
            });
            return Ok(Rows { columns: columns.collect(), sql: relation.storage() });
        };
        if self.depth >= MAX_VIEW_DEPTH {
            return Err(SqlError::new(format!("view \"{}\" is nested too deeply", relation.name)));
        }
        let mut inner = Planner::new(self.db, self.facts);
        inner.depth = self.depth + 1;
        let mut rows = inner.query(&*parse_query(query)?)?;
        // Names given or found when a bound view was made; a late-binding view is looked at anew.
        if relation.columns.len() == rows.columns.len() {
            for (column, named) in rows.columns.iter_mut().zip(&relation.columns) {
                column.name.clone_from(&named.name);
            }
        }
        rows.sql = format!("({})", rows.sql);
        Ok(rows)
    }

    /// Puts a row source into the scope under an alias of its own.
    fn rows_as(
        &mut self,
        rows: Rows,
        alias: Option<&TableAlias>,
        name: &str,
        schema: Option<String>,
    ) -> SqlResult<String> {
        let mut columns = rows.columns;
        let (name, schema) = match alias {
            Some(alias) => (fold_ident(&alias.name), None),
            None => (name.to_owned(), schema),
        };
        if let Some(alias) = alias {
            if alias.columns.len() > columns.len() {
                return Err(SqlError::new(format!(
                    "table \"{name}\" has {} columns available but {} columns specified",
                    columns.len(),
                    alias.columns.len()
                )));
            }
            for (column, renamed) in columns.iter_mut().zip(&alias.columns) {
                column.name = fold_ident(&renamed.name);
            }
        }
        let sql_alias = self.next_alias();
        let is_query = rows.sql.contains(' ') && !rows.sql.starts_with('(');
        let sql =
            if is_query { format!("({}) AS {sql_alias}", rows.sql) } else { format!("{} AS {sql_alias}", rows.sql) };
        self.scope().relations.push(ScopeRelation { alias: sql_alias, name, schema, columns, merged: Vec::new() });
        Ok(sql)
    }

    /// `FROM orders AS o, o.items AS i`: one row per array element (Developer Guide: `query-super`, unnesting).
    fn unnest(&mut self, name: &ObjectName, alias: Option<&TableAlias>) -> SqlResult<Option<String>> {
        let Some(alias) = alias else { return Ok(None) };
        let names: Vec<String> = name.0.iter().filter_map(|part| part.as_ident().map(fold_ident)).collect();
        let Some(first) = names.first().filter(|_| names.len() > 1) else { return Ok(None) };
        let starts_here = self.scope().relations.iter().any(|relation| match relation.name.as_str() {
            // An element unnested before.
            "" => relation.column(first).is_some(),
            name => name == first,
        });
        if !starts_here {
            return Ok(None);
        }
        let array = self.path(&names)?;
        if array.ty != SqlType::Super {
            return Err(SqlError::new(format!("cannot unnest type {}: only SUPER arrays", array.ty.catalog_name())));
        }
        let sql_alias = self.next_alias();
        let element = OutputColumn {
            name: fold_ident(&alias.name),
            sql_name: format!("rs_super_element({}, {sql_alias}.key)", array.sql),
            ty: SqlType::Super,
        };
        self.scope().relations.push(ScopeRelation {
            // The element is the column: nothing stands before its name.
            alias: String::new(),
            name: String::new(),
            schema: None,
            columns: vec![element],
            merged: Vec::new(),
        });
        Ok(Some(format!("json_each(rs_array_or_null({})) AS {sql_alias}", array.sql)))
    }
}
