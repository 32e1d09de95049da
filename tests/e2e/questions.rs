use crate::stack::Stack;
use std::path::Path;

/// The questions of docs/tables.md with their queries, in order.
fn questions() -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tables.md");
    let text = std::fs::read_to_string(path).expect("docs/tables.md");
    let sections = text.split("\n### ").filter(|section| section.starts_with(|c: char| c.is_ascii_digit()));
    let question = |section: &str| {
        let (heading, rest) = section.split_once('\n').expect("a heading");
        let query = rest.split("```sql\n").nth(1).and_then(|rest| rest.split("```").next());
        let query = query.unwrap_or_else(|| panic!("{heading} has no query"));
        (heading.to_owned(), query.trim().trim_end_matches(';').to_owned())
    };
    sections.map(question).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_question_of_the_documentation_has_an_answer() {
    let settings = "max_tries = 1\n[tables.page_view]\nkey = [\"/session/id\"]\nversion = \"ts\"\n[tables.search]\nevolve = \"freeze\"";
    let stack = Stack::with(settings).await;
    for file in fixtures::sample::files() {
        stack.put(file.key, std::fs::read(fixtures::sample::folder().join(file.key)).expect("committed")).await;
    }
    stack.route_and_load().await;
    let page_views = stack.number("SELECT COUNT(*) FROM events.page_view").await;
    // A total that is text, a field that a frozen table does not know, and a file whose part is lost.
    let odd = [
        r#"{"event":"order_placed","ts":"2025-06-02T09:00:00Z","order":{"id":"o-1","total":"free","items":[]}}"#,
        r#"{"event":"search","query":"tea","mood":"thirsty"}"#,
    ];
    stack.put_lines("odd", odd).await;
    stack.put_lines("lost", [r#"{"event":"newsletter_joined","id":"x"}"#]).await;
    stack.route().await;
    let seals = stack.seals().await;
    let lost = seals.iter().find(|seal| seal.source.key == "lost").expect("routed");
    let part = &lost.events[0].parts[0].key;
    stack.clients.s3.delete_object().bucket("routed-logs").key(part).send().await.expect("deleted");
    stack.load().await.expect("the rest is loaded");

    let questions = questions();
    assert!(questions.len() >= 10, "{questions:?}");
    let mut answers = Vec::new();
    for (question, query) in &questions {
        let rows = stack.try_query(query).await.unwrap_or_else(|error| panic!("{question}\n{query}\n{error}"));
        assert!(!rows.is_empty(), "{question} has no answer");
        answers.push(rows);
    }
    let answer = |number: usize| &answers[number - 1];
    assert_eq!(answer(1).len(), 10, "a row per table");
    let counted: u64 = answer(2).iter().map(|row| row[1].parse::<u64>().expect("a number")).sum();
    assert_eq!(counted, page_views);
    assert!(answer(3).iter().any(|row| row[0] == "page_path" && row[1] == r#"["page","path"]"#));
    let seal = answer(4)[0][2].strip_prefix("s3://routed-logs/").expect("in this bucket").to_owned();
    assert!(common::objects::get(&stack.clients.s3, "routed-logs", &seal).await.is_ok(), "{seal} is there");
    assert_eq!((answer(5).len(), answer(5)[0][2].as_str()), (1, lost.source_id.as_str()));
    assert!(answer(6).iter().all(|row| row[1] == row[2]), "the sample is years old: {:?}", answer(6));
    assert!(answer(7).iter().any(|row| row[0] == "order_placed" && row[1] == "2"), "{:?}", answer(7));
    assert_eq!(answer(8).iter().map(|row| row[2].as_str()).collect::<Vec<_>>(), ["order_total__varchar"]);
    let sessions = stack.number("SELECT COUNT(DISTINCT session_id) FROM events.page_view").await;
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.page_view_latest").await, sessions);
    let newest = "SELECT COUNT(*) FROM events.page_view_latest AS l JOIN (SELECT session_id, MAX(ts) AS ts FROM events.page_view GROUP BY session_id) AS m ON m.session_id = l.session_id AND m.ts = l.ts";
    assert_eq!(stack.number(newest).await, sessions, "the newest page view of every session");
    assert!(answer(10).iter().all(|row| (row[3] == "1") == (row[0] == "newsletter_joined")), "{:?}", answer(10));
    assert_eq!(answer(11)[0][..2], ["search", r#"["mood"]: the table is frozen"#]);
}
