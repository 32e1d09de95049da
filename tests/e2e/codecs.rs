use crate::pipeline::expected_tables;
use crate::stack::Stack;
use common::keys::PartCodec;
use fixtures::{Line, Tally};
use std::collections::BTreeMap;
use std::io::Write;

fn text(lines: &[Line]) -> Vec<u8> {
    lines.iter().flat_map(|line| [&line.bytes[..], b"\n"].concat()).collect()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 1).expect("in memory")
}

fn bzip2(text: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(text).expect("in memory");
    encoder.finish().expect("in memory")
}

/// Every row of every event table, without the time of its loading.
async fn rows(stack: &Stack) -> BTreeMap<String, Vec<Vec<String>>> {
    let columns = "SELECT table_name, column_name FROM svv_columns WHERE table_schema = 'events' AND column_name <> \
                   '_loaded_at' ORDER BY table_name, ordinal_position";
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in stack.query(columns).await {
        tables.entry(row[0].clone()).or_default().push(format!("\"{}\"", row[1]));
    }
    let mut rows = BTreeMap::new();
    for (table, columns) in tables {
        let select = format!("SELECT {} FROM events.\"{table}\" ORDER BY _source, _line", columns.join(", "));
        rows.insert(table, stack.query(&select).await);
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn zstd_parts_become_the_rows_that_gzip_parts_become() {
    let lines: Vec<_> = fixtures::hostile(7, 1_500, 5).collect();
    let tally: Tally = lines.iter().collect();
    let routed = |codec: PartCodec| {
        let bytes = text(&lines);
        async move {
            let mut stack = Stack::start().await;
            stack.settings.router.part_codec = codec;
            stack.settings.router.part_max_bytes = 64 << 10;
            stack.put("a.json", bytes).await;
            stack.route_and_load().await;
            stack
        }
    };
    let (gzip, zstd) = tokio::join!(routed(PartCodec::Gzip), routed(PartCodec::Zstd));
    assert_eq!(zstd.table_counts().await, expected_tables(&tally));
    assert_eq!(rows(&zstd).await, rows(&gzip).await);
    let (of_gzip, of_zstd) = (gzip.seals().await.remove(0), zstd.seals().await.remove(0));
    assert!(of_zstd.counts.balance());
    assert_eq!(of_zstd.counts, of_gzip.counts);
    let quarantined = zstd.quarantined().await;
    assert_eq!(quarantined.len() as u64, of_zstd.counts.quarantined, "quarantine objects are gzip always");
    for (sealed, ending) in [(&of_gzip, ".json.gz"), (&of_zstd, ".json.zst")] {
        let mut parts = sealed.events.iter().flat_map(|event| &event.parts);
        assert!(parts.all(|part| part.key.ends_with(ending)), "{ending}");
    }
}

/// Raw files of every codec; the setting changes while requests wait.
#[tokio::test(flavor = "multi_thread")]
async fn parts_of_both_codecs_load_in_one_transaction_with_a_copy_each() {
    let mut stack = Stack::start().await;
    let lines = |from: usize| (from..from + 100).map(|n| format!("{{\"event\":\"a\",\"n\":{n}}}\n"));
    let text = |from| lines(from).collect::<String>().into_bytes();
    stack.put_lines("gzip", lines(0)).await;
    stack.put("plain", text(100)).await;
    stack.route().await;
    stack.settings.router.part_codec = PartCodec::Zstd;
    stack.put("zstd", zstd(&text(200))).await;
    stack.put("bzip2", bzip2(&text(300))).await;
    stack.route().await;
    let seals = stack.seals().await;
    let routing_ids: std::collections::BTreeSet<_> = seals.iter().map(|seal| &seal.routing_id).collect();
    assert_eq!((seals.len(), routing_ids.len()), (4, 2), "the codec is part of the routing id");

    stack.load().await.expect("loaded");
    let rows = stack.query("SELECT COUNT(*), COUNT(DISTINCT n), SUM(n) FROM events.a").await;
    assert_eq!(rows, [["400", "400", "79800"]]);
    assert_eq!(stack.query("SELECT requests FROM log_router.loads").await, [["4"]], "one transaction");
    assert_eq!(stack.number("SELECT COUNT(*) FROM sys_load_history WHERE status = 'completed'").await, 2);
}
