//! Views: their query is kept as text and planned anew wherever it is read. A bound view is checked when it is made
//! and protects what it reads; one WITH NO SCHEMA BINDING does neither.

use std::ops::ControlFlow;

use rusqlite::Connection;
use sqlparser::ast::visit_relations;

use super::define::target_schema;
use crate::redshift::catalog::{self, Column, Relation};
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::parse::{RelationName, object_name, parse_query};
use crate::redshift::plan::{Facts, plan_query, settled};

pub(super) fn create(
    db: &Connection,
    facts: &Facts,
    name: &RelationName,
    or_replace: bool,
    columns: &[String],
    query: &str,
    late_binding: bool,
) -> SqlResult<()> {
    let schema = target_schema(db, facts, name)?;
    let parsed = parse_query(query)?;
    if late_binding && unqualified(&parsed) {
        return Err(SqlError::new(
            "All the relation names inside should be qualified when creating VIEW WITH NO SCHEMA BINDING.",
        ));
    }
    let described = match plan_query(db, facts, &parsed) {
        Ok(rows) => {
            describe(&rows.columns.iter().map(|c| (c.name.clone(), settled(c.ty))).collect::<Vec<_>>(), columns)?
        }
        // Late binding: what it reads may come later.
        Err(_) if late_binding => Vec::new(),
        Err(error) => return Err(error),
    };
    // A late-binding view shows what it finds when read, unless its columns were named.
    let described = if late_binding && columns.is_empty() { Vec::new() } else { described };
    if let Some(existing) = catalog::find(db, &schema, &name.name)? {
        if existing.view_query.is_none() {
            return Err(SqlError::new(format!("\"{}\" is not a view", name.name)));
        }
        if !or_replace {
            return Err(SqlError::new(format!("Relation \"{}\" already exists", name.name)));
        }
        let names = |columns: &[Column]| columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
        let dependents = dependents(db, facts, &existing)?;
        if !dependents.is_empty() && names(&existing.columns) != names(&described) {
            return Err(SqlError::new("cannot change the columns of a view other views depend on"));
        }
        catalog::delete(db, &existing)?;
    }
    catalog::insert(db, &schema, &name.name, Some((query, late_binding)), &described, facts.statement_time)?;
    Ok(())
}

fn describe(found: &[(String, crate::redshift::sql_type::SqlType)], named: &[String]) -> SqlResult<Vec<Column>> {
    if named.len() > found.len() {
        return Err(SqlError::new("CREATE VIEW specifies more column names than columns"));
    }
    let mut columns: Vec<Column> = Vec::with_capacity(found.len());
    for (i, (name, ty)) in found.iter().enumerate() {
        let name = named.get(i).unwrap_or(name);
        if columns.iter().any(|known| known.name == *name) {
            return Err(SqlError::new(format!("column \"{name}\" specified more than once")));
        }
        columns.push(Column {
            ordinal: i as i64 + 1,
            name: name.clone(),
            ty: *ty,
            not_null: false,
            default: None,
            encoding: None,
            sort_key: 0,
        });
    }
    Ok(columns)
}

fn relations_in(query: &sqlparser::ast::Query) -> Vec<RelationName> {
    let mut names = Vec::new();
    let _all: ControlFlow<()> = visit_relations(query, |name| {
        names.extend(object_name(name).ok());
        ControlFlow::Continue(())
    });
    names
}

fn unqualified(query: &sqlparser::ast::Query) -> bool {
    let ctes: Vec<String> = query
        .with
        .iter()
        .flat_map(|with| &with.cte_tables)
        .map(|cte| crate::redshift::parse::fold_ident(&cte.alias.name))
        .collect();
    relations_in(query).iter().any(|name| name.schema.is_none() && !ctes.contains(&name.name))
}

/// Bound views that read a relation directly.
pub(super) fn dependents(db: &Connection, facts: &Facts, relation: &Relation) -> SqlResult<Vec<Relation>> {
    let mut found = Vec::new();
    for (schema, name, query) in catalog::bound_views(db)? {
        let reads = relations_in(&*parse_query(&query)?).into_iter().any(|read| {
            let schema_fits = match &read.schema {
                Some(schema) => *schema == relation.schema,
                None => facts.search_path.contains(&relation.schema),
            };
            schema_fits && read.name == relation.name
        });
        if reads {
            found.extend(catalog::find(db, &schema, &name)?);
        }
    }
    Ok(found)
}
