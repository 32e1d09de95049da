use crate::process::{command, output};
use crate::stack::Stack;
use serde_json::Value;

/// The same rules as in the router: the path as given, or the key of `--source`, names a fixed event.
#[tokio::test(flavor = "multi_thread")]
async fn local_files_are_split_under_the_same_rules() {
    let stack = Stack::start().await;
    let folder = stack.dir().join("drop/Page View");
    std::fs::create_dir_all(&folder).expect("made");
    let lines = "{\"user\":1,\"n\":1}\n{\"user\":2,\"event\":\"other\"}\n";
    for path in [folder.join("june.json"), stack.dir().join("plain.json")] {
        std::fs::write(path, lines).expect("written");
    }
    let split = |arguments: &[&str]| {
        let mut router = command(&stack, "router");
        router.current_dir(stack.dir()).args(["split", "-o", "out", "--json"]).args(arguments);
        router.env("LOG_ROUTER_RAW_FIXED", "[{ prefix = \"drop/\" }]");
        router.env("LOG_ROUTER_ROUTER_DROP", "[{ pointer = \"/user\", values = [1] }]");
        async {
            let ended = output(router).await;
            assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
            serde_json::from_slice::<Value>(&ended.stdout).expect("JSON")
        }
    };
    let fixed = split(&["drop/Page View/june.json"]).await;
    assert_eq!(fixed["events"], serde_json::json!({"page_view": 1}));
    assert_eq!(fixed["counts"]["by_rule"], serde_json::json!({"/user": 1}));
    assert_eq!(split(&["plain.json"]).await["events"], serde_json::json!({"other": 1}));
    let source = ["--source", "s3://raw-logs/drop/signup/x.json", "--etag", "e", "--time", "2025-06-01T00:00:00Z"];
    let named = split(&[&["plain.json"][..], &source].concat()).await;
    assert_eq!(named["events"], serde_json::json!({"signup": 1}));
}
