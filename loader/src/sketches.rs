//! The sketch of each request: in the message, or in the seal that the message names.

use crate::batch::Member;
use common::aws_error::AwsError;
use common::load_request::{LoadRequest, SketchSource};
use common::objects;
use common::seal::{Seal, SealError};
use common::sketch::Sketch;
use std::borrow::Cow;

/// A request whose sketch cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SketchError {
    #[error("could not read the seal that holds a request's sketch")]
    Unreadable(#[from] AwsError),
    #[error(transparent)]
    Unusable(#[from] SealError),
    #[error("the seal {key} does not name the parts of its load request for event {event}")]
    Different { key: String, event: String },
}

/// The members' sketches, in their order.
pub(crate) async fn of_members<'m, D>(
    s3: &aws_sdk_s3::Client,
    bucket: &str,
    members: &'m [Member<D>],
) -> Result<Vec<Cow<'m, Sketch>>, SketchError> {
    let mut sketches = Vec::with_capacity(members.len());
    for member in members {
        sketches.push(match &member.request().sketch {
            SketchSource::Inline(sketch) => Cow::Borrowed(sketch),
            SketchSource::Seal(key) => {
                let seal = Seal::parse(key, &objects::get(s3, bucket, key).await?)?;
                Cow::Owned(from_seal(key, seal, member.request())?)
            }
        });
    }
    Ok(sketches)
}

fn from_seal(key: &str, seal: Seal, request: &LoadRequest) -> Result<Sketch, SketchError> {
    let named = seal.events.into_iter().find(|sealed| sealed.event == request.event && sealed.parts == request.parts);
    match named {
        Some(sealed) if seal.source_id == request.source_id && sealed.records == request.records() => Ok(sealed.sketch),
        _ => Err(SketchError::Different { key: key.to_owned(), event: request.event.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::tests::held;
    use crate::mapping::tests::sketch;
    use common::seal::{Counts, SealedEvent};
    use common::sketch::Types;
    use common::source::SourceObject;
    use time::macros::datetime;

    #[test]
    fn a_seal_lends_its_sketch_only_to_the_request_it_describes() {
        let request = held("a", 0, 1).request;
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
                parts: request.parts.clone(),
                sketch: sketch(&[("a", Types::INTEGER)]),
            }],
            quarantine: vec![],
            replace_id: None,
        };
        assert_eq!(from_seal("k", seal.clone(), &request).unwrap(), sketch(&[("a", Types::INTEGER)]));
        seal.events[0].records = 2;
        assert!(from_seal("k", seal, &request).is_err(), "records that do not add up are never submitted");
    }
}
