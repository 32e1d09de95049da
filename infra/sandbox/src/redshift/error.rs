//! What a failing statement says. The text is Redshift's own wherever its wording is known; the Data API puts
//! `ERROR: ` before it.

/// Why a statement stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SqlError {
    #[error("{0}")]
    Failed(String),
    /// Stopped by `CancelStatement`, never by the statement itself.
    #[error("Query cancelled on user's request")]
    Cancelled,
}

pub(crate) type SqlResult<T> = Result<T, SqlError>;

impl SqlError {
    pub(crate) fn new(message: impl Into<String>) -> SqlError {
        SqlError::Failed(message.into())
    }

    /// A form that real Redshift has and the sandbox has not: says what to write instead.
    pub(crate) fn unsupported(form: impl AsRef<str>, instead: impl AsRef<str>) -> SqlError {
        SqlError::Failed(format!("the sandbox does not support {}; {}", form.as_ref(), instead.as_ref()))
    }
}

impl From<rusqlite::Error> for SqlError {
    fn from(error: rusqlite::Error) -> SqlError {
        match error {
            rusqlite::Error::SqliteFailure(_, Some(message)) => SqlError::Failed(message),
            rusqlite::Error::SqlInputError { msg, .. } => SqlError::Failed(msg),
            other => SqlError::Failed(other.to_string()),
        }
    }
}

/// The other direction: inside a function of the embedded database, whose message comes back through [`From`].
impl From<SqlError> for rusqlite::Error {
    fn from(error: SqlError) -> rusqlite::Error {
        rusqlite::Error::UserFunctionError(Box::new(error))
    }
}
