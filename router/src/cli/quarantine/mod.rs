//! `router quarantine`: what was kept aside, and another try at it.

mod replay;
mod shown;

use super::output;
use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use common::clients::Clients;
use common::event_name::EventName;
use common::quarantine::Reason;
use common::settings::Settings;
use common::telemetry::chain;
use common::timestamp;
use replay::ReplayArgs;
use router::quarantine::{Held, HeldObject, Listing, Quarantine, QuarantineError, Selection, Since, records};
use serde_json::json;
use std::path::Path;
use time::OffsetDateTime;

#[derive(Debug, Subcommand)]
pub(super) enum QuarantineCommand {
    /// Count what is in quarantine, by reason; exit 1 if something of it cannot be told
    List {
        #[command(flatten)]
        which: Which,
        /// Print one JSON object per quarantine object instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Print quarantined records, each with why it is there
    Show {
        #[command(flatten)]
        which: Which,
        /// Records to print at most
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: u64,
        /// Print records as they are kept, one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Route the source objects of quarantined records again, whole, as their next generation
    Replay(ReplayArgs),
}

/// Which records.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Only of this event
    #[arg(long, value_name = "EVENT", value_parser = |text: &str| EventName::try_from(text.to_owned()))]
    event: Option<EventName>,
    /// Only for this reason
    #[arg(long, value_name = "REASON", value_parser = reasons())]
    reason: Option<Reason>,
    /// Only of sources since then: a date (2025-06-01), a time (2025-06-01T09:00:00Z), or how long ago (7d)
    #[arg(long, value_name = "TIME", value_parser = |text: &str| Since::parse(text, OffsetDateTime::now_utc()))]
    since: Option<Since>,
}

impl From<Which> for Selection {
    fn from(Which { event, reason, since }: Which) -> Self {
        Self { event, reason, since }
    }
}

fn reasons() -> impl TypedValueParser<Value = Reason> {
    let words = PossibleValuesParser::new(Reason::ALL.iter().map(|reason| reason.as_str()));
    words.try_map(|word| Reason::ALL.iter().copied().find(|reason| reason.as_str() == word).ok_or("no reason"))
}

impl QuarantineCommand {
    /// Carries the command out.
    pub(super) fn run(self, config: Option<&Path>) -> anyhow::Result<()> {
        common::telemetry::init("warn")?;
        let settings = Settings::load(config)?;
        let runtime = tokio::runtime::Runtime::new().context("could not start threads")?;
        let done = runtime.block_on(async {
            let clients = Clients::from_env().await?;
            let quarantine = Quarantine::new(&settings, &clients);
            match self {
                Self::List { which, json } => list(&quarantine, &which.into(), json).await,
                Self::Replay(args) => args.run(&settings, &clients, &quarantine).await,
                Self::Show { which, limit, json } => show(&quarantine, &which.into(), limit, json).await,
            }
        });
        // A thread that still routes what was abandoned must not hold the exit: only what is awaited writes to S3.
        runtime.shutdown_background();
        done
    }
}

/// What could not be told, told on standard error as it is met.
#[derive(Default)]
struct Troubles(u64);

impl Troubles {
    fn add(&mut self, trouble: impl std::fmt::Display) {
        eprintln!("router: {trouble}");
        self.0 += 1;
    }

    /// What was found of a source; `None`: it could not be told. Fails where nothing else can be told either.
    fn check(&mut self, found: Result<Held, QuarantineError>) -> Result<Option<Held>, QuarantineError> {
        match found {
            Ok(held) => {
                if let Some(source) = held.unbalanced {
                    self.add(chain(&QuarantineError::Unbalanced { uri: held.seal.source.uri(), source }));
                }
                Ok(Some(held))
            }
            Err(error) if error.is_of_one_source() => {
                self.add(chain(&error));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn end(self) -> anyhow::Result<()> {
        anyhow::ensure!(self.0 == 0, "{} things could not be told; the rest is complete", self.0);
        Ok(())
    }
}

async fn list(quarantine: &Quarantine, selection: &Selection, json: bool) -> anyhow::Result<()> {
    let (mut listing, mut troubles, mut output) = (Listing::default(), Troubles::default(), output::stdout());
    let mut held = quarantine.held(selection);
    while let Some(found) = held.recv().await {
        let Some(held) = troubles.check(found)? else { continue };
        if json {
            for object in &held.objects {
                output.say(format_args!("{}\n", object_json(quarantine, &held, object))).context(CLOSED)?;
            }
        }
        listing.add(&held);
    }
    if !json {
        output.say(&listing).context(CLOSED)?;
    }
    troubles.end()
}

const CLOSED: &str = "could not write to standard output";

fn object_json(quarantine: &Quarantine, held: &Held, object: &HeldObject) -> serde_json::Value {
    let source = &held.seal.source;
    json!({
        "reason": object.reason,
        "event": object.event,
        "records": object.selected,
        "object": quarantine.uri(object),
        "source": source.uri(),
        "source_id": held.seal.source_id,
        "source_time": timestamp::format(source.time),
        "generation": object.generation,
        "replaced": object.is_replaced,
    })
}

async fn show(quarantine: &Quarantine, selection: &Selection, limit: u64, json: bool) -> anyhow::Result<()> {
    let (mut left, mut troubles, mut output) = (limit, Troubles::default(), output::stdout());
    let wanted = selection.event.as_ref().map(EventName::as_str);
    let mut sources = quarantine.held(selection);
    while let Some(found) = sources.recv().await {
        let Some(held) = troubles.check(found)? else { continue };
        for object in &held.objects {
            let stored = match quarantine.read(object).await {
                Ok(stored) => stored,
                Err(error) if error.is_of_one_source() => {
                    troubles.add(chain(&error));
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            for record in records(&stored, object.records) {
                let record = match record {
                    Ok(record) => record,
                    Err(error) => {
                        troubles.add(chain(&quarantine.unreadable(object, error)));
                        break;
                    }
                };
                if wanted.is_some_and(|wanted| !quarantine.is_of_event(&held.seal, object, wanted, &record)) {
                    continue;
                }
                if left == 0 {
                    eprintln!("router: there are more: --limit shows more than {limit}");
                    return troubles.end();
                }
                left -= 1;
                let text = if json { shown::line(&record) } else { shown::for_people(&record) };
                output.say(text).context(CLOSED)?;
            }
        }
    }
    troubles.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Only {
        #[command(subcommand)]
        command: QuarantineCommand,
    }

    #[test]
    fn every_reason_can_be_asked_for_and_nothing_else() {
        for reason in Reason::ALL {
            let parsed = Only::try_parse_from(["quarantine", "list", "--reason", reason.as_str()]).expect("a reason");
            let QuarantineCommand::List { which, .. } = parsed.command else { panic!("{parsed:?}") };
            assert_eq!(which.reason, Some(*reason));
        }
        for wrong in [["list", "--reason", "unlucky"], ["list", "--since", "soon"], ["show", "--event", "Not A Name"]] {
            let error = Only::try_parse_from(std::iter::once("quarantine").chain(wrong)).expect_err("refused");
            assert_eq!(error.exit_code(), 2);
        }
    }
}
