//! What the ledger is asked, it finds: no statement walks over a table that grows, nor over all that lies in a namespace.
//!
//! SQLite says how it would go about each, without statistics, as in a ledger of ours; PostgreSQL has them.

use regex_lite::Regex;
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};
use usher::ledger::sqlite::Sqlite;

use super::House;

/// Tables that one may walk over.
const SMALL: [&str; 4] = ["ledger_meta", "authorities", "a", "CONSTANT"];

/// Statements that walk over another, by a part of them, each with its reason.
const MAY_WALK: &[(&str, &str)] = &[
    ("SELECT DISTINCT namespace, name FROM licenses", "a start looks at all"),
    ("SELECT * FROM audit ORDER BY sequence DESC LIMIT", "from its end, and no further"),
    ("SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1", "from its end, and no further"),
    ("SELECT * FROM checkpoints ORDER BY sequence DESC LIMIT", "from its end, and no further"),
    ("UPDATE checkpoints SET anchor", "when the audit is pruned"),
    ("EXISTS (SELECT 1 FROM activations)", "whether there is any"),
    ("SELECT COUNT(*) FROM (SELECT 1 FROM activations", "over what it has found, which is bounded"),
    ("(SELECT COUNT(*) FROM passes) <", "there are at most so many"),
    ("(SELECT COUNT(*) FROM device_codes) <", "there are at most so many"),
];

/// The statements that are written in one piece, with where they are.
fn statements(house: &House) -> Vec<(&str, String)> {
    let literal = Regex::new(r#""((?:SELECT|UPDATE|DELETE|INSERT|WITH)\s[^"]*)""#).unwrap();
    let ours = house.rust().filter(|(path, _)| path.starts_with("src/ledger/sql/"));
    ours.flat_map(|(path, text)| {
        let found = literal.captures_iter(text).map(|found| found[1].to_owned());
        found.map(move |sql| (path, sql)).collect::<Vec<_>>()
    })
    .collect()
}

/// The statement on one line.
fn line(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What SQLite would walk over; nothing for a part of a statement.
async fn walks(connection: &mut SqliteConnection, sql: &str) -> Vec<String> {
    let explain = sqlx::raw_sql(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")));
    let Ok(plan) = explain.fetch_all(connection).await else { return Vec::new() };
    let namespace = Regex::new(r"\(namespace=\?\)").unwrap();
    let steps = plan.into_iter().map(|row| row.get::<String, _>("detail"));
    steps
        .filter(|step| {
            let scanned = step.strip_prefix("SCAN ").and_then(|scan| scan.split(' ').next());
            scanned.is_some_and(|table| !SMALL.contains(&table)) || namespace.is_match(step)
        })
        .collect()
}

async fn walkers(house: &House) -> (usize, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    drop(Sqlite::open(&path).await.unwrap());
    let mut connection = SqliteConnection::connect(&format!("sqlite:{}", path.display())).await.unwrap();
    let all = statements(house);
    let mut found = Vec::new();
    for (path, sql) in &all {
        let sql = line(sql);
        if MAY_WALK.iter().any(|(part, _)| sql.contains(part)) {
            continue;
        }
        let walks = walks(&mut connection, &sql).await;
        found.extend(walks.into_iter().map(|walk| format!("{path}: {walk}: {sql}")));
    }
    (all.len(), found)
}

#[tokio::test]
async fn no_statement_walks_over_what_grows() {
    let (count, found) = walkers(House::ours()).await;
    assert!(count > 100, "only {count} statements were found");
    assert!(found.is_empty(), "{found:#?}");
    let all = statements(House::ours());
    for (part, _) in MAY_WALK {
        assert!(all.iter().any(|(_, sql)| line(sql).contains(part)), "nothing says {part} any more");
    }
}

#[tokio::test]
async fn one_that_does_is_found() {
    let walks = r#"query("SELECT name FROM secrets WHERE removing")"#;
    let namespace = r#"query("SELECT name FROM secrets WHERE namespace = $1 AND subject = $2")"#;
    let finds = r#"query("SELECT name FROM secrets WHERE license = $1")"#;
    let of = |text| House::of(&[("src/ledger/sql/new.rs", text)]);
    for (text, count) in [(walks, 1), (namespace, 1), (finds, 0)] {
        assert_eq!(walkers(&of(text)).await.1.len(), count, "{text}");
    }
}
