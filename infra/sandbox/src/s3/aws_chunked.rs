//! Decoder of `aws-chunked` bodies: `SIZE[;chunk-signature=…]\r\n DATA \r\n … 0\r\n trailers \r\n`.
//!
//! Format: "Authenticating requests: using the `Authorization` header, transferring payload in multiple chunks" of the S3 API reference.
//! Signatures of chunks and trailers are read over, as all signatures are. Does no I/O.

use bytes::{Buf, Bytes, BytesMut};

/// No sane chunk header or trailer is longer; a body without line ends must not grow the buffer.
const MAX_LINE: usize = 16 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ChunkError {
    #[error("the aws-chunked body has a malformed chunk header")]
    Header,
    #[error("the aws-chunked body has a chunk that does not end where its header says")]
    ChunkEnd,
    #[error("the aws-chunked body ended early")]
    Truncated,
}

enum State {
    Header,
    Data(usize),
    DataEnd,
    Trailers,
    Done,
}

pub(super) struct Decoder {
    buffer: BytesMut,
    state: State,
    trailers: Vec<(String, String)>,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self { buffer: BytesMut::new(), state: State::Header, trailers: Vec::new() }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next piece of the object, or nothing when more input is needed or the body is complete.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, ChunkError> {
        loop {
            match self.state {
                State::Header => {
                    let Some(line) = self.line()? else { return Ok(None) };
                    let size = line.split(';').next().unwrap_or_default().trim();
                    let size = usize::from_str_radix(size, 16).map_err(|_| ChunkError::Header)?;
                    self.state = if size == 0 { State::Trailers } else { State::Data(size) };
                }
                State::Data(remaining) => {
                    if self.buffer.is_empty() {
                        return Ok(None);
                    }
                    let piece = self.buffer.split_to(remaining.min(self.buffer.len())).freeze();
                    let left = remaining - piece.len();
                    self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                    return Ok(Some(piece));
                }
                State::DataEnd => {
                    if self.buffer.len() < 2 {
                        return Ok(None);
                    }
                    if !self.buffer.starts_with(b"\r\n") {
                        return Err(ChunkError::ChunkEnd);
                    }
                    self.buffer.advance(2);
                    self.state = State::Header;
                }
                State::Trailers => {
                    let Some(line) = self.line()? else { return Ok(None) };
                    if line.is_empty() {
                        self.state = State::Done;
                    } else if let Some((name, value)) = line.split_once(':') {
                        self.trailers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
                    }
                }
                State::Done => return Ok(None),
            }
        }
    }

    /// Call at the end of the input. Some clients leave out the empty line after the last trailer.
    pub(super) fn finish(self) -> Result<Vec<(String, String)>, ChunkError> {
        match self.state {
            State::Done | State::Trailers if self.buffer.is_empty() => Ok(self.trailers),
            _ => Err(ChunkError::Truncated),
        }
    }

    fn line(&mut self) -> Result<Option<String>, ChunkError> {
        let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") else {
            return if self.buffer.len() > MAX_LINE { Err(ChunkError::Header) } else { Ok(None) };
        };
        let line = self.buffer.split_to(end);
        self.buffer.advance(2);
        String::from_utf8(line.to_vec()).map(Some).map_err(|_| ChunkError::Header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Decoded = Result<(Vec<u8>, Vec<(String, String)>), ChunkError>;

    fn decode(body: &[u8], step: usize) -> Decoded {
        let mut decoder = Decoder::new();
        let mut data = Vec::new();
        for piece in body.chunks(step) {
            decoder.push(piece);
            while let Some(bytes) = decoder.next()? {
                data.extend_from_slice(&bytes);
            }
        }
        Ok((data, decoder.finish()?))
    }

    #[test]
    fn any_split_of_the_input_gives_the_same_object_and_trailers() {
        let body = b"5;chunk-signature=ab\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n";
        for step in 1..=body.len() {
            let (data, trailers) = decode(body, step).unwrap();
            assert_eq!(data, b"hello world");
            assert_eq!(trailers, [("x-amz-checksum-crc32".to_owned(), "DUoRhQ==".to_owned())]);
        }
    }

    #[test]
    fn a_body_cut_anywhere_before_its_last_chunk_is_truncated() {
        let body = b"5\r\nhello\r\n0\r\n";
        for cut in 0..body.len() {
            assert_eq!(decode(&body[..cut], 3), Err(ChunkError::Truncated), "cut at {cut}");
        }
    }

    #[test]
    fn a_chunk_longer_than_its_header_says_is_refused() {
        assert_eq!(decode(b"2\r\nhello\r\n0\r\n\r\n", 4), Err(ChunkError::ChunkEnd));
        assert_eq!(decode(b"zz\r\n", 4), Err(ChunkError::Header));
    }
}
