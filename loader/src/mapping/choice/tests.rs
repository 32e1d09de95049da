use super::*;
use crate::mapping::tests::{column, sketch, variant};
use crate::record::Record;

fn names(mapping: &Mapping, choice: &Choice) -> Vec<String> {
    choice.columns(mapping).into_iter().map(|column| column.name.clone()).collect()
}

/// What all records of a part load; nothing where they differ.
fn chosen(mapping: &Mapping, sketch: &SketchNode) -> Option<Vec<String>> {
    choose(mapping, sketch).map(|choice| names(mapping, &choice))
}

fn needed(mapping: &Mapping, record: &str) -> Vec<String> {
    let record = Record::read(record.as_bytes()).expect("a record");
    names(mapping, &needs(mapping, &record.root).choice)
}

fn some(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn a_part_that_fits_loads_all_mapped_columns() {
    let mapping = Mapping::new([column("a", "a", Kind::Bigint), column("b.c", "b_c", Kind::Varchar)]);
    assert_eq!(chosen(&mapping, &sketch(&[("a", Types::INTEGER)])), some(&["a", "b_c"]));
    assert_eq!(chosen(&mapping, &sketch(&[("b", Types::NULL), ("d", Types::NULL)])), some(&["a", "b_c"]));
    assert_eq!(chosen(&mapping, &sketch(&[("_lr.s", Types::STRING)])), some(&["a", "b_c"]), "lineage is no field");
}

#[test]
fn a_misfit_takes_the_place_of_its_column() {
    let mapping = Mapping::new([column("a", "a", Kind::Bigint), variant("a", "a", "a__varchar", Kind::Varchar)]);
    assert_eq!(chosen(&mapping, &sketch(&[("a", Types::STRING)])), some(&["a__varchar"]));
    assert_eq!(chosen(&mapping, &sketch(&[("a", Types::STRING | Types::NULL)])), some(&["a__varchar"]));
    assert_eq!(chosen(&mapping, &sketch(&[("a", Types::INTEGER)])), some(&["a"]));
}

#[test]
fn where_a_part_mixes_each_record_is_asked() {
    let mapping = Mapping::new([
        column("a", "a", Kind::Double),
        variant("a", "a", "a__bigint", Kind::Bigint),
        variant("a", "a", "a__varchar", Kind::Varchar),
        variant("a", "a", "a__super", Kind::Super),
    ]);
    assert_eq!(chosen(&mapping, &sketch(&[("a", Types::INTEGER | Types::STRING)])), None);
    assert_eq!(chosen(&mapping, &sketch(&[("a", Types::STRING | Types::ARRAY)])), None, "two variants");
    assert_eq!(chosen(&mapping, &sketch(&[("a", Types::INTEGER | Types::BIGINT)])), None);
    for (value, column) in [
        ("1", "a"),
        ("0.5", "a"),
        ("9007199254740992", "a"),
        ("9007199254740993", "a__bigint"),
        ("\"1\"", "a__varchar"),
        ("\"2025-06-01T09:00:00Z\"", "a__varchar"),
        ("[]", "a__super"),
        ("true", "a__super"),
        ("3.141592653589793238462643383279", "a__super"),
        ("{\"b\":1}", "a__super"),
        ("null", "a"),
    ] {
        assert_eq!(needed(&mapping, &format!("{{\"a\":{value}}}")), [column], "{value}");
    }
}

#[test]
fn a_string_longer_than_its_column_does_not_fit_it() {
    let mapping = Mapping::new([column("a", "a", Kind::Varchar), column("", "_record", Kind::Super)]);
    let record = |length: usize| format!(r#"{{"a":"{}"}}"#, "é".repeat(length / 2));
    assert_eq!(needed(&mapping, &record(256)), ["a"]);
    assert_eq!(needed(&mapping, &record(258)), ["_record"]);
    let mut part = sketch(&[("a", Types::STRING)]);
    part.keys.get_mut("a").unwrap().max_bytes = 258;
    assert_eq!(chosen(&mapping, &part), None, "others may be shorter");
}

#[test]
fn an_object_without_values_is_null_in_every_column_but_super() {
    let mapping = Mapping::new([
        column("a", "a", Kind::Bigint),
        column("t", "t", Kind::Varchar),
        column("s", "s", Kind::Super),
        column("o.n", "o_n", Kind::Number),
        column("s.b", "s_b", Kind::Boolean),
    ]);
    for path in ["a", "a.b"] {
        let types = if path == "a" { Types::OBJECT } else { Types::NULL };
        assert_eq!(chosen(&mapping, &sketch(&[(path, types)])), some(&["t", "s", "o_n", "s_b"]), "{path}");
    }
    let deep = [("t", Types::OBJECT | Types::NULL), ("o.n", Types::OBJECT), ("s.b", Types::OBJECT)];
    assert_eq!(chosen(&mapping, &sketch(&deep)), some(&["a", "s"]));
    let beside = [("s.b", Types::OBJECT), ("s.c", Types::STRING), ("a", Types::NULL)];
    assert_eq!(chosen(&mapping, &sketch(&beside)), some(&["a", "t", "s", "o_n"]));
    assert_eq!(chosen(&mapping, &sketch(&[("t", Types::OBJECT | Types::STRING)])), None, "some objects, some texts");
}

#[test]
fn a_scalar_where_objects_were_leaves_the_objects_columns_out() {
    let mapping = Mapping::new([
        column("a.b", "a_b", Kind::Bigint),
        column("a.c.d", "a_c_d", Kind::Bigint),
        variant("a", "a", "a__boolean", Kind::Boolean),
        column("e", "e", Kind::Bigint),
    ]);
    assert_eq!(chosen(&mapping, &sketch(&[("a", Types::BOOLEAN)])), some(&["a__boolean", "e"]));
    assert_eq!(chosen(&mapping, &sketch(&[("a.b", Types::BIGINT)])), some(&["a_b", "a_c_d", "e"]));
    assert_eq!(needed(&mapping, r#"{"a":true,"e":1}"#), ["a__boolean", "e"]);
}

#[test]
fn values_without_a_column_bring_the_whole_record() {
    let mapping = Mapping::new([column("", "_record", Kind::Super), column("a", "a", Kind::Bigint)]);
    assert_eq!(chosen(&mapping, &sketch(&[("a", Types::INTEGER)])), some(&["a"]));
    assert_eq!(chosen(&mapping, &sketch(&[("a", Types::INTEGER), ("it's", Types::STRING)])), None, "not every record");
    assert_eq!(needed(&mapping, r#"{"a":1,"it's":"x"}"#), ["_record", "a"]);
    assert_eq!(needed(&mapping, r#"{"a":1,"it's":null}"#), ["a"]);
    assert_eq!(needed(&mapping, r#"{"a":"x"}"#), ["_record"], "no variant could be made");
    let record = Record::read(br#"{"a":"x","b":1}"#).expect("a record");
    let needs = needs(&mapping, &record.root);
    assert_eq!(needs.lacking, [(vec!["a"], &record.root.keys[0].1)], "but a column could be");
    assert!(needs.has_unmapped, "b");
}

#[test]
fn a_part_that_hides_its_keys_is_known_by_its_records_alone() {
    let hiding = SketchNode { types: Types::OBJECT, collapsed: true, ..Default::default() };
    let mapping = Mapping::new([column("", "_record", Kind::Super), column("a", "a", Kind::Bigint)]);
    assert_eq!(chosen(&mapping, &hiding), None);
    let unmapped = Mapping::new([column("", "_record", Kind::Super)]);
    assert_eq!(chosen(&unmapped, &hiding), some(&["_record"]), "there are no other columns");
    assert_eq!(names(&mapping, &Choice::whole_records(&mapping)), ["_record"]);
}

#[test]
fn a_super_column_beside_flattened_ones_covers_what_they_cannot() {
    let mapping = Mapping::new([column("a.b", "a_b", Kind::Bigint), column("a", "a", Kind::Super)]);
    let beside = [("a.b", Types::INTEGER), ("a.it's", Types::STRING)];
    assert_eq!(chosen(&mapping, &sketch(&beside)), some(&["a_b", "a"]));
    assert_eq!(chosen(&mapping, &sketch(&[("a.b", Types::STRING)])), some(&["a"]), "a_b cannot hold it, a does");
    assert_eq!(chosen(&mapping, &sketch(&[("a", Types::ARRAY)])), some(&["a"]));
    assert_eq!(chosen(&mapping, &sketch(&[("a", Types::ARRAY), ("a.b", Types::INTEGER)])), None);
}

#[test]
fn parts_with_the_same_needs_make_the_same_choice() {
    let mapping = Mapping::new([column("a", "a", Kind::Bigint), column("b", "b", Kind::Bigint)]);
    let one = choose(&mapping, &sketch(&[("a", Types::INTEGER)]));
    assert_eq!(one, choose(&mapping, &sketch(&[("b", Types::BIGINT | Types::NULL)])));
}

#[test]
fn what_fits_a_persons_column_only_the_records_know() {
    let decimal = Kind::Decimal { precision: 5, scale: 2 };
    let mut mapping = Mapping::new([column("d", "d", decimal), column("day", "day", Kind::Date)]);
    mapping.add([variant("d", "d", "d__double", Kind::Double)]);
    assert_eq!(chosen(&mapping, &sketch(&[("d", Types::INTEGER)])), None);
    assert_eq!(chosen(&mapping, &sketch(&[("d", Types::NULL)])), some(&["d", "day"]));
    assert_eq!(needed(&mapping, r#"{"d":12.5,"day":"2025-06-01"}"#), ["d", "day"]);
    assert_eq!(needed(&mapping, r#"{"d":0.125}"#), ["day", "d__double"]);
    let record = Record::read(br#"{"day":"tomorrow"}"#).expect("a record");
    assert_eq!(needs(&mapping, &record.root).lacking[0].0, ["day"]);
}
