//! The whole way: from an address that is typed into a page to a signed document.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use ::http::Method;
use fantoccini::{Client, Locator, key::Key};
use serde_json::{Value, json};
use usher::{cluster::api::SeatState, domain::namespaces::Namespaces};
use usher_license::{Holder, User};

use super::Scene;
use crate::{
    ground::{Listening, idp, seat, until},
    runtime::{
        Own,
        possession::Prover,
        program::{Call, Program, Told, drawn},
    },
    scenarios::Place,
};

const USHER: &str = env!("CARGO_BIN_EXE_usher");

/// Somebody's machine, with what `usher login` keeps there.
pub(super) struct Machine {
    usher: Listening,
    namespace: String,
    /// Whether its logins are bound to no key.
    bearer: bool,
    folder: tempfile::TempDir,
}

impl Machine {
    pub(super) fn new(scene: &Scene) -> Self {
        Self::of(scene.listening.clone(), &scene.place)
    }

    /// The same, of this Usher's people.
    pub(super) fn of(usher: Listening, place: &Place) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.crt"), &usher.ca).unwrap();
        Self { usher, namespace: place.namespace.clone(), bearer: false, folder }
    }

    /// One whose programs prove possession of nothing.
    pub(super) fn bearer(scene: &Scene) -> Self {
        Self { bearer: true, ..Self::new(scene) }
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// What is kept there of the login, under this name.
    pub(super) fn state(&self, name: &str) -> PathBuf {
        self.folder.path().join("state").join(name)
    }

    /// The beginning of a command line there.
    pub(super) fn command(&self, name: &str, more: &[&str]) -> Command {
        // It ends when this thread does, and so when this process does.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", USHER, name]);
        command.arg("--ca").arg(self.folder.path().join("ca.crt"));
        command.arg("--login-dir").arg(self.folder.path().join("state")).args(more).stdin(Stdio::null());
        // Whoever runs the tests at a desktop has a credential store of their own.
        command.env("XDG_RUNTIME_DIR", self.folder.path()).env_remove("DBUS_SESSION_BUS_ADDRESS");
        command
    }

    /// Begins to sign in: what the browser is to open.
    pub(super) fn login(&self) -> (Child, BufReader<std::process::ChildStdout>, String) {
        self.login_by(&["--no-browser"])
    }

    /// The same, without a browser: where to type what is said next.
    pub(super) fn login_on_device(&self) -> (Child, BufReader<std::process::ChildStdout>, String) {
        self.login_by(&["--device"])
    }

    /// Begins to sign in in this way.
    pub(super) fn login_by(&self, way: &[&str]) -> (Child, BufReader<std::process::ChildStdout>, String) {
        let mut more = [way, &["--device-name", "Lab 3", "--server", &self.usher.url]].concat();
        more.extend(self.bearer.then_some("--bearer"));
        let mut child =
            self.command("login", &more).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut url = String::new();
        said.read_line(&mut url).unwrap();
        (child, said, url.trim().to_owned())
    }

    pub(super) fn said(&self, name: &str) -> (bool, String) {
        let output = self.command(name, &[]).output().unwrap();
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    }

    pub(super) fn access_token(&self) -> String {
        self.kept("access_token")
    }

    pub(super) fn device_token(&self) -> String {
        self.kept("device_token")
    }

    fn kept(&self, what: &str) -> String {
        let kept = std::fs::read(self.folder.path().join("state/login.json")).unwrap();
        let kept: Value = serde_json::from_slice(&kept).unwrap();
        kept[what].as_str().unwrap().to_owned()
    }

    /// The key to which its login is bound.
    pub(super) fn prover(&self) -> Prover {
        Prover::with_key_of(&self.folder.path().join("state/login.jwk"), &self.usher)
    }

    pub(super) async fn activate(&self, token: &str, device: &str) -> Told {
        let proof = (!self.bearer).then(|| self.prover().proof("POST", "/v1/activations", token));
        self.activate_with(token, device, proof.as_deref()).await
    }

    async fn activate_with(&self, token: &str, device: &str, proof: Option<&str>) -> Told {
        let license = format!("{}/cad", self.namespace);
        let body = json!({"license": license, "device": {"id": device, "name": "Lab 3"}});
        let key = drawn();
        let call = Call { token: Some(token), key: Some(&key), body: Some(body), proof, ..Call::default() };
        Program::at(&self.usher).send(Method::POST, "/v1/activations", &call).await
    }
}

/// What stands above the page, once that is `wanted`.
pub(super) async fn is_titled(browser: &Client, wanted: &str) {
    until(wanted, async || {
        let heading = browser.find(Locator::Css("h1")).await.ok()?.text().await.ok()?;
        (heading == wanted).then_some(())
    })
    .await;
}

/// Somebody opens what their program says, and types their address.
pub(super) async fn begun(browser: &Client, url: &str, address: &str) {
    browser.goto(url).await.unwrap();
    is_titled(browser, "Sign in").await;
    let typed = browser.active_element().await.unwrap();
    typed.send_keys(&format!("{address}{}", char::from(Key::Enter))).await.unwrap();
}

/// Whether all of the page is seen without moving it sideways.
pub(super) async fn fits(browser: &Client) {
    let wider = "return document.documentElement.scrollWidth > document.documentElement.clientWidth";
    assert_eq!(browser.execute(wider, Vec::new()).await.unwrap(), json!(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_in_and_activates_on_the_seat_that_is_theirs() {
    let scene = Scene::new().await;
    scene.people_count_in(&json!({"from": "All"}), Namespaces::All).await;
    scene.place.apply(&seat("ann")).await;
    scene.place.seat("ann", SeatState::Bound).await;
    let machine = Machine::new(&scene);
    assert_eq!(machine.said("whoami"), (false, "Nobody is signed in on this machine: usher login\n".into()));

    // A phone's width, and no mouse but for the last answer.
    let browser = idp::browser(390, 844).await;
    let (mut login, mut said, url) = machine.login();
    browser.goto(&url).await.unwrap();
    is_titled(&browser, "Sign in").await;
    fits(&browser).await;
    let typed = browser.active_element().await.unwrap();
    typed.send_keys(&format!("ann@other.example{}", char::from(Key::Enter))).await.unwrap();
    let hint = browser.wait().for_element(Locator::Css("#hint[role=alert]")).await.unwrap();
    assert!(hint.text().await.unwrap().starts_with("Nobody signs in here with addresses of other.example."));
    let typed = browser.find(Locator::Id("login")).await.unwrap();
    typed.clear().await.unwrap();
    typed.send_keys(&format!("ann@acme.example{}", char::from(Key::Enter))).await.unwrap();
    idp::sign_in(&browser, "ann").await;
    is_titled(&browser, "Continue as Ann Example on Lab 3?").await;
    fits(&browser).await;
    browser.find(Locator::Css("button[value=yes]")).await.unwrap().click().await.unwrap();
    is_titled(&browser, "You are signed in. You can close this page.").await;
    browser.close().await.unwrap();
    assert!(login.wait().unwrap().success());
    let mut last = String::new();
    said.read_line(&mut last).unwrap();
    assert!(
        last.starts_with("Ann Example (ann@acme.example), of acme, is signed in on this machine until 20"),
        "{last}"
    );
    let (signed_in, who) = machine.said("whoami");
    assert!(signed_in && who.starts_with(&last), "{who}");
    assert!(who.contains("/cad (cad): you have a seat, active on 0 of 1 devices\n"), "{who}");
    is_private(&machine.folder.path().join("state/login.json"));
    is_private(&machine.folder.path().join("state/login.jwk"));

    let token = machine.access_token();
    // The tokens are bound to the machine's key, and what is activated by them is, too.
    let refused = machine.activate_with(&token, "9f86d081", None).await;
    assert_eq!((refused.status, refused.code().as_str()), (401, "proof-missing"));
    let refresh = async |own: &Own, proves: bool| {
        let path = format!("/v1/activations/{}/refresh", own.id);
        let (key, proof) = (drawn(), machine.prover().proof("POST", &path, &own.token));
        let proof = proves.then_some(proof.as_str());
        let call = Call { nonce: Some(&own.nonce), key: Some(&key), proof, ..own.call() };
        scene.program.send(Method::POST, &path, &call).await
    };
    let told = machine.activate(&token, "9f86d081").await;
    let mut own = Own::of(&told);
    let ann = Holder::User(User::Email { email: "ann@acme.example".into() });
    assert_eq!(told.claims().holder, Some(ann.clone()));
    assert_eq!(told.claims().device.map(|device| device.id), Some("9f86d081".into()));
    crate::runtime::path::verified(&scene.place, &told.text("document")).await;
    let other = machine.activate(&token, "0000aaaa").await;
    assert_eq!((other.status, other.code().as_str()), (409, "devices-exhausted"));
    // The same machine again, whose state was lost.
    let again = Own::of(&machine.activate(&token, "9f86d081").await);
    let refused = refresh(&own, true).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "activation-superseded"));
    own = again;
    assert_eq!(refresh(&own, false).await.code(), "proof-missing");
    let refreshed = refresh(&own, true).await;
    assert_eq!(refreshed.claims().holder, Some(ann));
    own.nonce = refreshed.nonce.clone().unwrap();

    // Signed out: at once, and the activation goes on.
    assert_eq!(machine.said("logout"), (true, "You are signed out on this machine.\n".into()));
    let out = machine.activate(&token, "9f86d081").await;
    assert_eq!((out.status, out.code().as_str()), (401, "unauthorized"));
    assert!(!machine.said("whoami").0);
    assert_eq!(refresh(&own, true).await.status, 200);
}

fn is_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
}
