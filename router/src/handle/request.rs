//! Route requests, our own messages: an object that must have a seal, or a whole object routed again as its next
//! generation (docs/adr/0017).

use super::{Asked, Begun, HandleError, Next, Outcome, Router};
use crate::notification::CreatedObject;
use common::event_name::EventName;
use common::load_request::Lane;
use common::route_request::{Replace, RouteRequest};
use common::seal::Seal;
use common::settings::Overwrite;
use common::source::SourceId;

/// What a request comes to, going by the highest seal of its source.
#[derive(Debug, PartialEq)]
enum Step<'a> {
    /// It is to be routed as this generation.
    Route(u32),
    /// What is asked for is sealed, here or in an earlier generation.
    Done(&'a Seal),
    /// The generation is there. Its own seal says whether it is the one that is asked for.
    Taken(&'a Replace, &'a Seal),
    /// There is no seal of the generation before this one.
    Gap(u32),
}

fn step<'a>(replace: Option<&'a Replace>, highest: Option<&'a Seal>) -> Step<'a> {
    match (replace, highest) {
        (None, None) => Step::Route(0),
        (None, Some(seal)) => Step::Done(seal),
        (Some(replace), Some(seal)) if seal.replace_id.as_ref() == Some(&replace.id) => Step::Done(seal),
        (Some(replace), Some(seal)) if replace.generation <= seal.generation => Step::Taken(replace, seal),
        (Some(replace), highest) => match highest.map_or(0, |seal| seal.generation + 1) {
            next if next == replace.generation => Step::Route(next),
            _ => Step::Gap(replace.generation),
        },
    }
}

impl Router {
    /// Carries a request out. `redelivered`: whoever had it before may have died after its seal was written.
    pub(crate) async fn requested(
        &self,
        request: &RouteRequest,
        lane: Lane,
        redelivered: bool,
    ) -> Result<Outcome, HandleError> {
        self.carry_out(request, Asked { lane, redelivered, delivery: None }).await
    }

    pub(super) async fn carry_out(&self, request: &RouteRequest, asked: Asked<'_>) -> Result<Outcome, HandleError> {
        self.turned(self.begin_requested(request, asked), asked).await
    }

    async fn begin_requested(&self, request: &RouteRequest, asked: Asked<'_>) -> Result<Begun, HandleError> {
        let object = CreatedObject::of_request(request);
        if !self.is_ours(&object) {
            return Err(HandleError::Foreign { uri: object.uri() });
        }
        if let Some(replace) = &request.replace {
            self.check_rules(replace, &object)?;
        }
        let failed = |source| HandleError::Seal { uri: object.uri(), source };
        let source_id = SourceId::new(&request.bucket, &request.key, &request.etag);
        let highest = self.sealer.highest(&source_id).await.map_err(failed)?;
        let generation = match step(request.replace.as_ref(), highest.as_ref()) {
            Step::Route(generation) => generation,
            Step::Done(seal) => return self.see_to(seal, request.events.as_deref(), asked).await.map(Begun::Over),
            Step::Taken(replace, seal) => {
                return match self.lost(replace, seal).await.map_err(failed)? {
                    Some(lost) => {
                        self.sealer.make_known(seal, asked.lane).await.map_err(failed)?;
                        Ok(Begun::Over(Outcome::LostClaim(lost)))
                    }
                    None => self.see_to(seal, request.events.as_deref(), asked).await.map(Begun::Over),
                };
            }
            Step::Gap(generation) => {
                let highest = highest.as_ref().map(|seal| seal.generation);
                return Err(HandleError::Gap { uri: object.uri(), generation, highest });
            }
        };
        if request.replace.is_none()
            && self.overwrite == Overwrite::Ignore
            && let Some(outcome) = self.claimed(&object, asked.lane).await?
        {
            return Ok(Begun::Over(outcome));
        }
        let next =
            Next { generation, replace: request.replace.clone(), earlier: highest, announced: request.events.clone() };
        self.fetch_and_wait(&object, next, asked.lane).await
    }

    /// Makes sure of what follows a seal. Announces only what may not have been: a second operator's requests cost next
    /// to nothing.
    pub(super) async fn see_to(
        &self,
        seal: &Seal,
        only: Option<&[EventName]>,
        asked: Asked<'_>,
    ) -> Result<Outcome, HandleError> {
        let failed = |source| HandleError::Seal { uri: seal.source.uri(), source };
        let was_missing = self.sealer.index(seal).await.map_err(failed)?;
        if !was_missing && !asked.redelivered {
            return Ok(Outcome::Sealed);
        }
        self.sealer.announce_only(seal, asked.lane, only).await.map_err(failed)?;
        tracing::info!(
            source.key = seal.source.key,
            generation = seal.generation,
            "announced {} again: it is sealed",
            seal.source.uri()
        );
        Ok(Outcome::Announced)
    }

    /// Rows of other rules must never pass for the ones that were asked for.
    fn check_rules(&self, replace: &Replace, object: &CreatedObject) -> Result<(), HandleError> {
        match &replace.routing_id {
            Some(wanted) if *wanted != self.routing_id => Err(HandleError::OtherRules {
                uri: object.uri(),
                id: replace.id.clone(),
                wanted: wanted.clone(),
                own: self.routing_id.clone(),
            }),
            _ if !self.lineage => Err(HandleError::NoLineage { uri: object.uri(), id: replace.id.clone() }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::seal::Counts;
    use common::source::SourceObject;
    use time::macros::datetime;

    fn sealed(generation: u32, replace_id: Option<&str>) -> Seal {
        let source = SourceObject {
            bucket: "raw".into(),
            key: "k".into(),
            etag: "e".into(),
            version_id: None,
            time: datetime!(2025-06-01 00:00 UTC),
            bytes: 1,
        };
        Seal {
            version: 1,
            source_id: source.id(),
            source,
            generation,
            routing_id: "00000000".into(),
            sealed_at: datetime!(2025-06-01 00:00 UTC),
            counts: Counts::default(),
            events: vec![],
            quarantine: vec![],
            replace_id: replace_id.map(str::to_owned),
        }
    }

    #[test]
    fn a_replace_makes_the_generation_after_the_highest_and_never_another() {
        let replace = |generation| Replace { id: "mine".into(), generation, routing_id: None };
        let (first, mine, other) = (sealed(0, None), sealed(1, Some("mine")), sealed(1, Some("other")));
        let [zero, one, two] = [0, 1, 2].map(replace);
        assert_eq!(step(Some(&one), Some(&first)), Step::Route(1));
        assert_eq!(step(Some(&one), Some(&mine)), Step::Done(&mine));
        assert_eq!(step(Some(&two), Some(&mine)), Step::Done(&mine), "whatever it was planned as");
        assert_eq!(step(Some(&zero), Some(&first)), Step::Taken(&zero, &first));
        assert_eq!(step(Some(&one), Some(&other)), Step::Taken(&one, &other));
        assert_eq!(step(Some(&two), Some(&other)), Step::Route(2));
        assert_eq!(step(Some(&two), Some(&first)), Step::Gap(2));
        assert_eq!(step(Some(&one), None), Step::Gap(1));
        assert_eq!(step(Some(&zero), None), Step::Route(0));
    }

    #[test]
    fn a_plain_request_is_done_with_any_seal() {
        assert_eq!(step(None, None), Step::Route(0));
        let other = sealed(3, Some("other"));
        assert_eq!(step(None, Some(&other)), Step::Done(&other));
    }
}
