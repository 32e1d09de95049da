//! Each rule of framing, one text each.

use super::*;

fn numbered<const N: usize>(texts: [&str; N]) -> Vec<(u64, String)> {
    (1..).zip(texts.map(str::to_owned)).collect()
}

#[test]
fn physical_lines_and_offsets_are_kept_through_every_kind_of_line_end() {
    let text = b"\xef\xbb\xbf{\"a\":1}\r\n\n  {\"b\":2}\t\n \r\n{\"c\":3}";
    let found: Vec<_> = frames(text, None).into_iter().map(|f| (f.line, f.offset, f.text)).collect();
    let expected = [(1, 3, "{\"a\":1}"), (3, 15, "{\"b\":2}"), (5, 27, "{\"c\":3}")];
    assert_eq!(found, expected.map(|(line, offset, text)| (line, offset, text.to_owned())));
}

#[test]
fn values_one_behind_the_other_are_records_with_ordinals() {
    let records = numbered([r#"{"a":"}{"}"#, r#"{"b":[{}]}"#, r#"{"c":3}"#]);
    for between in ["", " ", "\n", "\r\n\r\n", " \n\t "] {
        let text = records.iter().map(|(_, record)| record.as_str()).collect::<Vec<_>>().join(between);
        // The second value behind the first on its line is what makes it a stream of values.
        let text = text.replacen(&format!("\"}}{between}"), "\"}", 1);
        assert_eq!(lines(&text, None), records, "{text:?}");
        assert_eq!(lines(&format!("\u{feff}\n {text}\n"), None), records, "{text:?}");
    }
}

#[test]
fn values_that_span_lines_are_records() {
    let text = "{\n  \"a\": [\n    {\"x\": 1},\n    {\n      \"y\": 2\n    }\n  ]\n}\n{\n  \"b\": 2\n}\n{\"c\":3}\n";
    let found = texts(text);
    assert_eq!(found.len(), 3);
    assert_eq!(found[1..], ["{\n  \"b\": 2\n}", "{\"c\":3}"]);
}

#[test]
fn the_elements_of_a_root_array_are_records() {
    let records = numbered([r#"{"a":[1,{"x":2}]}"#, r#"{"b":"],["}"#, "7", "\"x\"", "[1]"]);
    let elements: Vec<&str> = records.iter().map(|(_, record)| record.as_str()).collect();
    for between in [",", ", ", ",\n", " ,\r\n  ", "\n,\n"] {
        let text =
            format!("[{between}{}{between}]", elements.join(between)).replace(&format!("[{between}{{\"a"), "[{\"a");
        let text = text.replace(&format!("{between}]"), "]");
        assert_eq!(lines(&text, None), records, "{text}");
        assert_eq!(lines(&format!("\u{feff} {text} \n"), None), records, "{text}");
    }
    assert!(texts("[]").is_empty() && texts(" [\n]\n").is_empty());
    assert_eq!(texts("[{\"a\":1},\n{\"b\":2},\n]"), ["{\"a\":1}", "{\"b\":2}"], "a comma too many separates nothing");
    assert_eq!(texts("[\n{\"a\":1}\n]\n[\n{\"b\":2}\n]\n"), ["{\"a\":1}", "{\"b\":2}"], "files one behind the other");
}

#[test]
fn arrays_on_lines_of_their_own_are_lines() {
    assert_eq!(lines("[1,2]\n{\"a\":1}\n", None), numbered(["[1,2]", "{\"a\":1}"]));
    assert_eq!(lines("[{\"a\":1}]\n\n[{\"b\":1}]\n", None), [(1, "[{\"a\":1}]".into()), (3, "[{\"b\":1}]".into())]);
}

#[test]
fn a_dirty_first_line_costs_only_itself() {
    let good = "{\"event\":\"a\"}\n{\"event\":\"b\"}\n{\"event\":\"c\"}\n";
    for dirt in [
        "[INFO] starting up",
        "[2025-06-01 12:00:00] {\"x\":1}",
        "[INFO starting",
        "starting",
        "{\"a\":\"cut he",
        "{\"a\":",
        "{\"a\":{\"b\":1",
        "{\"a\":[{\"b\":1},",
        "{\"a\":{\"b\":1},",
        "{\"x\":1}],\"b\":2}",
        "{\"x\":1},{\"y\":2}],\"b\":2}",
        "[{\"x\":1}],\"b\":2}",
        "[{\"x\":1},{\"y\":",
        "\"x\",\"event\":\"z\"}",
        "}",
        "{\"a\":tru}",
        "{{{",
    ] {
        let found = texts(&format!("{dirt}\n{good}"));
        let expected: Vec<&str> = [dirt].into_iter().chain(good.lines()).collect();
        assert_eq!(found, expected, "{dirt}");
    }
}

#[test]
fn a_faulty_line_costs_only_itself() {
    let text = "{\"a\":1}\n{\"b\":{\n}{\n{\"c\":3}\n[\n{\"d\":4}";
    assert_eq!(texts(text), ["{\"a\":1}", "{\"b\":{", "}{", "{\"c\":3}", "[", "{\"d\":4}"]);
}

#[test]
fn a_broken_value_costs_its_neighbours_nothing() {
    let cases: [(&str, &[&str]); 8] = [
        (r#"{"a":1}{"b":1{"c":2}{"d":3}"#, &[r#"{"a":1}"#, r#"{"b":1"#, r#"{"c":2}"#, r#"{"d":3}"#]),
        (r#"{"a":1}{"b":{"x":1}{"c":2}{"d":3}"#, &[r#"{"a":1}"#, r#"{"b":{"x":1}"#, r#"{"c":2}"#, r#"{"d":3}"#]),
        (r#"{"a":1}{"b":"x{"c":2}{"d":3}"#, &[r#"{"a":1}"#, r#"{"b":"x{"c":2}"#, r#"{"d":3}"#]),
        (r#"{"a":1}{"b":1]}{"d":3}"#, &[r#"{"a":1}"#, r#"{"b":1]}"#, r#"{"d":3}"#]),
        (r#"{"a":1}{"b":1}}{"d":3}"#, &[r#"{"a":1}"#, r#"{"b":1}"#, "}", r#"{"d":3}"#]),
        (r#"{"a":1}{"b":1},x {"c":2}{"d":3}"#, &[r#"{"a":1}"#, r#"{"b":1}"#, r#",x {"c":2}"#, r#"{"d":3}"#]),
        (
            "{\n \"a\":1\n}\n{\n \"b\":\n{\n \"c\":2\n}\n{\n \"d\":3\n}\n",
            &["{\n \"a\":1\n}", "{\n \"b\":\n{\n \"c\":2\n}", "{\n \"d\":3\n}"],
        ),
        ("{\n \"a\":1\n}\n{\n \"b\":\"x\n{\n \"c\":2\n}\n", &["{\n \"a\":1\n}", "{\n \"b\":\"x", "{\n \"c\":2\n}"]),
    ];
    for (text, expected) in cases {
        assert_eq!(texts(text), expected, "{text}");
    }
}

#[test]
fn a_piece_of_a_broken_value_is_never_a_record() {
    let cases: [(&str, &[&str]); 6] = [
        // A comma is missing between two nested objects.
        (r#"{"a":1}{"b":[{"x":1}{"event":2}]}{"c":3}"#, &[r#"{"a":1}"#, r#"{"b":[{"x":1}{"event":2}]}"#, r#"{"c":3}"#]),
        // A bracket closes the record where its nested object should come.
        (r#"{"a":1}{"b"}{"event":2},"x":1}{"c":3}"#, &[r#"{"a":1}"#, r#"{"b"}{"event":2},"x":1}"#, r#"{"c":3}"#]),
        (r#"{"a":1}{"b":}{"event":2}],"x":1}{"c":3}"#, &[r#"{"a":1}"#, r#"{"b":}{"event":2}],"x":1}"#, r#"{"c":3}"#]),
        // In arrays records and nested objects are separated alike.
        (r#"[{"a":1},{"b":1{"x":2}},{"c":3},{"d":4}]"#, &[r#"{"a":1}"#, r#"{"b":1{"x":2}},{"c":3},{"d":4}]"#]),
        (r#"[{"b":[{"x":1}{"event":2}]},{"c":3}]"#, &[r#"{"b":[{"x":1}{"event":2}]},{"c":3}]"#]),
        // Objects nested without indentation look like records.
        (
            "[\n{\n\"b\": [\n{\n\"x\": 1\n}\n{\n\"event\": 2\n}\n]\n},\n{\n\"c\": 3\n}\n]",
            &["{\n\"b\": [\n{\n\"x\": 1\n}\n{\n\"event\": 2\n}\n]\n},\n{\n\"c\": 3\n}\n]"],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(texts(text), expected, "{text}");
    }
}

#[test]
fn in_an_array_of_lines_reading_goes_on_at_the_next_line() {
    let text = "[\n  {\"a\":1},\n  {\"b\":1{\"x\":2}},\n  {\"c\":\"cut\n  {\"d\":4}\n  {\"e\":5},\n]\n";
    let expected = ["{\"a\":1}", "{\"b\":1{\"x\":2}},", "{\"c\":\"cut", "{\"d\":4}", "{\"e\":5}"];
    assert_eq!(texts(text), expected);
    let pretty = "[\n  {\n    \"a\": {\n      \"x\": 1\n    }\n  },\n  {\n    \"b\": {{\n      \"x\": 1\n    }\n  },\n  {\n    \"c\": 3\n  }\n]";
    let found = texts(pretty);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[1].starts_with("{\n    \"b\"") && found[2].contains("\"c\": 3"));
}

#[test]
fn text_that_is_no_value_is_one_bad_record() {
    assert_eq!(texts(r#"[{"a":1},,,{"b":2}]"#), [r#"{"a":1}"#, ",,", r#"{"b":2}"#]);
    assert_eq!(texts("[{\"a\":1}] x\n"), [r#"{"a":1}"#, "x"]);
    assert_eq!(texts(r#"[{"a":1}}, {"b":2}]"#), [r#"{"a":1}"#, r#"}, {"b":2}]"#]);
    assert_eq!(texts(r#"{"a":1}{"b":2}] x"#), [r#"{"a":1}"#, r#"{"b":2}"#, "] x"]);
}

#[test]
fn what_ends_early_is_one_bad_record_behind_the_whole_ones() {
    for (text, unwrap, rest) in [
        ("[{\"a\":1},{\"b\":", None, "{\"b\":"),
        ("[{\"a\":1},", None, ""),
        ("[{\"a\":1}", None, ""),
        ("{\n\"a\":1\n}\n{\n\"b\":", None, "{\n\"b\":"),
        ("{\"R\":[{\"a\":1},{\"b\"", Some("/R"), "{\"b\""),
        ("{\"R\":[{\"a\":1}],\"n\":\"x", Some("/R"), "\"n\":\"x"),
    ] {
        let found = frames(text.as_bytes(), unwrap);
        assert_eq!((found.len(), found[1].text.as_str()), (2, rest), "{text}");
        assert_eq!((found[0].fault, found[1].fault), (None, Some(Fault::EndsEarly)), "{text}");
    }
}

#[test]
fn envelopes_give_their_records_with_ordinals_over_the_object() {
    let text = r#"{"v":{"Records":[0]},"Records":[{"a":1},{"b":2}],"next":[1,"]"]}
        {"Records":[]} {"Re\u0063ords" : [ {"c":3} ]}{"Records":[{"d":4}]}"#;
    assert_eq!(lines(text, Some("/Records")), numbered([r#"{"a":1}"#, r#"{"b":2}"#, r#"{"c":3}"#, r#"{"d":4}"#]));
    let deep = r#"{"x":1,"a/b":{"y":[],"~":[{"no":1},[{"r":1},{"r":2}]]}}"#;
    assert_eq!(lines(deep, Some("/a~1b/~0/1")), numbered([r#"{"r":1}"#, r#"{"r":2}"#]));
    assert_eq!(lines("[[{\"r\":1}],[{\"no\":1}]]", Some("/0")), numbered([r#"{"r":1}"#]));
}

#[test]
fn a_root_value_without_the_array_is_one_record_that_says_so() {
    let text = r#"{"Records":{"a":1}}
        {"Other":[{"a":1}]}{"Records":[{"b":2}]}{"x":{"Records":[1]}}[{"Records":[1]}]"#;
    let found: Vec<_> = frames(text.as_bytes(), Some("/Records")).into_iter().map(|f| (f.text, f.fault)).collect();
    let no = Some(Fault::NoArray);
    let expected = [
        (r#"{"Records":{"a":1}}"#, no),
        (r#"{"Other":[{"a":1}]}"#, no),
        (r#"{"b":2}"#, None),
        (r#"{"x":{"Records":[1]}}"#, no),
        (r#"[{"Records":[1]}]"#, no),
    ];
    assert_eq!(found, expected.map(|(text, fault)| (text.to_owned(), fault)));
}

#[test]
fn a_broken_envelope_costs_the_next_one_nothing() {
    let good = r#"{"Records":[{"z":1}]}"#;
    for (broken, records) in [
        (r#"{"Records":[{"a":1},{"b":1{"x":2}},{"c":3}]}"#, vec![r#"{"a":1}"#, r#"{"b":1{"x":2}},{"c":3}]}"#]),
        (r#"{"Records":[{"a":1},{"b":1"#, vec![r#"{"a":1}"#, r#"{"b":1"#]),
        (r#"{"Other":1,"Rec"#, vec![r#"{"Other":1,"Rec"#]),
        (r#"{"Records":[{"a":1}]"#, vec![r#"{"a":1}"#, ""]),
        (r#"}garbage"#, vec!["}garbage"]),
    ] {
        let found: Vec<_> = lines(&format!("{good}\n{broken}\n{good}\n{good}\n"), Some("/Records"));
        let expected: Vec<&str> =
            [r#"{"z":1}"#].into_iter().chain(records).chain([r#"{"z":1}"#, r#"{"z":1}"#]).collect();
        assert_eq!(found.into_iter().map(|(_, text)| text).collect::<Vec<_>>(), expected, "{broken}");
    }
}

#[test]
fn text_in_utf_16_is_told_from_the_start() {
    for text in ["{\"event\":\"a\"}\n", "[1]"] {
        let little: Vec<u8> = "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
        for bytes in [little, big] {
            let mut frames = Frames::new(&bytes[..], 1_000, None);
            let error = frames.next_record().expect_err("no UTF-8");
            assert!(error.to_string().contains("UTF-16"), "{error}");
            assert_eq!(frames.rest().bytes, bytes);
        }
    }
    assert_eq!(frames(b"\xff\xfe{\"a\":1}\n{\"b\":2}", None).len(), 2, "two stray bytes are one bad line");
}
