use crate::replace::request_for;
use crate::stack::Stack;
use common::load_request::{Lane, LoadRequest};
use common::route_request::Why;

#[tokio::test(flavor = "multi_thread")]
async fn backfill_beside_live_objects_ends_and_its_load_requests_travel_on_its_own_lane() {
    const EACH: usize = 60;
    let mut stack = Stack::start().await;
    stack.settings.router.workers = 1;
    for n in 0..EACH {
        stack.put_lines(&format!("old-{n}"), fixtures::shop(n as u64, 300).map(|l| l.bytes)).await;
    }
    stack.drain("raw-objects").await;
    for n in 0..EACH {
        let request = request_for(&stack, &format!("old-{n}"), Why::Backfill).await;
        stack.send("raw-objects-backfill", &request.to_json()).await;
        stack.put_lines(&format!("new-{n}"), fixtures::shop(1_000 + n as u64, 300).map(|l| l.bytes)).await;
    }
    stack.route().await;
    let mut seals = stack.seals().await;
    assert_eq!(seals.len(), 2 * EACH);
    seals.sort_by_key(|seal| seal.sealed_at);
    let is_old = |seal: &common::seal::Seal| seal.source.key.starts_with("old-");
    let last_new = seals.iter().rposition(|seal| !is_old(seal)).expect("there are");
    let old_before = seals[..last_new].iter().filter(|seal| is_old(seal)).count();
    assert!(old_before < EACH / 2, "{old_before} of {EACH} went before the last live one");
    for (queue, lane) in [("routed-parts", Lane::Live), ("routed-parts-backfill", Lane::Backfill)] {
        let bodies = stack.drain(queue).await;
        let requests: Vec<_> = bodies.iter().map(|body| LoadRequest::parse(body).expect("a request")).collect();
        assert!(!requests.is_empty() && requests.iter().all(|request| request.lane == lane), "{queue}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_asked_for_again_is_announced_only_if_it_may_not_have_been() {
    let stack = Stack::start().await;
    stack.put_lines("sealed", [r#"{"event":"x"}"#, r#"{"event":"y"}"#]).await;
    stack.route_and_load().await;
    let mut request = request_for(&stack, "sealed", Why::Backfill).await;
    let ask = async |request: &common::route_request::RouteRequest| {
        stack.send("raw-objects-backfill", &request.to_json()).await;
        stack.route().await;
        stack.messages("routed-parts-backfill").await
    };
    assert_eq!(ask(&request).await, 0);
    let index = common::objects::list(&stack.clients.s3, "routed-logs", "seals/hour/").await.expect("listed");
    assert_eq!(index.len(), 1);
    stack.clients.s3.delete_object().bucket("routed-logs").key(&index[0]).send().await.expect("deleted");
    request.events = Some(vec![common::event_name::EventName::of_type("y")]);
    assert_eq!(ask(&request).await, 1, "a crash between the seal and what follows it looks like this");
    let written = common::objects::list(&stack.clients.s3, "routed-logs", "seals/hour/").await.expect("listed");
    assert_eq!(written, index);
    assert_eq!(ask(&request).await, 1, "and nothing more");
    // A delivery that somebody had before, and may have died with.
    stack.send("raw-objects-backfill", &request.to_json()).await;
    let url = stack.queue_url("raw-objects-backfill").await;
    let receive = stack.clients.sqs.receive_message().queue_url(&url).wait_time_seconds(5).visibility_timeout(0);
    assert_eq!(receive.send().await.expect("received").messages.unwrap_or_default().len(), 1);
    stack.route().await;
    assert_eq!(stack.messages("routed-parts-backfill").await, 2);
    assert_eq!(stack.seals().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_backfill_queues_everything_goes_by_the_live_ones() {
    let stack = Stack::start().await;
    for queue in ["raw-objects-backfill", "routed-parts-backfill"] {
        let url = stack.queue_url(queue).await;
        stack.clients.sqs.delete_queue().queue_url(url).send().await.expect("deleted");
    }
    stack.put_lines("old", [r#"{"event":"x"}"#]).await;
    stack.drain("raw-objects").await;
    let request = request_for(&stack, "old", Why::Sweep).await;
    stack.send("raw-objects", &request.to_json()).await;
    stack.route_and_load().await;
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.x").await, 1);
}
