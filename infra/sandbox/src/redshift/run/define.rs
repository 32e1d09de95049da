//! Creating and dropping schemas and tables.

use rusqlite::Connection;
use sqlparser::ast::Query;

use super::views;
use crate::redshift::catalog::{self, Column, DEFAULT_SCHEMA, Relation};
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::parse::{CreateTable, RelationName, parse_expression};
use crate::redshift::plan::{Facts, plan_default, plan_query, settled};

/// Redshift's own: nothing of a user's goes there.
const SYSTEM_SCHEMAS: [&str; 3] = ["pg_catalog", "information_schema", "pg_internal"];

pub(super) fn create_schema(db: &Connection, name: &str, if_not_exists: bool) -> SqlResult<()> {
    if SYSTEM_SCHEMAS.contains(&name) || name.starts_with("pg_") {
        return Err(SqlError::new(format!("unacceptable schema name \"{name}\": the prefix pg_ is reserved")));
    }
    if catalog::schema_exists(db, name)? {
        return if if_not_exists { Ok(()) } else { Err(SqlError::new(format!("schema \"{name}\" already exists"))) };
    }
    db.execute("INSERT INTO _schemas (name) VALUES (?1)", [name])?;
    Ok(())
}

/// Where a new relation goes: its schema, else the first of the search path that exists.
pub(super) fn target_schema(db: &Connection, facts: &Facts, name: &RelationName) -> SqlResult<String> {
    if let Some(schema) = &name.schema {
        return Ok(schema.clone());
    }
    for schema in &facts.search_path {
        if catalog::schema_exists(db, schema)? {
            return Ok(schema.clone());
        }
    }
    Err(SqlError::new("no schema has been selected to create in"))
}

pub(super) fn create_table(db: &Connection, facts: &Facts, table: &CreateTable) -> SqlResult<()> {
    let schema = target_schema(db, facts, &table.name)?;
    if table.if_not_exists && catalog::find(db, &schema, &table.name.name)?.is_some() {
        return Ok(());
    }
    let mut columns = Vec::with_capacity(table.columns.len());
    for (i, column) in table.columns.iter().enumerate() {
        if let Some(default) = &column.default {
            plan_default(db, facts, &parse_expression(default)?, column.ty)?;
        }
        let sort_key = table.sort_key.iter().position(|key| *key == column.name).map_or(0, |at| at as i64 + 1);
        columns.push(Column {
            ordinal: i as i64 + 1,
            name: column.name.clone(),
            ty: column.ty,
            not_null: column.not_null,
            default: column.default.clone(),
            encoding: column.encoding.clone(),
            sort_key,
        });
    }
    create(db, facts, &schema, &table.name.name, &columns)?;
    Ok(())
}

fn create(db: &Connection, facts: &Facts, schema: &str, name: &str, columns: &[Column]) -> SqlResult<Relation> {
    let relation = catalog::insert(db, schema, name, None, columns, facts.statement_time)?;
    let names: Vec<String> = columns.iter().map(Column::storage).collect();
    // No types: the embedded database must not convert what it is given.
    db.execute_batch(&format!("CREATE TABLE {} ({})", relation.storage(), names.join(", ")))?;
    if let Some(key) = columns.iter().find(|column| column.sort_key == 1) {
        let storage = relation.storage();
        db.execute_batch(&format!("CREATE INDEX {storage}_sort ON {storage} ({})", key.storage()))?;
    }
    Ok(relation)
}

pub(super) fn create_table_as(
    db: &Connection,
    facts: &Facts,
    name: &RelationName,
    if_not_exists: bool,
    query: &Query,
) -> SqlResult<i64> {
    let schema = target_schema(db, facts, name)?;
    if if_not_exists && catalog::find(db, &schema, &name.name)?.is_some() {
        return Ok(0);
    }
    let rows = plan_query(db, facts, query)?;
    let mut columns: Vec<Column> = Vec::with_capacity(rows.columns.len());
    for (i, column) in rows.columns.iter().enumerate() {
        if columns.iter().any(|known| known.name == column.name) {
            return Err(SqlError::new(format!("column \"{}\" duplicated", column.name)));
        }
        columns.push(Column {
            ordinal: i as i64 + 1,
            name: column.name.clone(),
            ty: settled(column.ty),
            not_null: false,
            default: None,
            encoding: None,
            sort_key: 0,
        });
    }
    let relation = create(db, facts, &schema, &name.name, &columns)?;
    Ok(db.execute(&format!("INSERT INTO {} {}", relation.storage(), rows.sql), [])? as i64)
}

pub(super) fn drop_relations(
    db: &Connection,
    facts: &Facts,
    names: &[RelationName],
    views: bool,
    if_exists: bool,
    cascade: bool,
) -> SqlResult<()> {
    let kind = if views { "view" } else { "table" };
    for name in names {
        let Some(relation) = catalog::resolve(db, &facts.search_path, name)? else {
            if if_exists {
                continue;
            }
            return Err(SqlError::new(format!("{kind} \"{name}\" does not exist")));
        };
        if relation.view_query.is_some() != views {
            return Err(SqlError::new(format!("\"{}\" is not a {kind}", relation.name)));
        }
        drop_relation(db, facts, &relation, cascade)?;
    }
    Ok(())
}

fn drop_relation(db: &Connection, facts: &Facts, relation: &Relation, cascade: bool) -> SqlResult<()> {
    let dependents = views::dependents(db, facts, relation)?;
    if let (Some(first), false) = (dependents.first(), cascade) {
        let kind = if relation.view_query.is_some() { "view" } else { "table" };
        return Err(SqlError::new(format!(
            "cannot drop {kind} {} because other objects depend on it\n  Detail: view {} depends on {kind} {}\n  \
             Hint: Use DROP ... CASCADE to drop the dependent objects too.",
            relation.name, first.name, relation.name
        )));
    }
    for dependent in dependents {
        drop_relation(db, facts, &dependent, true)?;
    }
    catalog::delete(db, relation)?;
    if relation.view_query.is_none() {
        db.execute_batch(&format!("DROP TABLE IF EXISTS {}", relation.storage()))?;
    }
    Ok(())
}

pub(super) fn drop_schemas(
    db: &Connection,
    facts: &Facts,
    names: &[String],
    if_exists: bool,
    cascade: bool,
) -> SqlResult<()> {
    for name in names {
        if !catalog::schema_exists(db, name)? {
            if if_exists {
                continue;
            }
            return Err(catalog::missing_schema(name));
        }
        let relations = catalog::names_in(db, name)?;
        if let (Some((first, _)), false) = (relations.first(), cascade) {
            return Err(SqlError::new(format!(
                "cannot drop schema {name} because other objects depend on it\n  Detail: {name}.{first} depends on \
                 schema {name}\n  Hint: Use DROP ... CASCADE to drop the dependent objects too."
            )));
        }
        for (relation, _) in relations {
            if let Some(relation) = catalog::find(db, name, &relation)? {
                drop_relation(db, facts, &relation, true)?;
            }
        }
        if name != DEFAULT_SCHEMA {
            db.execute("DELETE FROM _schemas WHERE name = ?1", [name])?;
        }
        db.execute("DELETE FROM _grants WHERE kind = 'schema' AND name = ?1", [name])?;
    }
    Ok(())
}
