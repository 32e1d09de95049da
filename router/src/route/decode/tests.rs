use super::*;
use std::io::Write as _;
use std::time::Duration;

fn text() -> Vec<u8> {
    (0..20_000).flat_map(|n| format!("{{\"event\":\"a\",\"n\":{}}}\n", n * 7919).into_bytes()).collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(text: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

type Encoder = fn(&[u8]) -> Vec<u8>;

const ENCODERS: [Encoder; 3] = [gzip, zstd, bzip2];

/// What can be read, and whether the error at the end, if any, is damage.
fn read(stored: &[u8]) -> (Vec<u8>, Option<bool>) {
    let mut out = Vec::new();
    let mut decoded = decode(stored, u64::MAX, Instant::now() + Duration::from_secs(60)).unwrap();
    let mut block = [0; 10_000];
    loop {
        match decoded.read(&mut block) {
            Ok(0) => return (out, None),
            Ok(n) => out.extend_from_slice(&block[..n]),
            Err(error) => return (out, Some(is_damage(&error))),
        }
    }
}

#[test]
fn streams_one_behind_the_other_are_read_to_the_end() {
    let text = text();
    for encode in ENCODERS {
        let stored: Vec<u8> = text.chunks(70_001).flat_map(encode).collect();
        assert_eq!(read(&[encode(b""), stored].concat()), (text.clone(), None));
    }
    let skippable = b"\x5a\x2a\x4d\x18\x03\0\0\0abc";
    assert_eq!(read(&[&skippable[..], &zstd(&text), skippable, &zstd(b"x")].concat()).0, [&text[..], b"x"].concat());
}

#[test]
fn zeros_behind_streams_are_padding() {
    let text = text();
    for encode in ENCODERS {
        for zeros in [1, 9, 10, 511, 300_000] {
            let padding = vec![0; zeros];
            assert_eq!(read(&[encode(&text), padding.clone()].concat()), (text.clone(), None), "{zeros} zeros");
            let two = [encode(&text), padding, encode(b"x")].concat();
            assert_eq!(read(&two), ([&text[..], b"x"].concat(), None), "{zeros} zeros");
        }
    }
}

#[test]
fn what_stands_behind_a_stream_and_begins_like_none_is_told_from_a_cut() {
    for encode in ENCODERS {
        let stored = encode(b"text");
        for (behind, is_else) in
            [(&b"\n"[..], true), (b"{", true), (b"\0\0\n", true), (&stored[..1], false), (&stored, false)]
        {
            let cut = if behind.len() == stored.len() { &behind[..behind.len() - 1] } else { behind };
            let two = [&stored, cut].concat();
            let mut decoded = decode(&two[..], u64::MAX, Instant::now() + Duration::from_secs(60)).unwrap();
            let error = io::copy(&mut decoded, &mut io::sink()).unwrap_err();
            assert_eq!((is_something_else(&error), is_damage(&error)), (is_else, false), "{behind:?}: {error}");
        }
    }
}

#[test]
fn a_source_that_trickles_does_not_outlast_the_deadline() {
    /// A byte at a time, for ever; the clock of the test moves with them.
    struct Trickle(Instant);
    impl Read for Trickle {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            while Instant::now() < self.0 {
                std::hint::spin_loop();
            }
            out[0] = b' ';
            Ok(1)
        }
    }
    let deadline = Instant::now() + Duration::from_millis(20);
    let mut decoded = decode(Trickle(deadline), u64::MAX, deadline).unwrap();
    let error = io::copy(&mut decoded, &mut io::sink()).unwrap_err();
    assert!(error.to_string().contains("max_object_time"), "{error}");
}

#[test]
fn a_stream_cut_short_or_followed_by_something_else_is_not_damaged() {
    let text = text();
    for encode in ENCODERS {
        let stored = encode(&text);
        for cut in [stored.len() - 1, stored.len() / 2, 20] {
            let (found, damage) = read(&stored[..cut]);
            assert_eq!(damage, Some(false), "{cut} of {}", stored.len());
            assert!(text.starts_with(&found));
        }
        let (found, damage) = read(&[&stored[..], b"something else"].concat());
        assert_eq!((found == text, damage), (true, Some(false)));
    }
}

#[test]
fn damage_is_told_from_a_short_stream() {
    let text = text();
    for (n, encode) in ENCODERS.into_iter().enumerate() {
        let stored = encode(&text);
        for at in [stored.len() / 3, stored.len() / 2, stored.len() - 3] {
            let mut damaged = stored.clone();
            damaged[at] ^= 0x55;
            let (_, damage) = read(&damaged);
            // Some flips make a stream look shorter or longer than it is; none may go unnoticed.
            assert!(damage.is_some(), "codec {n}, byte {at}");
        }
        let mut checksum = stored.clone();
        let last = if n == 0 { stored.len() - 6 } else { stored.len() - 2 };
        checksum[last] ^= 0x55;
        assert_eq!(read(&checksum).1, Some(true), "codec {n}: its checksum");
    }
}

#[test]
fn a_zstd_window_beyond_the_limit_is_refused_before_it_costs_memory() {
    // A frame header of RFC 8878, 3.1.1.1: no content size, a window of 2^31 bytes; then an empty last block.
    let frame = |window_log: u8| [0x28, 0xb5, 0x2f, 0xfd, 0x00, (window_log - 10) << 3, 0x01, 0x00, 0x00];
    assert_eq!(read(&frame(27)), (Vec::new(), None));
    assert_eq!(read(&frame(28)).1, Some(false));
    assert_eq!(read(&[zstd(b"before"), frame(31).to_vec()].concat()), (b"before".to_vec(), Some(false)));
}

#[test]
fn a_bomb_ends_at_the_limit_whatever_its_codec() {
    /// Ten gigabytes of zeros as the streams of each codec, without holding them.
    struct Bomb(Vec<u8>, usize);
    impl Read for Bomb {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let at = self.1 % self.0.len();
            let n = out.len().min(self.0.len() - at);
            out[..n].copy_from_slice(&self.0[at..at + n]);
            self.1 += n;
            Ok(n)
        }
    }
    for encode in ENCODERS {
        let bomb = Bomb(encode(&vec![b' '; 10 << 20]), 0).take(10 << 30);
        let mut decoded = decode(bomb, 25 << 20, Instant::now() + Duration::from_secs(60)).unwrap();
        let mut read = 0;
        let mut block = vec![0; 1 << 20];
        let error = loop {
            match decoded.read(&mut block) {
                Ok(n) => read += n,
                Err(error) => break error,
            }
        };
        assert!(read == 25 << 20 && !is_damage(&error) && error.to_string().contains("max_object_bytes"), "{error}");
    }
}

#[test]
fn text_is_never_taken_for_a_codec() {
    for text in ["", "{", "BZh9 is no stream", "P*", "(\u{b5}/", "\u{feff}{}"] {
        assert_eq!(Codec::of(text.as_bytes()), Codec::Plain, "{text}");
        assert_eq!(read(text.as_bytes()), (text.as_bytes().to_vec(), None));
    }
}
