use super::*;
use flate2::read::GzDecoder;
use proptest::prelude::*;
use std::io::Read as _;

fn workbench() -> Workbench {
    Workbench::new(&RouterSettings::default()).expect("a spool")
}

fn write(
    codec: PartCodec,
    records: &[(usize, Vec<u8>)],
    piece_max: u64,
    budget: usize,
) -> (Workbench, Vec<Vec<Piece>>) {
    let mut bench = workbench();
    let mut pieces = Pieces::new(&mut bench, piece_max, budget).expect("an empty spool");
    for (stream, record) in records {
        pieces.append(*stream, codec, &[record]).expect("spooled");
    }
    let finished = pieces.finish().expect("finished");
    (bench, finished)
}

/// Decompressed; gzip with a decoder that reads the first member only: a piece must be exactly one.
fn content(bench: &Workbench, codec: PartCodec, piece: &Piece) -> Vec<u8> {
    let mut out = Vec::new();
    let reader = bench.spool().reader(piece.extents.clone());
    match codec {
        PartCodec::Gzip => GzDecoder::new(reader).read_to_end(&mut out).expect("valid gzip"),
        PartCodec::Zstd => zstd::Decoder::new(reader).and_then(|mut d| d.read_to_end(&mut out)).expect("valid zstd"),
    };
    assert_eq!(out.len() as u64, piece.bytes);
    assert_eq!(crc32fast::hash(&out), piece.crc32);
    out
}

/// Streams in the order in which they are first written to, as routing numbers them.
fn renumbered(records: Vec<(usize, Vec<u8>)>) -> Vec<(usize, Vec<u8>)> {
    let mut known = Vec::new();
    let number = |(stream, record)| {
        let place = known.iter().position(|s| *s == stream).unwrap_or_else(|| {
            known.push(stream);
            known.len() - 1
        });
        (place, record)
    };
    records.into_iter().map(number).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn memory_pressure_changes_neither_boundaries_nor_bytes(
        records in prop::collection::vec((0usize..5, prop::collection::vec(any::<u8>(), 1..3_000)), 0..200),
        piece_max in 100u64..20_000, budget in 1usize..50_000, is_zstd: bool,
    ) {
        let records = renumbered(records);
        let codec = if is_zstd { PartCodec::Zstd } else { PartCodec::Gzip };
        let (tight_bench, tight) = write(codec, &records, piece_max, budget);
        let (wide_bench, wide) = write(PartCodec::Gzip, &records, piece_max, usize::MAX);
        prop_assert_eq!(tight.len(), wide.len());
        for (stream, (a, b)) in tight.iter().zip(&wide).enumerate() {
            let whole: Vec<u8> = records.iter().filter(|r| r.0 == stream).flat_map(|r| r.1.clone()).collect();
            let joined: Vec<u8> = a.iter().flat_map(|p| content(&tight_bench, codec, p)).collect();
            prop_assert_eq!(joined, whole);
            prop_assert_eq!(a.len(), b.len());
            for (x, y) in a.iter().zip(b) {
                prop_assert_eq!((x.sequence, x.records, x.bytes, x.crc32), (y.sequence, y.records, y.bytes, y.crc32));
                prop_assert_eq!(content(&tight_bench, codec, x), content(&wide_bench, PartCodec::Gzip, y));
            }
        }
    }
}

#[test]
fn a_piece_of_many_blocks_is_one_gzip_member() {
    let block: Vec<u8> =
        (0..encoder::block_bytes(PartCodec::Gzip) / 2).flat_map(|n| (n as u32).to_le_bytes()).collect();
    let records: Vec<_> = (0..5).map(|_| (0, block.clone())).collect();
    let (bench, pieces) = write(PartCodec::Gzip, &records, u64::MAX, usize::MAX);
    assert_eq!(pieces[0].len(), 1);
    assert_eq!(content(&bench, PartCodec::Gzip, &pieces[0][0]), block.repeat(5));
}

#[test]
fn a_workbench_starts_each_object_from_nothing() {
    let mut bench = workbench();
    for text in ["first", "second"] {
        let mut pieces = Pieces::new(&mut bench, 100, 1_000).expect("restarted");
        pieces.append(0, PartCodec::Gzip, &[text.as_bytes()]).expect("spooled");
        let finished = pieces.finish().expect("finished");
        assert_eq!(content(&bench, PartCodec::Gzip, &finished[0][0]), text.as_bytes());
        assert_eq!(finished[0][0].extents[0].at, 0);
    }
}
