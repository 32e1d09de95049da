//! What exists: schemas, tables, views and their columns with Redshift's types, kept in the database itself so that
//! it changes with the transaction that changes it.
//!
//! A table's rows live under `t{id}` with columns `c{ordinal}`: users' names never become names of the embedded
//! database, so renaming is a row here and no name can clash.

use rusqlite::{Connection, OptionalExtension, params};

use super::error::{SqlError, SqlResult};
use super::parse::RelationName;
use super::sql_type::SqlType;

pub(crate) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS _schemas (name TEXT PRIMARY KEY, comment TEXT);
CREATE TABLE IF NOT EXISTS _relations (
    id INTEGER PRIMARY KEY AUTOINCREMENT, schema TEXT NOT NULL, name TEXT NOT NULL, view_query TEXT,
    late_binding INTEGER NOT NULL DEFAULT 0, comment TEXT, created_at INTEGER NOT NULL, UNIQUE (schema, name));
CREATE TABLE IF NOT EXISTS _columns (
    relation_id INTEGER NOT NULL, ordinal INTEGER NOT NULL, name TEXT NOT NULL, full_type TEXT NOT NULL,
    data_type TEXT NOT NULL, length INTEGER, precision INTEGER, scale INTEGER, not_null INTEGER NOT NULL,
    default_text TEXT, encoding TEXT, sort_key INTEGER NOT NULL DEFAULT 0, comment TEXT,
    PRIMARY KEY (relation_id, ordinal), UNIQUE (relation_id, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS _grants (
    kind TEXT NOT NULL, schema TEXT NOT NULL, name TEXT NOT NULL, privilege TEXT NOT NULL, grantee TEXT NOT NULL,
    PRIMARY KEY (kind, schema, name, privilege, grantee)) WITHOUT ROWID;
INSERT OR IGNORE INTO _schemas (name) VALUES ('public');
";

pub(crate) const DEFAULT_SCHEMA: &str = "public";

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Relation {
    pub(crate) id: i64,
    pub(crate) schema: String,
    pub(crate) name: String,
    /// The query of a view; `None` for a table.
    pub(crate) view_query: Option<String>,
    pub(crate) columns: Vec<Column>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    pub(crate) ordinal: i64,
    pub(crate) name: String,
    pub(crate) ty: SqlType,
    pub(crate) not_null: bool,
    pub(crate) default: Option<String>,
    pub(crate) encoding: Option<String>,
    /// 1 for the first sort key column; 0 for none.
    pub(crate) sort_key: i64,
}

impl Relation {
    /// The table that holds its rows.
    pub(crate) fn storage(&self) -> String {
        format!("t{}", self.id)
    }

    pub(crate) fn qualified(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    pub(crate) fn column(&self, name: &str) -> SqlResult<&Column> {
        self.columns
            .iter()
            .find(|column| column.name == name)
            .ok_or_else(|| SqlError::new(format!("column \"{name}\" of relation \"{}\" does not exist", self.name)))
    }
}

impl Column {
    pub(crate) fn storage(&self) -> String {
        format!("c{}", self.ordinal)
    }
}

pub(crate) fn schema_exists(db: &Connection, name: &str) -> SqlResult<bool> {
    Ok(db.prepare_cached("SELECT 1 FROM _schemas WHERE name = ?1")?.exists([name])?)
}

/// A table or view by exact schema and name.
pub(crate) fn find(db: &Connection, schema: &str, name: &str) -> SqlResult<Option<Relation>> {
    let found = db
        .prepare_cached("SELECT id, view_query FROM _relations WHERE schema = ?1 AND name = ?2")?
        .query_row([schema, name], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?)))
        .optional()?;
    let Some((id, view_query)) = found else { return Ok(None) };
    let columns = columns(db, id)?;
    Ok(Some(Relation { id, schema: schema.to_owned(), name: name.to_owned(), view_query, columns }))
}

fn columns(db: &Connection, relation: i64) -> SqlResult<Vec<Column>> {
    let mut statement = db.prepare_cached(
        "SELECT ordinal, name, full_type, not_null, default_text, encoding, sort_key FROM _columns \
         WHERE relation_id = ?1 ORDER BY ordinal",
    )?;
    let mut rows = statement.query([relation])?;
    let mut columns = Vec::new();
    while let Some(row) = rows.next()? {
        let full_type: String = row.get(2)?;
        let ty = SqlType::from_full_name(&full_type)
            .ok_or_else(|| SqlError::new(format!("the catalog holds an unknown type \"{full_type}\"")))?;
        columns.push(Column {
            ordinal: row.get(0)?,
            name: row.get(1)?,
            ty,
            not_null: row.get(3)?,
            default: row.get(4)?,
            encoding: row.get(5)?,
            sort_key: row.get(6)?,
        });
    }
    Ok(columns)
}

/// Looks an unqualified name up along the search path.
pub(crate) fn resolve(db: &Connection, path: &[String], name: &RelationName) -> SqlResult<Option<Relation>> {
    match &name.schema {
        Some(schema) => find(db, schema, &name.name),
        None => {
            for schema in path {
                if let Some(relation) = find(db, schema, &name.name)? {
                    return Ok(Some(relation));
                }
            }
            Ok(None)
        }
    }
}

pub(crate) fn missing(name: &RelationName) -> SqlError {
    SqlError::new(format!("relation \"{name}\" does not exist"))
}

pub(crate) fn missing_schema(name: &str) -> SqlError {
    SqlError::new(format!("schema \"{name}\" does not exist"))
}

/// Adds the rows that describe a new table or view; the storage is the caller's.
pub(crate) fn insert(
    db: &Connection,
    schema: &str,
    name: &str,
    view: Option<(&str, bool)>,
    columns: &[Column],
    now: i64,
) -> SqlResult<Relation> {
    if !schema_exists(db, schema)? {
        return Err(missing_schema(schema));
    }
    if find(db, schema, name)?.is_some() {
        return Err(SqlError::new(format!("Relation \"{name}\" already exists")));
    }
    let (query, late_binding) = view.map_or((None, false), |(query, late)| (Some(query), late));
    db.prepare_cached(
        "INSERT INTO _relations (schema, name, view_query, late_binding, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![schema, name, query, late_binding, now])?;
    let id = db.last_insert_rowid();
    for column in columns {
        insert_column(db, id, column)?;
    }
    Ok(Relation {
        id,
        schema: schema.to_owned(),
        name: name.to_owned(),
        view_query: query.map(str::to_owned),
        columns: columns.to_vec(),
    })
}

pub(crate) fn insert_column(db: &Connection, relation: i64, column: &Column) -> SqlResult<()> {
    let length = (column.ty.length() > 0).then(|| column.ty.length());
    let (precision, scale) = match column.ty {
        SqlType::SmallInt => (Some(16), Some(0)),
        SqlType::Integer => (Some(32), Some(0)),
        SqlType::BigInt => (Some(64), Some(0)),
        SqlType::Decimal { precision, scale } => (Some(i64::from(precision)), Some(i64::from(scale))),
        _ => (None, None),
    };
    db.prepare_cached(
        "INSERT INTO _columns (relation_id, ordinal, name, full_type, data_type, length, precision, scale, not_null, \
         default_text, encoding, sort_key) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?
    .execute(params![
        relation,
        column.ordinal,
        column.name,
        column.ty.full_name(),
        column.ty.catalog_name(),
        length,
        precision,
        scale,
        column.not_null,
        column.default,
        column.encoding,
        column.sort_key
    ])?;
    Ok(())
}

pub(crate) fn delete(db: &Connection, relation: &Relation) -> SqlResult<()> {
    db.execute("DELETE FROM _columns WHERE relation_id = ?1", [relation.id])?;
    db.execute("DELETE FROM _relations WHERE id = ?1", [relation.id])?;
    db.execute(
        "DELETE FROM _grants WHERE kind = 'relation' AND schema = ?1 AND name = ?2",
        [&relation.schema, &relation.name],
    )?;
    Ok(())
}

/// Every relation of a schema: name and whether it is a view.
pub(crate) fn names_in(db: &Connection, schema: &str) -> SqlResult<Vec<(String, bool)>> {
    let mut statement =
        db.prepare_cached("SELECT name, view_query IS NOT NULL FROM _relations WHERE schema = ?1 ORDER BY name")?;
    let names = statement.query_map([schema], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// Views that are bound to what they read: (schema, name, query).
pub(crate) fn bound_views(db: &Connection) -> SqlResult<Vec<(String, String, String)>> {
    let mut statement = db.prepare_cached(
        "SELECT schema, name, view_query FROM _relations WHERE view_query IS NOT NULL AND late_binding = 0",
    )?;
    let views = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(views.collect::<Result<_, _>>()?)
}
