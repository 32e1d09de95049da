//! The sections of the settings file, validated: every setting, its unit, its default and why it exists.

use super::grantee::{self, Grantee};
use super::kinds::{bucket, bytes, count, identifier, not_empty};
use super::reader::{Section, Setting};
use super::rules::{self, EventRules, POINTERS_MAX};
use super::tables::{Evolve, Field};
use crate::keys::PartCodec;
use std::path::PathBuf;
use std::time::Duration;

/// A queue and its backfill lane, each a name or a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueNames {
    /// `queue`: log arrival.
    pub live: String,
    /// `backfill_queue`, default `<queue>-backfill`.
    pub backfill: String,
    /// Whether `backfill_queue` was set: then it has to exist.
    pub backfill_is_set: bool,
}

impl QueueNames {
    fn read(section: &mut Section<'_>) -> Self {
        let live: String = section.required("queue");
        let default = format!("{live}-backfill");
        let backfill = section.or("backfill_queue", default.clone());
        not_empty(section, "queue", &live);
        // What is set to its default is not told apart: `config show` prints it, and is a settings file again.
        let backfill_is_set = backfill != default;
        Self { live, backfill, backfill_is_set }
    }
}

/// `[raw]`: where log files arrive.
#[derive(Clone, Debug)]
pub struct RawSettings {
    /// Bucket of log files.
    pub bucket: String,
    /// Only keys under it are log files; default all.
    pub prefix: String,
    /// Queues of the bucket's notifications.
    pub queues: QueueNames,
    /// What new contents under an old key are.
    pub overwrite: Overwrite,
}

/// `raw.overwrite`: what new contents under an old key are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// A new source, routed beside the old one.
    Add,
    /// Nothing: the first contents of a key are the only ones.
    Ignore,
}

impl Setting for Overwrite {
    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        match value.as_str() {
            Some("add") => Ok(Self::Add),
            Some("ignore") => Ok(Self::Ignore),
            _ => Err(format!("\"add\" or \"ignore\", found {value}")),
        }
    }
    fn to_toml(&self) -> toml::Value {
        let text = match self {
            Self::Add => "add",
            Self::Ignore => "ignore",
        };
        toml::Value::String(text.to_owned())
    }
}

impl RawSettings {
    /// The section, and the prefixes of `[[raw.fixed]]`, which belong to the router's rules.
    pub(super) fn read(mut section: Section<'_>) -> (Self, Vec<String>) {
        let bucket = bucket(&mut section);
        let prefix = section.or("prefix", String::new());
        if let Some(without) = prefix.strip_prefix('/') {
            section
                .problem("prefix", format!("{prefix:?} begins with /, which keys hardly ever do: write {without:?}"));
        }
        let queues = QueueNames::read(&mut section);
        let overwrite = section.or("overwrite", Overwrite::Add);
        let fixed = rules::fixed_prefixes(&mut section, &prefix);
        section.finish();
        (Self { bucket, prefix, queues, overwrite }, fixed)
    }
}

/// `[routed]`: where parts go.
#[derive(Clone, Debug)]
pub struct RoutedSettings {
    /// Bucket of parts and seals.
    pub bucket: String,
    /// Queues of load requests.
    pub queues: QueueNames,
}

impl RoutedSettings {
    pub(super) fn read(mut section: Section<'_>) -> (Self, String) {
        let bucket = bucket(&mut section);
        let prefix = prefix(&mut section, "routed/");
        let queues = QueueNames::read(&mut section);
        section.finish();
        (Self { bucket, queues }, prefix)
    }
}

/// A prefix under which we write: a folder of its own, so that prefixes never run into names.
pub(super) fn prefix(section: &mut Section<'_>, default: &str) -> String {
    let prefix = section.or("prefix", default.to_owned());
    if !prefix.ends_with('/') || prefix.starts_with('/') || prefix.contains("//") {
        section.problem(
            "prefix",
            format!("{prefix:?} must be a folder like {default:?}: ending in / and not starting with it"),
        );
    }
    prefix
}

/// `[router]`.
#[derive(Clone, Debug)]
pub struct RouterSettings {
    /// JSON pointers to the event type, tried in order.
    pub event_type: Vec<String>,
    /// Which event types are routed, under which names, and what is dropped.
    pub rules: EventRules,
    /// JSON pointer to the array of records in every root value, where those are envelopes.
    pub unwrap: Option<String>,
    /// Objects routed at once, each on a thread of its own.
    pub workers: usize,
    /// Objects received and not yet settled: those being routed, and those being fetched, uploaded and announced.
    pub objects_in_flight: usize,
    /// Whether each routed record gets the member `_lr` (source id and line).
    pub lineage: bool,
    /// A part ends where its decompressed bytes reach this.
    pub part_max_bytes: u64,
    /// How parts are compressed; quarantine objects are gzip always.
    pub part_codec: PartCodec,
    /// gzip level, 1 to 9.
    pub gzip_level: u32,
    /// Zstandard level, 1 to 19.
    pub zstd_level: u32,
    /// Raw records held per worker, over all events, before they are compressed.
    pub buffer_bytes: usize,
    /// Event types per source object; the first ones in source order count.
    pub max_event_types: usize,
    /// Decompressed bytes read from one source object.
    pub max_object_bytes: u64,
    /// Time spent reading one source object.
    pub max_object_time: Duration,
    /// Folder of the spool files (compressed parts of objects being read); unlinked, so a crash leaves nothing.
    pub spool_dir: PathBuf,
    /// Parts of one object uploaded at once.
    pub upload_concurrency: usize,
    /// How long SIGTERM waits for objects in work; what is not done by then is delivered again.
    pub drain_timeout: Duration,
}

/// Small objects take a few milliseconds of routing and some hundred of waiting for S3 and SQS.
const OBJECTS_IN_FLIGHT: usize = 16;

/// Each may hold 4 MiB read ahead, a connection and a file.
const OBJECTS_IN_FLIGHT_MAX: usize = 1_000;

impl Default for RouterSettings {
    /// The documented defaults, with the event type under `/event`.
    fn default() -> Self {
        Self {
            event_type: vec!["/event".to_owned()],
            rules: EventRules::default(),
            unwrap: None,
            workers: 4,
            objects_in_flight: OBJECTS_IN_FLIGHT,
            lineage: true,
            part_max_bytes: 256 << 20,
            part_codec: PartCodec::Gzip,
            gzip_level: 2,
            zstd_level: 1,
            buffer_bytes: 32 << 20,
            max_event_types: 10_000,
            max_object_bytes: 1 << 40,
            max_object_time: Duration::from_secs(6 * 3600),
            spool_dir: std::env::temp_dir(),
            upload_concurrency: 8,
            drain_timeout: Duration::from_secs(25),
        }
    }
}

impl RouterSettings {
    pub(super) fn read(mut section: Section<'_>, fixed: Vec<String>) -> Self {
        let default = Self::default();
        let event_type: Vec<String> = section.required("event_type");
        for pointer in &event_type {
            rules::check_pointer(&mut section, "event_type", pointer);
        }
        let rules = EventRules::read(&mut section, fixed);
        if event_type.len() + rules.drop_pointers() > POINTERS_MAX {
            let with = if rules.drop.is_empty() { "" } else { "with drop rules, " };
            section.problem("event_type", format!("{with}at most {POINTERS_MAX} pointers"));
        }
        if event_type.is_empty() && section.was_given("event_type") {
            section.problem("event_type", "names no pointer: no record would have an event type");
        }
        let part_codec = match section.or("part_codec", default.part_codec.as_str().to_owned()).as_str() {
            "gzip" => PartCodec::Gzip,
            "zstd" => PartCodec::Zstd,
            other => {
                section.problem("part_codec", format!("{other:?} is neither \"gzip\" nor \"zstd\""));
                default.part_codec
            }
        };
        let unwrap: Option<String> = section.optional("unwrap");
        if let Some(pointer) = &unwrap {
            rules::check_pointer(&mut section, "unwrap", pointer);
        }
        let workers = count(&mut section, "workers", default.workers);
        let settings = Self {
            event_type,
            rules,
            unwrap,
            workers,
            objects_in_flight: count(
                &mut section,
                "objects_in_flight",
                OBJECTS_IN_FLIGHT.max(workers.saturating_mul(2)),
            ),
            lineage: section.or("lineage", default.lineage),
            part_max_bytes: bytes(&mut section, "part_max_bytes", default.part_max_bytes, 1 << 10),
            part_codec,
            gzip_level: level(&mut section, "gzip_level", default.gzip_level, 9),
            zstd_level: level(&mut section, "zstd_level", default.zstd_level, 19),
            buffer_bytes: bytes(&mut section, "buffer_bytes", default.buffer_bytes as u64, 1 << 20) as usize,
            max_event_types: count(&mut section, "max_event_types", default.max_event_types),
            max_object_bytes: bytes(&mut section, "max_object_bytes", default.max_object_bytes, 1 << 10),
            max_object_time: section.or("max_object_time", default.max_object_time),
            spool_dir: PathBuf::from(section.or("spool_dir", default.spool_dir.display().to_string())),
            upload_concurrency: count(&mut section, "upload_concurrency", default.upload_concurrency),
            drain_timeout: section.or("drain_timeout", default.drain_timeout),
        };
        if settings.workers > 256 {
            section.problem(
                "workers",
                format!("{} is more than 256: each is a thread, so run more routers", settings.workers),
            );
        }
        if settings.objects_in_flight < settings.workers {
            let what = format!("{} is less than workers: some would never have work", settings.objects_in_flight);
            section.problem("objects_in_flight", what);
        }
        if settings.objects_in_flight > OBJECTS_IN_FLIGHT_MAX {
            let what = format!("{} is more than {OBJECTS_IN_FLIGHT_MAX}: run more routers", settings.objects_in_flight);
            section.problem("objects_in_flight", what);
        }
        if settings.max_event_types > 100_000 {
            section.problem("max_event_types", "is more than 100000: so many tables are no tables any more");
        }
        if settings.max_object_time.is_zero() {
            section.problem("max_object_time", "is nothing: no object could be read");
        }
        // A message can be kept invisible for 12 hours (SQS developer guide, visibility timeout).
        if settings.max_object_time > Duration::from_secs(11 * 3600) {
            section.problem("max_object_time", "is more than 11h: SQS hands the message out again after 12h");
        }
        if settings.spool_dir.as_os_str().is_empty() {
            section.problem("spool_dir", "is nothing: name a folder, or leave it out");
        }
        // One PUT a part (S3: at most 5 GB), and a part that does not shrink must still fit.
        if settings.part_max_bytes > 4 << 30 {
            section.problem("part_max_bytes", "is more than 4GiB: S3 takes no larger object in one PUT");
        }
        section.finish();
        settings
    }
}

fn level(section: &mut Section<'_>, key: &'static str, default: u32, most: u32) -> u32 {
    let level = section.or(key, u64::from(default));
    if !(1..=u64::from(most)).contains(&level) {
        section.problem(key, format!("{level} is not between 1 and {most}"));
    }
    level as u32
}

/// How the Data API reaches the warehouse (Redshift management guide, data-api: authorisation).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warehouse {
    /// `workgroup`: Redshift Serverless.
    Workgroup {
        /// Its name.
        name: String,
        /// Credentials, when not the caller's own identity.
        secret_arn: Option<String>,
    },
    /// `cluster`: a provisioned cluster.
    Cluster {
        /// Its identifier.
        name: String,
        /// Database user, when neither the identity nor a secret names one.
        db_user: Option<String>,
        /// Credentials, when not the caller's own identity.
        secret_arn: Option<String>,
    },
}

impl Warehouse {
    fn read(section: &mut Section<'_>) -> Self {
        let workgroup: Option<String> = section.optional("workgroup");
        let cluster: Option<String> = section.optional("cluster");
        let db_user: Option<String> = section.optional("db_user");
        let secret_arn: Option<String> = section.optional("secret_arn");
        if db_user.is_some() && (cluster.is_none() || secret_arn.is_some()) {
            section.problem("db_user", "goes with cluster and without secret_arn only: leave it out");
        }
        match (workgroup, cluster) {
            (Some(name), None) => Self::Workgroup { name, secret_arn },
            (None, Some(name)) => Self::Cluster { name, db_user, secret_arn },
            (given, _) => {
                let what = if given.is_some() {
                    "set only one of workgroup and cluster"
                } else {
                    "is missing: set workgroup, or cluster"
                };
                section.problem("workgroup", what);
                Self::Workgroup { name: String::new(), secret_arn }
            }
        }
    }
}

/// `[loader]`.
#[derive(Clone, Debug)]
pub struct LoaderSettings {
    /// Database that holds the tables.
    pub database: String,
    /// Where it runs.
    pub warehouse: Warehouse,
    /// Schema of the event tables.
    pub schema: String,
    /// Schema of gates, ledgers and what people ask about loads.
    pub bookkeeping_schema: String,
    /// Role that COPY reads S3 with: `default` or an ARN.
    pub iam_role: String,
    /// Who may read event tables and what is told about loads.
    pub grant_to: Vec<Grantee>,
    /// Tables loaded at once.
    pub workers: usize,
    /// Batching of tables without overrides.
    pub table: TableSettings,
    /// Everything that waits is loaded together this often; `None`: each table when its own `flush_age` is over.
    pub load_every: Option<Duration>,
    /// Load transactions begun in any minute.
    pub max_commits_per_minute: usize,
    /// Objects nested deeper than this become SUPER.
    pub max_depth: usize,
    /// Times a request may fail alone before it is set aside or its table stops.
    pub max_tries: u32,
    /// Server-side limit of one load transaction.
    pub statement_timeout: Duration,
    /// First pause after which a stopped table is tried again; doubles up to 15 minutes.
    pub stopped_retry: Duration,
    /// A table stopped for longer has its requests deferred: deleted, for the sweep to announce again.
    pub defer_after: Duration,
    /// How long SIGTERM waits for loads in work before what is held is returned.
    pub drain_timeout: Duration,
}

/// Batching of one table: `[loader]` sets it for all, `[tables.<event>]` for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSettings {
    /// Load when the oldest request has waited this long.
    pub flush_age: Duration,
    /// Load when this many decompressed bytes wait.
    pub flush_bytes: u64,
    /// Load when this many parts wait.
    pub flush_parts: usize,
    /// What becomes of new fields.
    pub evolve: Evolve,
    /// The fields that say which rows are versions of one thing; of a single table only.
    pub key: Vec<Field>,
    /// The field that says which version is the newest, if one does.
    pub version: Option<Field>,
}

impl Default for TableSettings {
    fn default() -> Self {
        Self {
            flush_age: Duration::from_secs(60),
            flush_bytes: 4 << 30,
            flush_parts: 1_000,
            evolve: Evolve::Add,
            key: Vec::new(),
            version: None,
        }
    }
}

/// SQS gives a message to others 12 hours after it was received, whatever its receiver does (SQS API,
/// `ChangeMessageVisibility`): what waits must be loaded long before.
const FLUSH_AGE_MAX: Duration = Duration::from_secs(6 * 3600);

/// The Data API ends statements that run longer than this (Redshift management guide, data-api).
const DAY: Duration = Duration::from_secs(24 * 3600);

impl TableSettings {
    /// Everything that `[loader]` may set for all tables.
    pub(super) fn read(section: &mut Section<'_>, default: &TableSettings) -> Self {
        let settings = Self {
            flush_age: section.or("flush_age", default.flush_age),
            flush_bytes: bytes(section, "flush_bytes", default.flush_bytes, 1),
            flush_parts: count(section, "flush_parts", default.flush_parts),
            evolve: section.or("evolve", default.evolve),
            key: Vec::new(),
            version: None,
        };
        if settings.flush_age > FLUSH_AGE_MAX {
            section.problem("flush_age", "is more than 6h: SQS takes messages back that are held for 12 hours");
        }
        settings
    }
}

impl LoaderSettings {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let load_every: Option<Duration> = section.optional("load_every");
        // Twice as long: what waits for its time is never due before it.
        let flush_age = load_every.map_or(Duration::from_secs(60), |every| every.saturating_mul(2));
        let defaults = TableSettings { flush_age, ..TableSettings::default() };
        let settings = Self {
            database: section.required("database"),
            warehouse: Warehouse::read(&mut section),
            schema: identifier(&mut section, "schema", "events"),
            bookkeeping_schema: identifier(&mut section, "bookkeeping_schema", "log_router"),
            iam_role: section.or("iam_role", "default".to_owned()),
            grant_to: grantee::read(&mut section),
            workers: count(&mut section, "workers", 4),
            table: TableSettings::read(&mut section, &defaults),
            load_every,
            max_commits_per_minute: count(&mut section, "max_commits_per_minute", 30),
            max_depth: count(&mut section, "max_depth", 3),
            max_tries: count(&mut section, "max_tries", 3) as u32,
            statement_timeout: section.or("statement_timeout", Duration::from_secs(3600)),
            stopped_retry: section.or("stopped_retry", Duration::from_secs(60)),
            defer_after: section.or("defer_after", Duration::from_secs(10 * 60)),
            drain_timeout: section.or("drain_timeout", Duration::from_secs(25)),
        };
        if settings.iam_role != "default" && !settings.iam_role.starts_with("arn:") {
            section
                .problem("iam_role", format!("{:?} is neither \"default\" nor the ARN of a role", settings.iam_role));
        }
        if settings.load_every.is_some_and(|every| every < Duration::from_secs(60) || every > FLUSH_AGE_MAX / 2) {
            section.problem("load_every", "is not between 1m and 3h");
        }
        // The warehouse takes milliseconds, and 0 for no limit at all.
        if settings.statement_timeout < Duration::from_secs(1) || settings.statement_timeout > DAY {
            section.problem("statement_timeout", "is not between 1s and 24h");
        }
        if settings.stopped_retry < Duration::from_secs(1) {
            section.problem("stopped_retry", "is less than a second: a stopped table would be tried without a pause");
        }
        if settings.max_commits_per_minute > 6_000 {
            let what = "is more than 6000: a hundred commits a second are more than any warehouse makes";
            section.problem("max_commits_per_minute", what);
        }
        if settings.schema == settings.bookkeeping_schema {
            section.problem("bookkeeping_schema", "must differ from schema: event tables and bookkeeping do not mix");
        }
        section.finish();
        settings
    }
}
