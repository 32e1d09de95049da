//! The API as an SDK sees it: JSON in, JSON out, statuses over time.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::redshift::test_bench::Objects;
use crate::redshift::{ObjectSource, ObjectSourceError, Service};

struct Api {
    service: Arc<Service>,
    _folder: tempfile::TempDir,
}

impl Api {
    fn new() -> Api {
        Api::over(Arc::new(Objects::default()))
    }

    fn over(objects: Arc<dyn ObjectSource>) -> Api {
        let folder = tempfile::tempdir().unwrap();
        Api { service: Service::open(folder.path(), objects, Arc::default()).unwrap(), _folder: folder }
    }

    async fn raw(&self, operation: &str, mut body: Value) -> (u16, Value) {
        let targeted = operation.contains("Execute") || operation.starts_with("List") || operation == "DescribeTable";
        if let (Value::Object(members), true) = (&mut body, targeted) {
            members.entry("Database").or_insert("dev".into());
            members.entry("WorkgroupName").or_insert("wg".into());
        }
        let response = Arc::clone(&self.service).handle(operation, Bytes::from(body.to_string())).await;
        assert_eq!(response.headers()["content-type"], "application/x-amz-json-1.1");
        let status = response.status().as_u16();
        let error = response.headers().get("x-amzn-errortype").map(|kind| kind.to_str().unwrap().to_owned());
        let body: Value = serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap();
        assert_eq!(error.as_deref(), body["__type"].as_str());
        (status, body)
    }

    async fn call(&self, operation: &str, body: Value) -> Value {
        let (status, body) = self.raw(operation, body).await;
        assert_eq!(status, 200, "{operation}: {body}");
        body
    }

    async fn refused(&self, operation: &str, body: Value) -> String {
        let (status, body) = self.raw(operation, body).await;
        assert_eq!(status, 400, "{operation}: {body}");
        format!("{}: {}", body["__type"].as_str().unwrap(), body["message"].as_str().unwrap())
    }

    /// Runs to the end; the description.
    async fn execute(&self, sql: &str) -> Value {
        let submitted = self.call("ExecuteStatement", json!({ "Sql": sql })).await;
        self.end_of(&submitted).await
    }

    async fn batch(&self, sqls: &[&str]) -> Value {
        let submitted = self.call("BatchExecuteStatement", json!({ "Sqls": sqls })).await;
        self.end_of(&submitted).await
    }

    async fn end_of(&self, submitted: &Value) -> Value {
        self.call("DescribeStatement", json!({ "Id": submitted["Id"], "WaitTimeSeconds": 30 })).await
    }
}

#[tokio::test]
async fn a_statement_answers_at_once_and_its_result_has_types() {
    let api = Api::new();
    let submitted = api.call("ExecuteStatement", json!({ "Sql": "SELECT 1 AS i, 2.50 AS d, 'x' AS v, true AS b, NULL AS n, 1.5::float AS f, '2026-01-02'::timestamp AS at" })).await;
    assert_eq!(submitted["WorkgroupName"], "wg");
    assert!(submitted.get("Status").is_none());
    let described = api.end_of(&submitted).await;
    assert_eq!(described["Status"], "FINISHED");
    assert_eq!(described["HasResultSet"], true);
    assert_eq!(described["ResultRows"], 1);
    let result = api.call("GetStatementResult", json!({ "Id": submitted["Id"] })).await;
    assert_eq!(
        result["Records"],
        json!([[{"longValue":1},{"stringValue":"2.50"},{"stringValue":"x"},{"booleanValue":true},{"isNull":true},{"doubleValue":1.5},{"stringValue":"2026-01-02 00:00:00"}]])
    );
    let types: Vec<&str> =
        result["ColumnMetadata"].as_array().unwrap().iter().map(|c| c["typeName"].as_str().unwrap()).collect();
    assert_eq!(types, ["int4", "numeric", "varchar", "bool", "varchar", "float8", "timestamp"]);
    assert_eq!(result["ColumnMetadata"][0]["name"], "i");
}

#[tokio::test]
async fn waiting_puts_the_status_into_the_answer() {
    let api = Api::new();
    let answer = api.call("ExecuteStatement", json!({ "Sql": "SELECT 1", "WaitTimeSeconds": 30 })).await;
    assert_eq!((&answer["Status"], &answer["HasResultSet"]), (&json!("FINISHED"), &json!(true)));
}

#[tokio::test]
async fn results_come_in_pages_of_a_thousand_rows() {
    let api = Api::new();
    let tens = "(VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9))";
    let sql = format!(
        "SELECT a.column1 + 10 * b.column1 + 100 * c.column1 + 1000 * d.column1 AS n FROM {tens} a, {tens} b, {tens} c, (VALUES (0),(1),(2)) d WHERE d.column1 < 2 OR a.column1 = 0 ORDER BY n"
    );
    let described = api.execute(&sql).await;
    assert_eq!(described["ResultRows"], 2100, "{described}");
    let mut seen = Vec::new();
    let mut token = Value::Null;
    let mut pages = 0;
    loop {
        let mut request = json!({ "Id": described["Id"] });
        if !token.is_null() {
            request["NextToken"] = token;
        }
        let page = api.call("GetStatementResult", request).await;
        assert_eq!(page["TotalNumRows"], 2100);
        seen.extend(page["Records"].as_array().unwrap().iter().map(|row| row[0]["longValue"].as_i64().unwrap()));
        pages += 1;
        token = page["NextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!((pages, seen.len()), (3, 2100));
    assert!(seen.is_sorted());
    let message = api.refused("GetStatementResult", json!({ "Id": described["Id"], "NextToken": "x" })).await;
    assert_eq!(message, "ValidationException: NextToken is not valid.");
}

#[tokio::test]
async fn a_failing_entry_fails_the_batch_and_later_ones_never_run() {
    let api = Api::new();
    api.execute("CREATE TABLE t (a INT)").await;
    let described =
        api.batch(&["INSERT INTO t VALUES (1), (2)", "SELECT CAST('a' || 'b' AS INTEGER)", "SELECT 1"]).await;
    assert_eq!(described["Status"], "FAILED");
    assert_eq!(described["Error"], "Query #2 failed with ERROR: invalid input syntax for integer: \"ab\"");
    assert_eq!(described["RedshiftQueryId"], 0);
    let entries = described["SubStatements"].as_array().unwrap();
    let statuses: Vec<&str> = entries.iter().map(|entry| entry["Status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["FINISHED", "FAILED", "ABORTED"]);
    assert_eq!(entries[1]["Error"], "ERROR: invalid input syntax for integer: \"ab\"");
    assert_eq!(entries[0]["Id"], format!("{}:1", described["Id"].as_str().unwrap()));
    assert_eq!((&entries[0]["ResultRows"], &entries[2]["ResultRows"]), (&json!(2), &json!(-1)));
    assert_eq!(entries[0]["RedshiftQueryId"], -1);
    assert_eq!(entries[0]["QueryString"], "INSERT INTO t VALUES (1), (2)");
    assert_eq!(api.execute("SELECT * FROM t").await["ResultRows"], 0);
}

#[tokio::test]
async fn each_entry_of_a_batch_has_its_own_result() {
    let api = Api::new();
    let described = api.batch(&["SELECT 1", "SELECT 2 UNION ALL SELECT 3", "SET statement_timeout TO 1000"]).await;
    assert_eq!((&described["Status"], &described["ResultRows"]), (&json!("FINISHED"), &json!(3)));
    let id = described["Id"].as_str().unwrap();
    let result = api.call("GetStatementResult", json!({ "Id": format!("{id}:2") })).await;
    assert_eq!(result["TotalNumRows"], 2);
    for without in [id.to_owned(), format!("{id}:3")] {
        let message = api.refused("GetStatementResult", json!({ "Id": without })).await;
        assert_eq!(
            message,
            "ResourceNotFoundException: Query does not have result. Please check query status with DescribeStatement."
        );
    }
    let message = api.refused("GetStatementResult", json!({ "Id": format!("{id}:4") })).await;
    assert!(message.starts_with("ResourceNotFoundException"), "{message}");
}

#[tokio::test]
async fn auto_commit_keeps_what_worked() {
    let api = Api::new();
    api.execute("CREATE TABLE t (a INT)").await;
    let sqls = ["INSERT INTO t VALUES (1)", "SELECT 1/0", "INSERT INTO t VALUES (2)"];
    let submitted = api.call("BatchExecuteStatement", json!({ "Sqls": sqls, "ExecutionMode": "AUTO_COMMIT" })).await;
    let described = api.end_of(&submitted).await;
    assert_eq!(described["Error"], "Query #2 failed with ERROR: Divide by zero");
    assert_eq!(described["SubStatements"][2]["Status"], "FINISHED");
    assert_eq!(api.execute("SELECT * FROM t").await["ResultRows"], 2);
}

#[tokio::test]
async fn a_retried_request_with_the_same_token_is_the_same_statement() {
    let api = Api::new();
    api.execute("CREATE TABLE t (a INT)").await;
    let request = json!({ "Sql": "INSERT INTO t VALUES (1)", "ClientToken": "token-1" });
    let first = api.call("ExecuteStatement", request.clone()).await;
    api.end_of(&first).await;
    let second = api.call("ExecuteStatement", request).await;
    assert_eq!(first["Id"], second["Id"]);
    assert_eq!(api.execute("SELECT * FROM t").await["ResultRows"], 1);
    let message = api.refused("ExecuteStatement", json!({ "Sql": "SELECT 2", "ClientToken": "token-1" })).await;
    assert!(message.contains("ClientToken was already used"), "{message}");
}

#[tokio::test]
async fn parameters_are_values_in_every_statement_of_a_batch() {
    let api = Api::new();
    let parameters = json!([{ "name": "n", "value": "7" }, { "name": "t", "value": "it's" }]);
    let request = json!({ "Sqls": ["SELECT :n::int + 1, ':n'", "SELECT :t || :n"], "Parameters": parameters, "WaitTimeSeconds": 30 });
    let described = api.call("BatchExecuteStatement", request).await;
    let id = described["Id"].as_str().unwrap();
    let first = api.call("GetStatementResult", json!({ "Id": format!("{id}:1") })).await;
    assert_eq!(first["Records"], json!([[{"longValue":8},{"stringValue":":n"}]]));
    let second = api.call("GetStatementResult", json!({ "Id": format!("{id}:2") })).await;
    assert_eq!(second["Records"], json!([[{"stringValue":"it's7"}]]));
    let message = api
        .refused("ExecuteStatement", json!({ "Sql": "SELECT 1", "Parameters": [{ "name": "x", "value": "1" }] }))
        .await;
    assert!(message.contains("not referenced"), "{message}");
}

#[tokio::test]
async fn statements_are_listed_by_name_prefix_and_status() {
    let api = Api::new();
    for (name, sql) in [("load-1", "SELECT 1"), ("load-2", "SELECT 1/0"), ("other", "SELECT 1")] {
        let submitted = api.call("ExecuteStatement", json!({ "Sql": sql, "StatementName": name })).await;
        api.end_of(&submitted).await;
    }
    let names = |answer: &Value| -> Vec<String> {
        answer["Statements"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["StatementName"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&api.call("ListStatements", json!({ "StatementName": "load" })).await), ["load-1"]);
    let all = api.call("ListStatements", json!({ "StatementName": "load", "Status": "ALL" })).await;
    assert_eq!(names(&all), ["load-2", "load-1"]);
    let page = api.call("ListStatements", json!({ "Status": "ALL", "MaxResults": 2 })).await;
    assert_eq!(names(&page), ["other", "load-2"]);
    let rest =
        api.call("ListStatements", json!({ "Status": "ALL", "MaxResults": 2, "NextToken": page["NextToken"] })).await;
    assert_eq!(names(&rest), ["load-1"]);
    assert!(rest.get("NextToken").is_none());
}

#[tokio::test]
async fn the_catalog_can_be_listed_and_described() {
    let api = Api::new();
    api.batch(&[
        "CREATE SCHEMA events",
        "CREATE TABLE events.page_view (a INT NOT NULL, b VARCHAR(9))",
        "CREATE VIEW v AS SELECT 1 AS one",
    ])
    .await;
    let tables = api.call("ListTables", json!({})).await;
    assert_eq!(
        tables["Tables"],
        json!([{ "schema": "events", "name": "page_view", "type": "TABLE" }, { "schema": "public", "name": "v", "type": "VIEW" }])
    );
    assert_eq!(api.call("ListTables", json!({ "SchemaPattern": "ev%" })).await["Tables"].as_array().unwrap().len(), 1);
    assert_eq!(api.call("ListSchemas", json!({})).await["Schemas"], json!(["events", "public"]));
    assert_eq!(api.call("ListDatabases", json!({})).await["Databases"], json!(["dev"]));
    let table = api.call("DescribeTable", json!({ "Schema": "events", "Table": "page_view" })).await;
    assert_eq!(table["ColumnList"][1]["name"], "b");
    assert_eq!((&table["ColumnList"][0]["nullable"], &table["ColumnList"][1]["length"]), (&json!(0), &json!(9)));
}

#[tokio::test]
async fn requests_are_checked_like_on_aws() {
    let api = Api::new();
    let many = vec!["SELECT 1"; 41];
    for (operation, request, message) in [
        ("ExecuteStatement", json!({ "Sql": "SELECT 1", "ClusterIdentifier": "c" }), "Only one of"),
        ("ExecuteStatement", json!({ "Sql": "SELECT 1", "WorkgroupName": null }), "Either WorkgroupName"),
        ("ExecuteStatement", json!({ "Sql": "SELECT 1", "Database": "" }), "Database must be given"),
        ("ExecuteStatement", json!({}), "SQL statements are missing"),
        ("ExecuteStatement", json!({ "Sql": " " }), "is empty"),
        ("ExecuteStatement", json!({ "Sql": "x".repeat(103_000) }), "longer than"),
        ("ExecuteStatement", json!({ "Sql": "SELECT 1", "WaitTimeSeconds": 31 }), "between 1 and 30"),
        ("ExecuteStatement", json!({ "Sql": "SELECT 1", "SessionKeepAliveSeconds": 60 }), "does not support sessions"),
        ("ExecuteStatement", json!({ "Sql": "SELECT 1", "WithEvent": true }), "does not support WithEvent"),
        ("BatchExecuteStatement", json!({ "Sqls": [] }), "between 1 and 40"),
        ("BatchExecuteStatement", json!({ "Sqls": many }), "between 1 and 40"),
        ("BatchExecuteStatement", json!({ "Sqls": ["SELECT 1"], "ExecutionMode": "FAST" }), "ExecutionMode"),
    ] {
        let refused = api.refused(operation, request).await;
        assert!(refused.starts_with("ValidationException") && refused.contains(message), "{refused}");
    }
    assert!(
        api.refused("DescribeStatement", json!({ "Id": "nothing" })).await.starts_with("ResourceNotFoundException")
    );
    assert!(api.refused("DescribeStatement", json!({ "Id": 5 })).await.starts_with("SerializationException"));
    assert_eq!(
        api.refused("GetStatementResultV2", json!({})).await,
        "UnknownOperationException: the sandbox does not support the operation RedshiftData.GetStatementResultV2"
    );
}

/// An object whose reading waits until the test lets it go on.
struct Gate {
    reached: mpsc::SyncSender<()>,
    open: std::sync::Mutex<mpsc::Receiver<()>>,
}

impl ObjectSource for Gate {
    fn open(&self, _: &str, _: &str) -> Result<Box<dyn std::io::Read + Send>, ObjectSourceError> {
        self.reached.send(()).unwrap();
        let waited = self.open.lock().unwrap().recv_timeout(Duration::from_secs(30));
        waited.map_err(|error| ObjectSourceError::Io(std::io::Error::other(error)))?;
        Ok(Box::new(&b"{\"a\":1}"[..]))
    }
}

const COPY: &str = "COPY t FROM 's3://b/k' IAM_ROLE default JSON 'auto'";

#[tokio::test(flavor = "multi_thread")]
async fn a_select_does_not_wait_for_a_copy_and_a_second_writer_does() {
    let (reached, is_reached) = mpsc::sync_channel(4);
    let (go, open) = mpsc::channel();
    let api = Api::over(Arc::new(Gate { reached, open: std::sync::Mutex::new(open) }));
    api.execute("CREATE TABLE t (a INT)").await;
    let copy = api.call("ExecuteStatement", json!({ "Sql": COPY })).await;
    is_reached.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(api.execute("SELECT COUNT(*) FROM t").await["Status"], "FINISHED");
    let insert = api
        .call("BatchExecuteStatement", json!({ "Sqls": ["LOCK t", "INSERT INTO t SELECT COUNT(*) + 10 FROM t"] }))
        .await;
    let waiting = api.call("BatchExecuteStatement", json!({ "Sqls": ["LOCK t", "DELETE FROM t"] })).await;
    assert_eq!(api.call("CancelStatement", json!({ "Id": waiting["Id"] })).await["Status"], true);
    let cancelled = api.end_of(&waiting).await;
    assert_eq!(cancelled["Status"], "ABORTED");
    let described = api.call("DescribeStatement", json!({ "Id": insert["Id"] })).await;
    assert!(!["FINISHED", "FAILED"].contains(&described["Status"].as_str().unwrap()), "{described}");
    go.send(()).unwrap();
    assert_eq!(api.end_of(&copy).await["Status"], "FINISHED");
    assert_eq!(api.end_of(&insert).await["Status"], "FINISHED");
    let sum = api.execute("SELECT SUM(a) FROM t").await;
    let result = api.call("GetStatementResult", json!({ "Id": sum["Id"] })).await;
    assert_eq!(result["Records"], json!([[{ "longValue": 12 }]]));
    let message = api.refused("CancelStatement", json!({ "Id": copy["Id"] })).await;
    assert!(message.contains("already in FINISHED state"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_query_can_be_cancelled() {
    let api = Api::new();
    let tens = "(VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9))";
    let joins: Vec<String> = (0..12).map(|i| format!("{tens} AS t{i}")).collect();
    let endless = format!("SELECT COUNT(*) FROM {}", joins.join(", "));
    let submitted = api.call("ExecuteStatement", json!({ "Sql": endless })).await;
    api.call("CancelStatement", json!({ "Id": submitted["Id"] })).await;
    let described = api.end_of(&submitted).await;
    assert_eq!(
        (&described["Status"], &described["Error"]),
        (&json!("ABORTED"), &json!("ERROR: Query cancelled on user's request"))
    );
}
