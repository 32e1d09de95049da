use super::super::*;
use common::quarantine::Reason;
use proptest::prelude::*;

fn scanner() -> Scanner {
    Scanner::new(Pointers::new(&["/event".to_owned(), "/meta/type".to_owned(), "/list/1".to_owned()]), true)
}

fn reason(record: &str) -> Option<Reason> {
    scanner().scan(record.as_bytes()).err().map(|fault| fault.reason)
}

fn found(record: &str) -> String {
    match scanner().scan(record.as_bytes()) {
        Ok(EventType::Found(text)) => text.into_owned(),
        other => format!("{other:?}"),
    }
}

#[test]
fn the_event_type_is_found_wherever_a_pointer_leads() {
    assert_eq!(found(r#"{"a":1,"event":"view"}"#), "view");
    assert_eq!(found(r#"{"\u0065vent":"vi\u0065w \ud83d\ude00"}"#), "view 😀");
    assert_eq!(found(r#"{"event":42}"#), "42");
    assert_eq!(found(r#"{"meta":{"type":"inner"},"x":{"event":"no"}}"#), "inner");
    assert_eq!(found(r#"{"meta":{"type":"second"},"event":"first"}"#), "first");
    assert_eq!(found(r#"{"list":["a","b"]}"#), "b");
    assert_eq!(found(r#"{"event":null,"meta":{"type":"fallback"}}"#), "fallback");
}

#[test]
fn a_missing_event_type_is_told_from_an_unusable_one() {
    for record in [r#"{}"#, r#"{"event":null}"#, r#"{"Event":"x"}"#, r#"{"a":{"event":"x"}}"#] {
        assert_eq!(found(record), "Ok(Missing)", "{record}");
    }
    for record in [r#"{"event":""}"#, r#"{"event":1.5}"#, r#"{"event":true}"#, r#"{"event":{}}"#, r#"{"event":["x"]}"#]
    {
        assert_eq!(found(record), "Ok(NotUsable)", "{record}");
    }
}

#[test]
fn each_fault_has_its_own_reason() {
    let cases = [
        (r#"{"a":1"#, Reason::NotJson),
        (r#"{"a":1}}"#, Reason::NotJson),
        (r#"{"a":1}{"b":2}"#, Reason::NotJson),
        (r#"{"a":01}"#, Reason::NotJson),
        (r#"{'a':1}"#, Reason::NotJson),
        (r#"{"a":"\x"}"#, Reason::NotJson),
        ("{\"a\":\"\t\"}", Reason::NotJson),
        (r#"{"a":nul}"#, Reason::NotJson),
        (r#"{"a",1}"#, Reason::NotJson),
        (r#"{"a":1,}"#, Reason::NotJson),
        (r#"[1,]"#, Reason::NotJson),
        (r#"[1}"#, Reason::NotJson),
        ("", Reason::NotJson),
        (r#"[1,2]"#, Reason::NotAnObject),
        (r#""text""#, Reason::NotAnObject),
        ("null", Reason::NotAnObject),
        (r#"{"a":"\u0000"}"#, Reason::NulCharacter),
        (r#"{"\u0000":1}"#, Reason::NulCharacter),
        (r#"{"a":"\ud800"}"#, Reason::InvalidUtf8),
        (r#"{"a":"\udc00\ud800"}"#, Reason::InvalidUtf8),
        (r#"{"a":"\ud800\u0041"}"#, Reason::InvalidUtf8),
        (r#"{"a":1,"\u0061":2}"#, Reason::DuplicateKey),
        (r#"{"x":[{"a":1,"a":2}]}"#, Reason::DuplicateKey),
        (r#"{"_lr":1}"#, Reason::ReservedKey),
        (r#"{"_l\u0072":1}"#, Reason::ReservedKey),
    ];
    for (record, expected) in cases {
        assert_eq!(reason(record), Some(expected), "{record}");
    }
    assert_eq!(scanner().scan(b"{\"a\":\"\xff\"}").expect_err("bad").reason, Reason::InvalidUtf8);
    assert_eq!(reason(r#"{"x":{"_lr":1,"a":[{"b":1},{"b":2}]}}"#), None, "only the root key is reserved");
}

#[test]
fn limits_hold_to_the_byte_and_depth_costs_no_stack() {
    let text = |n: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(n));
    assert_eq!(reason(&text(65_535)), None);
    assert_eq!(reason(&text(65_536)), Some(Reason::StringTooLong));
    let escaped = |n: usize| format!(r#"{{"a":"{}"}}"#, "\\u00e9".repeat(n));
    assert_eq!(reason(&escaped(32_767)), None, "decoded bytes count, not written ones");
    assert_eq!(reason(&escaped(32_768)), Some(Reason::StringTooLong));
    let nested = |n: usize| format!("{}1{}", "{\"a\":".repeat(n), "}".repeat(n));
    assert_eq!(reason(&nested(1_000)), None);
    assert_eq!(reason(&nested(1_001)), Some(Reason::TooDeep));
    assert_eq!(reason(&"[".repeat(1_000_000)), Some(Reason::TooDeep));
}

#[test]
fn duplicates_are_found_among_many_keys() {
    let keys = |n: usize| (0..n).map(|k| format!("\"k{k}\":1")).collect::<Vec<_>>().join(",");
    assert_eq!(reason(&format!("{{{}}}", keys(5_000))), None);
    assert_eq!(reason(&format!("{{{},\"k17\":2}}", keys(5_000))), Some(Reason::DuplicateKey));
}

/// Some JSON, mostly whole, sometimes with a byte changed, cut or doubled.
fn json_like() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
        "\"([a-z é😀]|\\\\[\"\\\\/bfnrt]|\\\\u[0-9a-fA-F]{4}|\\\\ud83d\\\\ude00){0,8}\"",
    ];
    let tree = leaf.prop_recursive(4, 24, 5, |inner| {
        let key = "\"([a-e]|\\\\u00[46][1-5]){0,3}\"";
        let space = "[ \t\r\n]{0,2}";
        prop_oneof![
            (prop::collection::vec(inner.clone(), 0..5), space).prop_map(|(v, s)| format!("[{s}{}{s}]", v.join(","))),
            (prop::collection::vec((key, inner), 0..5), space).prop_map(|(members, s)| {
                let members: Vec<_> = members.iter().map(|(k, v)| format!("{k}{s}:{s}{v}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    });
    (tree, prop::option::weighted(0.5, (any::<prop::sample::Index>(), any::<u8>(), 0..3u8))).prop_map(|(text, harm)| {
        let mut bytes = text.into_bytes();
        if let Some((index, byte, kind)) = harm {
            let at = index.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.truncate(at),
                _ => bytes.insert(at, bytes[at]),
            }
        }
        // The scanner takes records without surrounding white space.
        bytes.trim_ascii().to_vec()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// `serde_json` is the oracle: what it refuses we refuse; what it accepts we accept or refuse for
    /// one of Redshift's reasons.
    #[test]
    fn the_scanner_and_serde_json_agree_on_what_is_json(record in json_like()) {
        let mut scanner = scanner();
        let ours = scanner.scan(&record);
        let theirs = serde_json::from_slice::<serde_json::Value>(&record);
        match (&ours, &theirs) {
            // An exponent no f64 holds is grammar all the same.
            (Ok(_), Err(error)) => prop_assert!(error.to_string().contains("number out of range"), "{error}"),
            (Err(fault), Ok(value)) => match fault.reason {
                Reason::NotAnObject => prop_assert!(!value.is_object()),
                reason => prop_assert!(matches!(
                    reason,
                    Reason::NulCharacter | Reason::DuplicateKey | Reason::ReservedKey
                ), "{fault:?}"),
            },
            (Ok(EventType::Found(found)), Ok(value)) => {
                let at = ["/event", "/meta/type", "/list/1"].iter().filter_map(|p| value.pointer(p)).find(|v| !v.is_null());
                let text = at.and_then(|v| v.as_str().map(str::to_owned).or_else(|| v.as_i64().map(|n| n.to_string())));
                prop_assert_eq!(text.as_deref(), Some(&**found));
            }
            _ => {}
        }
    }
}
