//! Gates and ledgers made anew.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_row_that_is_gone_is_made_anew_from_the_rows() {
    let stack = loaded().await;
    let source = a_source(&stack).await;
    stack.query(&format!("DELETE FROM log_router.ledger_a WHERE source_id = '{source}'")).await;
    let found = audited(&stack).await;
    let gone = only(&found);
    assert_eq!((gone.kind, gone.rows), (Kind::NoLedgerRow, 3));
    assert_eq!(gone.repair, "loader audit --rebuild-ledger --event a");
    // It is told whatever range is audited.
    let before = Ask { to: OffsetDateTime::now_utc() - time::Duration::HOUR, ..around_now() };
    assert_eq!(only(&audited_of(&stack, &before).await).kind, Kind::NoLedgerRow);
    let repaired = mend(&stack, &found).await;
    assert_eq!((repaired.rebuilt[0].adopted, repaired.replaced, repaired.announced), (1, 0, 0));
    assert_eq!(assert_clean(&stack).await.balance.tables.loaded, 18);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_ledger_stops_its_table_until_it_is_made_anew_and_nothing_is_doubled() {
    for lost in [&["ledger_a"][..], &["gate_a"], &["ledger_a", "gate_a"]] {
        let stack = loaded().await;
        for relation in lost {
            stack.query(&format!("DROP TABLE log_router.{relation}")).await;
        }
        // One file is there in part.
        let source = a_source(&stack).await;
        if lost.contains(&"ledger_a") {
            stack.query(&format!("DELETE FROM events.a WHERE _source = '{source}' AND _line = 1")).await;
        }
        let found = audited(&stack).await;
        let kinds: Vec<Kind> = found.differences.iter().map(|one| one.kind).collect();
        assert_eq!(kinds, [Kind::NoLedger], "{lost:?}");
        stack.put_lines("new.gz", [r#"{"event":"a","n":9,"more":true}"#]).await;
        stack.route().await;
        let error = stack.load().await.expect_err("the table is stopped");
        assert!(error.contains("--rebuild-ledger"), "{error}");

        let rebuilt = rebuild_ledger(&stack.settings, &stack.clients, None).await.expect("made anew");
        let partly = lost.contains(&"ledger_a");
        let expected = if partly { (3, 0) } else { (0, 0) };
        assert_eq!((rebuilt.len(), rebuilt[0].adopted, rebuilt[0].announced), (1, expected.0, expected.1), "{lost:?}");
        assert_eq!(
            stack.number("SELECT COUNT(*) FROM events.a").await,
            if partly { 8 } else { 9 },
            "no row is removed"
        );
        stack.load().await.expect("loaded");
        if partly {
            let found = audited(&stack).await;
            assert_eq!((only(&found).kind, only(&found).rows), (Kind::RowsMissing, 1));
            mend(&stack, &found).await;
            stack.route_and_load().await;
        }
        assert_eq!(assert_clean(&stack).await.balance.tables.loaded, 19);
        stack.assert_no_doubles().await;
        assert!(rebuild_ledger(&stack.settings, &stack.clients, None).await.expect("asked").is_empty(), "all is well");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_made_anew_knows_replaced_files_and_what_copy_refused() {
    let stack = loaded().await;
    let source = a_source(&stack).await;
    // As if COPY had refused the first line of one file.
    let seals = stack.seals().await;
    let sealed = seals.iter().find(|seal| seal.source_id.as_str() == source).expect("sealed");
    let event = EventName::of_type("a");
    let keys = &stack.settings.keys;
    let key = keys.rejected(&event, sealed.source.time, &sealed.source_id, 0, "0123456789abcdef");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(b"{}\n").expect("in memory");
    let bytes = encoder.finish().expect("in memory");
    stack.clients.s3.put_object().bucket("routed-logs").key(&key).body(bytes.into()).send().await.expect("stored");
    stack.query(&format!("DELETE FROM events.a WHERE _source = '{source}' AND _line = 1")).await;
    let set = format!("rows_loaded = 2, rows_rejected = 1, quarantine_key = '{key}'");
    stack.query(&format!("UPDATE log_router.ledger_a SET {set} WHERE source_id = '{source}'")).await;
    assert_eq!(assert_clean(&stack).await.balance.tables.rejected, 1);
    // And another is in its second generation.
    stack.query("DELETE FROM events.a WHERE _source = (SELECT MAX(_source) FROM events.a)").await;
    let found = audited(&stack).await;
    mend(&stack, &found).await;
    stack.route_and_load().await;
    let before = assert_clean(&stack).await.balance.tables;

    let ledger = "SELECT source_id, generation, parts, rows_loaded, rows_rejected, quarantine_key, source_time FROM log_router.ledger_a AS l \
                  WHERE generation = (SELECT MAX(generation) FROM log_router.ledger_a WHERE source_id = l.source_id) ORDER BY 1";
    let was = stack.query(ledger).await;
    stack.query("DROP TABLE log_router.ledger_a").await;
    let rebuilt = rebuild_ledger(&stack.settings, &stack.clients, Some(&event)).await.expect("made anew");
    assert_eq!((rebuilt[0].adopted, rebuilt[0].announced), (3, 0));
    assert_eq!(stack.query(ledger).await, was);
    assert_eq!(assert_clean(&stack).await.balance.tables, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_older_than_its_rows_stops_the_table() {
    let stack = loaded().await;
    stack.put_lines("second.gz", [r#"{"event":"a"}"#]).await;
    stack.route_and_load().await;
    // As a ledger restored from a backup would be.
    stack
        .query("DELETE FROM log_router.ledger_a WHERE loaded_at = (SELECT MAX(loaded_at) FROM log_router.ledger_a)")
        .await;
    stack.put_lines("third.gz", [r#"{"event":"a"}"#, r#"{"event":"b"}"#]).await;
    stack.route().await;
    let error = stack.load().await.expect_err("the table is stopped");
    assert!(error.contains("newer than its ledger"), "{error}");
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.b").await, 10, "other tables load");
    let rebuilt = rebuild_ledger(&stack.settings, &stack.clients, None).await.expect("made anew");
    assert_eq!((rebuilt.len(), rebuilt[0].adopted), (1, 1));
    stack.load().await.expect("loaded");
    assert_clean(&stack).await;
    stack.assert_no_doubles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replace_that_was_owed_when_the_ledger_was_lost_is_loaded_by_the_one_made_anew() {
    let stack = loaded().await;
    let source = a_source(&stack).await;
    stack.query(&format!("DELETE FROM events.a WHERE _source = '{source}' AND _line = 1")).await;
    let found = audited(&stack).await;
    mend(&stack, &found).await;
    stack.route().await;
    stack.drain("routed-parts").await;
    // As after a replace that announces some events only: the sweep announces the others.
    assert_eq!(assert_clean(&stack).await.balance.tables.replacing, 6);
    stack.query("DROP TABLE log_router.ledger_a").await;
    let rebuilt = rebuild_ledger(&stack.settings, &stack.clients, None).await.expect("made anew");
    assert_eq!((rebuilt[0].adopted, rebuilt[0].announced), (3, 1));
    let of_source = format!("FROM log_router.ledger_a WHERE source_id = '{source}'");
    assert_eq!(stack.number(&format!("SELECT MAX(generation) {of_source}")).await, 0);
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a").await, 8, "the rows before stay until the new ones come");
    stack.load().await.expect("loaded");
    // The loader's sweep saw to the other event.
    assert_eq!(assert_clean(&stack).await.balance.tables.loaded, 18);
    stack.assert_no_doubles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_ledger_is_made_anew_without_every_seal_and_what_keeps_its_table_stopped_is_named() {
    let stack = loaded().await;
    let source = a_source(&stack).await;
    stack.query("DROP TABLE log_router.ledger_a").await;
    let key = format!("{}id/{source}.g0.json", stack.settings.keys.seals);
    let seal = common::objects::get(&stack.clients.s3, "routed-logs", &key).await.expect("a seal");
    let put = |bytes: Vec<u8>| stack.clients.s3.put_object().bucket("routed-logs").key(&key).body(bytes.into()).send();
    put(b"{}".to_vec()).await.expect("stored");
    let error =
        rebuild_ledger(&stack.settings, &stack.clients, None).await.expect_err("nobody knows what the rows are");
    assert!(error.to_string().contains(&source), "{error}");
    put(seal.to_vec()).await.expect("stored");

    let foreign = "f".repeat(32);
    stack
        .query(&format!(
            "INSERT INTO events.a (_source, _line, _loaded_at) VALUES ('{foreign}', 1, DATEADD(hour, 1, SYSDATE))"
        ))
        .await;
    let rebuilt = rebuild_ledger(&stack.settings, &stack.clients, None).await.expect("made anew");
    assert_eq!((rebuilt[0].adopted, rebuilt[0].foreign), (3, 1));
    let delete = rebuilt[0].stopped_by.clone().expect("it stays stopped");
    assert!(delete.contains(&foreign), "{delete}");
    stack.query(&delete).await;
    assert_clean(&stack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_without_its_one_row_is_a_lost_ledger() {
    let stack = loaded().await;
    for damage in ["DELETE FROM log_router.gate_a", "INSERT INTO log_router.gate_a SELECT * FROM log_router.gate_a"] {
        stack.query(damage).await;
        let found = audited(&stack).await;
        assert_eq!(only(&found).kind, Kind::NoLedger, "{damage}");
        assert!(only(&found).detail.contains("its gate has "), "{}", only(&found).detail);
        stack.put_lines(&format!("{}.gz", damage.len()), [r#"{"event":"a"}"#]).await;
        stack.route().await;
        let error = stack.load().await.expect_err("the table is stopped");
        assert!(error.contains("--rebuild-ledger"), "{error}");
        assert_eq!(mend(&stack, &found).await.rebuilt.len(), 1);
        stack.load().await.expect("loaded");
        assert_clean(&stack).await;
    }
    assert_eq!(stack.number("SELECT COUNT(*) FROM log_router.gate_a").await, 1);
}
