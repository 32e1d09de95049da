//! Reads one section of the settings file with its environment overrides, and collects every problem.
//!
//! Own code, because serde stops at the first problem and an operator should see all of them at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use toml::Value;

/// Where values come from and where problems go, over all sections.
pub(super) struct Input {
    env: BTreeMap<String, String>,
    used_env: BTreeSet<String>,
    /// Problems found so far, each naming its setting.
    pub(super) problems: Vec<String>,
    /// `(section, key, value)` of every setting, as it will be used.
    pub(super) effective: Vec<(String, &'static str, Value)>,
}

impl Input {
    pub(super) fn new(env: BTreeMap<String, String>) -> Self {
        Self { env, used_env: BTreeSet::new(), problems: Vec::new(), effective: Vec::new() }
    }

    /// Overrides that no setting asked for: a typo there must not pass silently.
    pub(super) fn report_unused_env(&mut self) {
        let unused: Vec<String> = self.env.keys().filter(|name| !self.used_env.contains(*name)).cloned().collect();
        for name in unused {
            self.problems
                .push(format!("environment variable {name} overrides no setting: unset it or correct its name"));
        }
    }
}

/// One `[section]` being read.
pub(super) struct Section<'a> {
    name: String,
    table: toml::Table,
    known: Vec<&'static str>,
    input: &'a mut Input,
}

impl<'a> Section<'a> {
    /// Takes the section out of the file's root table.
    pub(super) fn take(root: &mut toml::Table, name: &str, input: &'a mut Input) -> Self {
        let table = match root.remove(name) {
            None => toml::Table::new(),
            Some(Value::Table(table)) => table,
            Some(_) => {
                input.problems.push(format!("{name}: expected a section, written [{name}]"));
                toml::Table::new()
            }
        };
        Self::of(name, table, input)
    }

    /// A section whose table is already at hand.
    pub(super) fn of(name: &str, table: toml::Table, input: &'a mut Input) -> Self {
        Self { name: name.to_owned(), table, known: Vec::new(), input }
    }

    /// A setting that must be given.
    pub(super) fn required<T: Setting + Default>(&mut self, key: &'static str) -> T {
        self.value(key).unwrap_or_else(|missing| {
            if missing {
                let (section, env) = (&self.name, self.env_name(key));
                self.input.problems.push(format!("{section}.{key} is missing: set {key} in [{section}], or {env}"));
            }
            T::default()
        })
    }

    /// A setting with a default.
    pub(super) fn or<T: Setting>(&mut self, key: &'static str, default: T) -> T {
        self.value(key).unwrap_or_else(|_| {
            self.input.effective.push((self.name.clone(), key, default.to_toml()));
            default
        })
    }

    /// A setting that may be left out.
    pub(super) fn optional<T: Setting>(&mut self, key: &'static str) -> Option<T> {
        self.value(key).ok()
    }

    /// Whether file or environment set it to something readable.
    pub(super) fn was_given(&self, key: &str) -> bool {
        self.input.effective.iter().any(|(section, k, _)| *section == self.name && *k == key)
    }

    /// Adds a problem with one of this section's settings.
    pub(super) fn problem(&mut self, key: &str, what: impl AsRef<str>) {
        self.input.problems.push(format!("{}.{key}: {}", self.name, what.as_ref()));
    }

    /// `Err(true)`: not given. `Err(false)`: given, and reported as wrong.
    fn value<T: Setting>(&mut self, key: &'static str) -> Result<T, bool> {
        self.known.push(key);
        let env_name = self.env_name(key);
        let in_file = self.table.remove(key);
        let (parsed, place) = if let Some(text) = self.input.env.get(&env_name) {
            self.input.used_env.insert(env_name.clone());
            (T::from_text(text), env_name)
        } else if let Some(value) = in_file {
            (T::from_toml(&value), format!("{}.{key}", self.name))
        } else {
            return Err(true);
        };
        match parsed {
            Ok(value) => {
                self.input.effective.push((self.name.clone(), key, value.to_toml()));
                Ok(value)
            }
            Err(expected) => {
                self.input.problems.push(format!("{place}: expected {expected}"));
                Err(false)
            }
        }
    }

    fn env_name(&self, key: &str) -> String {
        format!("LOG_ROUTER_{}_{key}", self.name.replace('.', "_")).to_uppercase()
    }

    /// Reports what no setting took.
    pub(super) fn finish(self) {
        for key in self.table.keys() {
            let near =
                self.known.iter().max_by(|a, b| strsim::jaro_winkler(a, key).total_cmp(&strsim::jaro_winkler(b, key)));
            let hint = match near {
                Some(near) if strsim::jaro_winkler(near, key) > 0.8 => format!(": did you mean {near}?"),
                _ => format!(": known settings are {}", self.known.join(", ")),
            };
            self.input.problems.push(format!("{}.{key} is not a setting{hint}", self.name));
        }
    }
}

/// A type that a setting can have. The error of both readers completes "expected …".
pub(super) trait Setting: Sized {
    fn from_toml(value: &Value) -> Result<Self, String>;
    fn to_toml(&self) -> Value;
    /// From the environment: as TOML would be, without the quotes.
    fn from_text(text: &str) -> Result<Self, String> {
        let parsed = format!("v = {text}").parse::<toml::Table>().ok().and_then(|mut t| t.remove("v"));
        match parsed {
            Some(value) if !value.is_str() => Self::from_toml(&value),
            _ => Self::from_toml(&Value::String(text.to_owned())),
        }
    }
}

impl Setting for String {
    fn from_toml(value: &Value) -> Result<Self, String> {
        value.as_str().map(str::to_owned).ok_or_else(|| format!("a text in quotes, found {value}"))
    }
    fn to_toml(&self) -> Value {
        Value::String(self.clone())
    }
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Setting for bool {
    fn from_toml(value: &Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| format!("true or false, found {value}"))
    }
    fn to_toml(&self) -> Value {
        Value::Boolean(*self)
    }
}

impl Setting for u64 {
    fn from_toml(value: &Value) -> Result<Self, String> {
        value.as_integer().and_then(|n| n.try_into().ok()).ok_or_else(|| format!("a whole number, found {value}"))
    }
    fn to_toml(&self) -> Value {
        Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX))
    }
}

impl Setting for Vec<String> {
    fn from_toml(value: &Value) -> Result<Self, String> {
        let texts = value.as_array().and_then(|a| a.iter().map(|v| v.as_str().map(str::to_owned)).collect());
        texts.ok_or_else(|| format!("a list of texts like [\"/event\"], found {value}"))
    }
    fn to_toml(&self) -> Value {
        Value::Array(self.iter().cloned().map(Value::String).collect())
    }
}

/// Longer times are mistakes, and clocks cannot add them all.
const TIME_MAX: Duration = Duration::from_secs(5 * 365 * 24 * 3600);

impl Setting for Duration {
    fn from_toml(value: &Value) -> Result<Self, String> {
        let expected = || format!("a time like \"60s\" or \"2h\", found {value}");
        let time = humantime::parse_duration(value.as_str().ok_or_else(expected)?).map_err(|_| expected())?;
        if time > TIME_MAX { Err(format!("a time of at most five years, found {value}")) } else { Ok(time) }
    }
    fn to_toml(&self) -> Value {
        Value::String(humantime::format_duration(*self).to_string())
    }
}

/// A size in bytes, written `"256MiB"`, `"64KiB"` or as a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ByteSize(pub(super) u64);

impl Setting for ByteSize {
    fn from_toml(value: &Value) -> Result<Self, String> {
        let expected = || format!("a size like \"256MiB\", found {value}");
        if let Value::Integer(n) = value {
            return u64::try_from(*n).map(ByteSize).map_err(|_| expected());
        }
        let text = value.as_str().ok_or_else(expected)?.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let unit = match text[digits..].trim() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            _ => return Err(expected()),
        };
        text[..digits].parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).map(ByteSize).ok_or_else(expected)
    }
    fn to_toml(&self) -> Value {
        const UNITS: [(u64, &str); 4] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        let fitting = UNITS.iter().find(|(size, _)| self.0 >= *size && self.0.is_multiple_of(*size));
        fitting.map_or_else(|| self.0.to_toml(), |(size, unit)| Value::String(format!("{}{unit}", self.0 / size)))
    }
}
