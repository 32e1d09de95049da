//! What `log_router.complete` says, held against what lies in the raw bucket and in the ledgers, at every moment.

use crate::stack::Stack;
use common::source::SourceId;
use common::timestamp;
use flate2::{Compression, write::GzEncoder};
use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;
use time::OffsetDateTime;

/// A raw object that a test put.
struct Put {
    source_id: SourceId,
    time: OffsetDateTime,
    /// From then on everybody sees it.
    visible_at: OffsetDateTime,
    events: Vec<&'static str>,
}

/// The raw objects of a test.
pub(crate) struct Vouched<'a> {
    stack: &'a Stack,
    objects: Vec<Put>,
}

impl<'a> Vouched<'a> {
    pub(crate) fn new(stack: &'a Stack) -> Self {
        Self { stack, objects: Vec::new() }
    }

    /// Puts an object of this time with one record of each event.
    pub(crate) async fn put(&mut self, key: &str, time: OffsetDateTime, events: &[&'static str]) {
        self.put_values(key, time, events, "0.5").await;
    }

    /// The same with another number in each record.
    pub(crate) async fn put_values(&mut self, key: &str, time: OffsetDateTime, events: &[&'static str], n: &str) {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        for event in events {
            writeln!(encoder, r#"{{"event":"{event}","n":{n}}}"#).expect("in memory");
        }
        let body = encoder.finish().expect("in memory");
        let put = self.stack.clients.s3.put_object().bucket("raw-logs").key(key).body(body.into());
        let put = put.metadata("sandbox-last-modified", timestamp::format(time)).send().await.expect("stored");
        let source_id = SourceId::new("raw-logs", key, put.e_tag().expect("an ETag").trim_matches('"'));
        let visible_at = OffsetDateTime::now_utc();
        self.objects.push(Put { source_id, time, visible_at, events: events.to_vec() });
    }

    /// Rows that one event's table is to have in the end.
    pub(crate) fn records(&self, event: &str) -> u64 {
        self.objects.iter().filter(|object| object.events.contains(&event)).count() as u64
    }

    /// Does the work, and holds every word against the truth meanwhile and after it.
    pub(crate) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        // On the heap: what a whole run keeps between two steps is much for a stack.
        let mut work = Box::pin(work);
        loop {
            tokio::select! {
                done = &mut work => {
                    Box::pin(self.check()).await;
                    return done;
                }
                () = tokio::time::sleep(Duration::from_millis(50)) => Box::pin(self.check()).await,
            }
        }
    }

    /// Fails if an hour is called complete while an object that was visible then is in no ledger.
    async fn check(&self) {
        // First what is said, then what is loaded: ledgers only grow.
        let said = "SELECT event, hour, checked_at FROM log_router.complete_now WHERE complete";
        let Ok(said) = self.stack.try_query(said).await else { return };
        let mut ledgers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in said {
            let [event, hour, checked_at] = <[String; 3]>::try_from(row).expect("three columns");
            let (hour, checked_at) = (at(&hour), at(&checked_at));
            assert!(checked_at >= hour + Duration::from_secs(3 * 3600), "{hour} was called complete at {checked_at}");
            if !ledgers.contains_key(&event) {
                let rows = self.stack.query(&format!("SELECT source_id FROM log_router.ledger_{event}")).await;
                ledgers.insert(event.clone(), rows.into_iter().map(|mut row| row.remove(0)).collect());
            }
            for object in &self.objects {
                let is_of_hour = object.time >= hour && object.time < hour + Duration::from_secs(3600);
                if is_of_hour && object.visible_at <= checked_at && object.events.contains(&event.as_str()) {
                    let is_loaded = ledgers[&event].iter().any(|id| id == object.source_id.as_str());
                    assert!(is_loaded, "{event} of {hour} was called complete, and {} is missing", object.source_id);
                }
            }
        }
    }

    /// Whether each hour that has an object is complete, for each event.
    pub(crate) async fn is_all_complete(&self) -> bool {
        let said = self.stack.query("SELECT event, hour FROM log_router.complete_now WHERE complete").await;
        let said: Vec<(String, OffsetDateTime)> = said.into_iter().map(|row| (row[0].clone(), at(&row[1]))).collect();
        self.objects.iter().all(|object| {
            let hour = object.time - Duration::from_secs(object.time.unix_timestamp() as u64 % 3600);
            let hour = hour.replace_nanosecond(0).expect("a time");
            object.events.iter().all(|event| said.contains(&((*event).to_owned(), hour)))
        })
    }
}

/// A TIMESTAMP of the warehouse.
fn at(text: &str) -> OffsetDateTime {
    timestamp::parse(&format!("{}Z", text.replacen(' ', "T", 1))).expect("a time")
}
