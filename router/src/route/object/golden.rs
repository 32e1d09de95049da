//! Pins what is routed: a change here without a new `ROUTING_VERSION` would give one name to two contents.

use super::tests::{run, settings};
use crate::route::routing_id::{ROUTING_VERSION, routing_id};
use common::source::hex16;

#[test]
fn routed_bytes_change_only_with_the_routing_version() {
    let lines = fixtures::hostile(3, 2_000, 12).flat_map(|line| [line.bytes, b"\n".to_vec()].concat());
    let run = run(&settings(), &lines.collect::<Vec<u8>>());
    let mut pieces: Vec<_> = run.routed.parts.iter().chain(&run.routed.quarantine_pieces).collect();
    pieces.sort_by(|a, b| a.0.cmp(&b.0));
    let routed: Vec<Vec<u8>> =
        pieces.iter().flat_map(|(key, piece)| [key.clone().into_bytes(), run.content(piece)]).collect();
    let found = hex16(&routed.iter().map(Vec::as_slice).collect::<Vec<_>>());
    assert_eq!(
        (ROUTING_VERSION, routing_id(&settings()).as_str(), found.as_str()),
        (3, "ee4ad59c", "dca8c83bf3bd2e90"),
        "routed bytes changed: raise ROUTING_VERSION, then pin the new values here"
    );
}
