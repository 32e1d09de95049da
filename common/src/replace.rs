//! The document of a replace: what it is, since when, and whether it is finished. Its id is in the seals that it makes, so
//! that the same command, given again, goes on where it was.

use crate::aws_error::AwsError;
use crate::keys::KeyLayout;
use crate::objects;
use crate::source::hex16;
use aws_sdk_s3::Client;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// The format of the document.
pub const REPLACE_VERSION: u32 = 1;

/// What asked for a replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `router backfill --replace`.
    Backfill,
    /// `loader audit --repair`.
    Repair,
    /// `router quarantine replay`.
    Replay,
}

/// What is replaced, and by which rules. The same again is the same replace, until it is finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// What asked for it.
    pub kind: Kind,
    /// Which sources, for people: the command's own words, without what does not change them.
    pub what: String,
    /// The rules; `None`: whatever rules the routers have.
    pub routing_id: Option<String>,
}

/// A replace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplaceDocument {
    /// [`REPLACE_VERSION`] at writing.
    pub version: u32,
    /// Its id, as its seals carry it.
    pub id: String,
    /// What asked for it.
    pub kind: Kind,
    /// Which sources.
    pub what: String,
    /// The rules, if they were given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub routing_id: Option<String>,
    /// When it was first started.
    #[serde(with = "crate::timestamp")]
    pub started_at: OffsetDateTime,
    /// When all of it was sealed.
    #[serde(with = "crate::timestamp::option", skip_serializing_if = "Option::is_none", default)]
    pub finished_at: Option<OffsetDateTime>,
}

/// A replace's document could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    /// S3.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// Not JSON of ours.
    #[error("{key} is no document of a replace, or one of a newer release: upgrade")]
    Unusable {
        /// Where it lies.
        key: String,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// Others wrote it at the same moments.
    #[error("{0} changes too often: somebody else starts the same replace")]
    Busy(String),
}

/// Where documents of replaces lie.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// S3.
    pub s3: &'a Client,
    /// The routed bucket.
    pub bucket: &'a str,
    /// Its layout.
    pub keys: &'a KeyLayout,
}

/// Tries to write a document that others write too.
const TRIES: usize = 5;

impl Selection {
    fn key(&self, keys: &KeyLayout) -> String {
        let kind = format!("{:?}", self.kind);
        let routing_id = self.routing_id.as_deref().unwrap_or_default();
        let pieces = [kind.as_bytes(), b"\0", self.what.as_bytes(), b"\0", routing_id.as_bytes()];
        keys.replace(&hex16(&pieces))
    }
}

/// The document of this selection, if it was ever started: finished or not.
pub async fn find(place: Place<'_>, selection: &Selection) -> Result<Option<ReplaceDocument>, ReplaceError> {
    Ok(read(place, &selection.key(place.keys)).await?.map(|(document, _)| document))
}

/// Starts a replace, or goes on with the unfinished one of the same selection. One that is finished is started anew,
/// under a new id: whoever does not want that asks [`find`] first.
pub async fn open(
    place: Place<'_>,
    selection: &Selection,
    now: OffsetDateTime,
) -> Result<ReplaceDocument, ReplaceError> {
    let key = selection.key(place.keys);
    for _ in 0..TRIES {
        let found = read(place, &key).await?;
        let etag = match found {
            Some((document, _)) if document.finished_at.is_none() => return Ok(document),
            Some((_, etag)) => Some(etag),
            None => None,
        };
        let document = ReplaceDocument {
            version: REPLACE_VERSION,
            id: uuid::Uuid::new_v4().simple().to_string()[..16].to_owned(),
            kind: selection.kind,
            what: selection.what.clone(),
            routing_id: selection.routing_id.clone(),
            started_at: now,
            finished_at: None,
        };
        if write(place, &key, etag.as_deref(), &document).await? {
            return Ok(document);
        }
    }
    Err(ReplaceError::Busy(key))
}

/// Says that all of it is sealed. Another replace of the same selection, started meanwhile, is left alone.
pub async fn finish(
    place: Place<'_>,
    selection: &Selection,
    id: &str,
    now: OffsetDateTime,
) -> Result<(), ReplaceError> {
    let key = selection.key(place.keys);
    for _ in 0..TRIES {
        let Some((document, etag)) = read(place, &key).await? else { return Ok(()) };
        if document.id != id || document.finished_at.is_some() {
            return Ok(());
        }
        let finished = ReplaceDocument { finished_at: Some(now), ..document };
        if write(place, &key, Some(&etag), &finished).await? {
            return Ok(());
        }
    }
    Err(ReplaceError::Busy(key))
}

async fn read(place: Place<'_>, key: &str) -> Result<Option<(ReplaceDocument, String)>, ReplaceError> {
    let Some((bytes, etag)) = objects::get_with_etag(place.s3, place.bucket, key).await? else { return Ok(None) };
    let document = serde_json::from_slice(&bytes);
    let document = document.map_err(|source| ReplaceError::Unusable { key: key.to_owned(), source })?;
    Ok(Some((document, etag)))
}

async fn write(
    place: Place<'_>,
    key: &str,
    etag: Option<&str>,
    document: &ReplaceDocument,
) -> Result<bool, ReplaceError> {
    let bytes = serde_json::to_vec_pretty(document).expect("it has string keys only, so it always serialises");
    Ok(objects::put_if_unchanged(place.s3, place.bucket, key, etag, bytes).await?.is_some())
}
