use crate::process::{Running, command};
use crate::stack::{Stack, eventually};
use std::collections::BTreeMap;

const FILES: u64 = 12;
const LINES: u64 = 1_500;

/// A stack whose messages come back soon after a SIGKILL.
async fn stack_with_files() -> Stack {
    let stack = Stack::start().await;
    for queue in ["raw-objects", "routed-parts"] {
        stack.set_visibility(queue, 4).await;
    }
    for n in 0..FILES {
        stack.put_lines(&format!("{n}.json.gz"), fixtures::shop(n, LINES).map(|l| l.bytes)).await;
    }
    stack
}

fn expected() -> BTreeMap<String, u64> {
    let mut tables = BTreeMap::new();
    for n in 0..FILES {
        for (event_type, records) in
            fixtures::shop(n, LINES).collect::<Vec<_>>().iter().collect::<fixtures::Tally>().events
        {
            *tables.entry(event_type.to_string()).or_default() += records;
        }
    }
    tables
}

async fn sealed(stack: &Stack) -> usize {
    common::objects::list(&stack.clients.s3, "routed-logs", "seals/id/").await.expect("listed").len()
}

/// Load transactions committed; 0 while there is no history yet.
async fn committed(stack: &Stack) -> u64 {
    let rows = stack.try_query("SELECT COUNT(*) FROM log_router.loads").await;
    rows.ok().and_then(|rows| rows[0][0].parse().ok()).unwrap_or(0)
}

fn run(stack: &Stack, binary: &str) -> std::process::Command {
    let mut command = command(stack, binary);
    command.args(["run", "--until-idle", "2s"]);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_killed_in_the_middle_and_started_again_ends_in_the_same_tables() {
    let stack = stack_with_files().await;
    for seals in [1, 4, 8] {
        let router = Running::start(run(&stack, "router"));
        eventually("seals", || async { sealed(&stack).await >= seals }).await;
        router.kill();
    }
    let again = crate::process::output(run(&stack, "router")).await;
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(sealed(&stack).await as u64, FILES);
    stack.load().await.expect("loaded");
    assert_eq!(stack.table_counts().await, expected());
    stack.assert_no_doubles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loader_killed_in_the_middle_and_started_again_ends_in_the_same_tables() {
    let stack = stack_with_files().await;
    stack.route().await;
    for loads in [1, 4, 8] {
        let loader = Running::start(run(&stack, "loader"));
        eventually("commits", || async { committed(&stack).await >= loads }).await;
        loader.kill();
    }
    let again = crate::process::output(run(&stack, "loader")).await;
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(stack.table_counts().await, expected());
    stack.assert_no_doubles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_both_cleanly() {
    let stack = Stack::start().await;
    stack.put_lines("a", [r#"{"event":"a"}"#]).await;
    let (mut router, mut loader) = (command(&stack, "router"), command(&stack, "loader"));
    router.arg("run");
    loader.arg("run");
    let (router, loader) = (Running::start(router), Running::start(loader));
    let loaded = || async { stack.try_query("SELECT COUNT(*) FROM events.a").await.is_ok_and(|r| r[0][0] == "1") };
    eventually("the row", loaded).await;
    assert_eq!(router.terminate().await, Some(0));
    assert_eq!(loader.terminate().await, Some(0));
}
