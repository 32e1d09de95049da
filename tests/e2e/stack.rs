//! One sandbox with its clients and settings, and the questions that tests ask of it.

use aws_sdk_redshiftdata::types::{Field, StatusString};
use common::clients::Clients;
use common::quarantine::QuarantinedRecord;
use common::seal::Seal;
use common::settings::Settings;
use flate2::read::MultiGzDecoder;
use sandbox::{Sandbox, SandboxOptions};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Settings that every test starts from. Small numbers, so that tests are quick and parts are many.
const SETTINGS: &str = r#"
[raw]
bucket = "raw-logs"
queue = "raw-objects"
[routed]
bucket = "routed-logs"
queue = "routed-parts"
[router]
event_type = ["/event"]
workers = 2
[loader]
database = "dev"
workgroup = "analytics"
flush_age = "1s"
max_commits_per_minute = 600
"#;

/// Long enough that a step between two queues is never taken for the end.
pub(crate) const IDLE: Duration = Duration::from_secs(2);

pub(crate) struct Stack {
    pub(crate) clients: Clients,
    pub(crate) settings: Settings,
    sandbox: Option<Sandbox>,
    dir: TempDir,
}

impl Stack {
    pub(crate) async fn start() -> Self {
        Self::with("").await
    }

    /// A stack whose settings have `extra` lines at the end, that is in `[loader]`.
    pub(crate) async fn with(extra: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let text = format!("{SETTINGS}{extra}\n");
        let path = dir.path().join("log-router.toml");
        std::fs::write(&path, &text).expect("written");
        let settings = Settings::parse(&path, &text, BTreeMap::new()).expect("valid settings");
        let sandbox =
            Sandbox::start(SandboxOptions { port: 0, dir: dir.path().join("sandbox") }).await.expect("started");
        let clients = Clients::for_endpoint(&sandbox.endpoint()).await;
        sandbox::provision::provision(&settings, &clients).await.expect("provisioned");
        Self { clients, settings, sandbox: Some(sandbox), dir }
    }

    /// Other lines at the end of the settings from now on.
    pub(crate) fn reset(&mut self, extra: &str) {
        let text = format!("{SETTINGS}{extra}\n");
        std::fs::write(self.settings_file(), &text).expect("written");
        self.settings = Settings::parse(&self.settings_file(), &text, BTreeMap::new()).expect("valid settings");
    }

    pub(crate) fn endpoint(&self) -> String {
        self.sandbox.as_ref().expect("running until dropped").endpoint()
    }

    pub(crate) fn settings_file(&self) -> PathBuf {
        self.dir.path().join("log-router.toml")
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Puts a gzip log file of these lines into the raw bucket.
    pub(crate) async fn put_lines<I: AsRef<[u8]>>(&self, key: &str, lines: impl IntoIterator<Item = I>) {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        for line in lines {
            encoder.write_all(line.as_ref()).expect("in memory");
            encoder.write_all(b"\n").expect("in memory");
        }
        self.put(key, encoder.finish().expect("in memory")).await;
    }

    pub(crate) async fn put(&self, key: &str, bytes: Vec<u8>) {
        let put = self.clients.s3.put_object().bucket("raw-logs").key(key).body(bytes.into());
        put.send().await.expect("stored");
    }

    /// Runs the router in this process until its queue is idle.
    pub(crate) async fn route(&self) {
        let done = router::run(&self.settings, &self.clients, Some(IDLE), CancellationToken::new()).await;
        done.expect("the router starts");
    }

    /// Runs the loader in this process until its queue is idle.
    pub(crate) async fn load(&self) -> Result<(), String> {
        let done = loader::run(&self.settings, &self.clients, Some(IDLE), CancellationToken::new()).await;
        done.map(drop).map_err(|error| common::telemetry::chain(&error))
    }

    pub(crate) async fn route_and_load(&self) {
        self.route().await;
        self.load().await.expect("everything is loaded");
    }

    /// Every seal in the routed bucket.
    pub(crate) async fn seals(&self) -> Vec<Seal> {
        let keys = common::objects::list(&self.clients.s3, "routed-logs", "seals/id/").await.expect("listed");
        let mut seals = Vec::new();
        for key in keys {
            let bytes = common::objects::get(&self.clients.s3, "routed-logs", &key).await.expect("read");
            seals.push(Seal::parse(&key, &bytes).expect("a seal"));
        }
        seals
    }

    /// The decompressed lines of an object that we wrote.
    pub(crate) async fn lines(&self, key: &str) -> Vec<String> {
        let stored = common::objects::get(&self.clients.s3, "routed-logs", key).await.expect(key);
        let mut text = String::new();
        MultiGzDecoder::new(&stored[..]).read_to_string(&mut text).expect("gzip of UTF-8");
        text.lines().map(str::to_owned).collect()
    }

    /// Every quarantined record that a seal names.
    pub(crate) async fn quarantined(&self) -> Vec<QuarantinedRecord> {
        let mut records = Vec::new();
        for sealed in self.seals().await.iter().flat_map(|seal| &seal.quarantine) {
            let lines = self.lines(&sealed.key).await;
            assert_eq!(lines.len() as u64, sealed.records, "{}", sealed.key);
            records.extend(lines.iter().map(|line| serde_json::from_str::<QuarantinedRecord>(line).expect("a record")));
        }
        records
    }

    /// Rows of a SELECT, every value as text.
    pub(crate) async fn query(&self, sql: &str) -> Vec<Vec<String>> {
        self.try_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    pub(crate) async fn try_query(&self, sql: &str) -> Result<Vec<Vec<String>>, String> {
        let rows = self.try_fields(sql).await?;
        Ok(rows.iter().map(|row| row.iter().map(text).collect()).collect())
    }

    /// The same as the Data API gives it.
    pub(crate) async fn try_fields(&self, sql: &str) -> Result<Vec<Vec<Field>>, String> {
        let redshift = &self.clients.redshift;
        let execute = redshift.execute_statement().workgroup_name("analytics").database("dev").sql(sql);
        let id = execute.send().await.map_err(|e| format!("{e:?}"))?.id.expect("an id");
        let statement = loop {
            let described =
                redshift.describe_statement().id(&id).wait_time_seconds(10).send().await.expect("described");
            match described.status.clone() {
                Some(StatusString::Finished) => break described,
                Some(StatusString::Failed | StatusString::Aborted) => return Err(described.error.unwrap_or_default()),
                _ => {}
            }
        };
        let mut rows = Vec::new();
        if statement.has_result_set == Some(true) {
            let mut pages = redshift.get_statement_result().id(&id).into_paginator().send();
            while let Some(page) = pages.next().await {
                rows.extend(page.expect("a page").records);
            }
        }
        Ok(rows)
    }

    /// The one number a SELECT gives.
    pub(crate) async fn number(&self, sql: &str) -> u64 {
        self.query(sql).await[0][0].parse().unwrap_or_else(|_| panic!("{sql} gives no number"))
    }

    /// Rows of every event table, by event name.
    pub(crate) async fn table_counts(&self) -> BTreeMap<String, u64> {
        let tables = self.query("SELECT DISTINCT table_name FROM svv_columns WHERE table_schema = 'events'").await;
        let mut counts = BTreeMap::new();
        for table in tables.into_iter().map(|mut row| row.remove(0)) {
            let rows = self.number(&format!("SELECT COUNT(*) FROM events.\"{table}\"")).await;
            counts.insert(table, rows);
        }
        counts
    }

    /// Fails if any table holds one record twice.
    pub(crate) async fn assert_no_doubles(&self) {
        for (table, rows) in self.table_counts().await {
            let distinct = format!("SELECT COUNT(*) FROM (SELECT DISTINCT _source, _line FROM events.\"{table}\") t");
            assert_eq!(self.number(&distinct).await, rows, "{table} holds a record twice");
        }
    }

    pub(crate) async fn queue_url(&self, name: &str) -> String {
        let found = self.clients.sqs.get_queue_url().queue_name(name).send().await.expect(name);
        found.queue_url.expect("a URL")
    }

    pub(crate) async fn send(&self, queue: &str, body: &str) {
        let url = self.queue_url(queue).await;
        self.clients.sqs.send_message().queue_url(url).message_body(body).send().await.expect("sent");
    }

    /// Takes everything that is receivable out of a queue.
    pub(crate) async fn drain(&self, queue: &str) -> Vec<String> {
        let url = self.queue_url(queue).await;
        let mut bodies = Vec::new();
        loop {
            let receive = self.clients.sqs.receive_message().queue_url(&url).max_number_of_messages(10);
            // The queue's own wait is a long poll: nobody will send what is not there yet.
            let receive = receive.wait_time_seconds(0);
            let received = receive.visibility_timeout(600).send().await.expect("received").messages.unwrap_or_default();
            if received.is_empty() {
                self.clients.sqs.purge_queue().queue_url(&url).send().await.expect("purged");
                return bodies;
            }
            bodies.extend(received.into_iter().filter_map(|message| message.body));
        }
    }

    /// Messages in a queue, received ones included.
    pub(crate) async fn messages(&self, queue: &str) -> u64 {
        use aws_sdk_sqs::types::QueueAttributeName::{
            ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible,
        };
        let url = self.queue_url(queue).await;
        let names = [ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible];
        let get = self.clients.sqs.get_queue_attributes().queue_url(url).set_attribute_names(Some(names.to_vec()));
        let told = get.send().await.expect("told").attributes.expect("attributes");
        told.values().map(|count| count.parse::<u64>().expect("a number")).sum()
    }

    /// Messages come back this soon after their receiver died.
    pub(crate) async fn set_visibility(&self, queue: &str, seconds: u32) {
        use aws_sdk_sqs::types::QueueAttributeName::VisibilityTimeout;
        let url = self.queue_url(queue).await;
        let set =
            self.clients.sqs.set_queue_attributes().queue_url(url).attributes(VisibilityTimeout, seconds.to_string());
        set.send().await.expect("set");
    }
}

fn text(field: &Field) -> String {
    match field {
        Field::StringValue(text) => text.clone(),
        Field::LongValue(n) => n.to_string(),
        Field::DoubleValue(n) => n.to_string(),
        Field::BooleanValue(b) => b.to_string(),
        Field::IsNull(_) => "NULL".to_owned(),
        other => panic!("unexpected field {other:?}"),
    }
}

/// Waits for a condition that is bound to come; fails after half a minute.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
