use crate::stack::Stack;
use router::backfill::{Backfill, Options, State};
use std::time::Duration;
use time::macros::datetime;
use tokio_util::sync::CancellationToken;

const COMPLETE: &str = "SELECT event, hour, sealed, loaded, complete FROM log_router.complete_now ORDER BY 1, 2";

async fn put_old(stack: &Stack, key: &str, at: &str) {
    let put = stack.clients.s3.put_object().bucket("raw-logs").key(key).metadata("sandbox-last-modified", at);
    put.body(br#"{"event":"a"}"#.to_vec().into()).send().await.expect("stored");
}

async fn backfill(stack: &Stack, prefix: Option<&str>) {
    let options = Options {
        from: datetime!(2025-01-01 09:00 UTC),
        to: datetime!(2025-01-01 12:30 UTC),
        prefix: prefix.map(str::to_owned),
        rate: None,
        direct: true,
        replace: false,
        over_others: false,
        events: None,
        patience: Duration::from_secs(20),
    };
    let mut backfill = Backfill::open(&stack.settings, &stack.clients, options).await.expect("opened");
    let plan = backfill.plan().await.expect("planned");
    let state = match plan.to_route().objects {
        0 => backfill.end(&plan).await.expect("ended").state,
        _ => backfill.run(&plan, &CancellationToken::new(), &mut |_| {}).await.expect("ran").state,
    };
    assert_eq!(state, State::Done);
}

/// Rows of the hours of that morning; there are others, of the hours that the router's own sweep looks at.
async fn complete(stack: &Stack) -> Vec<String> {
    stack.load().await.expect("loaded");
    let swept = loader::sweep(&stack.settings, &stack.clients, false, &CancellationToken::new()).await;
    assert!(matches!(swept.expect("swept"), loader::Swept::Done(_)));
    let rows = stack.query(COMPLETE).await.into_iter().map(|row| row.join(" "));
    rows.filter(|row| row.contains("2025-01-01")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_backfill_has_proven_is_complete_once_it_is_loaded() {
    let stack = Stack::with("[sweep]\nlag = \"0s\"").await;
    for (key, at) in [("x/1", "2025-01-01T09:10:00Z"), ("x/2", "2025-01-01T11:59:59Z"), ("x/3", "2025-01-01T12:10:00Z")]
    {
        put_old(&stack, key, at).await;
    }
    backfill(&stack, Some("x/")).await;
    assert_eq!(complete(&stack).await, [""; 0], "under other prefixes there may be more");

    backfill(&stack, None).await;
    let expected =
        ["a 2025-01-01 09:00:00 1 1 true", "a 2025-01-01 10:00:00 0 0 true", "a 2025-01-01 11:00:00 1 1 true"];
    assert_eq!(complete(&stack).await, expected, "the hour that it covers in part is not vouched for");

    // What comes later is seen by whoever looks next.
    put_old(&stack, "x/4", "2025-01-01T09:30:00Z").await;
    backfill(&stack, None).await;
    assert_eq!(complete(&stack).await[0], "a 2025-01-01 09:00:00 2 2 true");
}
