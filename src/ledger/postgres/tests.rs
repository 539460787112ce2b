use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::io::AsyncReadExt as _;

use super::{server::database, *};
use crate::{
    domain::license::{Key, Uid},
    ledger::{
        Bind, Change, CommitError, Ledger as _, Terms, Trail as _,
        activations::{self, Activations as _},
        audit, sqlite,
    },
};

#[tokio::test]
async fn postgres_conforms() {
    crate::ledger::conformance::check(
        async || (Postgres::open(&database().await).await.unwrap(), ()),
        Postgres::another,
    )
    .await;
}

/// A change of a new License of a product of which one person may hold one seat.
fn binds(name: &str, holder: &str) -> Change {
    let at = Timestamp::from_second(100).unwrap();
    let mut change = Change::new(Key::new("design", name), Uid(name.into()), None, at, [7; 32]);
    change.seats = Some(1);
    change.terms = Some(Terms { product: "cad".into(), max_per_user: Some(1), ..Terms::default() });
    change.bind = vec![Bind { seat: Uid(format!("{name}-seat")), holder: holder.into() }];
    change
}

#[tokio::test]
async fn what_reaches_over_several_licenses_holds_when_two_processes_write_at_once() {
    let url = database().await;
    let processes = [Postgres::open(&url).await.unwrap(), Postgres::open(&url).await.unwrap()].map(Arc::new);
    for round in 0..20 {
        let racers = (0..8).zip(processes.iter().cycle()).map(|(racer, process)| {
            let change = binds(&format!("license-{round}-{racer}"), &format!("email:{round}@acme.example"));
            let process = process.clone();
            tokio::spawn(async move { process.commit(&change).await })
        });
        let mut won = 0;
        for racer in racers.collect::<Vec<_>>() {
            match racer.await.unwrap() {
                Ok(_) => won += 1,
                Err(error) => assert!(matches!(error, CommitError::Limit(_)), "{error:?}"),
            }
        }
        assert_eq!(won, 1, "in round {round}");
    }
    let links = processes[0].audit(0, 1_000).await.unwrap();
    let mut previous: Option<&audit::Link> = None;
    for link in &links {
        assert!(link.follows(previous.map(|link| (link.sequence, link.hash.as_str()))), "{link:?}");
        previous = Some(link);
    }
    assert_eq!(links.len(), 20);
}

#[tokio::test]
async fn who_falls_silent_while_writing_holds_up_nobody_for_long() {
    let url = database().await;
    let ledger = Postgres::open(&url).await.unwrap();
    let limits: Vec<String> = sqlx::query_scalar(
        "SELECT setting || unit FROM pg_settings WHERE name IN ('lock_timeout', 'idle_in_transaction_session_timeout')",
    )
    .fetch_all(&pool(1, options(&url).unwrap()).await.unwrap())
    .await
    .unwrap();
    assert_eq!(limits, ["5000ms", "5000ms"]);
    let mut silent = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN; UPDATE ledger_meta SET commits = commits + 1").execute(&mut silent).await.unwrap();
    let waited = ledger.commit(&binds("cad", "email:ann@acme.example")).await;
    assert!(matches!(waited, Err(CommitError::Unavailable(_))), "it is told, and decides again: {waited:?}");
    sqlx::raw_sql("ROLLBACK").execute(&mut silent).await.unwrap();
    ledger.commit(&binds("cad", "email:ann@acme.example")).await.unwrap();
}

#[tokio::test]
async fn looks_that_write_keep_no_connection_from_programs() {
    let url = database().await;
    let ledger = Arc::new(Postgres::open(&url).await.unwrap());
    let mut silent = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN; UPDATE ledger_meta SET commits = commits + 1").execute(&mut silent).await.unwrap();
    let looks = (0..8).map(|look| {
        let (ledger, change) = (ledger.clone(), binds(&format!("license-{look}"), "email:ann@acme.example"));
        tokio::spawn(async move { ledger.commit(&change).await })
    });
    let looks: Vec<_> = looks.collect();
    let mut beside = PgConnection::connect(&url).await.unwrap();
    let mut waiting = async |of: &str| {
        let count = "SELECT COUNT(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock' AND position($1 IN query) > 0";
        loop {
            let count: i64 = sqlx::query_scalar(count).bind(of).fetch_one(&mut beside).await.unwrap();
            if count > 0 {
                return count;
            }
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(waiting("leader = $2").await, 1, "the looks wait for one another in this process");
    let step = activations::Step::new(
        Uid("l".into()),
        Key::new("design", "cad"),
        Timestamp::from_second(100).unwrap(),
        [3; 32],
    );
    let programs = ledger.clone();
    let step = tokio::spawn(async move { programs.record(step).await });
    assert_eq!(waiting("cluster = $1").await, 1, "a program waits for nothing but the row");
    sqlx::raw_sql("ROLLBACK").execute(&mut silent).await.unwrap();
    step.await.unwrap().unwrap();
    for look in looks {
        drop(look.await.unwrap());
    }
}

#[tokio::test]
async fn what_is_committed_is_on_disk_whatever_the_databases_default_is() {
    let url = database().await;
    let mut there = PgConnection::connect(&url).await.unwrap();
    let name: String =
        sqlx::query_scalar("SELECT current_database()::text").fetch_one(&mut there).await.unwrap();
    let lazy = AssertSqlSafe(format!("ALTER DATABASE {name} SET synchronous_commit = off"));
    sqlx::query(lazy).execute(&mut there).await.unwrap();
    let ours = pool(1, options(&url).unwrap()).await.unwrap();
    let kept: String = sqlx::query_scalar("SHOW synchronous_commit").fetch_one(&ours).await.unwrap();
    assert_eq!(kept, "on");
}

#[test]
fn a_server_elsewhere_is_reached_by_tls_that_is_verified_and_no_password_is_said() {
    let options_of = |url: &str| options(url).unwrap();
    let elsewhere = options_of("postgres://usher:secret@db.acme.example/usher");
    assert!(matches!(elsewhere.get_ssl_mode(), PgSslMode::VerifyFull));
    assert_eq!(place(&elsewhere), "postgres://db.acme.example/usher");
    let told = options_of("postgres://usher@db.acme.example/usher?sslmode=disable");
    assert!(matches!(told.get_ssl_mode(), PgSslMode::Disable));
    assert!(matches!(options_of("postgres://usher@localhost/usher").get_ssl_mode(), PgSslMode::Prefer));
    assert!(!options("postgres://usher:secret@[/usher").unwrap_err().to_string().contains("secret"));
}

/// Columns by table: name, type, whether it must be there. And indexes.
type Schema = (BTreeMap<String, Vec<(String, String, bool)>>, Vec<String>);

#[tokio::test]
async fn both_engines_have_the_same_tables_columns_and_indexes() {
    let url = database().await;
    Postgres::open(&url).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    sqlite::Sqlite::open(&path).await.unwrap();
    let mut file = sqlx::SqliteConnection::connect(&path.display().to_string()).await.unwrap();
    let mut server = PgConnection::connect(&url).await.unwrap();

    let mut ours: Schema = Schema::default();
    let columns: Vec<(String, String, String, bool)> = sqlx::query_as(
        "SELECT t.name, c.name, lower(c.type), c.\"notnull\" FROM sqlite_master t, pragma_table_info(t.name) c
         WHERE t.type = 'table' AND t.name NOT LIKE '\\_%' ESCAPE '\\' ORDER BY c.name",
    )
    .fetch_all(&mut file)
    .await
    .unwrap();
    for (table, column, kind, needed) in columns {
        ours.0.entry(table).or_default().push((column, kind, needed));
    }
    let named = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name";
    ours.1 = sqlx::query_scalar(named).fetch_all(&mut file).await.unwrap();

    let mut theirs: Schema = Schema::default();
    let columns: Vec<(String, String, String, bool)> = sqlx::query_as(
        "SELECT table_name::text, column_name::text, data_type::text, is_nullable = 'NO' FROM information_schema.columns
         WHERE table_schema = 'public' AND table_name NOT LIKE '\\_%' ORDER BY column_name",
    )
    .fetch_all(&mut server)
    .await
    .unwrap();
    for (table, column, kind, needed) in columns {
        theirs.0.entry(table).or_default().push((column, kind, needed));
    }
    // Not those that the server makes for constraints.
    let named = "SELECT indexname::text FROM pg_indexes WHERE schemaname = 'public'
         AND indexname NOT IN (SELECT conname FROM pg_constraint) ORDER BY 1";
    theirs.1 = sqlx::query_scalar(named).fetch_all(&mut server).await.unwrap();
    assert_eq!(theirs, ours);
    assert!(ours.0.len() > 10 && ours.1.len() > 8, "{ours:?}");
}

/// Somewhere that takes connections and closes them, having read so many bytes.
async fn closes_after(bytes: usize) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://usher@{}/usher", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let _ = client.read_exact(&mut vec![0; bytes]).await;
        }
    });
    url
}

#[tokio::test]
async fn a_way_to_a_server_that_is_away_is_waited_for_and_a_database_that_does_not_exist_is_not() {
    // Without a word; after the request for encryption; and in the middle of it.
    for bytes in [0, 8, 1] {
        let error = Postgres::open(&closes_after(bytes).await).await.err().unwrap();
        assert!(error.may_pass(), "{bytes}: {error:?}");
    }
    let other = database().await.replacen("/ledger", "/no_such_ledger", 1);
    let error = Postgres::open(&other).await.err().unwrap();
    assert!(!error.may_pass(), "{error:?}");
}

#[tokio::test]
async fn a_database_that_was_made_read_only_takes_no_writes() {
    let url = database().await;
    let ledger = Postgres::open(&url).await.unwrap();
    ledger.takes_writes().await.unwrap();
    assert!(ledger.nonces_are_by("key").await.unwrap());
    server::read_only(&url, true).await;
    let beside = Postgres::beside(&url).await.unwrap();
    let refused = beside.takes_writes().await.unwrap_err();
    assert!(beside.nonces_are_by("key").await.unwrap(), "what is known is read");
    assert!(refused.source.to_string().contains("read-only"), "{refused}");
    server::read_only(&url, false).await;
    Postgres::beside(&url).await.unwrap().takes_writes().await.unwrap();
}
