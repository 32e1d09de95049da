//! One session of a real database: a statement is sent, and its answer comes when it comes.

use super::postgres::Postgres;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// Begins the line that ends an answer; no row begins with it.
const MARK: &str = "=answered=";

/// Long enough for any statement here that nothing holds up.
const ANSWER_MAX: Duration = Duration::from_secs(60);

pub(super) struct Session {
    client: Child,
    statements: ChildStdin,
    lines: Receiver<String>,
    rows: Vec<String>,
    /// The server's process, by which others see whom it waits for.
    pub(super) pid: String,
}

/// What came of one statement: its rows, or why it failed.
pub(super) type Answer = Result<Vec<String>, String>;

impl Session {
    pub(super) fn open(postgres: &Postgres) -> Self {
        let piped = postgres.psql().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut client = piped.expect("psql was used before");
        let statements = client.stdin.take().expect("piped");
        let output = BufReader::new(client.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut session = Self { client, statements, lines, rows: Vec::new(), pid: String::new() };
        session.pid = session.run("SELECT pg_backend_pid()").expect("it is connected").remove(0);
        session
    }

    pub(super) fn send(&mut self, sql: &str) {
        assert!(!sql.contains('\n') && !sql.contains(';'), "one statement on one line: {sql}");
        writeln!(self.statements, "{sql};\n\\echo {MARK} :ERROR :LAST_ERROR_MESSAGE").expect("psql takes it");
        self.statements.flush().expect("psql takes it");
    }

    /// The answer to what was sent, if it comes within this time.
    pub(super) fn answer(&mut self, within: Duration) -> Option<Answer> {
        loop {
            let line = match self.lines.recv_timeout(within) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => panic!("psql has ended"),
            };
            let Some(ended) = line.strip_prefix(MARK) else {
                self.rows.push(line);
                continue;
            };
            let rows = std::mem::take(&mut self.rows);
            return Some(match ended.trim_start().split_once(' ') {
                Some(("true", message)) => Err(message.to_owned()),
                _ => Ok(rows),
            });
        }
    }

    /// Sends a statement that nothing holds up.
    pub(super) fn run(&mut self, sql: &str) -> Answer {
        self.send(sql);
        self.answer(ANSWER_MAX).unwrap_or_else(|| panic!("no answer to {sql}"))
    }

    /// The one number of the one row.
    pub(super) fn number(&mut self, sql: &str) -> u64 {
        let rows = self.run(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        rows[0].parse().unwrap_or_else(|_| panic!("{sql}: {rows:?}"))
    }

    /// Whether a session waits for a lock that another holds, asked through this third one.
    pub(super) fn sees_blocked(&mut self, waiting: &str, by: &str) -> bool {
        let sql = format!("SELECT COUNT(*) FROM unnest(pg_blocking_pids({waiting})) AS p WHERE p = {by}");
        self.number(&sql) > 0
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.client.kill());
        drop(self.client.wait());
    }
}
