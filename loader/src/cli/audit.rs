//! `loader audit`: every record accounted for, and what repairs those that are not.

use super::ask::{agreed, moment};
use crate::{Ask, Audited, Difference, Kind, ReadTally, Rebuilt, Repaired, Tally, Told, audit, rebuild_ledger, repair};
use clap::Args;
use common::clients::Clients;
use common::event_name::EventName;
use common::settings::Settings;
use common::telemetry::chain;
use serde_json::json;
use time::{Date, OffsetDateTime};

/// Differences that are shown one by one; `--json` has all.
const SHOWN_MAX: usize = 50;

#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// Raw objects written from this time on (UTC): a date, or an RFC 3339 time.
    #[arg(long, value_name = "TIME", value_parser = moment, required_unless_present = "rebuild_ledger", requires = "to")]
    from: Option<OffsetDateTime>,
    /// And before this time.
    #[arg(long, value_name = "TIME", value_parser = moment, requires = "from")]
    to: Option<OffsetDateTime>,
    /// Only this event.
    #[arg(long, value_name = "EVENT", value_parser = |text: &str| EventName::try_from(text.to_owned()))]
    event: Option<EventName>,
    /// Print JSON, one object a line: days, tables, every difference, the balance.
    #[arg(long)]
    json: bool,
    /// Announce again what is not loaded, and have routed again what is missing or doubled.
    #[arg(long, requires = "from")]
    repair: bool,
    /// First make gate and ledger of tables that lost theirs anew: of whole tables, whatever the range.
    #[arg(long)]
    rebuild_ledger: bool,
    /// Do not ask before anything is changed.
    #[arg(long)]
    yes: bool,
}

impl AuditArgs {
    /// Fails if there is a difference, repaired or not: whether it is gone the next audit tells.
    pub(super) async fn run(&self, settings: &Settings) -> Result<(), String> {
        let range = self.from.zip(self.to);
        if range.is_some_and(|(from, to)| from >= to) {
            return Err("--to must be later than --from".to_owned());
        }
        let clients = Clients::from_env().await.map_err(|error| chain(&error))?;
        if self.rebuild_ledger {
            self.rebuild(settings, &clients).await?;
        }
        let Some((from, to)) = range else { return Ok(()) };
        let ask = Ask { from, to, event: self.event.clone() };
        let audited = self.audit(settings, &clients, &ask).await?;
        if audited.is_clean() {
            return Ok(());
        }
        let differences = audited.balance.differences;
        // A repair mends differences.
        if !self.repair || differences == 0 {
            return Err(match differences {
                0 => "seals do not add up".to_owned(),
                1 => "1 difference is not explained".to_owned(),
                n => format!("{n} differences are not explained"),
            });
        }
        if !self.yes && !agreed(&format!("Repair {}?", counted(differences, "difference")))? {
            return Err("nothing was repaired".to_owned());
        }
        let repaired = repair(settings, &clients, &ask, &audited).await.map_err(|error| chain(&error))?;
        self.tell_repaired(&repaired, &audited)
    }

    async fn rebuild(&self, settings: &Settings, clients: &Clients) -> Result<(), String> {
        let what = match &self.event {
            Some(event) => format!("the ledger of {event}"),
            None => "every ledger that needs it".to_owned(),
        };
        if !self.yes && !agreed(&format!("Make {what} anew?"))? {
            return Err("nothing was changed".to_owned());
        }
        let rebuilt = rebuild_ledger(settings, clients, self.event.as_ref()).await.map_err(|error| chain(&error))?;
        if rebuilt.is_empty() && !self.json {
            println!("no ledger needs it");
        }
        self.tell_all_rebuilt(&rebuilt)
    }

    /// Fails if a table stays stopped.
    fn tell_all_rebuilt(&self, rebuilt: &[Rebuilt]) -> Result<(), String> {
        rebuilt.iter().for_each(|one| self.tell_rebuilt(one));
        match rebuilt.iter().filter(|one| one.stopped_by.is_some()).count() as u64 {
            0 => Ok(()),
            n => Err(format!("{} stopped by rows that no seal names", counted(n, "table"))),
        }
    }

    async fn audit(&self, settings: &Settings, clients: &Clients, ask: &Ask) -> Result<Audited, String> {
        let mut shown = 0;
        let mut tell = |told: Told<'_>| match (told, self.json) {
            (told, true) => println!("{}", to_json(told)),
            (Told::Objects(day, read), false) => println!("{}", objects_line(day, read)),
            (Told::Table(day, event, tally), false) => println!("{}", table_line(day, event, tally)),
            (Told::Difference(difference), false) => {
                shown += 1;
                if shown <= SHOWN_MAX {
                    println!("{}", difference_line(difference));
                }
            }
        };
        let audited = audit(settings, clients, ask, &mut tell).await.map_err(|error| chain(&error))?;
        if self.json {
            println!("{}", json!({ "balance": audited.balance }));
            return Ok(audited);
        }
        if shown > SHOWN_MAX {
            println!("! and {} more differences: --json shows all", shown - SHOWN_MAX);
        }
        println!("{}", audited.balance);
        Ok(audited)
    }

    fn tell_rebuilt(&self, one: &Rebuilt) {
        let Rebuilt { event, adopted, announced, foreign, stopped_by } = one;
        if self.json {
            let of = json!({ "rebuilt": event, "adopted": adopted, "announced": announced, "foreign": foreign, "stopped_by": stopped_by });
            println!("{of}");
            return;
        }
        let foreign = match foreign {
            0 => String::new(),
            n => format!("; left alone: rows of {} that no seal names", counted(*n, "source")),
        };
        println!(
            "made the ledger of {event} anew: {} in it again, {} of them to be replaced{foreign}",
            counted(*adopted, "file"),
            announced
        );
        if let Some(delete) = stopped_by {
            println!(
                "! {event} stays stopped by rows that are newer than its ledger and that no seal names; if they may go:"
            );
            println!("    {delete}");
        }
    }

    fn tell_repaired(&self, repaired: &Repaired, audited: &Audited) -> Result<(), String> {
        let Repaired { announced, replaced, indexed, rebuilt, left, told } = repaired;
        let rebuilt = self.tell_all_rebuilt(rebuilt);
        let beyond = audited.balance.differences - audited.differences.len() as u64;
        if self.json {
            let left = left + beyond;
            println!(
                "{}",
                json!({ "announced": announced, "replaced": replaced, "indexed": indexed, "left": left, "told": told })
            );
        } else {
            println!(
                "announced {}; asked for {} to be routed again",
                counted(*announced, "load request"),
                counted(*replaced, "raw object")
            );
            if *indexed > 0 {
                println!("asked for the index of {}", counted(*indexed, "raw object"));
            }
            told.iter().take(SHOWN_MAX).for_each(|one| println!("! {one}"));
            if told.len() > SHOWN_MAX {
                println!("! and {} more: --json shows all", told.len() - SHOWN_MAX);
            }
        }
        match (left, beyond) {
            (0, 0) => rebuilt,
            (left, 0) => Err(format!("{} left that only a person can mend", counted(*left, "difference"))),
            (_, beyond) => Err(format!("{} left: audit and repair again", counted(left + beyond, "difference"))),
        }
    }
}

fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Only what there is any of: most days have nothing but what is loaded.
fn line<const N: usize>(day: Date, of: &str, numbers: [(&str, u64); N]) -> String {
    let mut line = format!("{day} {of}");
    for (at, (name, number)) in numbers.into_iter().enumerate() {
        if at < 2 || number > 0 {
            line.push_str(&format!("  {name} {number}"));
        }
    }
    line
}

fn objects_line(day: Date, read: &ReadTally) -> String {
    let ReadTally { objects, read, routed, quarantined, dropped, unsealed, given_up, hours_not_swept, changed } = *read;
    let numbers = [
        ("objects", objects),
        ("read", read),
        ("routed", routed),
        ("quarantined", quarantined),
        ("dropped", dropped),
        ("unsealed", unsealed),
        ("given up", given_up),
        ("hours not swept yet", hours_not_swept),
        ("changed meanwhile", changed),
    ];
    line(day, "raw objects", numbers)
}

fn table_line(day: Date, event: &EventName, tally: &Tally) -> String {
    let Tally { routed, loaded, rejected, removed, waiting, replacing, failed, missing, doubled } = *tally;
    let numbers = [
        ("routed", routed),
        ("loaded", loaded),
        ("rejected", rejected),
        ("removed", removed),
        ("waiting", waiting),
        ("replacing", replacing),
        ("failed", failed),
        ("missing", missing),
        ("doubled", doubled),
    ];
    line(day, event.as_str(), numbers)
}

fn difference_line(difference: &Difference) -> String {
    let Difference { kind, event, object, source_id, rows, detail, repair, .. } = difference;
    let event = event.as_ref().map(|event| format!("{event}: ")).unwrap_or_default();
    let about = match (object, source_id) {
        (Some(object), _) => format!(", {object}"),
        (None, Some(source)) => format!(", source {source}"),
        (None, None) => String::new(),
    };
    let rows = match (kind, rows) {
        (Kind::NotLoaded | Kind::PartGone | Kind::Failed, rows) => format!(" ({})", counted(*rows, "record")),
        (_, 0) => String::new(),
        (_, rows) => format!(" ({})", counted(*rows, "row")),
    };
    let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
    format!("! {event}{}{rows}{about}{detail}\n    {repair}", kind.told())
}

fn to_json(told: Told<'_>) -> serde_json::Value {
    match told {
        Told::Objects(day, read) => json!({ "day": day.to_string(), "objects": read }),
        Told::Table(day, event, tally) => json!({ "day": day.to_string(), "event": event, "table": tally }),
        Told::Difference(difference) => json!({ "difference": difference }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::date;

    #[test]
    fn a_quiet_day_is_a_short_line() {
        let event = EventName::of_type("a");
        let mut tally = Tally { routed: 10, loaded: 10, ..Tally::default() };
        assert_eq!(table_line(date!(2025 - 06 - 01), &event, &tally), "2025-06-01 a  routed 10  loaded 10");
        (tally.loaded, tally.missing) = (0, 10);
        assert_eq!(table_line(date!(2025 - 06 - 01), &event, &tally), "2025-06-01 a  routed 10  loaded 0  missing 10");
    }
}
