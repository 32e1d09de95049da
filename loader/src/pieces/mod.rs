//! Pieces: parts written anew from some lines of a part that cannot be loaded as it is.
//!
//! Lines are verbatim and numbered from 1, as COPY numbers them: a part is one record per line. Which line goes where
//! is decided by others. A piece's key says its content, so writing it again changes nothing.
//!
//! Memory: one part at a time, compressed, with what is written of it, compressed too, and one line. No part has more
//! decompressed bytes than `router.part_max_bytes` and one record.

mod read;
mod write;

pub(crate) use read::Lines;
pub(crate) use write::{Piece, PieceWriter};

use crate::sql::load::Codec;
use common::aws_error::AwsError;
use common::event_name::EventName;
use common::keys::KeyLayout;
use common::objects;
use common::seal::Part;
use std::io;

/// A part whose lines cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PieceError {
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error("part {0} is neither .gz nor .zst")]
    Codec(String),
    #[error("part {key} cannot be read")]
    Unreadable {
        key: String,
        #[source]
        cause: io::Error,
    },
}

/// Fetches a part and does `work` with its lines, on a thread of its own.
pub(crate) async fn with_lines<T: Send + 'static>(
    s3: &aws_sdk_s3::Client,
    bucket: &str,
    part: &Part,
    work: impl FnOnce(&mut Lines<'_>, Codec) -> io::Result<T> + Send + 'static,
) -> Result<T, PieceError> {
    let codec = Codec::of_key(&part.key).ok_or_else(|| PieceError::Codec(part.key.clone()))?;
    let stored = objects::get(s3, bucket, &part.key).await?;
    let records = part.records;
    let worked = tokio::task::spawn_blocking(move || work(&mut Lines::new(codec, &stored, records)?, codec)).await;
    let worked = worked.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    worked.map_err(|cause| PieceError::Unreadable { key: part.key.clone(), cause })
}

/// Puts the piece of the part `of` where COPY finds it, unless it is there.
pub(crate) async fn put(
    s3: &aws_sdk_s3::Client,
    bucket: &str,
    keys: &KeyLayout,
    event: &EventName,
    of: &str,
    piece: Piece,
) -> Result<Part, AwsError> {
    let Piece { codec, records, bytes, hash, stored } = piece;
    let key = keys.piece(event, &write::hash_of(of.as_bytes()), &hash, codec.into());
    objects::put_bytes_if_absent(s3, bucket, &key, stored).await?;
    Ok(Part { key, records, bytes })
}
