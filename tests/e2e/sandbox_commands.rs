use crate::process::{Running, binary, environment, output};
use crate::stack::Stack;
use std::process::Command;

fn sql(stack: &Stack, args: &[&str]) -> Command {
    let mut command = crate::process::command(stack, "sandbox");
    command.arg("sql").args(args);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn up_prints_one_ready_line_provisions_and_stops_on_sigterm() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = Stack::start().await;
    let mut up = Command::new(binary("sandbox"));
    up.args(["up", "--port", "0", "--dir"]).arg(folder.path().join("data"));
    up.arg("--config").arg(stack.settings_file()).env_remove("AWS_ENDPOINT_URL");
    let mut sandbox = Running::start(up);
    let line = sandbox.first_line().await;
    let endpoint = line.split_whitespace().find_map(|word| word.strip_prefix("AWS_ENDPOINT_URL=")).expect(&line);
    let mut run = Command::new(binary("router"));
    environment(&mut run, endpoint);
    run.args(["run", "--until-idle", "1s", "--config"]).arg(stack.settings_file());
    let routed = output(run).await;
    assert!(routed.status.success(), "{}", String::from_utf8_lossy(&routed.stderr));
    assert_eq!(sandbox.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_answers_in_three_formats_and_fails_with_the_warehouse_error() {
    let stack = Stack::start().await;
    let csv = output(sql(&stack, &["SELECT 1 AS one, 'a,b' AS text", "--format", "csv"])).await;
    assert_eq!(
        String::from_utf8_lossy(&csv.stdout),
        "one,text\n1,\"a,b\"\n",
        "{}",
        String::from_utf8_lossy(&csv.stderr)
    );
    let json = output(sql(&stack, &["SELECT 1 AS one, NULL AS nothing", "--format", "json"])).await;
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert!(value.to_string().contains("\"one\":1"), "{value}");
    let table = output(sql(&stack, &["SELECT 1 AS one"])).await;
    assert!(String::from_utf8_lossy(&table.stdout).contains("one"));
    let wrong = output(sql(&stack, &["SELECT * FROM nowhere.nothing"])).await;
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("does not exist"));
}
