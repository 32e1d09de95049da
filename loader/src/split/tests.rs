use super::*;
use crate::mapping::extend::{Existing, Seen, extend};
use crate::mapping::kind::Kind;
use crate::mapping::tests::{column, variant};
use crate::mapping::{Column, RECORD_COLUMN};
use proptest::prelude::*;
use serde_json::Value as Json;

const MAX_DEPTH: usize = 2;

/// What a part of this sketch loads.
pub(crate) fn columns_of(mapping: &Mapping, sketch: &SketchNode) -> Arc<Columns> {
    let choice = choose(mapping, sketch).expect("one for all records");
    Arc::new(Columns::of(mapping, &Layout::Chosen(choice)))
}

/// A part of these records, as the router would write and sketch it.
struct Sketched {
    lines: Vec<String>,
    sketch: SketchNode,
}

fn part(records: &[String]) -> Sketched {
    let lineage = |(n, record): (usize, &String)| {
        let rest = &record[1..];
        format!("{{\"_lr\":{{\"s\":\"S\",\"l\":{n}}}{}{rest}", if rest == "}" { "" } else { "," })
    };
    let mut sketch = SketchNode { types: Types::OBJECT, ..Default::default() };
    for record in records {
        sketch.merge(&Record::read(record.as_bytes()).expect(record).root.sketch());
    }
    Sketched { lines: records.iter().enumerate().map(lineage).collect(), sketch }
}

/// The mapping after these parts were loaded one by one.
fn grown(parts: &[&Sketched]) -> Mapping {
    let mut mapping = Mapping::default();
    for part in parts {
        let seen = [Seen { records: part.lines.len() as u64, node: &part.sketch }];
        let rows = extend(&mapping, &Existing::new(), &seen, MAX_DEPTH);
        mapping.add(rows);
    }
    mapping
}

fn stored(lines: &[String]) -> Piece {
    let mut writer = PieceWriter::new(Codec::Gzip).expect("in memory");
    lines.iter().for_each(|line| writer.line(line.as_bytes()).expect("in memory"));
    writer.finish().expect("in memory").expect("not empty")
}

fn lines_of(piece: &Piece) -> Vec<String> {
    let mut lines = Lines::new(Codec::Gzip, &piece.stored, piece.records).expect("gzip");
    let mut found = Vec::new();
    while let Some((_, line)) = lines.next_line().expect("a line") {
        found.push(String::from_utf8(line.to_vec()).expect("UTF-8"));
    }
    found
}

/// Splits as [`Splitter`] does, in memory.
fn split(mapping: &Mapping, part: &Sketched) -> Vec<(Vec<String>, Layout)> {
    if let Some(choice) = choose(mapping, &part.sketch) {
        return vec![(part.lines.clone(), Layout::Chosen(choice))];
    }
    let whole = stored(&part.lines);
    let lines = || Lines::new(Codec::Gzip, &whole.stored, whole.records).expect("gzip");
    let tally = Tally::of(mapping, &mut lines(), true).expect("lines");
    assert_eq!(tally.lacking, SketchNode::default(), "the mapping was grown by all of it");
    let is_only = tally.is_one_choice();
    let commonest = match tally.commonest() {
        (Some(only), _) if is_only => return vec![(part.lines.clone(), Layout::Chosen(only))],
        (commonest, _) => commonest,
    };
    let pieces = write(mapping, &mut lines(), Codec::Gzip, commonest).expect("lines");
    pieces.into_iter().map(|(piece, layout)| (lines_of(&piece), layout)).collect()
}

/// What COPY would put into each column, found with nothing but a JSON parser.
fn copied(mapping: &Mapping, line: &str, layout: &Layout) -> BTreeMap<String, Json> {
    let Columns { names, jsonpaths } = Columns::of(mapping, layout);
    let record: Json = serde_json::from_str(line).expect(line);
    let values = names.into_iter().zip(jsonpaths).map(|(name, path)| {
        let keys: Vec<&str> = path.split("['").skip(1).map(|key| key.trim_end_matches("']")).collect();
        (name, keys.iter().try_fold(&record, |value, key| value.as_object()?.get(*key)).cloned().unwrap_or(Json::Null))
    });
    values.filter(|(_, value)| !value.is_null()).collect()
}

fn fits(column: &Column, value: &Json, text: &str) -> bool {
    match (column.kind, value) {
        (Kind::Super, _) => true,
        (Kind::Boolean, value) => value.is_boolean(),
        (Kind::Bigint, value) => value.is_i64(),
        (Kind::Double, value) => value.is_number() && text.len() < 25,
        (Kind::Number, value) => value.is_number(),
        (Kind::Timestamp, Json::String(text)) => text.contains('T') && text.ends_with('Z'),
        (Kind::Varchar, Json::String(text)) => text.len() <= column.size as usize,
        _ => false,
    }
}

fn has_values(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::Object(keys) => keys.values().any(has_values),
        _ => true,
    }
}

/// Fails unless every value below is in exactly one column of its path, or inside a SUPER.
fn check(mapping: &Mapping, row: &BTreeMap<String, Json>, path: &mut Vec<String>, value: &Json, covered: bool) {
    let here = mapping.columns().iter().filter(|column| column.path == *path && !path.is_empty());
    let holders: Vec<&Column> = here.filter(|column| row.contains_key(&column.name)).collect();
    assert!(holders.len() <= 1, "{path:?} is in {holders:?}");
    for holder in &holders {
        assert_eq!(row[&holder.name], *value, "{path:?}");
        assert!(fits(holder, value, &value.to_string()), "{value} in {holder:?}");
    }
    match value {
        Json::Object(keys)
            if holders.is_empty() || mapping.stands_apart(holders[0]) && holders[0].variant_of.is_none() =>
        {
            let is_root = path.is_empty();
            for (key, below) in keys.iter().filter(|(key, _)| !is_root || *key != "_lr") {
                path.push(key.clone());
                check(mapping, row, path, below, covered || !holders.is_empty());
                path.pop();
            }
        }
        value => {
            assert!(!holders.is_empty() || covered || !has_values(value), "{path:?} {value} is nowhere in {row:?}")
        }
    }
}

fn check_row(mapping: &Mapping, line: &str, row: &BTreeMap<String, Json>) {
    let record: Json = serde_json::from_str(line).expect(line);
    if let Some(whole) = row.get(RECORD_COLUMN) {
        assert_eq!(*whole, record);
    }
    check(mapping, row, &mut Vec::new(), &record, row.contains_key(RECORD_COLUMN));
}

fn line_number(line: &str) -> u64 {
    let record: Json = serde_json::from_str(line).expect(line);
    record["_lr"]["l"].as_u64().expect("a line")
}

fn assert_all_is_loaded(mapping: &Mapping, part: &Sketched) {
    let mut found = BTreeSet::new();
    for (lines, layout) in split(mapping, part) {
        for line in lines {
            let n = line_number(&line);
            assert!(found.insert(n), "line {n} is in two pieces");
            let source = &part.lines[n as usize];
            assert!(layout == Layout::Rewritten || line == *source, "{line} is not verbatim");
            check_row(mapping, source, &copied(mapping, &line, &layout));
        }
    }
    assert_eq!(found.len(), part.lines.len());
}

fn scalar() -> impl Strategy<Value = String> {
    let values = [
        "null",
        "true",
        "0",
        "-7",
        "9007199254740992",
        "9007199254740993",
        "9223372036854775807",
        "0.5",
        "1.5e3",
        "3.141592653589793238462643383279",
        "123456789012345678901234567890",
        "\"\"",
        "\"x\"",
        "\"\\u00e9|\\\"\"",
        "\"2025-06-01T09:00:00Z\"",
        "\"2025-06-01T09:00:00\"",
        "[]",
        "[1,{\"x\":null}]",
        "{}",
    ];
    prop_oneof![
        8 => prop::sample::select(values.to_vec()).prop_map(str::to_owned),
        1 => prop::sample::select(vec![255, 256, 257, 4096, 5000]).prop_map(|n: usize| format!("\"{}\"", "y".repeat(n))),
    ]
}

fn object(value: impl Strategy<Value = String> + Clone) -> impl Strategy<Value = String> {
    let keys = prop::sample::subsequence(vec!["a", "b", "o", "userId", "userid", "it's", "", "d.t"], 0..5);
    (keys, prop::collection::vec(value, 5)).prop_map(|(keys, values)| {
        let members: Vec<String> = keys.iter().zip(values).map(|(key, value)| format!("{key:?}:{value}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

fn record() -> impl Strategy<Value = String> {
    let value = scalar().boxed().prop_recursive(3, 20, 5, |inner| object(inner).boxed());
    object(value)
}

fn records() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(record(), 1..8)
}

proptest! {
    #[test]
    fn every_value_of_every_record_is_in_one_column_or_inside_a_super(
        earlier in prop::collection::vec(records(), 0..4), records in records(),
    ) {
        let earlier: Vec<Sketched> = earlier.iter().map(|records| part(records)).collect();
        let part = part(&records);
        let mapping = grown(&earlier.iter().chain([&part]).collect::<Vec<_>>());
        assert_all_is_loaded(&mapping, &part);
        for before in &earlier {
            assert_all_is_loaded(&mapping, before);
        }
    }

    #[test]
    fn a_record_needs_what_a_part_of_it_alone_would(records in prop::collection::vec(records(), 1..4), one in record()) {
        let parts: Vec<Sketched> = records.iter().chain([&vec![one.clone()]]).map(|records| part(records)).collect();
        let mapping = grown(&parts.iter().collect::<Vec<_>>());
        let one = Record::read(one.as_bytes()).expect("a record");
        let choice = needs(&mapping, &one.root).choice;
        match choose(&mapping, &one.root.sketch()) {
            Some(chosen) => prop_assert_eq!(chosen, choice),
            None => prop_assert!(choice.keeps_record(), "only what has no column is left to the records"),
        }
    }

    #[test]
    fn a_rewritten_record_loads_as_it_would_have(records in prop::collection::vec(records(), 1..4)) {
        let parts: Vec<Sketched> = records.iter().map(|records| part(records)).collect();
        let mapping = grown(&parts.iter().collect::<Vec<_>>());
        for line in parts.iter().flat_map(|part| &part.lines) {
            let record = Record::read(line.as_bytes()).expect("a record");
            let needs = needs(&mapping, &record.root);
            let verbatim = copied(&mapping, line, &Layout::Chosen(needs.choice.clone()));
            let mut text = Vec::new();
            prop_assert!(rewrite::rewrite(&mapping, line.as_bytes(), &record, needs, &mut text));
            let text = String::from_utf8(text).expect("UTF-8");
            prop_assert_eq!(copied(&mapping, &text, &Layout::Rewritten), verbatim, "{}", text);
            let restored = rewrite::restored(text.as_bytes()).expect("a record");
            prop_assert_eq!(String::from_utf8(restored).expect("UTF-8"), source_of(line));
        }
    }

    #[test]
    fn what_a_sketch_hides_is_found_in_the_records(earlier in records(), records in records()) {
        let (earlier, mut hiding) = (part(&earlier), part(&records));
        let mapping = grown(&[&earlier]);
        hiding.sketch = SketchNode { types: Types::OBJECT, collapsed: true, ..Default::default() };
        if look::hides_columns(&mapping, &hiding.sketch) {
            let piece = stored(&hiding.lines);
            let mut lines = Lines::new(Codec::Gzip, &piece.stored, piece.records).expect("gzip");
            hiding.sketch = look::look(&mapping, &mut lines, hiding.sketch).expect("lines");
        }
        assert_all_is_loaded(&grown(&[&earlier, &hiding]), &hiding);
    }
}

/// A line's record as the router found it.
fn source_of(line: &str) -> String {
    let (_, rest) = line.split_once('}').expect("lineage");
    format!("{{{}", rest.strip_prefix(',').unwrap_or(rest))
}

fn simple() -> Mapping {
    Mapping::new([
        column("price", "price", Kind::Bigint),
        column("o.n", "o_n", Kind::Bigint),
        variant("price", "price", "price__varchar", Kind::Varchar),
        column("", RECORD_COLUMN, Kind::Super),
    ])
}

fn rewritten(mapping: &Mapping, line: &str) -> Option<String> {
    let record = Record::read(line.as_bytes()).expect("a record");
    let needs = needs(mapping, &record.root);
    let mut text = Vec::new();
    rewrite::rewrite(mapping, line.as_bytes(), &record, needs, &mut text)
        .then(|| String::from_utf8(text).expect("UTF-8"))
}

#[test]
fn only_what_does_not_fit_leaves_its_place() {
    let line = r#"{"_lr":{"s":"S","l":7}, "price": "12 EUR" ,"o":{ "n":1.0e0},"id":1}"#;
    let mut mapping = simple();
    mapping.add([column("id", "id", Kind::Bigint)]);
    let expected = r#"{"_lr":{"s":"S","l":7,"m":{"_record":{"_lr":{"s":"S","l":7}, "price": "12 EUR" ,"o":{ "n":1.0e0},"id":1},"price__varchar":"12 EUR"},"h":{"10":"12 EUR","26":1.0e0}}, "price": null ,"o":{ "n":null},"id":1}"#;
    assert_eq!(rewritten(&mapping, line).as_deref(), Some(expected));
    assert_eq!(rewrite::restored(expected.as_bytes()).unwrap(), source_of(line).as_bytes());
    assert_eq!(rewrite::restored(line.as_bytes()).unwrap(), source_of(line).as_bytes(), "what was not rewritten");
}

#[test]
fn records_without_lineage_are_rewritten_too() {
    let expected = r#"{"_lr":{"m":{"price__varchar":"x"},"h":{"8":"x"}},"price":null}"#;
    assert_eq!(rewritten(&simple(), r#"{"price":"x"}"#).as_deref(), Some(expected));
    assert_eq!(rewrite::restored(expected.as_bytes()).unwrap(), br#"{"price":"x"}"#);
    assert_eq!(rewritten(&simple(), "{}").as_deref(), Some(r#"{"_lr":{"m":{}}}"#));
}

#[test]
fn what_would_grow_beyond_copys_limits_is_kept_whole() {
    let long = |n: usize| format!(r#"{{"price":"x","unknown":["{}"]}}"#, "y".repeat(n));
    assert!(rewritten(&simple(), &long(1_900_000)).is_some());
    assert_eq!(rewritten(&simple(), &long(2_100_000)), None, "whole records stand beside what is left of them");
    let deep = format!(r#"{{"price":"x","unknown":{}1{}}}"#, "[".repeat(998), "]".repeat(998));
    assert_eq!(rewritten(&simple(), &deep), None);
    let large = [long(2_100_000), r#"{"price":1}"#.to_owned(), r#"{"price":2}"#.to_owned()];
    let sizes = split(&simple(), &part(&large)).into_iter().map(|(lines, layout)| {
        let Layout::Chosen(choice) = layout else { panic!("nothing is rewritten") };
        (lines.len(), choice.columns(&simple()).len())
    });
    assert_eq!(sizes.collect::<Vec<_>>(), [(2, 2), (1, 1)], "two records by columns, one as a whole");
}

#[test]
fn what_the_mapping_lacks_is_told_by_path_and_type() {
    let mapping = Mapping::new([column("o.n", "o_n", Kind::Smallint), column("s", "s", Kind::Varchar)]);
    let lines = [r#"{"o":{"n":1}}"#, r#"{"o":{"n":0.5},"s":1}"#, r#"{"o":{"n":70000}}"#, r#"{"x":1}"#];
    let part = part(&lines.map(str::to_owned));
    let piece = stored(&part.lines);
    let tally = |is_grown| {
        let mut lines = Lines::new(Codec::Gzip, &piece.stored, piece.records).expect("gzip");
        Tally::of(&mapping, &mut lines, is_grown).expect("lines").lacking
    };
    let lacking = tally(false);
    assert!(lacking.collapsed, "x is in the whole record");
    assert_eq!(lacking.keys["o"].keys["n"].types, Types::INTEGER | Types::DECIMAL);
    assert_eq!(lacking.keys["s"].types, Types::INTEGER);
    let rows = extend(&mapping, &Existing::new(), &[Seen { records: 0, node: &lacking }], MAX_DEPTH);
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["s__bigint", "o_n__double", "_record"]);
    assert!(tally(true).keys.is_empty(), "no variant could be made");
}

#[test]
fn a_part_becomes_two_pieces_however_many_ways_its_records_differ() {
    let mapping = simple();
    let records: Vec<String> =
        ["1", "2", "\"x\"", "\"y\"", "true", "3"].iter().map(|v| format!("{{\"price\":{v}}}")).collect();
    let pieces = split(&mapping, &part(&records));
    let sizes: Vec<usize> = pieces.iter().map(|(lines, _)| lines.len()).collect();
    assert_eq!(sizes, [3, 3]);
    assert_eq!(pieces[1].1, Layout::Rewritten);
}

#[test]
fn more_choices_than_are_told_apart_are_rewritten() {
    let keys: Vec<String> = (0..9).map(|n| format!("k{n}")).collect();
    let mut mapping = Mapping::new(keys.iter().map(|key| column(key, key, Kind::Bigint)));
    mapping.add(keys.iter().map(|key| variant(key, key, &format!("{key}__varchar"), Kind::Varchar)));
    let record = |bits: usize| {
        let value = |n: usize| if bits >> n & 1 == 1 { "\"x\"" } else { "1" };
        let members: Vec<String> = keys.iter().enumerate().map(|(n, key)| format!("{key:?}:{}", value(n))).collect();
        format!("{{{}}}", members.join(","))
    };
    let part = part(&(0..512).chain([511]).map(record).collect::<Vec<_>>());
    assert_all_is_loaded(&mapping, &part);
    assert_eq!(split(&mapping, &part).len(), 2);
}
