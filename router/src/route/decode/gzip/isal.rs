//! A gzip member whose body ISA-L inflates. Headers are read by the same code as in every other build, so that all
//! builds take and refuse the same files.

use flate2::bufread::GzDecoder;
use router_isal::Inflate;
use std::io::{self, BufRead, Read};

pub(super) enum Member<B> {
    Body {
        stored: B,
        inflate: Inflate,
        ended: bool,
    },
    /// The header is none: reading says why.
    Headless(Box<GzDecoder<B>>),
}

impl<B: BufRead> Member<B> {
    pub(super) fn new(stored: B) -> Self {
        Self::with(stored, Inflate::default())
    }

    fn with(stored: B, inflate: Inflate) -> Self {
        let begun = GzDecoder::new(stored);
        match begun.header() {
            Some(_) => Self::Body { stored: begun.into_inner(), inflate, ended: false },
            None => Self::Headless(Box::new(begun)),
        }
    }

    pub(super) fn get_mut(&mut self) -> &mut B {
        match self {
            Self::Body { stored, .. } => stored,
            Self::Headless(decoder) => decoder.get_mut(),
        }
    }
}

/// The member behind one that was read to its end.
pub(super) fn next<B: BufRead>(member: Member<B>) -> Member<B> {
    match member {
        Member::Body { stored, mut inflate, .. } => {
            inflate.restart();
            Member::with(stored, inflate)
        }
        Member::Headless(decoder) => Member::new(decoder.into_inner()),
    }
}

impl<B: BufRead> Read for Member<B> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let (stored, inflate, ended) = match self {
            Self::Body { stored, inflate, ended } => (stored, inflate, ended),
            Self::Headless(decoder) => return decoder.read(out),
        };
        if *ended || out.is_empty() {
            return Ok(0);
        }
        loop {
            let input = stored.fill_buf()?;
            let is_end = input.is_empty();
            let damaged = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
            let step = inflate
                .step(input, out)
                .map_err(|error| damaged(format!("corrupt gzip stream (igzip says {})", error.code)))?;
            stored.consume(step.read);
            *ended = step.ended;
            if step.written > 0 || step.ended {
                return Ok(step.written);
            }
            if is_end {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if step.read == 0 {
                return Err(damaged("corrupt gzip stream".to_owned()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Members;
    use flate2::Compression;
    use flate2::bufread::MultiGzDecoder;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use std::io::{BufReader, Read, Write};

    /// What comes out before the end or an error, and whether there was one.
    fn read(decoder: &mut dyn Read) -> (Vec<u8>, bool) {
        let mut out = Vec::new();
        let mut block = [0; 1_000];
        loop {
            match decoder.read(&mut block) {
                Ok(0) => return (out, true),
                Ok(read) => out.extend_from_slice(&block[..read]),
                Err(_) => return (out, false),
            }
        }
    }

    fn member(text: &[u8], level: u32) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(text).expect("in memory");
        encoder.finish().expect("in memory")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn igzip_and_zlib_read_the_same_of_whole_and_of_cut_files(
            text in "[a-f]{0,4000}", level in 0u32..=9, split in any::<prop::sample::Index>(),
            cut in prop::option::of(any::<prop::sample::Index>()), buffer in 1usize..5_000,
        ) {
            let (first, second) = text.as_bytes().split_at(split.index(text.len() + 1));
            let mut stored = [member(first, level), member(second, level)].concat();
            if let Some(cut) = cut {
                stored.truncate(cut.index(stored.len()));
            }
            let ours = read(&mut Members::new(BufReader::with_capacity(buffer, &*stored)));
            let theirs = read(&mut MultiGzDecoder::new(BufReader::with_capacity(buffer, &*stored)));
            prop_assert_eq!(ours, theirs);
        }

        #[test]
        fn a_changed_byte_is_seen_by_both_or_changes_nothing(
            text in "[a-z]{1,2000}", at in any::<prop::sample::Index>(), flip in 1u8..,
        ) {
            let mut stored = member(text.as_bytes(), 6);
            // Behind the header, whose fields say nothing of the data.
            let at = 10 + at.index(stored.len() - 10);
            stored[at] ^= flip;
            let (ours, whole) = read(&mut Members::new(BufReader::new(&*stored)));
            prop_assert!(!whole || ours == text.as_bytes());
            let (_, theirs_whole) = read(&mut MultiGzDecoder::new(BufReader::new(&*stored)));
            prop_assert_eq!(whole, theirs_whole);
        }
    }
}
