//! What a plan expects of the objects that are to be routed: parts, requests, COPYs, time and cost. Expectations, not
//! promises: each is a sum that docs/backfill.md writes out.

use super::prices::{S3_READ, S3_WRITE_OR_LIST, SQS_REQUEST};
use super::sample::Sample;
use common::settings::{Overwrite, Settings};
use serde::Serialize;

/// Megabytes of JSON that one worker routes in a second, a core to itself (docs/performance.md, gzip 2, the slowest set of
/// logs there).
const WORKER_MB_PER_S: f64 = 100.0;

/// Answers of S3 and SQS that an object waits for one after the other: seals, GET, parts, seal, index objects, load
/// requests, delete.
const ROUNDS: f64 = 7.0;

/// Seconds for one of them.
const ROUND_SECONDS: f64 = 0.03;

/// Waiting this much longer than routing is worth a warning.
const SLOW: f64 = 2.0;

/// Bytes of JSON for a stored byte where no seal tells it.
const UNKNOWN_RATIO: f64 = 6.0;

/// What is to be routed, and what listing it took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    pub(super) objects: u64,
    /// Of them, those that are routed for the first time.
    pub(super) first: u64,
    pub(super) bytes: u64,
    /// LIST requests of one pass.
    pub(super) lists: u64,
    /// Objects begun each second at most.
    pub(super) rate: Option<f64>,
    pub(super) is_direct: bool,
}

/// What the objects that are to be routed will need.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Expected {
    /// Objects written to the routed bucket that hold records. Not known where nothing is sealed yet, as whatever
    /// depends on it.
    pub parts: Option<u64>,
    /// Requests to S3.
    pub s3: S3Requests,
    /// Requests to SQS.
    pub sqs: u64,
    /// At least: each loads parts of one table.
    pub copies: Option<u64>,
    /// With one router, or in this process with `--direct`, every worker on a core of its own.
    pub seconds: u64,
    /// S3's and SQS's requests at list prices, in dollars.
    pub cost: f64,
    /// What makes it slow or dear, and what helps.
    pub warnings: Vec<String>,
}

/// Requests to S3, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct S3Requests {
    /// LIST.
    pub list: u64,
    /// GET.
    pub get: u64,
    /// PUT.
    pub put: u64,
}

impl Expected {
    pub(super) fn of(task: Task, sample: &Sample, settings: &Settings) -> Self {
        if task.objects == 0 {
            return Self { parts: Some(0), copies: Some(0), ..Self::default() };
        }
        let is_known = sample.seals > 0;
        let objects = task.objects as f64;
        let each = |sum: u64| sum as f64 / sample.seals.max(1) as f64;
        let parts = each(sample.events.values().map(|event| event.parts).sum()) * objects;
        let load_requests = each(sample.events.values().map(|event| event.sources).sum()) * objects;
        let quarantine = each(sample.quarantine) * objects;
        let ratio = match sample.raw_bytes {
            0 => UNKNOWN_RATIO,
            raw => sample.bytes as f64 / raw as f64,
        };
        let copies = copies(sample, objects, settings);
        // A first one is looked for under its key's other contents: by a LIST or, where only the first contents count, by
        // a GET of their claim, and a PUT of its own. Of one that is replaced the seal before is read.
        let (first, replaced) = (task.first, task.objects - task.first);
        let (others_listed, claimed) = match settings.raw.overwrite {
            Overwrite::Add => (first, 0),
            Overwrite::Ignore => (0, first),
        };
        let s3 = S3Requests {
            // The plan, the work, the look at the end; and each object is looked up by its router.
            list: 3 * task.lists + task.objects + others_listed,
            // The object, its seal when it is done, and each part by the warehouse.
            get: (2.0 * objects + parts) as u64 + claimed + replaced,
            // Parts, quarantine, a seal and two index objects; a manifest and JSONPaths for each COPY.
            put: (parts + quarantine + 3.0 * objects + 2.0 * copies) as u64 + claimed,
        };
        // A message is received and deleted, and ten are sent at once.
        let raw_messages = if task.is_direct { 0.0 } else { objects };
        let sqs = (2.1 * (raw_messages + load_requests)) as u64;
        let cost = (s3.list + s3.put) as f64 * S3_WRITE_OR_LIST + s3.get as f64 * S3_READ + sqs as f64 * SQS_REQUEST;
        let router = &settings.router;
        let routing = task.bytes as f64 * ratio / 1e6 / (WORKER_MB_PER_S * router.workers as f64);
        // What waits for S3 takes no worker: as many wait at once as may be in flight on this lane.
        let at_once = if task.is_direct { router.objects_in_flight } else { (router.objects_in_flight * 3 / 4).max(1) };
        let rounds = ROUNDS + parts / objects / router.upload_concurrency as f64;
        let waiting = objects * rounds * ROUND_SECONDS / at_once as f64;
        let held = task.rate.map_or(0.0, |rate| objects / rate);
        let seconds = routing.max(waiting).max(held);
        let mut warnings = Vec::new();
        if waiting > SLOW * routing && waiting > held && waiting > 60.0 {
            warnings.push(format!(
                "small files: {} bytes on average, so that waiting for S3 takes {:.0} times as long as routing: raise router.objects_in_flight (it is {}) or run more routers",
                task.bytes / task.objects,
                waiting / routing.max(0.1),
                router.objects_in_flight,
            ));
        }
        if held > routing.max(waiting) {
            warnings.push("--rate is what takes the time".to_owned());
        }
        if is_known && parts > 50.0 * objects {
            warnings.push(format!(
                "{:.0} parts for each object: their PUTs are most of the cost; larger raw objects would have fewer",
                parts / objects
            ));
        }
        Self {
            parts: is_known.then_some(parts as u64),
            s3,
            sqs,
            copies: is_known.then_some(copies as u64),
            seconds: seconds.ceil() as u64,
            cost,
            warnings,
        }
    }
}

/// A COPY of each table for every `flush_bytes` or `flush_parts` of it: what `flush_age` adds is not known.
fn copies(sample: &Sample, objects: f64, settings: &Settings) -> f64 {
    let scale = objects / sample.seals.max(1) as f64;
    let of_table = |(event, sums): (_, &super::sample::EventSums)| {
        let table = settings.table(event);
        let by_bytes = sums.bytes as f64 * scale / table.flush_bytes as f64;
        let by_parts = sums.parts as f64 * scale / table.flush_parts as f64;
        by_bytes.max(by_parts).ceil().max(1.0)
    };
    sample.events.iter().map(of_table).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backfill::sample::EventSums;
    use common::event_name::EventName;
    use std::collections::BTreeMap;
    use std::path::Path;

    fn settings(more: &str) -> Settings {
        let text = format!(
            "raw = {{ bucket = \"raw\", queue = \"raw\" }}\nrouted = {{ bucket = \"routed\", queue = \"routed\" }}\n\
             loader = {{ database = \"dev\", workgroup = \"w\" }}\n[router]\nevent_type = [\"/event\"]\n{more}"
        );
        Settings::parse(Path::new("test"), &text, BTreeMap::new()).expect("valid settings")
    }

    fn task(objects: u64, bytes: u64) -> Task {
        Task { objects, first: objects, bytes, lists: 10, rate: None, is_direct: false }
    }

    /// Two seals of 1 MB, 6 MB decompressed: `a` in both, in three parts, and `b` in one.
    fn sample() -> Sample {
        let events = [("a", 2, 3, 4_000_000), ("b", 1, 1, 1_000_000)];
        let events =
            events.map(|(name, sources, parts, bytes)| (EventName::of_type(name), EventSums { sources, parts, bytes }));
        Sample { seals: 2, raw_bytes: 2_000_000, bytes: 12_000_000, quarantine: 1, events: events.into() }
    }

    #[test]
    fn a_sample_is_carried_over_to_all_objects() {
        let expected = Expected::of(task(10_000, 10_000_000_000), &sample(), &settings(""));
        assert_eq!((expected.parts, expected.copies), (Some(20_000), Some(15 + 5)), "1,000 parts a COPY");
        let s3 = S3Requests { list: 30 + 20_000, get: 20_000 + 20_000, put: 20_000 + 5_000 + 30_000 + 40 };
        assert_eq!((expected.s3, expected.sqs), (s3, 2 * 25_000 + 2_500));
        let dollars = (s3.list + s3.put) as f64 * 5e-6 + s3.get as f64 * 4e-7 + 52_500.0 * 4e-7;
        assert!((expected.cost - dollars).abs() < 1e-9, "{}", expected.cost);
        assert_eq!(expected.seconds, 182, "10,000 objects, 7.25 rounds of 30 ms, 12 at once");
        let larger = Expected::of(task(10_000, 1_000_000_000_000), &sample(), &settings(""));
        assert_eq!(larger.seconds, 15_000, "6 TB of JSON by four workers");
    }

    #[test]
    fn what_is_replaced_reads_a_seal_more_and_a_claim_takes_a_look_and_a_write() {
        let s3 = |first, overwrite| {
            let mut settings = settings("");
            settings.raw.overwrite = overwrite;
            Expected::of(Task { first, ..task(10_000, 10_000_000_000) }, &sample(), &settings).s3
        };
        let all_first = s3(10_000, Overwrite::Add);
        let replaced = S3Requests { list: all_first.list - 10_000, get: all_first.get + 10_000, ..all_first };
        assert_eq!(s3(0, Overwrite::Add), replaced);
        let (get, put) = (all_first.get + 10_000, all_first.put + 10_000);
        assert_eq!(s3(10_000, Overwrite::Ignore), S3Requests { list: all_first.list - 10_000, get, put });
    }

    #[test]
    fn small_files_and_a_rate_are_warned_of() {
        let warnings = |task, more: &str| Expected::of(task, &sample(), &settings(more)).warnings;
        let small = task(100_000, 100_000_000);
        assert!(warnings(small, "")[0].starts_with("small files: 1000 bytes on average"));
        assert!(warnings(task(100_000, 10_000_000_000_000), "").is_empty());
        let slow = Task { rate: Some(1.0), ..small };
        assert_eq!(warnings(slow, ""), ["--rate is what takes the time"]);
        assert_eq!(Expected::of(slow, &sample(), &settings("")).seconds, 100_000);
    }

    #[test]
    fn nothing_to_do_costs_nothing_and_nothing_known_is_said_so() {
        let nothing = Expected::of(task(0, 0), &sample(), &settings(""));
        assert_eq!((nothing.parts, nothing.sqs, nothing.cost), (Some(0), 0, 0.0));
        let unknown = Expected::of(task(10, 1_000), &Sample::default(), &settings(""));
        assert_eq!((unknown.parts, unknown.copies), (None, None));
        assert!(unknown.cost > 0.0 && unknown.seconds > 0);
    }
}
