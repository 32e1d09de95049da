use super::*;
use flate2::read::GzDecoder;
use proptest::prelude::*;
use std::io::Read as _;

fn write(records: &[(usize, Vec<u8>)], piece_max: u64, budget: usize) -> (Workbench, Vec<Vec<Piece>>) {
    let mut bench = Workbench::new(&std::env::temp_dir(), 2).expect("a spool");
    let mut pieces = Pieces::new(&mut bench, piece_max, budget).expect("an empty spool");
    for (stream, record) in records {
        pieces.append(*stream, |out| out.extend_from_slice(record)).expect("spooled");
    }
    let finished = pieces.finish().expect("finished");
    (bench, finished)
}

/// Decompressed with a decoder that reads the first member only: a piece must be exactly one.
fn content(bench: &Workbench, piece: &Piece) -> Vec<u8> {
    let mut out = Vec::new();
    GzDecoder::new(bench.spool().reader(piece.extents.clone())).read_to_end(&mut out).expect("valid gzip");
    assert_eq!(out.len() as u64, piece.bytes);
    assert_eq!(crc32fast::hash(&out), piece.crc32);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn memory_pressure_changes_neither_boundaries_nor_bytes(
        records in prop::collection::vec((0usize..5, prop::collection::vec(any::<u8>(), 1..3_000)), 0..200),
        piece_max in 100u64..20_000, budget in 1usize..50_000,
    ) {
        let (tight_bench, tight) = write(&records, piece_max, budget);
        let (wide_bench, wide) = write(&records, piece_max, usize::MAX);
        prop_assert_eq!(tight.len(), wide.len());
        for (stream, (a, b)) in tight.iter().zip(&wide).enumerate() {
            let whole: Vec<u8> = records.iter().filter(|r| r.0 == stream).flat_map(|r| r.1.clone()).collect();
            let joined: Vec<u8> = a.iter().flat_map(|p| content(&tight_bench, p)).collect();
            prop_assert_eq!(joined, whole);
            prop_assert_eq!(a.len(), b.len());
            for (x, y) in a.iter().zip(b) {
                prop_assert_eq!((x.sequence, x.records, x.bytes, x.crc32), (y.sequence, y.records, y.bytes, y.crc32));
                prop_assert_eq!(content(&tight_bench, x), content(&wide_bench, y));
            }
        }
    }
}

#[test]
fn a_piece_of_many_blocks_is_one_gzip_member() {
    let block: Vec<u8> = (0..BLOCK_BYTES / 2).flat_map(|n| (n as u32).to_le_bytes()).collect();
    let records: Vec<_> = (0..5).map(|_| (0, block.clone())).collect();
    let (bench, pieces) = write(&records, u64::MAX, usize::MAX);
    assert_eq!(pieces[0].len(), 1);
    assert_eq!(content(&bench, &pieces[0][0]), block.repeat(5));
}

#[test]
fn a_workbench_starts_each_object_from_nothing() {
    let mut bench = Workbench::new(&std::env::temp_dir(), 2).expect("a spool");
    for text in ["first", "second"] {
        let mut pieces = Pieces::new(&mut bench, 100, 1_000).expect("restarted");
        pieces.append(0, |out| out.extend_from_slice(text.as_bytes())).expect("spooled");
        let finished = pieces.finish().expect("finished");
        assert_eq!(content(&bench, &finished[0][0]), text.as_bytes());
        assert_eq!(finished[0][0].extents[0].at, 0);
    }
}
