//! What holds for any object: how it is stored, read and buffered changes nothing (G3), and what is routed are the
//! source's own bytes in the source's order (G4).

use super::*;
use crate::route::oracle::{Choices, for_a_while, read, sequence};
use common::event_name::EventName;
use common::sketch::Sketch;
use fixtures::Expected;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

/// All that routing an object leaves behind, in words that do not depend on the codec of parts.
#[derive(Debug, PartialEq)]
struct Outcome {
    pieces: Vec<Content>,
    counts: String,
    sketches: Vec<(EventName, Sketch)>,
}

#[derive(Debug, PartialEq)]
struct Content {
    name: String,
    records: u64,
    bytes: Vec<u8>,
}

fn outcome(settings: &RouterSettings, stored: &[u8], step: usize) -> Outcome {
    let keys = KeyLayout { routed: "r/".into(), seals: "s/".into(), quarantine: "q/".into() };
    let rules = Rules::new(settings, &keys);
    let mut bench = rules.workbench().expect("a spool");
    let routed = route_object(&rules, &source(), 0, Dribble(stored, step), &mut bench).expect("routed");
    let content = |(key, piece): &(String, Piece)| {
        let mut stored = Vec::new();
        bench.spool().reader(piece.extents.clone()).read_to_end(&mut stored).expect("the spool");
        let bytes = match key.ends_with(".zst") {
            true => zstd::decode_all(&stored[..]).expect("zstd"),
            false => {
                let mut bytes = Vec::new();
                MultiGzDecoder::new(&stored[..]).read_to_end(&mut bytes).expect("gzip");
                bytes
            }
        };
        assert_eq!((bytes.len() as u64, crc32fast::hash(&bytes)), (piece.bytes, piece.crc32), "{key}");
        // The routing id has the codec in it.
        let name = key.replace(&rules.routing_id, "id").replace(".json.zst", ".json.gz");
        Content { name, records: piece.records, bytes }
    };
    Outcome {
        pieces: routed.parts.iter().chain(&routed.quarantine_pieces).map(content).collect(),
        counts: format!("{:?}", routed.counts),
        sketches: routed.events.into_iter().map(|sealed| (sealed.event, sealed.sketch)).collect(),
    }
}

/// The text in any codec: as one stream, or as several that are cut anywhere.
fn stored(text: &[u8], choices: &mut Choices<'_>) -> Vec<u8> {
    let codec = choices.below(4);
    let mut rest = text;
    let mut streams = Vec::new();
    for n in (0..=choices.below(4)).rev() {
        let length = if n == 0 { rest.len() } else { choices.below(rest.len() + 1) };
        let (stream, behind) = rest.split_at(length);
        rest = behind;
        streams.extend(match codec {
            0 => stream.to_vec(),
            1 => gzip(stream),
            2 => zstd::encode_all(stream, 1).expect("in memory"),
            _ => {
                let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                encoder.write_all(stream).expect("in memory");
                encoder.finish().expect("in memory")
            }
        });
    }
    streams
}

/// Settings of which none is part of the output: but for the codec, not even its name shows.
fn another_way(settings: &RouterSettings, choices: &mut Choices<'_>) -> RouterSettings {
    RouterSettings {
        buffer_bytes: choices.of(&[1 << 20, 1, 300, 5_000]),
        gzip_level: choices.of(&[1, 2, 6, 9]),
        zstd_level: choices.of(&[1, 3, 9]),
        part_codec: choices.of(&[PartCodec::Gzip, PartCodec::Zstd]),
        ..settings.clone()
    }
}

/// Random settings of those that decide the output.
fn any_output(choices: &mut Choices<'_>) -> RouterSettings {
    RouterSettings {
        part_max_bytes: choices.of(&[1 << 20, 1, 150, 2_000]),
        lineage: choices.below(2) == 0,
        max_event_types: choices.of(&[100, 2]),
        ..settings()
    }
}

/// JSON lines of made-up records. The first one is sound, so that the framing is found.
fn lines(choices: &mut Choices<'_>) -> Vec<Vec<u8>> {
    let mut lines = vec![b"{\"event\":\"first\"}".to_vec()];
    lines.extend(sequence(choices));
    for b in lines.iter_mut().flatten().filter(|b| **b == b'\n') {
        *b = b' ';
    }
    lines
}

fn joined(lines: &[Vec<u8>]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line, &b"\n"[..]].concat()).collect()
}

fn check_ways(settings: &RouterSettings, text: &[u8], times: usize, choices: &mut Choices<'_>) -> TestCaseResult {
    let expected = outcome(settings, text, usize::MAX);
    for _ in 0..times {
        let settings = another_way(settings, choices);
        let step = choices.of(&[usize::MAX, 1, 3, 100, 4_096]);
        let found = outcome(&settings, &stored(text, choices), step);
        prop_assert!(found == expected, "{found:?}\n instead of {expected:?}\n with {settings:?}");
    }
    Ok(())
}

/// A record to be routed: its event type, its line and its bytes.
type Owed<'a> = (String, u64, &'a [u8]);

/// Holds every part of an object against the records that it owes.
fn check_verbatim(settings: &RouterSettings, text: &[u8], owed: &[Owed<'_>]) -> TestCaseResult {
    let outcome = outcome(settings, text, usize::MAX);
    let id = source().id();
    let mut expected: BTreeMap<EventName, Vec<Vec<u8>>> = BTreeMap::new();
    for (event_type, line, record) in owed {
        // The one exception: line breaks, which a record can have between its tokens only, become spaces.
        let space = |b: &u8| if matches!(b, b'\n' | b'\r') { b' ' } else { *b };
        let mut routed: Vec<u8> = record.iter().map(space).collect();
        if settings.lineage {
            let comma = if record[1..].trim_ascii() == b"}" { "" } else { "," };
            let lineage = format!("{{\"_lr\":{{\"s\":\"{id}\",\"l\":{line}}}{comma}");
            routed.splice(..1, lineage.into_bytes());
        }
        expected.entry(EventName::of_type(event_type)).or_default().push(routed);
    }
    for (event, records) in &expected {
        let folder = format!("r/{event}/");
        let parts: Vec<&Content> = outcome.pieces.iter().filter(|piece| piece.name.starts_with(&folder)).collect();
        let mut rest = &records[..];
        for (n, part) in parts.iter().enumerate() {
            prop_assert!(part.name.contains(&format!("-id-{n:04}-")), "{}", part.name);
            let (here, behind) = rest.split_at(rest.len().min(part.records as usize));
            rest = behind;
            let differs = (1..)
                .zip(part.bytes.split_inclusive(|b| *b == b'\n'))
                .zip(here)
                .find(|((_, a), b)| a[..a.len() - 1] != b[..]);
            let show = differs.map(|((n, a), b)| {
                format!("{n}: {:?} for {:?}", String::from_utf8_lossy(a), String::from_utf8_lossy(b))
            });
            prop_assert!(part.bytes == joined(here), "{} {show:?}", part.name);
            let without_last = joined(&here[..here.len() - 1]).len() as u64;
            let is_full = part.bytes.len() as u64 >= settings.part_max_bytes;
            prop_assert!(without_last < settings.part_max_bytes && (is_full || n + 1 == parts.len()), "{}", part.name);
        }
        prop_assert!(rest.is_empty(), "{} records of {event} are lost", rest.len());
    }
    let routed: Vec<&EventName> = outcome.sketches.iter().map(|(event, _)| event).collect();
    prop_assert_eq!(routed, expected.keys().collect::<Vec<_>>(), "no event but these");
    Ok(())
}

/// The lines of a fixture, and what it says it owes.
fn check_fixture(stream: fixtures::Stream) {
    let lines: Vec<fixtures::Line> = stream.collect();
    let text = joined(&lines.iter().map(|line| line.bytes.clone()).collect::<Vec<_>>());
    let owed = (1..).zip(&lines).filter_map(|(number, line)| match &line.expected {
        Expected::Event { event_type } => Some((event_type.clone(), number, line.bytes.trim_ascii())),
        Expected::Quarantined(_) | Expected::Blank => None,
    });
    let owed: Vec<Owed<'_>> = owed.collect();
    for (lineage, part_max_bytes) in [(false, 100_000), (true, 1 << 30)] {
        let settings = RouterSettings { lineage, part_max_bytes, ..settings() };
        check_verbatim(&settings, &text, &owed).expect("the source's own bytes");
    }
}

#[test]
fn how_an_object_is_stored_read_buffered_and_compressed_changes_no_part() {
    for_a_while(3.0, 800, |choices: &mut Choices<'_>| {
        let settings = any_output(choices);
        let mut text = joined(&lines(choices));
        if choices.one_in(3) {
            text.pop();
        }
        check_ways(&settings, &text, 3, choices)
    });
}

#[test]
fn the_fixtures_give_the_same_parts_however_they_are_stored_and_read() {
    let numbers: Vec<u16> = (0..400u32).map(|n| (n * n * 7_919 % 65_521) as u16).collect();
    for stream in [fixtures::shop(5, 300), fixtures::hostile(5, 300, 12)] {
        let text = joined(&stream.map(|line| line.bytes).collect::<Vec<_>>());
        let settings = RouterSettings { part_max_bytes: 9_000, ..settings() };
        check_ways(&settings, &text, 6, &mut Choices::new(&numbers)).expect("the same");
    }
}

#[test]
fn what_is_routed_are_the_sources_own_bytes_in_its_order() {
    for_a_while(3.0, 1_200, |choices: &mut Choices<'_>| {
        let settings = RouterSettings { max_event_types: 100, ..any_output(choices) };
        let lines = lines(choices);
        let owed = (1..).zip(&lines).filter_map(|(number, line)| {
            let event_type = read(line).ok()?.event_type(&["/event"]).ok()?;
            Some((event_type, number, &line[..]))
        });
        check_verbatim(&settings, &joined(&lines), &owed.collect::<Vec<_>>())
    });
}

#[test]
fn the_fixtures_are_routed_byte_by_byte() {
    check_fixture(fixtures::shop(3, 3_000));
    check_fixture(fixtures::hostile(3, fixtures::hostile::lines_for_every_case(), 25));
}

#[test]
fn event_types_that_share_a_name_share_its_parts_and_none_is_lost() {
    let types = ["PageView", "page_view", "page view", "search", "pageView"];
    let records: Vec<Vec<u8>> =
        (0..500).map(|n| format!("{{\"event\":\"{}\",\"n\":{n}}}", types[n * n % types.len()]).into_bytes()).collect();
    let owed =
        (0..).zip(&records).map(|(n, record)| (types[n * n % types.len()].to_owned(), n as u64 + 1, &record[..]));
    let owed: Vec<Owed<'_>> = owed.collect();
    for buffer_bytes in [1, 1 << 20] {
        let settings = RouterSettings { part_max_bytes: 1_000, buffer_bytes, ..settings() };
        check_verbatim(&settings, &joined(&records), &owed).expect("the source's own bytes");
        let run = run(&settings, &joined(&records));
        assert_eq!(run.routed.events.iter().map(|event| event.records).sum::<u64>(), 500);
        assert!(run.routed.events.len() < run.routed.counts.by_type.len());
        let keys: std::collections::BTreeSet<&String> = run.routed.parts.iter().map(|(key, _)| key).collect();
        assert_eq!(keys.len(), run.routed.parts.len(), "no two parts have one name");
    }
}
