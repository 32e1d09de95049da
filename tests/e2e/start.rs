use crate::process::{command, output};
use crate::stack::Stack;

/// What a binary says on stderr when it refuses to start; it must exit 1 and say it at once.
async fn refusal(stack: &Stack, binary: &str, env: &[(&str, &str)]) -> String {
    let mut command = command(stack, binary);
    command.args(["run", "--until-idle", "1s"]).envs(env.iter().copied());
    let output = output(command).await;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_stops_the_start_with_its_setting_and_the_fix() {
    let stack = Stack::start().await;
    for (binary, variable, value, setting, fix) in [
        ("router", "LOG_ROUTER_RAW_BUCKET", "no-such-bucket", "raw.bucket", "create it or correct the setting"),
        ("router", "LOG_ROUTER_RAW_QUEUE", "no-such-queue", "raw.queue", "create it or correct the setting"),
        ("router", "LOG_ROUTER_ROUTER_SPOOL_DIR", "/no/such/folder", "router.spool_dir", "name a folder that exists"),
        ("router", "LOG_ROUTER_LOG", "common=loud", "LOG_ROUTER_LOG", "write a level like info"),
        ("loader", "LOG_ROUTER_LOG_FORMAT", "xml", "LOG_ROUTER_LOG_FORMAT", "write text or json"),
        ("router", "LOG_ROUTER_ROUTER_WORKERS", "zero", "LOG_ROUTER_ROUTER_WORKERS", "a whole number"),
        ("loader", "LOG_ROUTER_ROUTED_QUEUE", "no-such-queue", "routed.queue", "create it or correct the setting"),
        (
            "loader",
            "LOG_ROUTER_ROUTED_BACKFILL_QUEUE",
            "no-such-queue",
            "routed.backfill_queue",
            "create it or correct the setting",
        ),
        ("loader", "LOG_ROUTER_ROUTED_BUCKET", "no-such-bucket", "routed.bucket", "create it or correct the setting"),
    ] {
        let text = refusal(&stack, binary, &[(variable, value)]).await;
        assert!(text.contains(setting) && text.contains(fix), "{binary} {variable}={value}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn config_check_names_every_problem_on_both_binaries() {
    let stack = Stack::start().await;
    let file = stack.dir().join("wrong.toml");
    std::fs::write(&file, "[raw]\nbucket = 5\ncolour = \"red\"\n").expect("written");
    for binary in ["router", "loader"] {
        let mut check = command(&stack, binary);
        check.args(["config", "check", "--config"]).arg(&file);
        let output = output(check).await;
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1));
        for part in ["raw.bucket", "raw.colour", "raw.queue", "routed.bucket", "loader.database"] {
            assert!(text.contains(part), "{binary} names {part}: {text}");
        }
    }
    for binary in ["router", "loader"] {
        let mut check = command(&stack, binary);
        check.args(["config", "check"]);
        assert!(output(check).await.status.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_usage_exits_with_2() {
    let stack = Stack::start().await;
    for binary in ["router", "loader", "sandbox"] {
        let mut wrong = command(&stack, binary);
        wrong.arg("fly");
        assert_eq!(output(wrong).await.status.code(), Some(2), "{binary}");
    }
}
