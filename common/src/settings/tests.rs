use super::*;
use std::time::Duration;

pub(super) const MINIMAL: &str = r#"
[raw]
bucket = "raw-logs"
queue = "raw-objects"
[routed]
bucket = "routed-logs"
queue = "routed-parts"
[router]
event_type = ["/event"]
[loader]
database = "dev"
workgroup = "analytics"
"#;

pub(super) fn parse(text: &str, env: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Settings::parse(Path::new("log-router.toml"), text, env)
}

pub(super) fn problems(text: &str, env: &[(&str, &str)]) -> Vec<String> {
    match parse(text, env) {
        Err(SettingsError::Invalid { problems, .. }) => problems,
        other => panic!("expected problems, got {other:?}"),
    }
}

#[test]
fn a_minimal_file_gets_the_documented_defaults() {
    let settings = parse(MINIMAL, &[]).expect("valid");
    assert_eq!(settings.raw.queues.backfill, "raw-objects-backfill");
    assert_eq!(settings.quarantine_bucket, "routed-logs");
    assert_eq!(settings.keys.routed, "routed/");
    assert_eq!(settings.loader.table.flush_age, Duration::from_secs(60));
    assert!(settings.router.lineage);
    let in_flight =
        |workers| parse(MINIMAL, &[("LOG_ROUTER_ROUTER_WORKERS", workers)]).expect("valid").router.objects_in_flight;
    assert_eq!((in_flight("1"), in_flight("30")), (16, 60));
}

#[test]
fn all_problems_come_at_once_and_name_the_setting_and_the_fix() {
    let text = MINIMAL
        .replace("bucket = \"raw-logs\"", "bukket = \"raw-logs\"")
        .replace("[router]", "[router]\nworkers = \"many\"\ngzip_level = 11")
        + "iam_role = \"admin\"\n[extra]\nx = 1\n";
    let found = problems(&text, &[("LOG_ROUTER_RAW_BUKET", "x")]);
    let expected = [
        "raw.bucket is missing: set bucket in [raw], or LOG_ROUTER_RAW_BUCKET",
        "raw.bukket is not a setting: did you mean bucket?",
        "router.workers: expected a whole number, found \"many\"",
        "router.gzip_level: 11 is not between 1 and 9",
        "loader.iam_role: \"admin\" is neither \"default\" nor the ARN of a role",
        "[extra] is not a section: known are [raw], [routed], [seals], [quarantine], [router], [loader], [sweep], [tables.<event>]",
        "environment variable LOG_ROUTER_RAW_BUKET overrides no setting: unset it or correct its name",
    ];
    assert_eq!(found, expected);
}

#[test]
fn the_environment_overrides_every_kind_of_setting() {
    let env = [
        ("LOG_ROUTER_RAW_BUCKET", "other"),
        ("LOG_ROUTER_ROUTER_WORKERS", "9"),
        ("LOG_ROUTER_ROUTER_LINEAGE", "false"),
        ("LOG_ROUTER_ROUTER_EVENT_TYPE", "[\"/type\", \"/event\"]"),
        ("LOG_ROUTER_LOADER_FLUSH_AGE", "5s"),
        ("LOG_ROUTER_ROUTER_PART_MAX_BYTES", "8MiB"),
        ("LOG_ROUTER_CONFIG", "ignored.toml"),
    ];
    let settings = parse(MINIMAL, &env).expect("valid");
    assert_eq!(settings.raw.bucket, "other");
    assert_eq!(settings.router.workers, 9);
    assert!(!settings.router.lineage);
    assert_eq!(settings.router.event_type, ["/type", "/event"]);
    assert_eq!(settings.loader.table.flush_age, Duration::from_secs(5));
    assert_eq!(settings.router.part_max_bytes, 8 << 20);
}

#[test]
fn prefixes_that_would_loop_or_mix_are_refused() {
    let one_bucket = MINIMAL.replace("routed-logs", "raw-logs");
    let found = problems(&one_bucket, &[]);
    assert!(
        found[0].starts_with("raw.prefix \"\" and routed.prefix \"routed/\" overlap in bucket \"raw-logs\""),
        "{found:?}"
    );
    let apart = one_bucket.replace("[raw]", "[raw]\nprefix = \"logs/\"");
    assert!(parse(&apart, &[]).is_ok(), "one bucket with prefixes apart is fine");
    let mixed = format!("{MINIMAL}[seals]\nprefix = \"routed/seals/\"\n");
    assert_eq!(problems(&mixed, &[]).len(), 1);
}

#[test]
fn values_that_could_never_work_are_refused() {
    for (variable, value, named) in [
        ("LOG_ROUTER_ROUTED_QUEUE", "raw-objects", "routed.queue is the same queue as raw.queue"),
        ("LOG_ROUTER_RAW_BACKFILL_QUEUE", "routed-parts", "routed.queue is the same queue as raw.backfill_queue"),
        ("LOG_ROUTER_ROUTER_EVENT_TYPE", "[]", "router.event_type: names no pointer"),
        ("LOG_ROUTER_ROUTER_MAX_OBJECT_TIME", "0s", "router.max_object_time: is nothing"),
        ("LOG_ROUTER_ROUTER_MAX_OBJECT_TIME", "12h", "router.max_object_time: is more than 11h"),
        ("LOG_ROUTER_ROUTER_SPOOL_DIR", "", "router.spool_dir: is nothing"),
        ("LOG_ROUTER_ROUTER_PART_MAX_BYTES", "1TiB", "router.part_max_bytes: is more than 4GiB"),
        ("LOG_ROUTER_ROUTER_WORKERS", "1000", "router.workers: 1000 is more than 256"),
        ("LOG_ROUTER_ROUTER_OBJECTS_IN_FLIGHT", "3", "router.objects_in_flight: 3 is less than workers"),
        ("LOG_ROUTER_ROUTER_OBJECTS_IN_FLIGHT", "1001", "router.objects_in_flight: 1001 is more than 1000"),
        (
            "LOG_ROUTER_ROUTER_MAX_OBJECT_TIME",
            "6years",
            "LOG_ROUTER_ROUTER_MAX_OBJECT_TIME: expected a time of at most",
        ),
        (
            "LOG_ROUTER_LOADER_FLUSH_AGE",
            "999999999999999999s",
            "LOG_ROUTER_LOADER_FLUSH_AGE: expected a time of at most",
        ),
        ("LOG_ROUTER_ROUTER_EVENT_TYPE", "[\"/a~b\"]", "router.event_type: \"/a~b\" is not a JSON pointer: a ~"),
        ("LOG_ROUTER_ROUTER_UNWRAP", "/a~2b", "router.unwrap: \"/a~2b\" is not a JSON pointer: a ~"),
        ("LOG_ROUTER_RAW_PREFIX", "/logs/", "raw.prefix: \"/logs/\" begins with /, which keys"),
        ("LOG_ROUTER_LOADER_FLUSH_AGE", "7h", "loader.flush_age: is more than 6h"),
        ("LOG_ROUTER_LOADER_LOAD_EVERY", "10s", "loader.load_every: is not between 1m and 3h"),
        ("LOG_ROUTER_LOADER_MAX_COMMITS_PER_MINUTE", "0", "loader.max_commits_per_minute: 0 is not between"),
        ("LOG_ROUTER_LOADER_MAX_COMMITS_PER_MINUTE", "6001", "loader.max_commits_per_minute: is more than 6000"),
        ("LOG_ROUTER_RAW_BUCKET", "", "raw.bucket: is empty"),
        ("LOG_ROUTER_RAW_BUCKET", "s3://raw/x", "raw.bucket: \"s3://raw/x\" is not the name of a bucket"),
        ("LOG_ROUTER_RAW_QUEUE", "", "raw.queue: is empty"),
        ("LOG_ROUTER_SWEEP_EVERY", "0s", "sweep.every: is less than a second"),
        ("LOG_ROUTER_SWEEP_LAG", "59s", "sweep.lag: is less than the longest flush_age or load_every (60s)"),
        (
            "LOG_ROUTER_SWEEP_WINDOW",
            "25h",
            "sweep.window: is less than every, the longer lag and 24h together (90900s)",
        ),
        ("LOG_ROUTER_LOADER_STATEMENT_TIMEOUT", "0s", "loader.statement_timeout: is not between 1s and 24h"),
        ("LOG_ROUTER_LOADER_STATEMENT_TIMEOUT", "25h", "loader.statement_timeout: is not between 1s and 24h"),
        ("LOG_ROUTER_LOADER_STOPPED_RETRY", "999ms", "loader.stopped_retry: is less than a second"),
        ("LOG_ROUTER_RAW_OVERWRITE", "replace", "LOG_ROUTER_RAW_OVERWRITE: expected \"add\" or \"ignore\""),
    ] {
        let found = problems(MINIMAL, &[(variable, value)]);
        assert!(found.iter().any(|problem| problem.starts_with(named)), "{variable}={value}: {found:?}");
    }
}

#[test]
fn the_sweeps_times_follow_the_longest_wait_for_a_load() {
    let hours = |n: u64| Duration::from_secs(n * 3600);
    let rarely = format!("{MINIMAL}load_every = \"1h\"\n[tables.page_view]\nflush_age = \"6h\"\n");
    let sweep = parse(&rarely, &[]).expect("valid").sweep;
    assert_eq!((sweep.lag, sweep.window), (hours(12), hours(48)));
    let sweep = parse(&rarely, &[("LOG_ROUTER_SWEEP_EVERY", "24h")]).expect("valid").sweep;
    assert_eq!(sweep.window, hours(60));
    let found = problems(&rarely, &[("LOG_ROUTER_SWEEP_LAG", "2h")]);
    assert!(found[0].starts_with("sweep.lag: is less than the longest flush_age or load_every (21600s)"), "{found:?}");
    parse(&rarely, &[("LOG_ROUTER_SWEEP_LAG", "0s")]).expect("to announce whatever is not loaded is a choice");
}

#[test]
fn a_table_overrides_only_what_it_sets() {
    let text = format!("{MINIMAL}[tables.page_view]\nflush_age = \"10s\"\n");
    let settings = parse(&text, &[]).expect("valid");
    let table = settings.table(&EventName::of_type("page_view"));
    assert_eq!(table.flush_age, Duration::from_secs(10));
    assert_eq!(table.flush_parts, settings.loader.table.flush_parts);
    assert!(
        problems(&format!("{MINIMAL}[tables.\"Page View\"]\nflush_age = \"10s\"\n"), &[])[0].contains("event name")
    );
}

#[test]
fn what_is_shown_is_read_back_as_the_same_settings() {
    let settings = parse(MINIMAL, &[]).expect("valid");
    let again = parse(&settings.show(), &[]).expect("what is shown is valid");
    assert_eq!(again.show(), settings.show());
}

#[test]
fn variables_that_are_no_settings_are_left_alone() {
    let env = [
        ("LOG_ROUTER_SERVICE_HOST", "10.0.0.1"),
        ("LOG_ROUTER_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("LOG_ROUTER_CONFIG", "ignored.toml"),
        ("LOG_ROUTER_LOG", "debug"),
    ];
    parse(MINIMAL, &env).expect("valid");
    assert_eq!(problems(MINIMAL, &[("LOG_ROUTER_SWEEP_NO_SUCH", "1")]).len(), 1);
    parse(&MINIMAL.replace("/event", "/a~0b~1c"), &[]).expect("escapes of pointers are valid");
}

#[test]
fn a_variable_that_is_no_text_is_refused_if_it_is_ours() {
    use std::os::unix::ffi::OsStringExt;
    let of = |name: &str| (OsString::from(name), OsString::from_vec(vec![0xff]));
    assert!(own_variables([of("LANG")].into_iter()).expect("not ours").is_empty());
    let nameless = (OsString::from_vec(vec![0xff]), OsString::new());
    assert!(own_variables([nameless].into_iter()).expect("not ours").is_empty());
    let error = own_variables([of("LOG_ROUTER_RAW_BUCKET")].into_iter()).expect_err("no text");
    assert!(error.to_string().contains("LOG_ROUTER_RAW_BUCKET is not UTF-8"), "{error}");
}

#[test]
fn a_missing_file_says_how_to_name_one() {
    let error = Settings::load(Some(Path::new("/nonexistent/log-router.toml"))).expect_err("no such file");
    assert!(error.to_string().contains("--config"), "{error}");
}

fn repository(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_settings_that_the_documentation_shows_are_valid() {
    parse(&repository("log-router.toml"), &[]).expect("log-router.toml is valid");
    let docs = repository("docs/configuration.md");
    let examples: Vec<&str> = docs.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 4);
    parse(examples[0], &[]).expect("the smallest file is valid");
    parse(&examples.concat(), &[]).expect("and so are rules and a table's override");
}

#[test]
fn every_setting_is_documented_with_its_default() {
    let docs = repository("docs/configuration.md");
    let settings = parse(MINIMAL, &[]).expect("valid");
    for (section, key, value) in &settings.effective {
        let mut heading = "";
        let row = docs.lines().find(|line| {
            heading = line.strip_prefix("## ").unwrap_or(heading);
            let plain = heading.starts_with(&format!("[{section}]")) && line.starts_with(&format!("| `{key}` |"));
            plain || line.starts_with(&format!("| `{section}.{key}` |"))
        });
        let row = row.unwrap_or_else(|| panic!("docs/configuration.md has no row for {section}.{key}"));
        let default = row.split('|').nth(2).expect("a second cell").trim().replace('`', "");
        if ["required", "one of both", "the ", "<queue>"].iter().any(|no_constant| default.starts_with(no_constant)) {
            continue;
        }
        // What is documented must read as what is used: "60s" and "1m" are the same.
        let variable = format!("LOG_ROUTER_{section}_{key}").to_uppercase();
        let documented = parse(MINIMAL, &[(&variable, default.trim_matches('"'))]).expect("the default is valid");
        let read = documented.effective.iter().find(|(s, k, _)| s == section && k == key).expect("it is a setting");
        assert_eq!(&read.2, value, "docs/configuration.md on {section}.{key}");
    }
}

#[test]
fn unwrap_is_a_json_pointer() {
    let unwrapping = |pointer: &str| MINIMAL.replace("[router]", &format!("[router]\nunwrap = \"{pointer}\""));
    let settings = parse(&unwrapping("/detail/Records"), &[]).expect("valid");
    assert_eq!(settings.router.unwrap.as_deref(), Some("/detail/Records"));
    let expected = "router.unwrap: \"Records\" is not a JSON pointer: write it like \"/event\"";
    assert_eq!(problems(&unwrapping("Records"), &[]), [expected]);
}

#[test]
fn a_text_may_stand_for_a_file_that_nobody_named_and_for_nothing_else() {
    let folder = std::env::temp_dir();
    for named in [&folder.join("no-such-folder/log-router.toml"), &folder] {
        let error = Settings::load_or(Some(named), MINIMAL).expect_err("named, so it must be a file");
        assert!(matches!(error, SettingsError::Unreadable { .. }), "{error}");
    }
}
