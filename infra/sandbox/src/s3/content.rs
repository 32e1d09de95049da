//! Object bytes: one immutable file per written body, named by a random id, never by its key.
//!
//! So keys `n` and `n/m` coexist, a replaced object can still be read to its end by those who opened it, and a file that no row of the
//! index names is just rubbish, swept at the next start. Files are read and written in place on the runtime's threads: the pages are
//! in memory, and a hop to another thread per chunk would cost more than the copy.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use md5::{Digest, Md5};
use s3s::dto::StreamingBlob;
use s3s::stream::{ByteStream, RemainingLength};
use s3s::{S3Result, StdError, s3_error};

use super::checksum::{Algorithm, Hasher, StoredChecksum};
use crate::digest::hex;

const READ_CHUNK: usize = 256 * 1024;

pub(super) struct ContentFiles {
    root: PathBuf,
}

/// A body on disk that nothing names yet: dropped without [`Written::keep`], its file goes.
pub(super) struct Written {
    pub(super) id: String,
    pub(super) size: u64,
    pub(super) md5: [u8; 16],
    pub(super) checksum: Option<StoredChecksum>,
    path: Option<PathBuf>,
}

impl Written {
    pub(super) fn etag(&self) -> String {
        hex(&self.md5)
    }

    /// The index names the file now.
    pub(super) fn keep(mut self) {
        self.path = None;
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        if let Some(path) = &self.path
            && let Err(error) = fs::remove_file(path)
        {
            tracing::debug!(path = %path.display(), %error, "an unused content file stays until the next start");
        }
    }
}

impl ContentFiles {
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let root = dir.join("s3").join("content");
        for shard in 0..=255_u8 {
            fs::create_dir_all(root.join(format!("{shard:02x}")))?;
        }
        Ok(Self { root })
    }

    /// Removes what a killed process left behind: files no row names.
    pub(super) fn sweep(&self, named: &HashSet<String>) -> io::Result<()> {
        for shard in fs::read_dir(&self.root)? {
            for file in fs::read_dir(shard?.path())? {
                let file = file?;
                if file.file_name().to_str().is_none_or(|name| !named.contains(name)) {
                    fs::remove_file(file.path())?;
                }
            }
        }
        Ok(())
    }

    fn path(&self, id: &str) -> PathBuf {
        self.root.join(id.get(..2).unwrap_or_default()).join(id)
    }

    fn create(&self) -> io::Result<(Written, File)> {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let path = self.path(&id);
        let file = File::create_new(&path)?;
        Ok((Written { id, size: 0, md5: [0; 16], checksum: None, path: Some(path) }, file))
    }

    /// Streams a request body to a new file, hashing on the way.
    pub(super) async fn write(&self, body: Option<StreamingBlob>, algorithm: Option<Algorithm>) -> S3Result<Written> {
        let (mut written, mut file) = self.create().map_err(s3s::S3Error::internal_error)?;
        let mut md5 = Md5::new();
        let mut hasher = algorithm.map(Hasher::new);
        if let Some(mut body) = body {
            while let Some(chunk) = body.next().await {
                let chunk =
                    chunk.map_err(|source| s3s::S3Error::with_source(s3s::S3ErrorCode::IncompleteBody, source))?;
                file.write_all(&chunk).map_err(s3s::S3Error::internal_error)?;
                md5.update(&chunk);
                if let Some(hasher) = &mut hasher {
                    hasher.update(&chunk);
                }
                written.size += chunk.len() as u64;
            }
        }
        written.md5 = md5.finalize().into();
        written.checksum = hasher.map(Hasher::finish);
        Ok(written)
    }

    /// The same bytes under a new id, without copying them: files never change.
    pub(super) fn link(&self, from: &str) -> io::Result<Written> {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let path = self.path(&id);
        fs::hard_link(self.path(from), &path)?;
        Ok(Written { id, size: 0, md5: [0; 16], checksum: None, path: Some(path) })
    }

    /// One file of several, for a completed multipart upload. Blocks for as long as copying takes.
    pub(super) fn concatenate(&self, parts: &[String]) -> io::Result<Written> {
        let (mut written, mut file) = self.create()?;
        for part in parts {
            written.size += io::copy(&mut File::open(self.path(part))?, &mut file)?;
        }
        Ok(written)
    }

    /// A range of another file as a new one, for a part that is copied. Blocks for as long as copying takes.
    pub(super) fn copy_range(&self, from: &str, range: &std::ops::Range<u64>) -> io::Result<Written> {
        let mut source = File::open(self.path(from))?;
        source.seek(SeekFrom::Start(range.start))?;
        let mut source = source.take(range.end - range.start);
        let (mut written, mut file) = self.create()?;
        let mut md5 = Md5::new();
        let mut chunk = vec![0; READ_CHUNK];
        loop {
            let n = source.read(&mut chunk)?;
            let Some(bytes) = chunk.get(..n).filter(|bytes| !bytes.is_empty()) else { break };
            file.write_all(bytes)?;
            md5.update(bytes);
            written.size += n as u64;
        }
        written.md5 = md5.finalize().into();
        Ok(written)
    }

    pub(super) fn reader(&self, id: &str) -> io::Result<File> {
        File::open(self.path(id))
    }

    pub(super) fn stream(&self, id: &str, range: std::ops::Range<u64>) -> io::Result<StreamingBlob> {
        let mut file = self.reader(id)?;
        file.seek(SeekFrom::Start(range.start))?;
        Ok(StreamingBlob::new(FileStream { file, remaining: range.end - range.start }))
    }

    /// A file that cannot be removed costs space until the next start's sweep, and is no reason to fail a request.
    pub(super) fn remove(&self, id: &str) {
        if let Err(error) = fs::remove_file(self.path(id)) {
            tracing::debug!(id, %error, "an unused content file stays until the next start");
        }
    }
}

struct FileStream {
    file: File,
    remaining: u64,
}

impl Stream for FileStream {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.remaining == 0 {
            return Poll::Ready(None);
        }
        let want = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(READ_CHUNK);
        let mut chunk = vec![0; want];
        Poll::Ready(Some(match self.file.read(&mut chunk) {
            Ok(0) => Err("an object's content file is shorter than its index says".into()),
            Ok(n) => {
                chunk.truncate(n);
                self.remaining -= n as u64;
                Ok(Bytes::from(chunk))
            }
            Err(error) => Err(Box::new(error)),
        }))
    }
}

impl ByteStream for FileStream {
    fn remaining_length(&self) -> RemainingLength {
        usize::try_from(self.remaining).map_or_else(|_| RemainingLength::unknown(), RemainingLength::new_exact)
    }
}

/// `Content-MD5`, when a client still sends it.
pub(super) fn check_content_md5(written: &Written, given: Option<&str>) -> S3Result<()> {
    let Some(given) = given else { return Ok(()) };
    if aws_smithy_types::base64::encode(written.md5) == given {
        return Ok(());
    }
    Err(s3_error!(BadDigest, "The Content-MD5 you specified did not match what we received."))
}
