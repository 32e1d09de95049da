//! Writes finished pieces from the spool to S3, several at once.

use crate::route::pieces::{ExtentReader, Piece, Spool};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use common::aws_error::AwsError;
use common::objects::put_if_absent;
use futures::stream::{self, StreamExt, TryStreamExt};
use http_body::{Body, Frame, SizeHint};
use std::io::Read;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Bytes read from the spool at a time.
const READ_BYTES: usize = 64 << 10;

/// Uploads pieces under their keys. A key that is taken holds the same bytes: its name says so.
pub(crate) async fn upload(
    s3: &aws_sdk_s3::Client,
    bucket: &str,
    spool: &Spool,
    pieces: Vec<(String, Piece)>,
    concurrency: usize,
) -> Result<(), AwsError> {
    let uploads = pieces.into_iter().map(|(key, piece)| async move {
        let reader = spool.reader(piece.extents);
        put_if_absent(s3, bucket, &key, || body(&reader)).await
    });
    stream::iter(uploads).buffer_unordered(concurrency).try_for_each(|_| async { Ok(()) }).await
}

/// A body that the SDK can start again when a try fails. A small one is given whole: the SDK then sends its checksum in
/// a header, where a stream costs a chunked encoding with a trailer.
fn body(reader: &ExtentReader) -> SdkBody {
    if reader.remaining() <= READ_BYTES as u64 {
        let mut whole = Vec::with_capacity(reader.remaining() as usize);
        if reader.clone().read_to_end(&mut whole).is_ok() {
            return SdkBody::from(whole);
        }
        // The stream meets the same error, and can tell it.
    }
    let reader = reader.clone();
    SdkBody::retryable(move || SdkBody::from_body_1_x(SpoolBody(reader.clone())))
}

struct SpoolBody(ExtentReader);

impl Body for SpoolBody {
    type Data = Bytes;
    type Error = std::io::Error;

    /// Reads in place: the bytes were just written, so they are in the page cache.
    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let mut chunk = vec![0; READ_BYTES.min(usize::try_from(self.0.remaining()).unwrap_or(READ_BYTES))];
        if chunk.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(self.0.read(&mut chunk).map(|n| {
            chunk.truncate(n);
            Frame::data(chunk.into())
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.0.remaining() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.remaining())
    }
}
