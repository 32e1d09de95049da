//! Which seal of an object stands: the one just made, or another that was first.

use super::outcome::{LostClaim, Outcome};
use super::{HandleError, Next, Router};
use crate::notification::CreatedObject;
use crate::sealing::SealingError;
use common::load_request::Lane;
use common::objects::Written;
use common::route_request::Replace;
use common::seal::Seal;
use common::settings::Overwrite;
use common::source::SourceId;

/// Whose seal stands when an object was routed.
pub(super) enum Sealed {
    /// What was routed now.
    New,
    /// An earlier one of the same source, for which the same was asked.
    Before,
    /// One of other contents of its key.
    OtherContents,
    /// Another replace's.
    OtherReplace(LostClaim),
}

impl Router {
    /// Seals and announces what was routed, or finds who was first.
    pub(super) async fn seal_and_announce(
        &self,
        seal: Seal,
        next: &Next,
        lane: Lane,
        uri: &str,
    ) -> Result<Sealed, HandleError> {
        let failed = |source| HandleError::Seal { uri: uri.to_owned(), source };
        let seal = match self.overwrite {
            // What gives no row must not keep rows out: a broken upload is often followed by a sound one.
            Overwrite::Ignore if !seal.events.is_empty() => match self.sealer.claim(&seal).await.map_err(failed)? {
                Some(first) if first.source_id != seal.source_id => {
                    self.sealer.make_good(&first, lane).await.map_err(failed)?;
                    return Ok(Sealed::OtherContents);
                }
                // The claim decides what this generation is.
                Some(first) if first.generation == seal.generation => first,
                _ => seal,
            },
            Overwrite::Ignore | Overwrite::Add => seal,
        };
        let (seal, written) = self.sealer.write(seal).await.map_err(failed)?;
        if let Some(replace) = &next.replace
            && let Some(lost) = self.lost(replace, &seal).await.map_err(failed)?
        {
            self.sealer.make_known(&seal, lane).await.map_err(failed)?;
            return Ok(Sealed::OtherReplace(lost));
        }
        let announced = self.sealer.announce(&seal, lane, next.announced.as_deref());
        let is_new_key = self.overwrite == Overwrite::Add && written == Written::Created && seal.generation == 0;
        let announced = if is_new_key {
            // Beside the index writes, so that looking costs a request and no time.
            tokio::join!(announced, self.sealer.warn_if_overwritten(&seal)).0
        } else {
            announced.await
        };
        announced.map_err(failed)?;
        Ok(if written == Written::Created { Sealed::New } else { Sealed::Before })
    }

    /// Who has the generation that a replace wanted, if another has. `highest` is of that generation or above.
    pub(super) async fn lost(&self, replace: &Replace, highest: &Seal) -> Result<Option<LostClaim>, SealingError> {
        let held_by = if highest.generation == replace.generation {
            highest.replace_id.clone()
        } else {
            self.sealer.of_generation(&highest.source_id, replace.generation).await?.replace_id
        };
        let (generation, lost_by) = (replace.generation, replace.id.clone());
        Ok((held_by.as_ref() != Some(&lost_by)).then_some(LostClaim { generation, lost_by, held_by }))
    }

    /// What the claim on the object's key says about it, where there is one and the notification tells the contents.
    pub(super) async fn claimed(&self, object: &CreatedObject, lane: Lane) -> Result<Option<Outcome>, HandleError> {
        let CreatedObject { bucket, key, etag: Some(etag), .. } = object else { return Ok(None) };
        let uri = object.uri();
        let failed = |source| HandleError::Seal { uri: uri.clone(), source };
        let Some(seal) = self.sealer.claim_on(bucket, key).await.map_err(failed)? else { return Ok(None) };
        if seal.source_id != SourceId::new(bucket, key, etag) {
            self.sealer.make_good(&seal, lane).await.map_err(failed)?;
            return Ok(Some(Outcome::Ignored));
        }
        // Claimed for these very contents: all that is left to do is what follows a claim.
        self.seal_and_announce(seal, &Next::default(), lane, &uri).await?;
        Ok(Some(Outcome::Announced))
    }

    /// The highest seal of the contents that the notification names, if it names them and there is one.
    pub(super) async fn sealed(&self, object: &CreatedObject) -> Result<Option<Seal>, HandleError> {
        let Some(etag) = &object.etag else { return Ok(None) };
        let failed = |source| HandleError::Seal { uri: object.uri(), source };
        self.sealer.highest(&SourceId::new(&object.bucket, &object.key, etag)).await.map_err(failed)
    }

    /// Announces the highest seal of the contents that the notification names, if there is one.
    pub(super) async fn announce_again(
        &self,
        object: &CreatedObject,
        lane: Lane,
    ) -> Result<Option<Outcome>, HandleError> {
        let failed = |source| HandleError::Seal { uri: object.uri(), source };
        let Some(seal) = self.sealed(object).await? else { return Ok(None) };
        self.sealer.announce(&seal, lane, None).await.map_err(failed)?;
        tracing::info!(
            source.key = object.key,
            generation = seal.generation,
            "announced {} again: it is sealed",
            object.uri()
        );
        Ok(Some(Outcome::Announced))
    }
}
