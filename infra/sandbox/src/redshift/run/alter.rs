//! ALTER TABLE (Developer Guide: `r_ALTER_TABLE`). Columns are only ever added to the storage: a dropped or renamed one
//! is a matter of the catalog.

use rusqlite::Connection;

use super::views;
use crate::redshift::catalog::{self, Column, Relation};
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::parse::{ColumnDefinition, RelationName, TableChange, parse_expression};
use crate::redshift::plan::{Facts, plan_default, table};
use crate::redshift::sql_type::SqlType;

const MAX_COLUMNS: usize = 1_600;

/// Encodings whose columns cannot be resized.
const FIXED_ENCODINGS: [&str; 4] = ["bytedict", "runlength", "text255", "text32k"];

pub(super) fn alter(
    db: &Connection,
    facts: &Facts,
    name: &RelationName,
    change: &TableChange,
    in_batch: bool,
) -> SqlResult<()> {
    let relation = table(db, facts, name)?;
    match change {
        TableChange::AddColumn(column) => add(db, facts, &relation, column),
        TableChange::DropColumn { name } => drop(db, facts, &relation, name),
        TableChange::ResizeColumn { .. } if in_batch => {
            Err(SqlError::new("ALTER TABLE ALTER COLUMN cannot run inside a transaction block"))
        }
        TableChange::ResizeColumn { name, ty } => resize(db, facts, &relation, name, *ty),
        TableChange::RenameColumn { from, to } => {
            let column = relation.column(from)?;
            if relation.columns.iter().any(|known| known.name == *to) {
                return Err(already(to, &relation));
            }
            refuse_bound_views(db, facts, &relation, "rename a column of")?;
            db.execute(
                "UPDATE _columns SET name = ?1 WHERE relation_id = ?2 AND ordinal = ?3",
                (to, relation.id, column.ordinal),
            )?;
            Ok(())
        }
        TableChange::Rename { to } => {
            if catalog::find(db, &relation.schema, to)?.is_some() {
                return Err(SqlError::new(format!("Relation \"{to}\" already exists")));
            }
            refuse_bound_views(db, facts, &relation, "rename")?;
            db.execute("UPDATE _relations SET name = ?1 WHERE id = ?2", (to, relation.id))?;
            Ok(())
        }
    }
}

fn already(column: &str, relation: &Relation) -> SqlError {
    SqlError::new(format!("column \"{column}\" of relation \"{}\" already exists", relation.name))
}

/// Views are kept as text here, so what they read must keep its names.
fn refuse_bound_views(db: &Connection, facts: &Facts, relation: &Relation, what: &str) -> SqlResult<()> {
    match views::dependents(db, facts, relation)?.first() {
        None => Ok(()),
        Some(view) => Err(SqlError::unsupported(
            format!("to {what} a table that the view {} reads", view.qualified()),
            "drop the view first, or make it WITH NO SCHEMA BINDING",
        )),
    }
}

fn add(db: &Connection, facts: &Facts, relation: &Relation, definition: &ColumnDefinition) -> SqlResult<()> {
    if relation.columns.iter().any(|known| known.name == definition.name) {
        return Err(already(&definition.name, relation));
    }
    if relation.columns.len() >= MAX_COLUMNS {
        return Err(SqlError::new(format!("tables can have at most {MAX_COLUMNS} columns")));
    }
    let storage = relation.storage();
    // Dropped columns are still in the storage: an ordinal is never used twice.
    let used: i64 = db.query_row("SELECT count(*) FROM pragma_table_info(?1)", [&storage], |row| row.get(0))?;
    let column = Column {
        ordinal: used + 1,
        name: definition.name.clone(),
        ty: definition.ty,
        not_null: definition.not_null,
        default: definition.default.clone(),
        encoding: definition.encoding.clone(),
        sort_key: 0,
    };
    catalog::insert_column(db, relation.id, &column)?;
    db.execute_batch(&format!("ALTER TABLE {storage} ADD COLUMN {}", column.storage()))?;
    if let Some(default) = &definition.default {
        let value = plan_default(db, facts, &parse_expression(default)?, column.ty)?;
        if definition.not_null && value == "NULL" {
            return Err(SqlError::new(format!("column \"{}\" must have a non-null default", column.name)));
        }
        db.execute(&format!("UPDATE {storage} SET {} = {value}", column.storage()), [])?;
    }
    Ok(())
}

fn drop(db: &Connection, facts: &Facts, relation: &Relation, name: &str) -> SqlResult<()> {
    let column = relation.column(name)?;
    if relation.columns.len() == 1 {
        return Err(SqlError::new("cannot drop the only column of a table"));
    }
    if column.sort_key > 0 {
        return Err(SqlError::new(format!("cannot drop sortkey column \"{name}\"")));
    }
    refuse_bound_views(db, facts, relation, "drop a column of")?;
    db.execute("DELETE FROM _columns WHERE relation_id = ?1 AND ordinal = ?2", (relation.id, column.ordinal))?;
    Ok(())
}

fn resize(db: &Connection, facts: &Facts, relation: &Relation, name: &str, to: SqlType) -> SqlResult<()> {
    let column = relation.column(name)?;
    let SqlType::Varchar(from) = column.ty else {
        return Err(SqlError::new(format!("cannot alter type of column \"{name}\": only varchar columns change size")));
    };
    let target = to.length();
    if target == from {
        return Err(SqlError::new("target column size should be different"));
    }
    if column.default.is_some() {
        return Err(SqlError::new(format!("cannot alter type of column \"{name}\": it has a default value")));
    }
    if column.encoding.as_deref().is_some_and(|encoding| FIXED_ENCODINGS.contains(&encoding)) {
        return Err(SqlError::new(format!("cannot alter type of column \"{name}\": its encoding does not allow it")));
    }
    if !views::dependents(db, facts, relation)?.is_empty() {
        return Err(SqlError::new("cannot alter type of a column used by a view or rule"));
    }
    if target < from {
        let sql = format!("SELECT max(octet_length({})) FROM {}", column.storage(), relation.storage());
        let longest: Option<i64> = db.query_row(&sql, [], |row| row.get(0))?;
        if longest.is_some_and(|longest| longest > i64::from(target)) {
            return Err(SqlError::new(format!(
                "cannot alter type of column \"{name}\": it holds values longer than {target} bytes"
            )));
        }
    }
    db.execute(
        "UPDATE _columns SET full_type = ?1, length = ?2 WHERE relation_id = ?3 AND ordinal = ?4",
        (to.full_name(), target, relation.id, column.ordinal),
    )?;
    Ok(())
}
