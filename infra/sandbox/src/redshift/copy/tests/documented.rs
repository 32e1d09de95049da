//! The cases the Developer Guide documents with data, run on its own files where they are at hand.

use std::path::PathBuf;

use serde_json::Value;

use crate::redshift::test_bench::Bench;

fn shared_data() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/redshift-copy")
}

fn text(case: &Value, name: &str) -> String {
    case[name].as_str().unwrap_or_else(|| panic!("{name} in {case}")).to_owned()
}

#[test]
fn the_documented_cases_load_the_documented_rows() {
    let folder = Some(shared_data()).filter(|path| path.exists());
    let Some(folder) = folder else {
        println!("skipped: the documented cases are not at hand");
        return;
    };
    let cases: Value = serde_json::from_slice(&std::fs::read(folder.join("documented_cases.json")).unwrap()).unwrap();
    let cases = cases["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 7);
    for case in cases {
        let id = text(case, "id");
        let bench = Bench::new();
        let data = std::fs::read(folder.join(text(case, "data"))).unwrap();
        bench.objects.put("data", data);
        let options = if let Some(file) = case["jsonpaths"].as_str() {
            bench.objects.put("paths", std::fs::read(folder.join(file)).unwrap());
            "json 's3://b/paths'".to_owned()
        } else if case["jsonpaths_inline"].is_array() {
            bench.objects.put("paths", serde_json::json!({ "jsonpaths": case["jsonpaths_inline"] }).to_string());
            "json 's3://b/paths'".to_owned()
        } else {
            text(case, "options")
        };
        bench.ok(&text(case, "ddl"));
        let table = text(case, "ddl").split_whitespace().nth(2).unwrap().split('(').next().unwrap().to_owned();
        let expected = case["rows"].as_array().unwrap();
        let loaded = bench.ok(&format!("copy {table} from 's3://b/data' iam_role default {options}"));
        assert_eq!(loaded as usize, expected.len(), "{id}");
        let columns: Vec<&str> = case["columns"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
        let found = bench.rows(&format!("SELECT {} FROM {table} ORDER BY 1", columns.join(", ")));
        for (row, expected) in found.iter().zip(expected) {
            let as_json = case["compare"] == "json";
            let shown = |value: &Value| match value {
                Value::Null => "NULL".to_owned(),
                Value::String(text) if as_json => serde_json::from_str::<Value>(text).unwrap().to_string(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let expected: Vec<String> = expected.as_array().unwrap().iter().map(shown).collect();
            let row = if as_json {
                let values = row.split('|').map(|text| serde_json::from_str::<Value>(text).unwrap().to_string());
                values.collect::<Vec<_>>().join("|")
            } else {
                row.clone()
            };
            assert_eq!(row, expected.join("|"), "{id}");
        }
    }
}
