//! Faults on request: what AWS does on a bad day, done here when somebody asks for it at `/_sandbox/faults`.
//!
//! Each service asks here at the one place where a kind of fault can strike; nothing strikes unasked. Kept in memory: a
//! restart is a good day.

mod fault;
mod statement;
#[cfg(test)]
mod through_the_sdk;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

pub(crate) use fault::{Fault, Kind, Place};

#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Asked>);

#[derive(Debug, Default)]
struct Asked {
    faults: Vec<Active>,
    last_id: u64,
}

#[derive(Debug)]
struct Active {
    id: u64,
    fault: Fault,
    /// Fitted, the ones let through included.
    seen: u64,
    struck: u64,
}

/// A request's turn: what is to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Answer,
    /// Carried out, but nobody hears of it.
    AnswerNobody,
}

/// A request that is not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) kind: Kind,
    pub(crate) message: String,
}

/// The connection is closed instead of an answer.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the reply is lost, as asked")]
pub(crate) struct ReplyLost;

impl Faults {
    fn lock(&self) -> MutexGuard<'_, Asked> {
        // Every change is complete before the lock is let go.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id of the new fault, or what is wrong with it.
    pub(crate) fn add(&self, body: &[u8]) -> Result<u64, String> {
        let fault = Fault::parse(body)?;
        let mut asked = self.lock();
        asked.last_id += 1;
        let id = asked.last_id;
        asked.faults.push(Active { id, fault, seen: 0, struck: 0 });
        Ok(id)
    }

    /// Those that have struck out are still listed.
    pub(crate) fn list(&self) -> Value {
        let asked = self.lock();
        let shown = asked.faults.iter().map(|active| {
            let mut shown = json!(active.fault);
            shown["id"] = json!(active.id);
            shown["struck"] = json!(active.struck);
            shown
        });
        shown.collect()
    }

    pub(crate) fn clear(&self) {
        self.lock().faults.clear();
    }

    /// Whether there was one of this id.
    pub(crate) fn remove(&self, id: u64) -> bool {
        let faults = &mut self.lock().faults;
        let before = faults.len();
        faults.retain(|active| active.id != id);
        faults.len() < before
    }

    /// So that nobody prepares a place for nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().faults.is_empty()
    }

    /// The first fault of these kinds that strikes here, if one does.
    pub(crate) fn strike(&self, kinds: &[Kind], place: &Place<'_>) -> Option<Fault> {
        let mut asked = self.lock();
        for active in &mut asked.faults {
            let is_spent = active.fault.times.is_some_and(|times| active.struck >= times);
            // A paused warehouse still tells of the statements that it ran.
            let is_elsewhere = active.fault.fault == Kind::PausedWarehouse && !starts_statements(place);
            if is_spent || is_elsewhere || !kinds.contains(&active.fault.fault) || !active.fault.fits(place) {
                continue;
            }
            active.seen += 1;
            if active.seen > active.fault.after {
                active.struck += 1;
                tracing::debug!(fault = ?active.fault.fault, service = place.service, operation = place.operation, "a fault strikes");
                return Some(active.fault.clone());
            }
        }
        None
    }

    /// What becomes of one request.
    pub(crate) async fn at_request(&self, place: &Place<'_>) -> Result<Turn, Refused> {
        let Some(fault) = self.strike(&Kind::OF_REQUESTS, place) else { return Ok(Turn::Answer) };
        let refused = |message: &str| {
            let message = fault.error.clone().unwrap_or_else(|| message.to_owned());
            Err(Refused { kind: fault.fault, message })
        };
        match fault.fault {
            Kind::Throttle => refused("Rate exceeded"),
            Kind::ServerError => refused("We encountered an internal error. Please try again."),
            Kind::AccessDenied => refused("Access Denied"),
            // How the Data API words it is in no public document.
            Kind::PausedWarehouse => refused("The warehouse is paused."),
            Kind::LostReply => Ok(Turn::AnswerNobody),
            Kind::Slow => {
                tokio::time::sleep(Duration::from_millis(fault.millis.unwrap_or_default())).await;
                Ok(Turn::Answer)
            }
            _ => Ok(Turn::Answer),
        }
    }
}

fn starts_statements(place: &Place<'_>) -> bool {
    place.service == "redshift-data" && matches!(place.operation, "ExecuteStatement" | "BatchExecuteStatement")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'_> = Place { service: "sqs", operation: "SendMessage", text: "a" };

    #[test]
    fn a_fault_lets_some_through_strikes_its_times_and_is_still_listed() {
        let faults = Faults::default();
        let id = faults.add(br#"{"fault":"throttle","after":1,"times":2}"#).unwrap();
        let struck = || faults.strike(&Kind::OF_REQUESTS, &PLACE).is_some();
        assert_eq!([struck(), struck(), struck(), struck()], [false, true, true, false]);
        assert!(faults.strike(&Kind::OF_STATEMENTS, &PLACE).is_none());
        assert_eq!(faults.list()[0]["struck"], 2);
        assert!(faults.remove(id) && !faults.remove(id) && faults.is_empty());
    }

    #[test]
    fn a_paused_warehouse_strikes_at_what_starts_statements_and_leaves_the_rest_to_other_faults() {
        let faults = Faults::default();
        faults.add(br#"{"fault":"paused_warehouse","times":1}"#).unwrap();
        faults.add(br#"{"fault":"slow","millis":1}"#).unwrap();
        let at = |operation| Place { service: "redshift-data", operation, text: "a" };
        let kinds = ["DescribeStatement", "ExecuteStatement"]
            .map(|operation| faults.strike(&Kind::OF_REQUESTS, &at(operation)).unwrap().fault);
        assert_eq!(kinds, [Kind::Slow, Kind::PausedWarehouse]);
    }

    #[test]
    fn faults_strike_in_the_order_they_were_asked_for() {
        let faults = Faults::default();
        faults.add(br#"{"fault":"throttle","times":1}"#).unwrap();
        faults.add(br#"{"fault":"server_error"}"#).unwrap();
        let kinds = [(); 3].map(|()| faults.strike(&Kind::OF_REQUESTS, &PLACE).unwrap().fault);
        assert_eq!(kinds, [Kind::Throttle, Kind::ServerError, Kind::ServerError]);
        faults.clear();
        assert!(faults.strike(&Kind::OF_REQUESTS, &PLACE).is_none());
    }
}
