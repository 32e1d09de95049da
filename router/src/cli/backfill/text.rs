//! The words of a plan, of an outcome, and of a status.

use common::settings::Settings;
use common::timestamp;
use indicatif::{HumanBytes, HumanCount};
use router::backfill::{Amount, Basis, Expected, Left, Outcome, PRICES_OF, Plan, Report, State};
use time::OffsetDateTime;

/// What would be done, and what it takes.
pub(super) fn plan(plan: &Plan, settings: &Settings) -> String {
    let mut text = format!("plan: {}\n", plan.what);
    let mut line = |name: &str, what: String| text.push_str(&format!("  {name:<20}  {what}\n"));
    line("in this range", amount(plan.range));
    match &plan.replace_id {
        Some(id) => line("done already", format!("{}, by this replace ({id})", amount(plan.done))),
        None => line("sealed already", amount(plan.done)),
    }
    if plan.archived.objects > 0 {
        line("archived", format!("{}: restore them first (docs/backfill.md)", amount(plan.archived)));
    }
    if plan.by_others.objects > 0 {
        line("replaced by others", format!("{}: left alone without --over-others", amount(plan.by_others)));
    }
    if plan.replaced.objects > 0 {
        line("to be replaced", amount(plan.replaced));
    }
    line("to be routed", amount(plan.unsealed));
    let rate = plan.listed as f64 / plan.listed_seconds.max(0.001);
    let (listed, rate) = (HumanCount(plan.listed), HumanCount(rate as u64));
    line("listed", format!("{listed} objects in {}, {rate}/s", duration(plan.listed_seconds)));
    if plan.to_route().objects > 0 {
        expected(&mut text, plan, settings);
    }
    text
}

fn expected(text: &mut String, plan: &Plan, settings: &Settings) {
    let seals = match plan.basis_seals {
        1 => "1 seal".to_owned(),
        seals => format!("{seals} seals"),
    };
    let basis = match plan.basis {
        Basis::Range => format!("going by {seals} of this range"),
        Basis::Newest => format!("going by the {seals} made last; none of this range is sealed"),
        Basis::Nothing => {
            "nothing is sealed yet, so how many parts there will be is not known: try router split".to_owned()
        }
    };
    let Expected { parts, s3, sqs, copies, seconds, cost, warnings } = &plan.expected;
    let known = |number: &Option<u64>| number.map_or("not known".to_owned(), |n| HumanCount(n).to_string());
    let mut line = |name: &str, what: String| text.push_str(&format!("  {name:<20}  {what}\n"));
    line("expected", basis);
    line("  parts", known(parts));
    let (list, get, put) = (HumanCount(s3.list), HumanCount(s3.get), HumanCount(s3.put));
    line("  requests to S3", format!("{list} LIST, {get} GET, {put} PUT"));
    line("  requests to SQS", HumanCount(*sqs).to_string());
    line("  COPYs", copies.map_or("not known".to_owned(), |copies| format!("{} or more", HumanCount(copies))));
    let workers = settings.router.workers;
    line("  time", format!("{} with one router of {workers} workers", duration(*seconds as f64)));
    line("  cost", format!("${cost:.2} for requests at list prices ({PRICES_OF}); the warehouse is not in it"));
    for warning in warnings {
        line("  warning", warning.clone());
    }
}

/// What came of it.
pub(super) fn outcome(outcome: &Outcome) -> String {
    let Outcome { state, progress, left, replace_id } = outcome;
    let head = match state {
        State::Done => "done: everything is sealed",
        State::Interrupted => "interrupted: what is in the queue is routed all the same",
        State::Running | State::Incomplete => "ended: not everything is sealed",
    };
    let id = replace_id.as_ref().map_or(String::new(), |id| format!(" (replace {id})"));
    let mut text = format!(
        "{head}{id}\n  {} of {} objects sealed; seen here: {}, {} records, {} quarantined, in {}\n",
        HumanCount(progress.done),
        HumanCount(progress.to_route.objects),
        amount(progress.sealed),
        HumanCount(progress.records),
        HumanCount(progress.quarantined),
        duration(progress.seconds),
    );
    if *state == State::Incomplete && left.is_nothing() {
        text.push_str("  no walk over the range has found everything sealed yet\n");
    }
    text.push_str(&remains(left));
    text
}

fn remains(left: &Left) -> String {
    let kinds = [
        (left.gone, "gone: deleted before they were routed"),
        (left.superseded, "superseded: overwritten before they were routed"),
        (left.ignored, "ignored: other contents of their keys were first (raw.overwrite = \"ignore\")"),
        (left.lost_claims, "replaced by others since this replace began: --over-others replaces them too"),
        (left.archived, "archived: restore them (docs/backfill.md), then give the same command"),
        (left.not_begun, "not begun: the queue was full, or others failed, for as long as --patience"),
        (left.stuck, "not sealed: look at the routers' log and at the dead-letter queue of raw.backfill_queue"),
    ];
    let mut text = String::new();
    for (objects, why) in kinds.iter().filter(|(objects, _)| *objects > 0) {
        text.push_str(&format!("  {} objects {why}\n", HumanCount(*objects)));
    }
    for example in &left.examples {
        text.push_str(&format!("    {example}\n"));
    }
    text
}

/// One backfill of many.
pub(super) fn report(report: &Report, now: OffsetDateTime) -> String {
    let state = match report.state {
        State::Running if report.is_alive(now) => "running".to_owned(),
        State::Running => format!("silent since {}", second(report.renewed_at)),
        State::Done => "done".to_owned(),
        State::Incomplete => "ended, something is left".to_owned(),
        State::Interrupted => "interrupted".to_owned(),
    };
    let how = if report.is_direct { ", --direct" } else { "" };
    let id = report.replace_id.as_ref().map_or(String::new(), |id| format!(", replace {id}"));
    format!(
        "{}\n  {state}; {}{how}{id}; started {}\n  {} of {} objects, {} quarantined, {} in work\n{}",
        report.what,
        report.owner,
        second(report.started_at),
        HumanCount(report.done),
        HumanCount(report.to_route),
        HumanCount(report.quarantined),
        HumanCount(report.in_work),
        remains(&report.left),
    )
}

/// To the second: more is for machines.
fn second(at: OffsetDateTime) -> String {
    timestamp::format(at.replace_nanosecond(0).unwrap_or(at))
}

fn amount(amount: Amount) -> String {
    let unit = if amount.objects == 1 { "object" } else { "objects" };
    format!("{} {unit}, {}", HumanCount(amount.objects), HumanBytes(amount.bytes))
}

/// Two units at most: nobody wants the seconds of a day.
pub(super) fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60);
    let pair = |large: u64, unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large}{unit}"),
        _ => format!("{large}{unit} {small}{small_unit}"),
    };
    match whole {
        0..60 => format!("{:.1}s", seconds.max(0.0)),
        60..3_600 => pair(minutes, "m", whole % 60, "s"),
        3_600..86_400 => pair(hours, "h", minutes, "m"),
        _ => pair(days, "d", hours, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_as_exact_as_anybody_needs() {
        let shown = [0.04, 59.0, 60.0, 125.0, 7_260.0, 86_400.0, 273_600.0].map(duration);
        assert_eq!(shown, ["0.0s", "59.0s", "1m", "2m 5s", "2h 1m", "1d", "3d 4h"]);
    }

    #[test]
    fn what_is_left_is_told_with_what_to_do_about_it() {
        let left = Left { gone: 1, stuck: 2_000, examples: vec!["gone: a/b.gz".into()], ..Left::default() };
        let text = remains(&left);
        assert!(text.contains("  1 objects gone:") && text.contains("  2,000 objects not sealed: look at"), "{text}");
        assert!(text.ends_with("    gone: a/b.gz\n") && !text.contains("archived"), "{text}");
    }
}
