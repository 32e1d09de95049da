//! The one settings file, which router, loader and sandbox share: read, overridden by the environment
//! and validated, with all problems reported at once.
//!
//! Credentials, region and endpoints are not settings: they come from the standard AWS environment.

mod grantee;
mod kinds;
mod reader;
mod rules;
mod sections;
mod sweep;
mod tables;

pub use grantee::Grantee;
pub use rules::{DropRule, EventRules, POINTERS_MAX, pointer_problem};
pub use sections::{
    LoaderSettings, Overwrite, QueueNames, RawSettings, RoutedSettings, RouterSettings, TableSettings, Warehouse,
};
pub use sweep::SweepSettings;
pub use tables::{Evolve, Field};

use crate::event_name::EventName;
use crate::keys::{KeyLayout, PART_NAME_MAX_BYTES, PART_URI_MAX_BYTES};
use reader::{Input, Section};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Environment variables of this prefix override settings: `LOG_ROUTER_RAW_BUCKET` is `raw.bucket`.
const ENV_PREFIX: &str = "LOG_ROUTER_";

/// Names the settings file where `--config` is not given.
pub const CONFIG_ENV: &str = "LOG_ROUTER_CONFIG";

/// The settings file used when neither `--config` nor [`CONFIG_ENV`] names one.
pub const DEFAULT_CONFIG: &str = "log-router.toml";

/// Variables that begin like this must override a setting. Others of the prefix are not ours to judge: Kubernetes gives
/// every process some for each service, `LOG_ROUTER_SERVICE_HOST` for one.
const OVERRIDES: [&str; 8] = [
    "LOG_ROUTER_RAW_",
    "LOG_ROUTER_ROUTED_",
    "LOG_ROUTER_SEALS_",
    "LOG_ROUTER_QUARANTINE_",
    "LOG_ROUTER_ROUTER_",
    "LOG_ROUTER_LOADER_",
    "LOG_ROUTER_TABLES_",
    "LOG_ROUTER_SWEEP_",
];

/// Everything a deployment may set, validated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `[raw]`: where log files arrive.
    pub raw: RawSettings,
    /// `[routed]`: where parts go.
    pub routed: RoutedSettings,
    /// Bucket of quarantine objects.
    pub quarantine_bucket: String,
    /// Prefixes of everything written.
    pub keys: KeyLayout,
    /// `[router]`.
    pub router: RouterSettings,
    /// `[loader]`.
    pub loader: LoaderSettings,
    /// `[sweep]`.
    pub sweep: SweepSettings,
    /// `[tables.<event name>]`: overrides per event.
    pub tables: BTreeMap<EventName, TableSettings>,
    effective: Vec<(String, &'static str, toml::Value)>,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file is not there or not readable.
    #[error("could not read the settings file {path}: pass --config FILE or set {CONFIG_ENV}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// An environment variable is no text.
    #[error("environment variable {0} is not UTF-8: set it anew, or unset it")]
    NotText(String),
    /// The file is no TOML.
    #[error("{path} is not TOML")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// Settings that are missing, unknown or wrong: all of them.
    #[error("{path}: {} problem{}:\n  {}", problems.len(), if problems.len() == 1 { "" } else { "s" }, problems.join("\n  "))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// One sentence each, naming the setting and the fix.
        problems: Vec<String>,
    },
}

impl Settings {
    /// Loads the file named by `--config`, else by [`CONFIG_ENV`], else [`DEFAULT_CONFIG`].
    pub fn load(config: Option<&Path>) -> Result<Self, SettingsError> {
        Self::load_with(config, None)
    }

    /// As [`Settings::load`]; `text` stands for the file where nobody names one and there is none. The environment
    /// overrides it all the same.
    pub fn load_or(config: Option<&Path>, text: &str) -> Result<Self, SettingsError> {
        Self::load_with(config, Some(text))
    }

    fn load_with(config: Option<&Path>, otherwise: Option<&str>) -> Result<Self, SettingsError> {
        let env = own_variables(std::env::vars_os())?;
        let path = config
            .map(Path::to_owned)
            .or_else(|| env.get(CONFIG_ENV).map(PathBuf::from))
            .unwrap_or_else(|| PathBuf::from(DEFAULT_CONFIG));
        let is_named = config.is_some() || env.contains_key(CONFIG_ENV);
        let text = match (std::fs::read_to_string(&path), otherwise) {
            (Ok(text), _) => text,
            (Err(error), Some(text)) if error.kind() == ErrorKind::NotFound && !is_named => text.to_owned(),
            (Err(source), _) => return Err(SettingsError::Unreadable { path, source }),
        };
        Self::parse(&path, &text, env)
    }

    /// Settings from a file's text; `env` holds the overrides. `path` is for messages only.
    pub fn parse(path: &Path, text: &str, env: BTreeMap<String, String>) -> Result<Self, SettingsError> {
        let mut root: toml::Table =
            text.parse().map_err(|source| SettingsError::Syntax { path: path.to_owned(), source: Box::new(source) })?;
        let env = env.into_iter().filter(|(name, _)| OVERRIDES.iter().any(|start| name.starts_with(start))).collect();
        let mut input = Input::new(env);
        let settings = Self::read(&mut root, &mut input);
        for section in root.keys() {
            input.problems.push(format!(
                "[{section}] is not a section: known are [raw], [routed], [seals], [quarantine], [router], [loader], [sweep], [tables.<event>]"
            ));
        }
        input.report_unused_env();
        if input.problems.is_empty() {
            Ok(Settings { effective: input.effective, ..settings })
        } else {
            Err(SettingsError::Invalid { path: path.to_owned(), problems: input.problems })
        }
    }

    fn read(root: &mut toml::Table, input: &mut Input) -> Self {
        let (raw, fixed) = RawSettings::read(Section::take(root, "raw", input));
        let (routed, routed_prefix) = RoutedSettings::read(Section::take(root, "routed", input));

        let mut section = Section::take(root, "seals", input);
        let seals = sections::prefix(&mut section, "seals/");
        section.finish();

        let mut section = Section::take(root, "quarantine", input);
        let quarantine_bucket = section.or("bucket", routed.bucket.clone());
        let quarantine = sections::prefix(&mut section, "quarantine/");
        section.finish();

        let router = RouterSettings::read(Section::take(root, "router", input), fixed);
        let loader = LoaderSettings::read(Section::take(root, "loader", input));
        let tables = tables::read(root, input, &loader);
        let flush_ages = tables.values().map(|table| table.flush_age).chain([loader.table.flush_age]);
        let longest_wait = flush_ages.chain(loader.load_every).max().unwrap_or_default();
        let sweep = SweepSettings::read(Section::take(root, "sweep", input), longest_wait);
        let keys = KeyLayout { routed: routed_prefix, seals, quarantine };
        let effective = Vec::new();
        let settings = Settings { raw, routed, quarantine_bucket, keys, router, loader, sweep, tables, effective };
        settings.check_prefixes(input);
        settings.check_queues(input);
        settings
    }

    /// Output under a prefix that is read as input would loop for ever; outputs under one another would mix.
    fn check_prefixes(&self, input: &mut Input) {
        let places = [
            ("raw", &self.raw.bucket, &self.raw.prefix),
            ("routed", &self.routed.bucket, &self.keys.routed),
            ("seals", &self.routed.bucket, &self.keys.seals),
            ("quarantine", &self.quarantine_bucket, &self.keys.quarantine),
        ];
        for (at, (name, bucket, prefix)) in places.iter().enumerate() {
            for (other_name, other_bucket, other) in &places[at + 1..] {
                let overlap = prefix.starts_with(other.as_str()) || other.starts_with(prefix.as_str());
                if bucket == other_bucket && !bucket.is_empty() && overlap {
                    input.problems.push(format!(
                        "{name}.prefix {prefix:?} and {other_name}.prefix {other:?} overlap in bucket {bucket:?}: give each its own prefix, or another bucket"
                    ));
                }
            }
        }
        let longest = "s3://".len() + self.routed.bucket.len() + 1 + self.keys.routed.len() + PART_NAME_MAX_BYTES;
        if longest > PART_URI_MAX_BYTES {
            input.problems.push(format!(
                "routed.prefix: with bucket {:?} it is {} bytes too long, and Redshift's error views would cut the names of parts: shorten it",
                self.routed.bucket,
                longest - PART_URI_MAX_BYTES
            ));
        }
    }

    /// A queue with two uses would hand messages to the wrong reader.
    fn check_queues(&self, input: &mut Input) {
        let (raw, routed) = (&self.raw.queues, &self.routed.queues);
        let queues = [
            ("raw.queue", &raw.live),
            ("raw.backfill_queue", &raw.backfill),
            ("routed.queue", &routed.live),
            ("routed.backfill_queue", &routed.backfill),
        ];
        for (at, (setting, queue)) in queues.iter().enumerate() {
            for (other_setting, other) in &queues[at + 1..] {
                if queue == other && !queue.is_empty() {
                    input.problems.push(format!("{other_setting} is the same queue as {setting}: give each its own"));
                }
            }
        }
    }

    /// The overrides of one table, or the loader's own values.
    pub fn table(&self, event: &EventName) -> TableSettings {
        self.tables.get(event).cloned().unwrap_or_else(|| self.loader.table.clone())
    }

    /// All settings as they will be used, in TOML. Holds no secrets: none are settings.
    pub fn show(&self) -> String {
        let mut out = String::new();
        let mut current = "";
        for (section, key, value) in &self.effective {
            if section != current {
                let gap = if current.is_empty() { "" } else { "\n" };
                out.push_str(&format!("{gap}[{section}]\n"));
                current = section;
            }
            out.push_str(&format!("{key} = {value}\n"));
        }
        out
    }
}

/// The variables of our prefix; others may be anything.
fn own_variables(all: impl Iterator<Item = (OsString, OsString)>) -> Result<BTreeMap<String, String>, SettingsError> {
    let own = all.filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let own = own.filter(|(name, _)| name.starts_with(ENV_PREFIX));
    own.map(|(name, value)| match value.into_string() {
        Ok(value) => Ok((name, value)),
        Err(_) => Err(SettingsError::NotText(name)),
    })
    .collect()
}

#[cfg(test)]
mod tests;
