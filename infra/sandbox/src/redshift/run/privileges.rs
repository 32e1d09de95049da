//! GRANT, REVOKE and COMMENT ON: checked against what exists and recorded.

use rusqlite::Connection;

use crate::redshift::catalog;
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::parse::{CommentTarget, GrantStatement, GrantTarget, RelationName};
use crate::redshift::plan::Facts;

pub(super) fn grant(db: &Connection, facts: &Facts, grant: &GrantStatement) -> SqlResult<()> {
    let mut objects: Vec<(&str, String, String)> = Vec::new();
    match &grant.on {
        GrantTarget::Relations(names) => {
            for name in names {
                let relation = catalog::resolve(db, &facts.search_path, name)?.ok_or_else(|| catalog::missing(name))?;
                objects.push(("relation", relation.schema, relation.name));
            }
        }
        GrantTarget::AllTablesIn(schemas) => {
            for schema in schemas {
                existing(db, schema)?;
                for (name, _) in catalog::names_in(db, schema)? {
                    objects.push(("relation", schema.clone(), name));
                }
            }
        }
        GrantTarget::Schemas(schemas) => {
            for schema in schemas {
                existing(db, schema)?;
                objects.push(("schema", String::new(), schema.clone()));
            }
        }
        GrantTarget::Databases(names) => {
            for name in names {
                objects.push(("database", String::new(), name.clone()));
            }
        }
    }
    for (kind, schema, name) in objects {
        for privilege in &grant.privileges {
            for grantee in &grant.grantees {
                record(db, grant.revoke, [kind, &schema, &name, privilege, grantee])?;
            }
        }
    }
    Ok(())
}

fn existing(db: &Connection, schema: &str) -> SqlResult<()> {
    if catalog::schema_exists(db, schema)? { Ok(()) } else { Err(catalog::missing_schema(schema)) }
}

fn record(db: &Connection, revoke: bool, entry: [&str; 5]) -> SqlResult<()> {
    let sql = match (revoke, entry[3]) {
        (false, _) => {
            "INSERT OR IGNORE INTO _grants (kind, schema, name, privilege, grantee) VALUES (?1, ?2, ?3, ?4, ?5)"
        }
        (true, "all") => {
            "DELETE FROM _grants WHERE kind = ?1 AND schema = ?2 AND name = ?3 AND ?4 = 'all' AND grantee = ?5"
        }
        (true, _) => {
            "DELETE FROM _grants WHERE kind = ?1 AND schema = ?2 AND name = ?3 AND privilege = ?4 AND grantee = ?5"
        }
    };
    db.prepare_cached(sql)?.execute(entry)?;
    Ok(())
}

pub(super) fn comment(db: &Connection, facts: &Facts, on: &CommentTarget, text: Option<&str>) -> SqlResult<()> {
    let relation = |name: &RelationName, view: bool| -> SqlResult<catalog::Relation> {
        let found = catalog::resolve(db, &facts.search_path, name)?.ok_or_else(|| catalog::missing(name))?;
        if found.view_query.is_some() != view {
            let kind = if view { "view" } else { "table" };
            return Err(SqlError::new(format!("\"{}\" is not a {kind}", found.name)));
        }
        Ok(found)
    };
    match on {
        CommentTarget::Schema(name) => {
            existing(db, name)?;
            db.execute("UPDATE _schemas SET comment = ?1 WHERE name = ?2", (text, name))?;
        }
        CommentTarget::Table(name) => {
            db.execute("UPDATE _relations SET comment = ?1 WHERE id = ?2", (text, relation(name, false)?.id))?;
        }
        CommentTarget::View(name) => {
            db.execute("UPDATE _relations SET comment = ?1 WHERE id = ?2", (text, relation(name, true)?.id))?;
        }
        CommentTarget::Column(name, column) => {
            let found = catalog::resolve(db, &facts.search_path, name)?.ok_or_else(|| catalog::missing(name))?;
            let ordinal = found.column(column)?.ordinal;
            db.execute(
                "UPDATE _columns SET comment = ?1 WHERE relation_id = ?2 AND ordinal = ?3",
                (text, found.id, ordinal),
            )?;
        }
    }
    Ok(())
}
