use crate::stack::Stack;
use common::load_request::LoadRequest;
use std::collections::BTreeSet;

async fn requests(stack: &Stack) -> Vec<LoadRequest> {
    let bodies = stack.drain("routed-parts").await;
    bodies.iter().map(|body| LoadRequest::parse(body).expect("a request")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_more_parts_than_a_message_can_name_loads_from_its_seal() {
    let mut stack = Stack::start().await;
    stack.settings.router.part_max_bytes = 1 << 10;
    stack.settings.router.upload_concurrency = 32;
    let fill = "x".repeat(1_000);
    let lines = (0..3_000).map(|n| format!(r#"{{"event":"a","n":{n},"fill":"{fill}"}}"#));
    stack.put_lines("1", lines.chain([r#"{"event":"b","n":1}"#.to_owned()])).await;
    stack.route().await;
    let seal = stack.seals().await.remove(0);
    assert_eq!(seal.events[0].parts.len(), 3_000);

    let mut announced = requests(&stack).await;
    announced.sort_by(|a, b| a.event.cmp(&b.event));
    let [a, b] = &announced[..] else { panic!("two requests: {announced:?}") };
    assert_eq!((a.version, a.part_count(), a.records()), (2, 3_000, 3_000));
    assert_eq!((b.version, b.seal_key()), (1, None), "what fits is announced as ever");

    for request in &announced {
        stack.send("routed-parts", &request.to_json()).await;
    }
    stack.load().await.expect("loaded");
    let rows = stack.query("SELECT COUNT(*), COUNT(DISTINCT n), SUM(n) FROM events.a").await;
    assert_eq!(rows, [["3000", "3000", "4498500"]]);
    assert_eq!(stack.query("SELECT parts, rows_loaded FROM log_router.ledger_a").await, [["3000", "3000"]]);
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.b").await, 1);
    for queue in ["raw-objects", "raw-objects-dlq", "routed-parts-dlq"] {
        assert!(stack.drain(queue).await.is_empty(), "{queue} is empty at the end");
    }
}

/// Some of the types are wide, so that ten requests are more than one batch call may hold.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_thousands_of_event_types_is_announced_whole() {
    const TYPES: usize = 2_000;
    let mut stack = Stack::start().await;
    stack.settings.router.upload_concurrency = 32;
    let wide: String = (0..2_000).map(|n| format!(r#","some_longer_key_{n}":{n}"#)).collect();
    let line = |n: usize| {
        let more = if n % TYPES < 12 { &wide } else { "" };
        format!(r#"{{"event":"type_{}","n":{n}{more}}}"#, n % TYPES)
    };
    stack.put_lines("1", (0..2 * TYPES).map(line)).await;
    stack.route().await;

    let seal = stack.seals().await.remove(0);
    assert_eq!((seal.events.len(), seal.counts.routed), (TYPES, 2 * TYPES as u64));
    assert!(seal.to_json().len() < 4 << 20, "{} bytes of seal", seal.to_json().len());
    let announced = requests(&stack).await;
    let events: BTreeSet<_> = announced.iter().map(|request| request.event.as_str()).collect();
    assert_eq!((announced.len(), events.len()), (TYPES, TYPES), "each once");
    assert!(announced.iter().all(|request| request.records() == 2 && request.seal_key().is_none()));
    let wide_bytes: usize = announced.iter().map(|request| request.to_json().len()).filter(|n| *n > 50_000).sum();
    assert!(wide_bytes > 2 * 256 * 1024, "{wide_bytes} bytes do not fit two batch calls");
}
