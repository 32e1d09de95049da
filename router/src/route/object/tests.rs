mod properties;

use super::*;
use common::settings::{DropRule, EventRules};
use flate2::read::MultiGzDecoder;
use std::collections::BTreeMap;
use std::io::Write as _;
use time::macros::datetime;

pub(super) fn settings() -> RouterSettings {
    RouterSettings::default()
}

pub(super) fn source() -> SourceObject {
    SourceObject {
        bucket: "raw".into(),
        key: "2025/06/01/a.json".into(),
        etag: "etag".into(),
        version_id: None,
        time: datetime!(2025-06-01 09:30 UTC),
        bytes: 0,
    }
}

pub(super) struct Run {
    pub(super) routed: RoutedObject,
    bench: Workbench,
}

impl Run {
    pub(super) fn content(&self, piece: &Piece) -> Vec<u8> {
        let mut out = Vec::new();
        MultiGzDecoder::new(self.bench.spool().reader(piece.extents.clone())).read_to_end(&mut out).expect("gzip");
        out
    }

    /// Decompressed lines by event name.
    fn lines_of(&self, event: &str) -> Vec<String> {
        let mine = self.routed.parts.iter().filter(|(key, _)| key.starts_with(&format!("routed/{event}/")));
        let text = mine.flat_map(|(_, piece)| self.content(piece)).collect::<Vec<u8>>();
        String::from_utf8(text).expect("UTF-8").lines().map(str::to_owned).collect()
    }

    fn quarantined(&self) -> Vec<serde_json::Value> {
        let text = self.routed.quarantine_pieces.iter().flat_map(|(_, p)| self.content(p)).collect::<Vec<u8>>();
        let lines = String::from_utf8(text).expect("UTF-8");
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

pub(super) fn run(settings: &RouterSettings, bytes: &[u8]) -> Run {
    run_source(settings, bytes, &source())
}

fn run_source(settings: &RouterSettings, bytes: &[u8], source: &SourceObject) -> Run {
    let keys = KeyLayout { routed: "routed/".into(), seals: "seals/".into(), quarantine: "quarantine/".into() };
    let rules = Rules::new(settings, &keys);
    let mut bench = rules.workbench().expect("a spool");
    let routed = route_object(&rules, source, 0, bytes, &mut bench).expect("routed");
    assert!(routed.counts.balance(), "{:?}", routed.counts);
    Run { routed, bench }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("in memory");
    encoder.finish().expect("in memory")
}

#[test]
fn every_record_is_in_its_event_or_in_quarantine_with_its_place() {
    let text = b"{\"event\":\"View\",\"n\":1}\nbroken\n\n{\"n\":2}\r\n  {\"event\":\"view\",\"n\":1.10}\n[1]\n";
    let run = run(&settings(), text);
    let id = source().id();
    assert_eq!(
        run.lines_of("view"),
        [
            format!(r#"{{"_lr":{{"s":"{id}","l":1}},"event":"View","n":1}}"#),
            format!(r#"{{"_lr":{{"s":"{id}","l":5}},"event":"view","n":1.10}}"#)
        ]
    );
    let places: Vec<_> =
        run.quarantined().iter().map(|q| (q["line"].clone(), q["offset"].clone(), q["raw"].clone())).collect();
    let expected = [(2, 23, "broken"), (6, 68, "[1]"), (4, 31, "{\"n\":2}")];
    assert_eq!(places, expected.map(|(l, o, r)| (l.into(), o.into(), r.into())));
    let counts = &run.routed.counts;
    assert_eq!((counts.read, counts.routed, counts.quarantined, counts.bytes), (5, 2, 3, text.len() as u64));
}

#[test]
fn dropped_records_leave_nothing_but_their_count() {
    let text = [
        r#"{"event":"a","user":"u-1","secret":"s1"}"#,
        r#"{"event":"a","user":"u-2"}"#,
        r#"{"user":"u-1","secret":"s2","event":""}"#,
        r#"{"user":"u-1","secret":"#,
        r#"{"event":"only dropped","user":"u-1","secret":"s3"}"#,
    ]
    .join("\n");
    let values = (0..5_000).map(|n| format!("u-{n}")).filter(|value| value != "u-2").collect();
    let drop = vec![DropRule { pointer: "/user".into(), values }];
    let settings = RouterSettings { rules: EventRules { drop, ..EventRules::default() }, ..settings() };
    let run = run(&settings, text.as_bytes());
    let counts = &run.routed.counts;
    assert_eq!((counts.read, counts.routed, counts.quarantined, counts.dropped), (5, 1, 1, 3));
    assert_eq!(counts.by_rule, BTreeMap::from([("/user".to_owned(), 3)]));
    assert_eq!(run.routed.events.len(), 1, "an event whose records are all dropped is no event");
    assert_eq!(run.quarantined()[0]["line"], 4, "what is no record has no value to go by");
    let sketch = serde_json::to_string(&run.routed.events[0].sketch).expect("serialises");
    assert!(!sketch.contains("secret") && run.lines_of("a").len() == 1, "{sketch}");
}

#[test]
fn under_a_fixed_prefix_the_key_names_the_event_and_the_record_is_valid_all_the_same() {
    let rules = EventRules { fixed: vec!["drop/".into()], deny: vec!["internal".into()], ..EventRules::default() };
    let settings = RouterSettings { rules, ..settings() };
    let text = b"{\"event\":\"other\",\"n\":1}\n{\"n\":2}\n[3]\n";
    let at = |key: &str| run_source(&settings, text, &SourceObject { key: key.into(), ..source() });
    let named = at("drop/Page View/june.json");
    assert_eq!(named.lines_of("page_view").len(), 2);
    assert_eq!(named.routed.counts.by_reason, BTreeMap::from([(Reason::NotAnObject, 1)]));
    let unnamed = at("drop/june.json");
    let reasons = BTreeMap::from([(Reason::EventTypeMissing, 2), (Reason::NotAnObject, 1)]);
    assert_eq!(unnamed.routed.counts.by_reason, reasons);
    let missing = unnamed.quarantined().into_iter().find(|q| q["reason"] == "event_type_missing").expect("two");
    assert!(missing["detail"].as_str().expect("text").contains("drop/<event type>/"), "{missing}");
    assert_eq!(at("drop/internal/x").routed.counts.by_reason[&Reason::EventTypeDenied], 2);
    assert_eq!(at("logs/x").routed.counts.by_type, BTreeMap::from([("other".to_owned(), 1)]));
}

#[test]
fn gzip_of_many_members_is_read_to_its_end() {
    let (a, b) = (b"{\"event\":\"a\"}\n{\"eve", b"nt\":\"a\"}\n{\"event\":\"b\"}");
    let stored = [gzip(a), gzip(b)].concat();
    let run = run(&settings(), &stored);
    assert_eq!(run.routed.counts.routed, 3);
}

#[test]
fn what_came_before_a_cut_is_routed_and_the_rest_is_one_quarantine_line() {
    let text: String = (0..5_000).map(|n| format!("{{\"event\":\"a\",\"n\":{}}}\n", n * 7919)).collect();
    let stored = gzip(text.as_bytes());
    let run = run(&settings(), &stored[..stored.len() / 2]);
    let counts = &run.routed.counts;
    assert!(counts.routed > 100, "{counts:?}");
    assert_eq!(counts.by_reason, BTreeMap::from([(Reason::UnreadableObject, 1)]));
    let quarantined = &run.quarantined()[0];
    assert_eq!(quarantined["line"], counts.routed + 1);
    assert!(text.as_bytes()[quarantined["offset"].as_u64().expect("a number") as usize..].starts_with(b"{\"event\""));
}

/// A reader that gives at most so many bytes at a time.
struct Dribble<'a>(&'a [u8], usize);

impl Read for Dribble<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.0.len().min(self.1).min(out.len());
        out[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

#[test]
fn nothing_of_a_damaged_object_is_routed_because_damage_can_look_like_data() {
    let text: String = (0..20_000).map(|n| format!("{{\"event\":\"a\",\"n\":{}}}\n", n * 7919)).collect();
    let mut stored = gzip(text.as_bytes());
    let middle = stored.len() / 2;
    stored[middle] ^= 0x55;
    let run = run(&settings(), &stored);
    let counts = &run.routed.counts;
    assert_eq!((counts.read, counts.routed), (1, 0), "{counts:?}");
    assert_eq!(counts.by_reason, BTreeMap::from([(Reason::UnreadableObject, 1)]));
    assert!(run.routed.parts.is_empty() && run.routed.events.is_empty());
    let line = &run.quarantined()[0];
    // What the decoder had at hand when it noticed is no word on the object.
    assert_eq!((&line["line"], &line["offset"], &line["raw"]), (&1.into(), &0.into(), &"".into()));
}

#[test]
fn something_behind_the_last_stream_costs_no_record() {
    let text = b"{\"event\":\"a\"}\n{\"event\":\"b\"}";
    for text in [&text[..], b"[{\"event\":\"a\"},\n{\"event\":\"b\"}]", b"{\"event\":\"a\"}{\"event\":\n\"b\"}"] {
        let zstd = zstd::encode_all(text, 1).expect("in memory");
        for stored in [gzip(text), zstd] {
            let run = run(&settings(), &[&stored[..], b"\n"].concat());
            let counts = &run.routed.counts;
            assert_eq!((counts.read, counts.routed, counts.quarantined), (3, 2, 1), "{counts:?}");
            let line = &run.quarantined()[0];
            assert_eq!((&line["reason"], &line["offset"]), (&"unreadable_object".into(), &text.len().into()));
            assert!(line["detail"].as_str().expect("text").contains("something else"), "{line}");
        }
    }
}

#[test]
fn how_the_network_cuts_the_bytes_changes_nothing() {
    let text: String = (0..3_000).map(|n| format!("{{\"event\":\"a\",\"n\":{}}}\n", n * 7919)).collect();
    let whole = gzip(text.as_bytes());
    for stored in [&whole[..], &whole[..whole.len() - 200]] {
        let keys = KeyLayout { routed: "r/".into(), seals: "s/".into(), quarantine: "q/".into() };
        let rules = Rules::new(&settings(), &keys);
        let mut bench = rules.workbench().expect("a spool");
        let mut outcome = |step| {
            let routed = route_object(&rules, &source(), 0, Dribble(stored, step), &mut bench).expect("routed");
            let pieces = routed.parts.iter().chain(&routed.quarantine_pieces);
            pieces.map(|(key, piece)| (key.clone(), piece.records)).collect::<Vec<_>>()
        };
        let expected = outcome(usize::MAX);
        for step in [1, 7, 1_400] {
            assert_eq!(outcome(step), expected, "{step} bytes at a time");
        }
    }
}

#[test]
fn limits_stop_an_object_whatever_is_in_it() {
    let bombs = [vec![b'\n'; 1 << 20], vec![b'x'; 8 << 20], "{\"event\":\"a\"}\n\n".repeat(50_000).into_bytes()];
    for bomb in bombs {
        let small = RouterSettings { max_object_bytes: 5_000, ..settings() };
        let counts = run(&small, &gzip(&bomb)).routed.counts;
        assert_eq!(counts.by_reason.get(&Reason::UnreadableObject), Some(&1), "{counts:?}");
        assert!(counts.bytes <= 5_000, "{counts:?}");
        let brief = RouterSettings { max_object_time: std::time::Duration::ZERO, ..settings() };
        let counts = run(&brief, &gzip(&bomb)).routed.counts;
        assert_eq!(counts.by_reason.get(&Reason::UnreadableObject), Some(&1), "{counts:?}");
    }
    let exact = RouterSettings { max_object_bytes: 14, ..settings() };
    assert_eq!(run(&exact, b"{\"event\":\"a\"}").routed.counts.quarantined, 0, "exactly at the limit is whole");
}

#[test]
fn a_failed_fetch_is_no_damage_of_the_object() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other(FetchFailed("connection reset".into())))
        }
    }
    let rules =
        Rules::new(&settings(), &KeyLayout { routed: "r/".into(), seals: "s/".into(), quarantine: "q/".into() });
    let mut bench = rules.workbench().expect("a spool");
    let stored = (&b"{\"event\":\"a\"}\n"[..]).chain(Failing);
    let result = route_object(&rules, &source(), 0, stored, &mut bench);
    assert!(matches!(result, Err(RouteError::Fetch(_))));
}

#[test]
fn parts_end_where_their_decompressed_bytes_say_whatever_the_buffers() {
    let text: String = (0..2_000).map(|n| format!("{{\"event\":\"{}\",\"n\":{n}}}\n", ["a", "b"][n % 2])).collect();
    let parts = |buffer_bytes, gzip_level| {
        let settings = RouterSettings { part_max_bytes: 10_000, buffer_bytes, gzip_level, ..settings() };
        let run = run(&settings, text.as_bytes());
        run.routed.parts.iter().map(|(key, p)| (key.clone(), p.records, p.bytes)).collect::<Vec<_>>()
    };
    let expected = parts(1 << 20, 2);
    assert!(expected.len() > 4 && expected.iter().all(|(_, _, bytes)| *bytes < 10_200));
    assert_eq!(parts(3_000, 9), expected);
}

#[test]
fn hostile_lines_meet_the_fate_that_their_generator_states() {
    let (mut text, mut events, mut reasons) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    for line in fixtures::hostile(11, fixtures::hostile::lines_for_every_case() as _, 30) {
        match &line.expected {
            fixtures::Expected::Event { event_type } => *events.entry(event_type.clone()).or_default() += 1,
            fixtures::Expected::Quarantined(reason) => *reasons.entry((*reason).to_owned()).or_default() += 1,
            fixtures::Expected::Blank => {}
        }
        text.extend_from_slice(&line.bytes);
        text.push(b'\n');
    }
    let counts = run(&settings(), &gzip(&text)).routed.counts;
    let found: BTreeMap<String, u64> = counts.by_reason.iter().map(|(r, n)| (r.to_string(), *n)).collect();
    assert_eq!(found, reasons);
    assert_eq!(counts.by_type, events);
}

#[test]
fn pretty_printed_records_in_zstd_are_routed_with_their_ordinals() {
    let text = "{\n  \"event\": \"a\"\n}\n{\n  \"event\": \"b\n{\n  \"event\": \"a\",\n  \"n\": [\n    1\n  ]\n}\n";
    let run = run(&settings(), &zstd::encode_all(text.as_bytes(), 1).expect("in memory"));
    let id = source().id();
    let expected = format!(
        "{{\"_lr\":{{\"s\":\"{id}\",\"l\":1}},\"event\": \"a\"\n}}\n{{\"_lr\":{{\"s\":\"{id}\",\"l\":3}},\"event\": \"a\",\n  \"n\": [\n    1\n  ]\n}}\n"
    );
    let found = run.lines_of("a").concat();
    assert_eq!(found.replace([' ', '\n'], ""), expected.replace([' ', '\n'], ""));
    let quarantined = run.quarantined();
    assert_eq!(
        (quarantined.len(), &quarantined[0]["line"], &quarantined[0]["reason"]),
        (1, &2.into(), &"not_json".into())
    );
    assert_eq!(quarantined[0]["offset"], 19);
}

#[test]
fn an_envelope_gives_its_records_and_says_where_the_array_is_missing() {
    let text =
        r#"{"v":1,"Records":[{"event":"a"},{"event":"b","n":{}},7]}{"Other":[{"event":"a"}]}{"Records":[{"event":"a"}"#;
    let unwrapping = RouterSettings { unwrap: Some("/Records".to_owned()), ..settings() };
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(text.as_bytes()).expect("in memory");
    let run = run(&unwrapping, &encoder.finish().expect("in memory"));
    let counts = &run.routed.counts;
    assert_eq!(counts.by_type, BTreeMap::from([("a".to_owned(), 2), ("b".to_owned(), 1)]));
    let reasons = [(Reason::NotJson, 1), (Reason::NotAnObject, 1), (Reason::EventTypeMissing, 1)];
    assert_eq!(counts.by_reason, BTreeMap::from(reasons));
    let missing = run.quarantined().into_iter().find(|q| q["reason"] == "event_type_missing").expect("one");
    assert_eq!((&missing["line"], &missing["raw"]), (&4.into(), &r#"{"Other":[{"event":"a"}]}"#.into()));
    assert_eq!(missing["detail"], "no array of records under /Records (router.unwrap)");
}

#[test]
fn text_in_utf_16_is_one_quarantine_line_that_says_so() {
    let text: Vec<u8> = "\u{feff}{\"event\":\"a\"}\n".repeat(1_000).encode_utf16().flat_map(u16::to_le_bytes).collect();
    let run = run(&settings(), &text);
    assert_eq!(run.routed.counts.by_reason, BTreeMap::from([(Reason::UnreadableObject, 1)]));
    let detail = run.quarantined()[0]["detail"].to_string();
    assert!(detail.contains("UTF-16"), "{detail}");
}

#[test]
fn the_rest_of_a_broken_array_is_one_record_that_keeps_its_beginning() {
    let rest = ",{\"event\":\"a\"}".repeat(400_000);
    let text = format!("[{{\"event\":\"a\"}},{{\"event\":\"a\"{{}}}}{rest}]");
    let run = run(&settings(), &gzip(text.as_bytes()));
    assert_eq!(run.routed.counts.by_reason, BTreeMap::from([(Reason::NotJson, 1)]));
    assert_eq!(run.routed.counts.routed, 1);
    assert!(
        run.quarantined()[0]["detail"].to_string().contains("broken structure"),
        "{}",
        run.quarantined()[0]["detail"]
    );
}
