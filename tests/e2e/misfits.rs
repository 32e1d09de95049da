use crate::accounted::assert_every_value;
use crate::redelivery::notification_of;
use crate::stack::Stack;
use std::collections::BTreeMap;

/// A small generator: the same mix on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }
}

/// Keys as JSON writes them: case, dots, quotes, spaces, reserved words, system columns, no ASCII, too long for a name.
const KEYS: [&str; 28] = [
    "userId",
    "userid",
    "user_id",
    "user.id",
    "user id",
    "select",
    "order",
    "table",
    "it's",
    "q\\\"uote",
    "back\\\\slash",
    "",
    "tab\\t",
    "\\u65e5\\u672c",
    "größe",
    "_source",
    "_line",
    "_loaded_at",
    "_record",
    "$",
    "a[0]",
    "n",
    "t",
    "s",
    "b",
    "mixed",
    "o",
    "deep",
];

const INTEGERS: [&str; 8] = [
    "0",
    "-7",
    "-0",
    "9007199254740991",
    "9007199254740992",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
];

const NUMBERS: [&str; 12] = [
    "0.1",
    "1.50",
    "1e3",
    "-2.5E-3",
    "0.30000000000000004",
    "0.30000000000000005",
    "1e300",
    "1e400",
    "5e-324",
    "3.141592653589793238462643383279",
    "123456789012345678901234567890",
    "9223372036854775808",
];

const TEXTS: [&str; 16] = [
    "\"\"",
    "\" \"",
    "\"NULL\"",
    "\"null\"",
    "\"1\"",
    "\"true\"",
    "\"a|b\"",
    "\"\\\"\\\\\\/\\n\\t\\u00e9\"",
    "\"\\ud83d\\ude00\"",
    "\"日本\"",
    "\"{}\"",
    "\"2025-02-29T09:00:00Z\"",
    "\"2025-06-01 09:00:00Z\"",
    "\"2025-06-01T09:00:00\"",
    "\"2025-06-01T09:00:00.1234567Z\"",
    "\"2025-06-30T23:59:60Z\"",
];

const TIMES: [&str; 5] = [
    "\"2025-06-01T09:00:00Z\"",
    "\"2024-02-29T23:59:59.123456+05:30\"",
    "\"2025-06-01T00:00:00.5-11:45\"",
    "\"1969-12-31T23:59:59.999999Z\"",
    "\"0001-06-01T00:00:00+00:00\"",
];

const OTHERS: [&str; 12] = [
    "null",
    "true",
    "false",
    "[]",
    "{}",
    "[1,\"x\",null,{\"k\":[1.10]}]",
    "{\"x\":null}",
    "{\"x\":1,\"y\":{\"z\":\"w\"}}",
    "{\"x\":\"1\"}",
    "{\"x\":{\"x\":{\"x\":{\"x\":{\"x\":1}}}}}",
    "{\"it's\":1,\"x\":2}",
    "[[[]]]",
];

/// Any value there is.
fn any(dice: &mut Dice) -> String {
    match dice.roll(6) {
        0 => dice.pick(&INTEGERS).to_owned(),
        1 => dice.pick(&NUMBERS).to_owned(),
        2 => dice.pick(&TEXTS).to_owned(),
        3 => dice.pick(&TIMES).to_owned(),
        4 => format!("\"{}\"", "é".repeat([127, 128, 129, 2_048, 2_049][dice.roll(5)])),
        _ => dice.pick(&OTHERS).to_owned(),
    }
}

/// A value of the type that this key has as a rule.
fn tame(dice: &mut Dice, key: usize) -> String {
    let of: &[&str] = match key % 6 {
        0 => &INTEGERS,
        1 => &NUMBERS[..7],
        2 => &TEXTS,
        3 => &TIMES,
        4 => &["true", "false", "null"],
        _ => &["{\"x\":1,\"y\":{\"z\":\"w\"}}", "{\"x\":7}", "null", "{}"],
    };
    dice.pick(of).to_owned()
}

/// Records with a few of these keys each. One value in `wild` is of any type; 0 is none.
fn records(seed: u64, count: usize, keys: &[&str], wild: usize) -> Vec<String> {
    let mut dice = Dice(seed);
    let record = |_| {
        let mut members = vec![format!("\"event\":\"{}\"", ["mix", "blend"][dice.roll(2)])];
        for (at, key) in keys.iter().enumerate() {
            if dice.roll(3) == 0 {
                continue;
            }
            let value = if wild > 0 && dice.roll(wild) == 0 { any(&mut dice) } else { tame(&mut dice, at) };
            members.push(format!("\"{key}\":{value}"));
        }
        format!("{{{}}}", members.join(","))
    };
    (0..count).map(record).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_value_of_a_hostile_mix_is_in_its_column_or_inside_a_super() {
    let stack = Stack::start().await;
    // Types settle, then mix; keys come later; every load is a new loader.
    stack.put_lines("1", records(1, 40, &KEYS[..22], 0)).await;
    stack.route_and_load().await;
    assert_every_value(&stack).await;
    stack.put_lines("2", records(2, 60, &KEYS, 4)).await;
    stack.put_lines("3", records(3, 20, &KEYS, 0)).await;
    stack.route().await;
    let requests = stack.drain("routed-parts").await;
    for body in requests.iter().chain(&requests) {
        stack.send("routed-parts", body).await;
    }
    stack.load().await.expect("loaded");
    let strings = [255, 256, 257, 4_096, 4_097, 65_535].map(|n| {
        let text = "y".repeat(n);
        format!(r#"{{"event":"mix","s":"{text}","n":"{text}","o":{{"x":"{text}"}},"new_{n}":"{text}"}}"#)
    });
    let too_long = format!(r#"{{"event":"mix","s":"{}"}}"#, "y".repeat(65_536));
    let deep = format!(r#"{{"event":"mix","deep":{}1{}}}"#, "{\"d\":".repeat(60), "}".repeat(60));
    let long_key = format!(r#"{{"event":"mix","{0}":1,"{0}z":2,"o":{{"{0}":"x"}}}}"#, "key".repeat(50));
    stack.put_lines("4", strings.into_iter().chain([too_long, deep, long_key])).await;
    stack.put_lines("5", records(5, 60, &KEYS, 2)).await;
    stack.route_and_load().await;
    // Everything once more.
    for seal in stack.seals().await {
        stack.send("raw-objects", &notification_of(&seal.source)).await;
    }
    stack.route_and_load().await;
    assert_every_value(&stack).await;
    let names = stack.query("SELECT DISTINCT event, column_name FROM log_router.columns").await;
    assert!(names.iter().all(|row| row[1].len() <= 127));
    assert_eq!(stack.quarantined().await.len(), 1, "the string that no column takes");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shops_log_is_in_its_tables_value_by_value() {
    let stack = Stack::start().await;
    for files in fixtures::sample::files().chunks(3) {
        for file in files {
            stack.put(file.key, std::fs::read(fixtures::sample::folder().join(file.key)).expect("committed")).await;
        }
        stack.route_and_load().await;
    }
    assert_every_value(&stack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_strangest_fields_that_json_allows_are_in_their_tables() {
    let stack = Stack::start().await;
    for seed in [3, 4] {
        let lines: Vec<_> = fixtures::hostile(seed, 1_500, 4).map(|line| line.bytes).collect();
        stack.put_lines(&format!("{seed}.gz"), &lines).await;
        stack.route_and_load().await;
    }
    assert_every_value(&stack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_part_mixes_only_the_misfits_leave_their_column() {
    let stack = Stack::start().await;
    stack.put_lines("1", [r#"{"event":"order","price":10,"weight":0.5}"#]).await;
    stack.route_and_load().await;
    let lines = [
        r#"{"event":"order","price":11,"weight":1}"#,
        r#"{"event":"order","price":"12 EUR","weight":2}"#,
        r#"{"event":"order","price":13,"weight":9007199254740993}"#,
        r#"{"event":"order","price":{"amount":14},"weight":3.141592653589793238462643383279}"#,
    ];
    stack.put_lines("2", lines).await;
    stack.route_and_load().await;
    assert_every_value(&stack).await;
    let sql = "SELECT price, price__varchar, JSON_SERIALIZE(price__super), weight, weight__number FROM events.\"order\" ORDER BY _source, _line";
    let mut rows = stack.query(sql).await;
    rows.sort();
    let null = "NULL";
    let expected = [
        ["10", null, null, "0.5", null],
        ["11", null, null, "1", null],
        ["13", null, null, null, "9007199254740993"],
        [null, "12 EUR", null, "2", null],
        [null, null, r#"{"amount":14}"#, null, "3.141592653589793238462643383279"],
    ];
    assert_eq!(rows, expected);
    let loads = stack.query("SELECT requests, rows_loaded FROM log_router.loads ORDER BY loaded_at").await;
    assert_eq!(loads, [["1", "1"], ["1", "4"]], "both pieces in one transaction");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_choices_of_columns_than_copys_load_all_the_same() {
    let stack = Stack::start().await;
    let file = |n: usize, odd: &str| {
        let members: Vec<String> =
            (0..5).map(|bit| format!("\"k{bit}\":{}", if n >> bit & 1 == 1 { odd } else { "1" })).collect();
        [format!("{{\"event\":\"many\",\"n\":{n},{}}}", members.join(","))]
    };
    stack.put_lines("first", file(0, "")).await;
    stack.route_and_load().await;
    for n in 0..32 {
        stack.put_lines(&format!("{n}"), file(n, ["\"x\"", "true"][n / 16])).await;
    }
    stack.route_and_load().await;
    assert_every_value(&stack).await;
    let counts = "SELECT COUNT(*), COUNT(k0), COUNT(k0__varchar), COUNT(k0__boolean) FROM events.many";
    assert_eq!(stack.query(counts).await, [["33", "17", "8", "8"]]);
    assert_eq!(
        stack.number("SELECT COUNT(*) FROM log_router.loads WHERE event = 'many'").await,
        2,
        "in one transaction"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_filled_from_parts_whose_sketch_hides_their_keys() {
    let stack = Stack::start().await;
    stack.put_lines("1", [r#"{"event":"wide","id":1,"name":"short","user":{"id":7}}"#]).await;
    stack.route_and_load().await;
    // More keys than a sketch holds: all it says is that there are objects.
    let wide = |record: usize| {
        let keys: Vec<String> = (0..700).map(|key| format!("\"k{record}_{key}\":1")).collect();
        let id = if record == 3 { "\"three\"".to_owned() } else { record.to_string() };
        let name = "n".repeat(if record == 5 { 5_000 } else { 5 });
        format!(r#"{{"event":"wide","id":{id},"name":"{name}","user":{{"id":{record}}},{}}}"#, keys.join(","))
    };
    stack.put_lines("2", (0..300).map(wide).chain([r#"{"event":"wide","id":1000}"#.to_owned()])).await;
    stack.route().await;
    let hidden =
        stack.seals().await.iter().flat_map(|seal| &seal.events).filter(|event| event.sketch.collapsed).count();
    assert_eq!(hidden, 1, "the sketch hides the keys of records");
    stack.load().await.expect("loaded");
    assert_every_value(&stack).await;
    let counts = "SELECT COUNT(id), COUNT(id__varchar), COUNT(user_id), MAX(LEN(name)), COUNT(_record), COUNT(*) FROM events.wide";
    assert_eq!(stack.query(counts).await, [["301", "1", "301", "5000", "300", "302"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_after_the_last_column_is_in_the_record() {
    let stack = Stack::start().await;
    let keys = |range: std::ops::Range<usize>, value: &str| -> String {
        range.map(|n| format!(",\"k{n}\":{value}")).collect()
    };
    stack.put_lines("1", [format!(r#"{{"event":"full","o":{{"a":1}}{}}}"#, keys(0..1_590, "1"))]).await;
    stack.route_and_load().await;
    let lines = [
        format!(r#"{{"event":"full","o":{{"a":2,"b":3,"c":4}}{}}}"#, keys(1_580..1_610, "2")),
        r#"{"event":"full","k0":"no room for a variant","o":[5]}"#.to_owned(),
        r#"{"event":"full","k0":7}"#.to_owned(),
    ];
    stack.put_lines("2", lines).await;
    stack.route_and_load().await;
    assert_every_value(&stack).await;
    let columns = stack.number("SELECT COUNT(*) FROM svv_columns WHERE table_name = 'full'").await;
    assert_eq!(columns, 1_600, "as many as Redshift takes");
    assert_eq!(stack.number("SELECT COUNT(_record) FROM events.\"full\"").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_loaders_that_split_the_same_parts_load_them_once() {
    let stack = Stack::start().await;
    for n in 0..4 {
        stack.put_lines(&format!("{n}"), records(n, 30, &KEYS, 3)).await;
    }
    stack.route().await;
    let requests = stack.drain("routed-parts").await;
    for body in requests.iter().chain(&requests) {
        stack.send("routed-parts", body).await;
    }
    let (one, other) = tokio::join!(stack.load(), stack.load());
    one.expect("loaded");
    other.expect("loaded");
    assert_every_value(&stack).await;
    let names = stack.query("SELECT event, column_name, path FROM log_router.columns").await;
    let mut paths: BTreeMap<(String, String), String> = BTreeMap::new();
    for row in names {
        let [event, name, path] = [0, 1, 2].map(|at| row[at].clone());
        let known = paths.entry((event, name)).or_insert_with(|| path.clone());
        assert_eq!(*known, path, "a name is given once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_without_lineage_are_split_too() {
    let mut stack = Stack::start().await;
    stack.settings.router.lineage = false;
    stack.put_lines("1", [r#"{"event":"order","price":10}"#]).await;
    stack.route_and_load().await;
    stack.put_lines("2", [r#"{"event":"order","price":"x"}"#, r#"{"event":"order","price":11}"#]).await;
    stack.route_and_load().await;
    let mut rows = stack.query("SELECT price, price__varchar FROM events.\"order\"").await;
    rows.sort();
    assert_eq!(rows, [["10", "NULL"], ["11", "NULL"], ["NULL", "x"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_columns_are_filled_with_what_fits_them() {
    let stack = Stack::start().await;
    let create = "CREATE TABLE events.invoice (id INTEGER, amount DECIMAL(8,2), day DATE, pages SMALLINT, note VARCHAR(10), by_hand REAL)";
    stack.query("CREATE SCHEMA IF NOT EXISTS events").await;
    stack.query(create).await;
    let fitting =
        r#"{"event":"invoice","id":1,"amount":12.30,"day":"2025-06-01","pages":3,"note":"short","by_hand":1}"#;
    stack.put_lines("1", [fitting]).await;
    stack.route_and_load().await;
    let row = "SELECT id, amount, day, pages, note FROM events.invoice";
    assert_eq!(stack.query(row).await, [["1", "12.30", "2025-06-01", "3", "short"]]);
    let lines = [
        r#"{"event":"invoice","id":2147483648,"amount":0.125,"day":"tomorrow","pages":32768,"note":"eleven chars","by_hand":0.1}"#,
        r#"{"event":"invoice","id":-2147483648,"amount":-999999.99,"day":"2024-02-29","pages":-1,"note":""}"#,
        r#"{"event":"invoice","id":"x","amount":1000000,"day":"2025-02-29","pages":1.0,"note":7}"#,
        r#"{"event":"invoice","id":9007199254740993,"amount":1e2,"day":"2025-06-01T09:00:00Z","pages":null}"#,
        r#"{"event":"invoice","id":{"n":1},"amount":123456789012345678901234567890,"day":20250601,"pages":[1]}"#,
        fitting,
    ];
    stack.put_lines("2", lines).await;
    stack.route_and_load().await;
    assert_every_value(&stack).await;
    let counts =
        "SELECT COUNT(id), COUNT(amount), COUNT(day), COUNT(pages), COUNT(note), COUNT(by_hand) FROM events.invoice";
    assert_eq!(stack.query(counts).await, [["3", "3", "3", "3", "4", "0"]], "a REAL rounds: it is left alone");
    let types = "SELECT data_type FROM svv_columns WHERE table_name = 'invoice' AND column_name IN ('id', 'amount', 'day', 'pages') ORDER BY column_name";
    assert_eq!(stack.query(types).await.concat(), ["numeric", "date", "integer", "smallint"], "a person's DDL wins");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_a_person_drops_is_made_again_when_values_come() {
    let stack = Stack::start().await;
    stack.put_lines("1", [r#"{"event":"a","n":1,"s":"x"}"#]).await;
    stack.route_and_load().await;
    stack.query("ALTER TABLE events.a DROP COLUMN s").await;
    stack.put_lines("2", [r#"{"event":"a","n":2,"s":"y"}"#]).await;
    stack.route_and_load().await;
    assert_eq!(stack.query("SELECT n, s FROM events.a ORDER BY n").await, [["1", "NULL"], ["2", "y"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_record_that_copy_refuses_is_kept_as_its_source_has_it() {
    let stack = Stack::start().await;
    stack.query("CREATE SCHEMA IF NOT EXISTS events").await;
    let create = "CREATE TABLE events.a (_source VARCHAR(32), _line BIGINT, _loaded_at TIMESTAMP DEFAULT SYSDATE, n BIGINT NOT NULL, price BIGINT)";
    stack.query(create).await;
    // Only what fits n may be loaded; of the others no variant helps.
    let odd = r#"{ "event":"a","n":"x" , "price" :"12 EUR","at":1.10e+02}"#;
    stack.put_lines("1", [r#"{"event":"a","n":1,"price":1}"#]).await;
    stack.route_and_load().await;
    stack.put_lines("2", [r#"{"event":"a","n":2}"#, odd, r#"{"event":"a","n":3,"price":"13 EUR"}"#]).await;
    stack.route_and_load().await;
    let rows = stack.query("SELECT n, price, price__varchar FROM events.a ORDER BY n").await;
    assert_eq!(rows, [["1", "1", "NULL"], ["2", "NULL", "NULL"], ["3", "NULL", "13 EUR"]]);
    let ledger = "SELECT rows_loaded, rows_rejected, quarantine_key FROM log_router.ledger_a WHERE rows_rejected > 0";
    let [row] = &stack.query(ledger).await[..] else { panic!("one source has a rejected record") };
    assert_eq!(row[..2], ["2", "1"]);
    let [line] = &stack.lines(&row[2]).await[..] else { panic!("one record") };
    let kept: common::quarantine::QuarantinedRecord = serde_json::from_str(line).expect("a record");
    assert_eq!((kept.line, kept.raw.as_deref()), (2, Some(odd)));
}
