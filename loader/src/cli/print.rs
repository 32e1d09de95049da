//! What the commands of upkeep print.

use crate::{FailedRequest, Swept};

/// Prints what a sweep came to. Where another loader sweeps, the work is being done, and that is no failure.
pub(super) fn swept(swept: Swept, json: bool) -> Result<(), String> {
    match swept {
        Swept::Done(report) if json => println!("{}", to_json(&report)),
        Swept::Done(report) => print!("{report}"),
        Swept::Held(by) if json => println!("{}", serde_json::json!({ "held_by": by })),
        Swept::Held(by) => println!("another sweep is under way: {by}"),
        Swept::Interrupted => return Err("the sweep was interrupted; the next one starts where it did".to_owned()),
    }
    Ok(())
}

/// Prints requests that were set aside, one a line.
pub(super) fn failed(requests: &[FailedRequest], json: bool) {
    if json {
        requests.iter().for_each(|request| println!("{}", to_json(request)));
        return;
    }
    if requests.is_empty() {
        println!("nothing is set aside");
    }
    for FailedRequest { event, source_id, generation, why, failed_at, times, loaded } in requests {
        let loaded = if *loaded { ", loaded since" } else { "" };
        println!("{failed_at} {event} {source_id} generation {generation} ({times}x{loaded}): {why}");
    }
}

fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("reports have string keys only, so they always serialise")
}
