//! A warehouse in a temporary folder with objects in memory, and the few calls tests make on it.

use std::collections::HashMap;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::error::SqlError;
use super::run::{self, Grouping, Outcome, Progress, ResultValue, SessionOptions};
use super::warehouse::{Stop, Warehouse};
use super::{ObjectSource, ObjectSourceError};

#[derive(Default)]
pub(crate) struct Objects(Mutex<HashMap<String, Vec<u8>>>);

impl Objects {
    /// All in the one bucket `b`.
    pub(crate) fn put(&self, key: &str, bytes: impl Into<Vec<u8>>) {
        self.0.lock().unwrap().insert(key.to_owned(), bytes.into());
    }
}

impl ObjectSource for Objects {
    fn open(&self, bucket: &str, key: &str) -> Result<Box<dyn io::Read + Send>, ObjectSourceError> {
        if bucket != "b" {
            return Err(ObjectSourceError::NoSuchBucket);
        }
        match self.0.lock().unwrap().get(key) {
            Some(bytes) => Ok(Box::new(Trickle(Cursor::new(bytes.clone())))),
            None => Err(ObjectSourceError::NoSuchKey),
        }
    }
}

/// Hands out odd amounts, so that no reader may count on full buffers.
struct Trickle(Cursor<Vec<u8>>);

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(60_013);
        self.0.read(&mut buffer[..length])
    }
}

pub(crate) struct Bench {
    folder: TempDir,
    pub(crate) objects: Arc<Objects>,
    pub(crate) warehouse: Arc<Warehouse>,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let objects = Arc::new(Objects::default());
        let warehouse = Warehouse::open(&folder.path().join("warehouse.db"), objects.clone(), Arc::default()).unwrap();
        Bench { folder, objects, warehouse }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn run(&self, statements: &[&str], grouping: Grouping) -> Result<Vec<Outcome>, (usize, SqlError)> {
        self.run_until(statements, grouping, &Stop::new())
    }

    pub(crate) fn run_until(
        &self,
        statements: &[&str],
        grouping: Grouping,
        stop: &Arc<Stop>,
    ) -> Result<Vec<Outcome>, (usize, SqlError)> {
        let statements: Vec<String> = statements.iter().map(|sql| (*sql).to_owned()).collect();
        let options = SessionOptions { database: "dev".into(), user: "tester".into(), process_id: 7 };
        let mut outcomes = Vec::new();
        let mut tell = |progress| {
            if let Progress::Ended { result: Ok(outcome), .. } = progress {
                outcomes.push(outcome);
            }
        };
        run::run(&self.warehouse, options, &statements, grouping, stop, &mut tell)?;
        Ok(outcomes)
    }

    pub(crate) fn batch(&self, statements: &[&str]) -> Result<Vec<Outcome>, (usize, SqlError)> {
        self.run(statements, Grouping::Together)
    }

    /// Runs one statement that must succeed; how many rows it returned or changed.
    #[track_caller]
    pub(crate) fn ok(&self, sql: &str) -> i64 {
        match self.run(&[sql], Grouping::EachAlone) {
            Ok(outcomes) => outcomes[0].rows,
            Err((_, error)) => panic!("{sql}: {error}"),
        }
    }

    /// Runs one statement that must fail; its message.
    #[track_caller]
    pub(crate) fn fails(&self, sql: &str) -> String {
        match self.run(&[sql], Grouping::EachAlone) {
            Ok(_) => panic!("{sql}: did not fail"),
            Err((_, error)) => error.to_string(),
        }
    }

    /// A query's rows, values joined by `|`, NULL shown as such.
    #[track_caller]
    pub(crate) fn rows(&self, sql: &str) -> Vec<String> {
        let mut outcomes = match self.run(&[sql], Grouping::EachAlone) {
            Ok(outcomes) => outcomes,
            Err((_, error)) => panic!("{sql}: {error}"),
        };
        let result = outcomes.remove(0).result.expect("a result set");
        result.rows.iter().map(|row| row.iter().map(shown).collect::<Vec<_>>().join("|")).collect()
    }

    #[track_caller]
    pub(crate) fn row(&self, sql: &str) -> String {
        let rows = self.rows(sql);
        assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
        rows[0].clone()
    }
}

fn shown(value: &ResultValue) -> String {
    match value {
        ResultValue::Null => "NULL".to_owned(),
        ResultValue::Boolean(value) => value.to_string(),
        ResultValue::Long(value) => value.to_string(),
        ResultValue::Double(value) => format!("{value:?}"),
        ResultValue::Text(text) => text.clone(),
    }
}
