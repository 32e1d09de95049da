//! What each request holds, its parts and their sketch: in the message, or in the seal that the message names.

use crate::batch::Member;
use common::aws_error::AwsError;
use common::load_request::{LoadRequest, PartsSource, SealedParts, SketchSource};
use common::objects;
use common::seal::{Part, Seal, SealError, SealedEvent};
use common::sketch::Sketch;
use std::borrow::Cow;

/// The parts of one request, and what their records look like.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Contents<'m> {
    pub(crate) parts: Cow<'m, [Part]>,
    pub(crate) sketch: Cow<'m, Sketch>,
}

/// A request whose contents cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContentsError {
    #[error("could not read the seal that holds what a request's message could not")]
    Unreadable(#[from] AwsError),
    #[error(transparent)]
    Unusable(#[from] SealError),
    #[error("the seal {key} does not name the parts of its load request for event {event}")]
    Different { key: String, event: String },
}

/// The members' contents, in their order.
pub(crate) async fn of_members<'m, D>(
    s3: &aws_sdk_s3::Client,
    bucket: &str,
    members: &'m [Member<D>],
) -> Result<Vec<Contents<'m>>, ContentsError> {
    let mut contents = Vec::with_capacity(members.len());
    for request in members.iter().map(Member::request) {
        contents.push(match (&request.parts, &request.sketch) {
            (PartsSource::Inline(parts), SketchSource::Inline(sketch)) => {
                Contents { parts: Cow::Borrowed(parts), sketch: Cow::Borrowed(sketch) }
            }
            (PartsSource::Seal(SealedParts { seal: key, .. }), _) | (_, SketchSource::Seal(key)) => {
                let seal = Seal::parse(key, &objects::get(s3, bucket, key).await?)?;
                from_seal(key, seal, request)?
            }
        });
    }
    Ok(contents)
}

fn from_seal(key: &str, seal: Seal, request: &LoadRequest) -> Result<Contents<'static>, ContentsError> {
    let says_the_same = |sealed: &SealedEvent| {
        let parts = match &request.parts {
            PartsSource::Inline(parts) => sealed.parts == *parts,
            PartsSource::Seal(parts) => SealedParts::new(key, sealed) == *parts,
        };
        parts && sealed.event == request.event && sealed.records == request.records()
    };
    match seal.events.into_iter().find(says_the_same) {
        Some(SealedEvent { parts, sketch, .. }) if seal.source_id == request.source_id => {
            Ok(Contents { parts: Cow::Owned(parts), sketch: Cow::Owned(sketch) })
        }
        _ => Err(ContentsError::Different { key: key.to_owned(), event: request.event.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::tests::held;
    use crate::load::{Blame, LoadFailure};
    use crate::mapping::tests::sketch;
    use crate::verdict::Class;
    use common::seal::Counts;
    use common::sketch::Types;
    use common::source::SourceObject;
    use time::macros::datetime;

    #[test]
    fn a_seal_of_a_newer_router_stops_the_table_and_never_condemns_its_request() {
        let too_new = ContentsError::Unusable(SealError::TooNew { key: "k".into(), version: 99 });
        let LoadFailure { class, blame, what } = too_new.into();
        assert_eq!((class, blame), (Class::Configuration, Blame::Table));
        assert!(what.contains("upgrade it"), "{what}");
    }

    #[test]
    fn a_seal_lends_its_contents_only_to_the_request_it_describes() {
        let mut request = held("a", 0, 1).request;
        let PartsSource::Inline(parts) = &request.parts else { panic!() };
        let part = parts[0].clone();
        let at = datetime!(2025-06-01 00:00 UTC);
        let (bucket, etag) = ("raw".to_owned(), "e".to_owned());
        let mut seal = Seal {
            version: 1,
            source_id: request.source_id.clone(),
            source: SourceObject { bucket, key: "a".into(), etag, version_id: None, time: at, bytes: 1 },
            generation: 0,
            routing_id: "00000000".into(),
            sealed_at: at,
            counts: Counts::default(),
            events: vec![SealedEvent {
                event: request.event.clone(),
                since: 0,
                records: 1,
                parts: vec![part.clone()],
                sketch: sketch(&[("a", Types::INTEGER)]),
            }],
            quarantine: vec![],
            replace_id: None,
        };
        let expected = Contents { parts: Cow::Owned(vec![part]), sketch: Cow::Owned(sketch(&[("a", Types::INTEGER)])) };
        assert_eq!(from_seal("k", seal.clone(), &request).unwrap(), expected);
        let named_in_seal = SealedParts::new("k", &seal.events[0]);
        request.parts = PartsSource::Seal(named_in_seal.clone());
        assert_eq!(from_seal("k", seal.clone(), &request).unwrap(), expected);
        request.parts = PartsSource::Seal(SealedParts { bytes: 99, ..named_in_seal });
        assert!(from_seal("k", seal.clone(), &request).is_err(), "other parts than the router announced");
        request.parts = PartsSource::Inline(seal.events[0].parts.clone());
        seal.events[0].records = 2;
        assert!(from_seal("k", seal, &request).is_err(), "records that do not add up are never submitted");
    }
}
