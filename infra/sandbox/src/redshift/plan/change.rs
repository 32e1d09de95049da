//! INSERT, UPDATE, DELETE: values cast to their columns, defaults filled in, NOT NULL enforced.

use rusqlite::Connection;
use sqlparser::ast::{
    self, AssignmentTarget, Expr, FromTable, SetExpr, TableFactor, TableObject, TableWithJoins, UpdateTableFromKind,
};

use super::cast::Mode;
use super::literal::text_literal;
use super::scope::{Scope, ScopeRelation};
use super::{Facts, OutputColumn, Planner, Typed, plan_default};
use crate::redshift::catalog::{self, Column, Relation};
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::parse::{RelationName, fold_ident, object_name, parse_expression};
use crate::redshift::sql_type::SqlType;

pub(crate) fn plan_insert(db: &Connection, facts: &Facts, insert: &ast::Insert) -> SqlResult<String> {
    let TableObject::TableName(name) = &insert.table else {
        return Err(SqlError::unsupported("INSERT into a table function", "name a table"));
    };
    let extras = insert.or.is_some()
        || insert.on.is_some()
        || insert.returning.is_some()
        || insert.output.is_some()
        || insert.overwrite
        || insert.ignore
        || insert.replace_into
        || insert.partitioned.is_some()
        || !insert.assignments.is_empty()
        || insert.table_alias.is_some();
    if extras {
        return Err(SqlError::unsupported("this form of INSERT", "use INSERT INTO … VALUES or SELECT"));
    }
    let relation = table(db, facts, &object_name(name)?)?;
    let targets = insert_targets(&relation, &insert.columns)?;
    let mut planner = Planner::new(db, facts);
    let absent = relation.columns.iter().filter(|column| !targets.contains(column));
    let fillers = absent
        .map(|column| Ok((column, planner.checked(default(db, facts, column)?, column))))
        .collect::<SqlResult<Vec<_>>>()?;
    let names = targets.iter().copied().chain(fillers.iter().map(|(column, _)| *column));
    let names: Vec<String> = names.map(Column::storage).collect();
    let into = format!("INSERT INTO {} ({})", relation.storage(), names.join(", "));
    let fillers: Vec<String> = fillers.into_iter().map(|(_, sql)| sql).collect();

    let source = insert
        .source
        .as_ref()
        .ok_or_else(|| SqlError::unsupported("INSERT … DEFAULT VALUES", "use VALUES (DEFAULT, …)"))?;
    if let (SetExpr::Values(values), None, None) = (source.body.as_ref(), &source.with, &source.limit_clause) {
        let mut rows = Vec::with_capacity(values.rows.len());
        for row in &values.rows {
            check_width(row.content.len(), targets.len())?;
            let mut cells = Vec::with_capacity(names.len());
            for (cell, column) in row.content.iter().zip(&targets) {
                cells.push(planner.assigned(cell, column)?);
            }
            cells.extend(fillers.iter().cloned());
            rows.push(format!("({})", cells.join(", ")));
        }
        return Ok(format!("{into} VALUES {}", rows.join(", ")));
    }
    let rows = planner.query(source)?;
    check_width(rows.columns.len(), targets.len())?;
    let mut cells = Vec::with_capacity(names.len());
    for (source, column) in rows.columns.iter().zip(&targets) {
        let value = Typed::new(format!("q.{}", source.sql_name), source.ty);
        let cast = planner.assignment(value, column)?;
        cells.push(planner.checked(cast, column));
    }
    cells.extend(fillers);
    Ok(format!("{into} SELECT {} FROM ({}) AS q", cells.join(", "), rows.sql))
}

pub(crate) fn plan_update(db: &Connection, facts: &Facts, update: &ast::Update) -> SqlResult<String> {
    if update.returning.is_some() || update.or.is_some() || update.limit.is_some() || !update.order_by.is_empty() {
        return Err(SqlError::unsupported("this form of UPDATE", "use UPDATE … SET … [FROM …] WHERE …"));
    }
    let mut planner = Planner::new(db, facts);
    let relation = planner.target(&update.table)?;
    let from = match &update.from {
        None => String::new(),
        Some(UpdateTableFromKind::AfterSet(tables)) => format!(" FROM {}", planner.from(tables)?),
        Some(UpdateTableFromKind::BeforeSet(_)) => {
            return Err(SqlError::new("syntax error at or near \"FROM\""));
        }
    };
    let mut assignments = Vec::with_capacity(update.assignments.len());
    for assignment in &update.assignments {
        let AssignmentTarget::ColumnName(name) = &assignment.target else {
            return Err(SqlError::unsupported("SET (a, b) = …", "assign each column by itself"));
        };
        let column = relation.column(&object_name(name)?.name)?;
        assignments.push(format!("{} = {}", column.storage(), planner.assigned(&assignment.value, column)?));
    }
    let filter = planner.filter(update.selection.as_ref())?;
    Ok(format!("UPDATE {} AS r0 SET {}{from}{filter}", relation.storage(), assignments.join(", ")))
}

pub(crate) fn plan_delete(db: &Connection, facts: &Facts, delete: &ast::Delete) -> SqlResult<String> {
    let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &delete.from;
    let [target] = tables.as_slice() else {
        return Err(SqlError::unsupported("DELETE from several tables", "delete from each by itself"));
    };
    if delete.returning.is_some() || delete.limit.is_some() || !delete.order_by.is_empty() || !delete.tables.is_empty()
    {
        return Err(SqlError::unsupported("this form of DELETE", "use DELETE FROM … [USING …] WHERE …"));
    }
    let mut planner = Planner::new(db, facts);
    let relation = planner.target(target)?;
    let storage = relation.storage();
    match &delete.using {
        None => Ok(format!("DELETE FROM {storage} AS r0{}", planner.filter(delete.selection.as_ref())?)),
        Some(using) => {
            let others = planner.from(using)?;
            let filter = planner.filter(delete.selection.as_ref())?;
            Ok(format!("DELETE FROM {storage} WHERE rowid IN (SELECT r0.rowid FROM {storage} AS r0, {others}{filter})"))
        }
    }
}

/// A table that rows can go into.
pub(crate) fn table(db: &Connection, facts: &Facts, name: &RelationName) -> SqlResult<Relation> {
    let relation = catalog::resolve(db, &facts.search_path, name)?.ok_or_else(|| catalog::missing(name))?;
    if relation.view_query.is_some() {
        return Err(SqlError::new(format!(
            "cannot change the view \"{}\": \"{}\" is not a table",
            relation.name, name
        )));
    }
    Ok(relation)
}

fn insert_targets<'r>(relation: &'r Relation, names: &[ast::ObjectName]) -> SqlResult<Vec<&'r Column>> {
    if names.is_empty() {
        return Ok(relation.columns.iter().collect());
    }
    let mut targets: Vec<&Column> = Vec::with_capacity(names.len());
    for name in names {
        let column = relation.column(&object_name(name)?.name)?;
        if targets.contains(&column) {
            return Err(SqlError::new(format!("column \"{}\" specified more than once", column.name)));
        }
        targets.push(column);
    }
    Ok(targets)
}

fn check_width(values: usize, targets: usize) -> SqlResult<()> {
    match values.cmp(&targets) {
        std::cmp::Ordering::Less => Err(SqlError::new("INSERT has more target columns than expressions")),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(SqlError::new("INSERT has more expressions than target columns")),
    }
}

fn default(db: &Connection, facts: &Facts, column: &Column) -> SqlResult<Typed> {
    let sql = match &column.default {
        Some(text) => plan_default(db, facts, &parse_expression(text)?, column.ty)?,
        None => "NULL".to_owned(),
    };
    Ok(Typed::new(sql, column.ty))
}

impl Planner<'_> {
    /// The table of an UPDATE or DELETE, called `r0` in the planned SQL.
    fn target(&mut self, target: &TableWithJoins) -> SqlResult<Relation> {
        let TableWithJoins { relation: TableFactor::Table { name, alias, .. }, joins } = target else {
            return Err(SqlError::unsupported("this target", "name a table"));
        };
        if !joins.is_empty() {
            return Err(SqlError::unsupported("a join as target", "join in FROM or USING"));
        }
        let name = object_name(name)?;
        let relation = table(self.db, self.facts, &name)?;
        let columns = relation.columns.iter().map(|column| OutputColumn {
            name: column.name.clone(),
            sql_name: column.storage(),
            ty: column.ty,
        });
        let mut scope = Scope::default();
        scope.relations.push(ScopeRelation {
            alias: "r0".to_owned(),
            name: alias.as_ref().map_or(name.name, |alias| fold_ident(&alias.name)),
            schema: Some(relation.schema.clone()).filter(|_| alias.is_none()),
            columns: columns.collect(),
            merged: Vec::new(),
        });
        self.scopes.push(scope);
        Ok(relation)
    }

    fn filter(&mut self, selection: Option<&Expr>) -> SqlResult<String> {
        selection.map_or(Ok(String::new()), |filter| Ok(format!(" WHERE {}", self.condition(filter, "WHERE")?)))
    }

    /// One value for one column, DEFAULT included.
    fn assigned(&mut self, value: &Expr, column: &Column) -> SqlResult<String> {
        let is_default = matches!(value, Expr::Identifier(ident)
            if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default"));
        let value = if is_default {
            default(self.db, self.facts, column)?
        } else {
            let value = self.expression(value)?;
            self.assignment(value, column)?
        };
        Ok(self.checked(value, column))
    }

    fn assignment(&self, value: Typed, column: &Column) -> SqlResult<Typed> {
        let from = value.ty;
        let reads_text = from.is_text() && !column.ty.is_text() && column.ty != SqlType::Super;
        let failed = |error: SqlError| match error {
            SqlError::Failed(message) if message.contains("rewrite or cast") => mismatch(column, from),
            other => other,
        };
        if reads_text {
            return Err(mismatch(column, from));
        }
        self.cast(value, column.ty, Mode::Assignment).map_err(failed)
    }

    fn checked(&self, value: Typed, column: &Column) -> String {
        if column.not_null { format!("rs_not_null({}, {})", value.sql, text_literal(&column.name)) } else { value.sql }
    }
}

fn mismatch(column: &Column, from: SqlType) -> SqlError {
    SqlError::new(format!(
        "column \"{}\" is of type {} but expression is of type {}\n  Hint: You will need to rewrite or cast the \
         expression.",
        column.name,
        column.ty.catalog_name(),
        from.catalog_name()
    ))
}
