//! Schemas against scripted answers: a table that the loader may not ALTER.

use super::*;
use crate::mapping::choice::choose;
use crate::mapping::tests::{column, sketch, variant};
use crate::sql::tests::names;

use common::sketch::{SketchNode, Types};
use common::warehouse::scripted::{Answer, ok, scripted};

const RULES: Rules = Rules { evolve: Evolve::Add, max_depth: 3 };

const SYSTEM: [(&str, &str); 3] =
    [("_source", "character varying"), ("_line", "bigint"), ("_loaded_at", "timestamp without time zone")];

fn event() -> EventName {
    EventName::of_type("x")
}

fn seen(node: &SketchNode) -> [Seen<'_>; 1] {
    [Seen { records: 1, node }]
}

/// The table has these columns, each BIGINT, beside the system's.
fn shown(columns: &[&str]) -> String {
    let text = |text: &str| format!(r#"{{"stringValue":"{text}"}}"#);
    let row =
        |name: &&str, data_type: &str| format!(r#"[{},{},{},{}]"#, text("x"), text(name), text(data_type), text("32"));
    let rows = SYSTEM.iter().map(|(name, data_type)| row(name, data_type));
    let rows: Vec<String> = rows.chain(columns.iter().map(|name| row(name, "bigint"))).collect();
    format!(r#"{{"Records":[{}]}}"#, rows.join(","))
}

/// The answers to one look at a table with these columns.
fn looks(columns: &[&str]) -> [Answer; 2] {
    [("ExecuteStatement", ok(r#"{"Id":"1","Status":"FINISHED"}"#)), ("GetStatementResult", ok(&shown(columns)))]
}

fn commits() -> [Answer; 1] {
    [("BatchExecuteStatement", ok(r#"{"Id":"2","Status":"FINISHED"}"#))]
}

fn refuses() -> [Answer; 2] {
    let failed = r#"{"Id":"3","Status":"FAILED","Error":"Query #2 failed with ERROR: must be owner of relation x"}"#;
    [("BatchExecuteStatement", ok(r#"{"Id":"3","Status":"FAILED"}"#)), ("DescribeStatement", ok(failed))]
}

/// A table of somebody else's with the mapped column `a`.
fn schema(columns: &[&str]) -> Schema {
    let row = |(name, data_type): (&str, &str)| -> Row {
        ["x", name, data_type, "32"].map(|text| Some(text.to_owned())).to_vec()
    };
    let rows: Vec<Row> = SYSTEM.into_iter().chain(columns.iter().map(|name| (*name, "bigint"))).map(row).collect();
    let actual = Actual::new(&event(), &rows).unwrap();
    Schema { version: 1, mapping: Mapping::new([column("a", "a", Kind::Bigint)]), actual, refused: None }
}

fn loaded(schema: &Schema) -> Vec<&str> {
    schema.mapping.columns().iter().map(|column| column.name.as_str()).collect()
}

#[tokio::test]
async fn a_table_that_may_not_be_altered_goes_on_without_its_new_fields() {
    let answers = [&looks(&["a"])[..], &commits(), &refuses(), &looks(&["a"])].concat();
    let (warehouse, script) = scripted(answers);
    let mut schema = schema(&["a"]);
    let node = sketch(&[("a", Types::INTEGER), ("b", Types::INTEGER)]);
    schema.grow(&warehouse, &names(), &event(), &seen(&node), RULES).await.expect("goes on");
    script.assert_used_up();
    assert_eq!(loaded(&schema), ["a"], "COPY must not name a column that is not there");
    assert_eq!(schema.left_out(&seen(&node), RULES).into_iter().collect::<Vec<_>>(), [["b"]]);
    let chosen = choose(&schema.loadable(RULES), &node).expect("all load alike");
    assert_eq!(chosen.columns(&schema.mapping).len(), 1);
    assert_eq!(schema.frozen_by(), "the loader may not ALTER the table");

    // The next field is not even committed, and one look tells that nobody made its column.
    let (warehouse, script) = scripted(looks(&["a"]).to_vec());
    let node = sketch(&[("c", Types::INTEGER)]);
    schema.grow(&warehouse, &names(), &event(), &seen(&node), RULES).await.expect("goes on");
    script.assert_used_up();

    // Its owner made the column that was refused.
    let (warehouse, script) = scripted(looks(&["a", "b"]).to_vec());
    let node = sketch(&[("b", Types::INTEGER)]);
    schema.grow(&warehouse, &names(), &event(), &seen(&node), RULES).await.expect("goes on");
    script.assert_used_up();
    assert_eq!(loaded(&schema), ["a", "b"]);
}

#[tokio::test]
async fn a_value_that_needs_a_variant_has_no_other_place() {
    let answers = [&looks(&["a"])[..], &commits(), &refuses(), &looks(&["a"])].concat();
    let (warehouse, script) = scripted(answers);
    let node = sketch(&[("a", Types::BOOLEAN)]);
    let error = schema(&["a"]).grow(&warehouse, &names(), &event(), &seen(&node), RULES).await.unwrap_err();
    script.assert_used_up();
    assert_eq!(error.class(), Class::Configuration, "the table stops: {error}");
}

#[test]
fn only_new_fields_and_sizes_can_be_done_without() {
    let new = column("b", "b", Kind::Bigint);
    let (of_new, of_known) = (variant("b", "b", "b__super", Kind::Super), variant("a", "a", "a__super", Kind::Super));
    let record = column("", "_record", Kind::Super);
    assert!(can_do_without(&[&new, &of_new, &record].map(Missing::Column)));
    assert!(can_do_without(&[Missing::Size(&new)]));
    for missing in [Missing::Table, Missing::SystemColumn("_source"), Missing::Column(&of_known)] {
        assert!(!can_do_without(&[Missing::Column(&new), missing]));
    }
}

#[test]
fn a_frozen_table_foresees_no_column_for_a_new_field() {
    let node = sketch(&[("a", Types::INTEGER), ("b", Types::INTEGER)]);
    let frozen = Rules { evolve: Evolve::Freeze, ..RULES };
    let outlook = |rules| schema(&["a"]).outlook(&names(), &event(), &seen(&node), rules).unwrap();
    assert_eq!(outlook(frozen).statements, Vec::<String>::new());
    assert_eq!(outlook(RULES).statements, [r#"ALTER TABLE "events"."x" ADD COLUMN "b" BIGINT"#]);
}
