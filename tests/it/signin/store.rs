//! Where there is no credential store, the tokens of a login lie in a file, which is said. (In a real store: `crates/client/tests/os_store.rs`.)

use std::io::Read as _;

use super::agent::with_ann;

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_credential_store_it_is_said_where_the_tokens_lie_and_why() {
    let (_scene, machine) = with_ann().await;
    let begins = |more: &[&str]| {
        let (mut login, _said, url) = machine.login_by(more);
        login.kill().unwrap();
        let mut said = String::new();
        login.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let _ = login.wait();
        (url, said)
    };
    let (url, why) = begins(&["--no-browser"]);
    let file = machine.state("login.json");
    let told = format!(
        "The sign-in will be kept in {}, for you alone to read: the credential store of the operating system cannot be used (",
        file.display()
    );
    assert!(!url.is_empty() && why.starts_with(&told), "{why}");
    let (_, why) = begins(&["--no-browser", "--store", "file"]);
    assert!(!why.contains("will be kept"), "who asked for it knows: {why}");
    let (url, why) = begins(&["--no-browser", "--store", "os"]);
    assert!(
        url.is_empty() && why.contains("the credential store of the operating system cannot be used"),
        "{why}"
    );
}
