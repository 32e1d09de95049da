use super::*;
use crate::route::decode::codec::Codec;
use crate::route::decode::is_damage;
use crate::route::decode::stored::Stored;
use crate::route::decode::streams::Streams;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// What comes out before the end or an error, and whether that is damage.
fn read<I: Inflate>(stored: &[u8]) -> (Vec<u8>, Option<bool>) {
    let stored = Stored::new(stored, Instant::now() + Duration::from_secs(60));
    let mut members = Streams::new(stored, Codec::Gzip, GzipMember::<I>::default());
    let mut out = Vec::new();
    let mut block = [0; 1_000];
    loop {
        match members.read(&mut block) {
            Ok(0) => return (out, None),
            Ok(read) => out.extend_from_slice(&block[..read]),
            Err(error) => return (out, Some(is_damage(&error))),
        }
    }
}

fn member(text: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(text).expect("in memory");
    encoder.finish().expect("in memory")
}

/// Records of a log that compress like one.
fn log(records: u32) -> Vec<u8> {
    let word =
        |n: u32| ["view", "buy", "search", "lamp", "red shoes"][(n.wrapping_mul(2_654_435_761) >> 29) as usize % 5];
    let record = |n| format!("{{\"event\":\"{}\",\"id\":{},\"q\":\"{}\"}}\n", word(n), n * 7_919, word(n + 1_000));
    (0..records).flat_map(|n| record(n).into_bytes()).collect()
}

/// Every single bit of a member changed, one after the other.
fn flipped(stored: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    // Behind the header, whose fields say nothing of the data.
    (80..stored.len() * 8).map(|bit| {
        let mut changed = stored.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        (bit, changed)
    })
}

#[test]
fn no_single_changed_bit_looks_like_a_file_that_was_cut_short() {
    let mut early = 0;
    for records in [3, 60] {
        let text = log(records);
        for stored in [1, 6, 9].map(|level| member(&text, level)) {
            for (bit, changed) in flipped(&stored) {
                let (out, damage) = read::<OfBuild>(&changed);
                assert_ne!(damage, Some(false), "bit {bit}");
                assert!(damage.is_some() || out == text, "bit {bit}");
                let decoder = &mut flate2::bufread::GzDecoder::new(&changed[..]);
                let ended = io::copy(decoder, &mut io::sink());
                early += u32::from(ended.is_err_and(|error| error.kind() == io::ErrorKind::UnexpectedEof));
            }
        }
    }
    assert!(early > 10, "{early} changed files ran through their own trailer");
}

#[test]
fn files_that_were_cut_short_are_not_taken_for_damaged() {
    let text = log(2_000);
    let stored = member(&text, 6);
    let cuts = 11..stored.len();
    let damaged = cuts.clone().filter(|cut| read::<OfBuild>(&stored[..*cut]).1 != Some(false)).count();
    assert!(damaged * 100 < cuts.len(), "{damaged} of {}", cuts.len());
    // Where the checksum is there, nothing is guessed.
    assert!((stored.len() - 4..stored.len()).all(|cut| read::<OfBuild>(&stored[..cut]) == (text.clone(), Some(false))));
}

#[cfg(feature = "isal")]
mod both {
    use super::*;
    use proptest::prelude::*;

    fn same(stored: &[u8]) -> bool {
        let (ours, theirs) = (read::<router_isal::Inflate>(stored), read::<zlib::Zlib>(stored));
        // What damage leaves is forgotten, so it may differ.
        ours == theirs || (ours.1, theirs.1) == (Some(true), Some(true))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn igzip_and_zlib_read_the_same_of_whole_and_of_cut_files(
            text in "[a-f]{0,4000}", level in 0u32..=9, split in any::<prop::sample::Index>(),
            cut in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let (first, second) = text.as_bytes().split_at(split.index(text.len() + 1));
            let mut stored = [member(first, level), member(second, level)].concat();
            if let Some(cut) = cut {
                stored.truncate(cut.index(stored.len()));
            }
            prop_assert!(same(&stored));
        }

        #[test]
        fn igzip_and_zlib_say_the_same_of_any_changed_byte(
            text in "[a-z]{1,2000}", level in 1u32..=9, at in any::<prop::sample::Index>(), flip in 1u8..,
        ) {
            let mut stored = member(text.as_bytes(), level);
            let at = 10 + at.index(stored.len() - 10);
            stored[at] ^= flip;
            prop_assert!(same(&stored));
        }
    }

    #[test]
    fn igzip_and_zlib_say_the_same_of_every_changed_bit() {
        for (level, records) in [(1, 40), (6, 3), (6, 40), (9, 80)] {
            for (bit, changed) in flipped(&member(&log(records), level)) {
                assert!(same(&changed), "level {level}, {records} records, bit {bit}");
            }
        }
    }
}
