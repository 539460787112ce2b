//! Ledgers of former versions are brought up to date.

use jiff::Timestamp;
use sqlx::{SqlitePool, migrate::Migrator, sqlite::SqliteConnectOptions};

use super::{MIGRATIONS, Sqlite};
use crate::{
    domain::{
        license::Uid,
        rotation::{State, is_vouched},
    },
    ledger::Authorities as _,
};

/// A ledger as the first slice left it.
const FIRST_SLICE: &str = "
    INSERT INTO licenses VALUES ('l', 'design', 'cad', 2, 3);
    INSERT INTO documents VALUES ('l', 'l', '1', 'd', 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k', 'a.b.c', 'd.e.f', 100, 900, 500);
    INSERT INTO authorities VALUES ('a', 'default', 'https://usher.acme.example/a/default', '-DDReOZl1ipXAfp9wYsm13sDBMK5og--QWdBjzuf6o4',
        'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k', 1, 'x.y.z',
        '{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\",\"exp\":253402300799}]}');
    INSERT INTO audit VALUES (1, 50, '[{\"kind\":\"establish\",\"signing\":\"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k\"}]', 'h');
";

fn instant(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

#[tokio::test]
async fn the_one_key_of_the_first_slice_goes_on_signing_and_nothing_is_to_be_signed_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    let only_first =
        Migrator { migrations: vec![MIGRATIONS.iter().next().unwrap().clone()].into(), ..Migrator::DEFAULT };
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    only_first.run(&pool).await.unwrap();
    sqlx::raw_sql(FIRST_SLICE).execute(&pool).await.unwrap();
    pool.close().await;

    let ledger = Sqlite::open(&path).await.unwrap();
    let facts = ledger.authority(&Uid("a".into())).await.unwrap().unwrap();
    assert_eq!((facts.serial, facts.keys_jws.as_deref()), (1, Some("x.y.z")));
    let [key] = facts.keys.as_slice() else { panic!("{facts:?}") };
    assert_eq!((key.ordinal, key.kid.as_str()), (1, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"));
    assert_eq!(key.state, State::Signing { since: instant(50) });
    assert_eq!(key.last_exp, Some(instant(900)));
    assert!(is_vouched(&facts.keys) && key.vouched == key.not_after());
}
