//! ALTER TABLE, one change per statement (Developer Guide: `r_ALTER_TABLE`).

use super::{Reader, Statement, TableChange, create};
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::sql_type::SqlType;

pub(super) fn alter(reader: &mut Reader<'_>) -> SqlResult<Statement> {
    reader.expect_word("alter")?;
    if reader.peek_word().as_deref() != Some("table") {
        let kind = reader.any_word()?.to_ascii_uppercase();
        return Err(SqlError::unsupported(format!("ALTER {kind}"), "use ALTER TABLE, or drop and create"));
    }
    reader.expect_word("table")?;
    let name = reader.relation()?;
    let change = if reader.word("add") {
        add_column(reader)?
    } else if reader.word("drop") {
        reader.word("column");
        let name = reader.identifier()?;
        if !reader.word("cascade") {
            reader.word("restrict");
        }
        TableChange::DropColumn { name }
    } else if reader.words(&["alter", "column"]) {
        resize(reader)?
    } else if reader.words(&["rename", "to"]) {
        TableChange::Rename { to: reader.identifier()? }
    } else if reader.words(&["rename", "column"]) {
        let from = reader.identifier()?;
        reader.expect_word("to")?;
        TableChange::RenameColumn { from, to: reader.identifier()? }
    } else {
        return Err(other(reader));
    };
    Ok(Statement::AlterTable { name, change })
}

fn add_column(reader: &mut Reader<'_>) -> SqlResult<TableChange> {
    if matches!(reader.peek_word().as_deref(), Some("primary" | "unique" | "foreign" | "constraint")) {
        return Err(SqlError::unsupported("ALTER TABLE ADD of a constraint", "leave it out: keys are never enforced"));
    }
    reader.word("column");
    let (column, _) = create::column(reader)?;
    if column.not_null && column.default.is_none() {
        return Err(SqlError::new(format!(
            "ALTER TABLE ADD COLUMN defined as NOT NULL must have a non-null default expression: \"{}\"",
            column.name
        )));
    }
    Ok(TableChange::AddColumn(column))
}

fn resize(reader: &mut Reader<'_>) -> SqlResult<TableChange> {
    let name = reader.identifier()?;
    if !reader.word("type") {
        return Err(SqlError::unsupported(
            "ALTER COLUMN with anything but TYPE",
            "leave encodings out: they mean nothing here",
        ));
    }
    match reader.data_type()? {
        ty @ SqlType::Varchar(_) => Ok(TableChange::ResizeColumn { name, ty }),
        other => Err(SqlError::new(format!(
            "ALTER COLUMN TYPE is only supported for varchar columns, not to {}",
            other.full_name()
        ))),
    }
}

fn other(reader: &Reader<'_>) -> SqlError {
    match reader.peek_word().as_deref() {
        Some(word @ ("owner" | "append" | "alter" | "set" | "row")) => SqlError::unsupported(
            format!("ALTER TABLE … {}", word.to_ascii_uppercase()),
            "use ADD COLUMN, DROP COLUMN, ALTER COLUMN … TYPE VARCHAR(n) or RENAME",
        ),
        _ => reader.unexpected(),
    }
}
