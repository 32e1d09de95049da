//! The checksums that current SDKs send with every upload, in a header or in the trailer of a chunked body.
//!
//! One algorithm per body, as S3 has it. A composite checksum of a multipart upload is not computed: SDKs do not check those.

use http::HeaderMap;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::dto::Checksum;
use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};

use super::request::Trailers;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

const ALL: [(Algorithm, &str); 5] = [
    (Algorithm::Crc32, "x-amz-checksum-crc32"),
    (Algorithm::Crc32c, "x-amz-checksum-crc32c"),
    (Algorithm::Crc64Nvme, "x-amz-checksum-crc64nvme"),
    (Algorithm::Sha1, "x-amz-checksum-sha1"),
    (Algorithm::Sha256, "x-amz-checksum-sha256"),
];

impl Algorithm {
    /// Which checksum a request carries or announces for its trailer.
    pub(super) fn of_request(headers: &HeaderMap) -> Option<Self> {
        let trailer = headers.get("x-amz-trailer").and_then(|value| value.to_str().ok());
        ALL.into_iter()
            .find(|(_, name)| {
                headers.contains_key(*name) || trailer.is_some_and(|t| t.trim().eq_ignore_ascii_case(name))
            })
            .map(|(algorithm, _)| algorithm)
    }

    fn header(self) -> &'static str {
        ALL.into_iter().find(|(algorithm, _)| *algorithm == self).map_or("", |(_, name)| name)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredChecksum {
    algorithm: Algorithm,
    /// Base64, as it travels.
    value: String,
}

impl StoredChecksum {
    pub(super) fn to_dto(&self) -> Checksum {
        let mut dto = Checksum::default();
        let field = match self.algorithm {
            Algorithm::Crc32 => &mut dto.checksum_crc32,
            Algorithm::Crc32c => &mut dto.checksum_crc32c,
            Algorithm::Crc64Nvme => &mut dto.checksum_crc64nvme,
            Algorithm::Sha1 => &mut dto.checksum_sha1,
            Algorithm::Sha256 => &mut dto.checksum_sha256,
        };
        *field = Some(self.value.clone());
        dto
    }
}

pub(super) struct Hasher {
    algorithm: Algorithm,
    hasher: ChecksumHasher,
}

impl Hasher {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        let mut hasher = ChecksumHasher::default();
        match algorithm {
            Algorithm::Crc32 => hasher.crc32 = Some(Crc32::new()),
            Algorithm::Crc32c => hasher.crc32c = Some(Crc32c::new()),
            Algorithm::Crc64Nvme => hasher.crc64nvme = Some(Crc64Nvme::new()),
            Algorithm::Sha1 => hasher.sha1 = Some(Sha1::new()),
            Algorithm::Sha256 => hasher.sha256 = Some(Sha256::new()),
        }
        Self { algorithm, hasher }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    pub(super) fn finish(self) -> StoredChecksum {
        let sums = self.hasher.finalize();
        let value = match self.algorithm {
            Algorithm::Crc32 => sums.checksum_crc32,
            Algorithm::Crc32c => sums.checksum_crc32c,
            Algorithm::Crc64Nvme => sums.checksum_crc64nvme,
            Algorithm::Sha1 => sums.checksum_sha1,
            Algorithm::Sha256 => sums.checksum_sha256,
        };
        StoredChecksum { algorithm: self.algorithm, value: value.unwrap_or_default() }
    }
}

/// Compares what was received with what the client said it sent, wherever it said it.
pub(super) fn check(
    computed: Option<&StoredChecksum>,
    headers: &HeaderMap,
    trailers: Option<&Trailers>,
) -> S3Result<()> {
    let Some(computed) = computed else { return Ok(()) };
    let name = computed.algorithm.header();
    let given = match headers.get(name) {
        Some(value) => value.to_str().ok().map(str::to_owned),
        None => trailers.and_then(|trailers| trailers.get(name)),
    };
    if given.as_deref() == Some(&computed.value) {
        return Ok(());
    }
    Err(s3_error!(BadDigest, "The {name} you specified did not match the calculated checksum."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn computed() -> StoredChecksum {
        let mut hasher = Hasher::new(Algorithm::Crc32);
        hasher.update(b"123456789");
        hasher.finish()
    }

    #[test]
    fn a_checksum_in_a_header_must_match() {
        // CRC-32's check value is cbf43926.
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-checksum-crc32", "y/Q5Jg==".parse().unwrap());
        assert_eq!(Algorithm::of_request(&headers), Some(Algorithm::Crc32));
        assert!(check(Some(&computed()), &headers, None).is_ok());
        headers.insert("x-amz-checksum-crc32", "AAAAAA==".parse().unwrap());
        assert!(check(Some(&computed()), &headers, None).is_err());
    }

    #[test]
    fn an_announced_trailer_that_never_came_is_refused() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-trailer", "x-amz-checksum-crc32".parse().unwrap());
        assert_eq!(Algorithm::of_request(&headers), Some(Algorithm::Crc32));
        assert!(check(Some(&computed()), &headers, Some(&Trailers::default())).is_err());
    }
}
