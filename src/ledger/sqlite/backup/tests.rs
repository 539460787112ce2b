use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::{
    domain::{
        license::{Key, Uid, tests::at},
        witness::{Loss, judge},
    },
    ledger::{Bind, Change, Ledger as _, sqlite::Sqlite},
};

fn key() -> Key {
    Key::new("design", "cad")
}

fn bound() -> Change {
    let mut change = Change::new(key(), Uid("l".into()), None, at(5), [7; 32]);
    change.seats = Some(1);
    change.bind = vec![Bind { seat: Uid("s".into()), holder: "email:a@b.example".into() }];
    change
}

#[tokio::test]
async fn a_backup_of_a_ledger_at_work_is_restored_as_it_was_and_says_that_it_was_restored() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let ledger = Sqlite::open(&path("ledger.db")).await.unwrap();
    ledger.commit(&bound()).await.unwrap();
    let before = ledger.facts(&key()).await.unwrap();
    let mark = backup(&path("ledger.db"), &path("backup.db")).await.unwrap();
    assert_eq!(mark, ledger.head().await.unwrap().mark);
    assert_eq!(fs::metadata(path("backup.db")).unwrap().permissions().mode() & 0o777, 0o600);

    let mut free = Change::new(key(), Uid("l".into()), Some(1), at(6), [8; 32]);
    free.free = vec![Uid("s".into())];
    ledger.commit(&free).await.unwrap();
    let in_use = restore(&path("backup.db"), &path("ledger.db")).await.unwrap_err().to_string();
    assert!(in_use.contains("stop that one first"), "{in_use}");
    drop(ledger);

    let (restored, replaced) = restore(&path("backup.db"), &path("ledger.db")).await.unwrap();
    assert_eq!(restored, mark);
    let ledger = Sqlite::open(&path("ledger.db")).await.unwrap();
    assert_eq!(ledger.facts(&key()).await.unwrap(), before);
    let head = ledger.head().await.unwrap();
    assert_eq!(judge(&head, None, None, &Uid("here".into())).loss, Some(Loss::Restored));
    drop(ledger);
    let former = Sqlite::open(&replaced.unwrap()).await.unwrap();
    assert!(
        former.facts(&key()).await.unwrap()[0].bindings.is_empty(),
        "the former one is kept, with its log"
    );
}

#[tokio::test]
async fn nothing_is_overwritten_and_nothing_half_done_is_left() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let none = backup(&path("ledger.db"), &path("backup.db")).await.unwrap_err();
    assert!(matches!(none, CopyError::NoLedger(_)), "{none}");
    drop(Sqlite::open(&path("ledger.db")).await.unwrap());
    fs::write(path("backup.db"), "precious").unwrap();
    let exists = backup(&path("ledger.db"), &path("backup.db")).await.unwrap_err();
    assert!(matches!(exists, CopyError::Exists(_)), "{exists}");
    assert_eq!(fs::read_to_string(path("backup.db")).unwrap(), "precious");
    assert!(backup(&path("ledger.db"), &path("no/backup.db")).await.is_err());
    let itself = restore(&path("ledger.db"), &path("ledger.db")).await.unwrap_err();
    assert!(matches!(itself, CopyError::Itself(_)), "{itself}");
    let left: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("partial")), "{left:?}");
}

#[tokio::test]
async fn what_is_no_ledger_is_damaged_or_newer_is_refused_and_nothing_is_changed() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let ledger = Sqlite::open(&path("ledger.db")).await.unwrap();
    ledger.commit(&bound()).await.unwrap();
    drop(ledger);
    let refused = async |what: &str| {
        restore(&path(what), &path("ledger.db"))
            .await
            .unwrap_err()
            .to_string()
            .replace(&path(what).display().to_string(), "FILE")
    };

    fs::write(path("text"), "not a database at all").unwrap();
    assert_eq!(refused("text").await, "FILE is not a ledger of Usher");
    let mut other =
        SqliteConnectOptions::new().filename(path("other")).create_if_missing(true).connect().await.unwrap();
    sqlx::query("CREATE TABLE t (a)").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    assert_eq!(refused("other").await, "FILE is not a ledger of Usher");

    backup(&path("ledger.db"), &path("newer")).await.unwrap();
    let mut newer = SqliteConnectOptions::new().filename(path("newer")).connect().await.unwrap();
    let insert = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', TRUE, x'00', 1)";
    sqlx::query(insert).execute(&mut newer).await.unwrap();
    newer.close().await.unwrap();
    assert_eq!(
        refused("newer").await,
        "FILE was written by a newer Usher: restore it with that version or a later one"
    );

    backup(&path("ledger.db"), &path("damaged")).await.unwrap();
    let mut bytes = fs::read(path("damaged")).unwrap();
    bytes[4_096..].fill(0xA5);
    fs::write(path("damaged"), bytes).unwrap();
    let said = refused("damaged").await;
    assert!(said.starts_with("FILE is damaged (") && said.ends_with("take another backup"), "{said}");
    let ledger = Sqlite::open(&path("ledger.db")).await.unwrap();
    assert_eq!(ledger.facts(&key()).await.unwrap()[0].bindings.len(), 1);
    assert!(!ledger.head().await.unwrap().restored);
}

#[tokio::test]
async fn a_restore_that_fails_half_way_leaves_the_ledger_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let (source, copy, path) = (
        directory.path().join("source.db"),
        directory.path().join("copy.db"),
        directory.path().join("ledger.db"),
    );
    let ledger = Sqlite::open(&source).await.unwrap();
    ledger.commit(&bound()).await.unwrap();
    let before = ledger.facts(&key()).await.unwrap();
    // A ledger that nobody has open any more, and a backup of it.
    for to in [&path, &copy] {
        backup(&source, to).await.unwrap();
    }
    // What has to be moved last cannot be.
    fs::write(beside(&path, "-shm"), b"").unwrap();
    fs::create_dir(beside(&path, ".replaced-shm")).unwrap();
    let failed = restore(&copy, &path).await;
    assert!(matches!(failed, Err(CopyError::Disk { doing: "move", .. })), "{failed:?}");
    assert!(!beside(&path, ".replaced").exists());
    fs::remove_file(beside(&path, "-shm")).unwrap();
    let ledger = Sqlite::open(&path).await.unwrap();
    assert_eq!(ledger.facts(&key()).await.unwrap(), before);
    assert!(!ledger.head().await.unwrap().restored);
}
