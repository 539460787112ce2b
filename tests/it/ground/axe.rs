//! What keeps people from using a page, as far as a program can find it: axe-core (`dev/axe`), run by the browser's driver in light and in dark. The
//! pages' own policy forbids scripts, and is asked of the page, not of the driver.

use std::{path::Path, process::Command, str::FromStr, sync::LazyLock};

use fantoccini::{Client, wd::WebDriverCompatibleCommand};
use http::Method;
use serde_json::{Value, json};
use usher::identity::Url;

static AXE: LazyLock<String> = LazyLock::new(|| {
    let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("dev/axe")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read_to_string(String::from_utf8(output.stdout).unwrap().trim()).unwrap()
});

/// That the page looks as somebody wants it who prefers this scheme: a word of the browser's own, beside those of WebDriver.
#[derive(Debug)]
struct Prefers(&'static str);

impl WebDriverCompatibleCommand for Prefers {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as FromStr>::Err> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        let features = json!([{"name": "prefers-color-scheme", "value": self.0}]);
        let command = json!({"cmd": "Emulation.setEmulatedMedia", "params": {"features": features}});
        (Method::POST, Some(command.to_string()))
    }
}

/// Nothing that is serious is found on this page.
pub async fn nothing_keeps_people_out(browser: &Client) {
    for scheme in ["dark", "light"] {
        browser.issue_cmd(Prefers(scheme)).await.unwrap();
        let is_dark = "return matchMedia('(prefers-color-scheme: dark)').matches";
        assert_eq!(browser.execute(is_dark, Vec::new()).await.unwrap(), json!(scheme == "dark"));
        let found = found(browser).await;
        let found: Vec<_> = found.as_array().unwrap_or_else(|| panic!("{found}")).iter().collect();
        assert!(found.is_empty(), "{scheme}, {}: {found:#?}", browser.current_url().await.unwrap());
    }
}

/// What is serious or worse.
async fn found(browser: &Client) -> Value {
    let looks = "const done = arguments[arguments.length - 1];
        axe.run(document, {resultTypes: ['violations'], preload: false}).then(
            ({violations, passes}) => done(passes.length === 0 ? 'nothing was looked at' : violations
                .filter(({impact}) => ['serious', 'critical'].includes(impact))
                .map(({id, help, nodes}) => ({id, help, where: nodes.map(({html, any}) => [html, any.map(({message}) => message)])}))),
            (error) => done(String(error)))";
    browser.execute_async(&format!("{}\n;{looks}", *AXE), Vec::new()).await.unwrap()
}
