//! One ledger, one operator.

use usher::ledger::sqlite::Sqlite;

use crate::faults::place::Disk;

#[tokio::test]
async fn a_second_operator_on_the_same_ledger_is_refused_in_a_sentence() {
    let disk = Disk::new();
    let _first = Sqlite::open(&disk.ledger()).await.unwrap();
    // No cluster is there to be reached: the ledger is refused before anything is asked of it.
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_usher"))
        .args(["run", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--ledger"])
        .arg(disk.ledger())
        .env("KUBECONFIG", "/dev/null")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success());
    let sentence =
        format!("{} is in use by another usher process: stop that one first", disk.ledger().display());
    assert!(said.contains(&sentence), "{said}");
}
