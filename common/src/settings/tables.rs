//! `[tables.<event name>]`: what one table does differently, and what only a table can be told.

use super::reader::{Input, Section, Setting};
use super::rules::pointer_problem;
use super::sections::{LoaderSettings, TableSettings};
use crate::event_name::EventName;
use std::collections::BTreeMap;
use toml::Value;

/// `evolve`: what becomes of fields that a table has no column for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evolve {
    /// They get columns.
    Add,
    /// They are left out of the table, and told.
    Freeze,
}

impl Setting for Evolve {
    fn from_toml(value: &Value) -> Result<Self, String> {
        match value.as_str() {
            Some("add") => Ok(Self::Add),
            Some("freeze") => Ok(Self::Freeze),
            _ => Err(format!("\"add\" or \"freeze\", found {value}")),
        }
    }
    fn to_toml(&self) -> Value {
        let text = match self {
            Self::Add => "add",
            Self::Freeze => "freeze",
        };
        Value::String(text.to_owned())
    }
}

/// A field of a record, as the keys that lead to it from the record's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field(Vec<String>);

impl Field {
    /// `id` is the record's own, `/user/id` a JSON pointer to one further down.
    fn parse(text: &str) -> Option<Self> {
        let token = |token: &str| token.replace("~1", "/").replace("~0", "~");
        let path: Vec<String> = match text.strip_prefix('/') {
            Some(rest) => rest.split('/').map(token).collect(),
            None => vec![text.to_owned()],
        };
        path.iter().all(|key| !key.is_empty()).then_some(Self(path))
    }

    /// Keys from the root, at least one.
    pub fn path(&self) -> &[String] {
        &self.0
    }
}

/// All sections `[tables.<event name>]`.
pub(super) fn read(
    root: &mut toml::Table,
    input: &mut Input,
    loader: &LoaderSettings,
) -> BTreeMap<EventName, TableSettings> {
    let mut tables = BTreeMap::new();
    let Some(value) = root.remove("tables") else { return tables };
    let Value::Table(sections) = value else {
        input.problems.push("tables: expected sections, written [tables.<event name>]".to_owned());
        return tables;
    };
    for (name, value) in sections {
        let (Value::Table(table), Ok(event)) = (value, EventName::try_from(name.clone())) else {
            input.problems.push(format!("[tables.{name}]: expected a section named by an event name like page_view"));
            continue;
        };
        let mut section = Section::of(&format!("tables.{name}"), table, input);
        let mut settings = TableSettings::read(&mut section, &loader.table);
        let key: Option<Vec<String>> = section.optional("key");
        if key.as_ref().is_some_and(Vec::is_empty) {
            section.problem("key", "names no field: leave it out");
        }
        settings.key = fields(&mut section, "key", key.unwrap_or_default());
        let version: Option<String> = section.optional("version");
        if version.is_some() && settings.key.is_empty() {
            section.problem("version", "goes with key: say which fields identify what has versions");
        }
        settings.version = fields(&mut section, "version", version.into_iter().collect()).pop();
        section.finish();
        tables.insert(event, settings);
    }
    for event in tables.iter().filter(|(_, table)| !table.key.is_empty()).map(|(event, _)| event) {
        let view = format!("{event}_latest");
        if tables.keys().any(|other| other.as_str() == view) {
            input.problems.push(format!(
                "tables.{event}.key: its view would be {view}, which [tables.{view}] says is a table: leave out one of them"
            ));
        }
    }
    tables
}

fn fields(section: &mut Section<'_>, key: &'static str, texts: Vec<String>) -> Vec<Field> {
    let mut fields = Vec::with_capacity(texts.len());
    for text in texts {
        let problem =
            Some(&text).filter(|text| text.len() > 1 && text.starts_with('/')).and_then(|text| pointer_problem(text));
        match (Field::parse(&text), problem) {
            (Some(field), None) => fields.push(field),
            (Some(_), Some(problem)) => section.problem(key, problem),
            (None, _) => section.problem(
                key,
                format!(
                    "{text:?} names no field: write \"id\", or a JSON pointer like \"/user/id\" to one further down"
                ),
            ),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::super::tests::{MINIMAL, parse, problems};
    use super::*;

    fn table(lines: &str) -> String {
        format!("{MINIMAL}[tables.order]\n{lines}\n")
    }

    #[test]
    fn a_table_may_have_a_key_a_version_and_be_frozen() {
        let settings = parse(&table("key = [\"id\", \"/shop/a~1b\"]\nversion = \"/at\"\nevolve = \"freeze\""), &[]);
        let order = settings.expect("valid").table(&EventName::of_type("order"));
        let paths: Vec<&[String]> = order.key.iter().map(Field::path).collect();
        assert_eq!(paths, [&["id".to_owned()][..], &["shop".to_owned(), "a/b".to_owned()]]);
        assert_eq!(order.version.expect("set").path(), ["at"]);
        assert_eq!(order.evolve, Evolve::Freeze);
        let frozen = parse(MINIMAL, &[("LOG_ROUTER_LOADER_EVOLVE", "freeze")]).expect("valid");
        assert_eq!(frozen.table(&EventName::of_type("other")).evolve, Evolve::Freeze);
    }

    #[test]
    fn keys_that_could_not_work_are_refused() {
        for (lines, named) in [
            ("key = []", "tables.order.key: names no field"),
            ("key = [\"\"]", "tables.order.key: \"\" names no field"),
            ("key = [\"/a~b\"]", "tables.order.key: \"/a~b\" is not a JSON pointer: a ~"),
            ("key = [\"/a//b\"]", "tables.order.key: \"/a//b\" names no field"),
            ("version = \"at\"", "tables.order.version: goes with key"),
            ("evolve = \"never\"", "tables.order.evolve: expected \"add\" or \"freeze\""),
            ("key = [\"id\"]\n[tables.order_latest]", "tables.order.key: its view would be order_latest"),
        ] {
            let found = problems(&table(lines), &[]);
            assert!(found.iter().any(|problem| problem.starts_with(named)), "{lines}: {found:?}");
        }
    }

    #[test]
    fn what_is_shown_of_a_table_is_read_back() {
        let settings = parse(&table("key = [\"/a/b\"]\nversion = \"v\""), &[]).expect("valid");
        let again = parse(&settings.show(), &[]).expect("what is shown is valid");
        assert_eq!(again.tables, settings.tables);
    }
}
