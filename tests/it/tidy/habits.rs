//! What our code does not do.

use std::sync::LazyLock;

use regex_lite::Regex;

use super::{House, none};

/// The most lines that a file of code has.
const MOST_LINES: usize = 400;

/// Files that are longer, each with its reason.
const LONGER: &[(&str, &str)] = &[(
    "dev/control-plane",
    "one supervisor; a script that sources its parts would have to be found by them",
)];

/// Calls that end the program, each with its reason. (clippy denies them too, unless told otherwise in the file.)
const MAY_PANIC: &[(&str, &str)] = &[("src/cmd/edge.rs", "a kernel without randomness cannot be worked on")];

/// Waits for a while, each with its reason.
const MAY_SLEEP: &[(&str, &str)] = &[
    ("tests/it/ground/operator.rs", "it is the clock that the operator is given"),
    ("tests/it/faults/kill.rs", "how long a process lives is the fault; no result is waited for"),
];

/// Hosts that may be named: reserved ones (RFC 2606, RFC 6761), this machine, and where documentation points.
const HOSTS: [&str; 10] = [
    r"([a-z0-9-]+\.)*example",
    "localhost",
    r"127\.0\.0\.1",
    r"kubernetes\.default\.svc(\.cluster\.local)?",
    r"usher\.dev",
    r"rustup\.rs",
    r"(go\.dev|json-schema\.org|www\.apache\.org|www\.rfc-editor\.org)",
    r"(keepachangelog|semver)\.(com|org)",
    r"github\.com",
    // Names of namespaces in XML, where nobody goes.
    r"www\.w3\.org",
];

fn too_long(house: &House) -> Vec<String> {
    let is_code = |path: &str, text: &str| path.ends_with(".rs") || text.starts_with("#!");
    let long = house.files().filter(|(path, text)| {
        is_code(path, text)
            && text.lines().count() > MOST_LINES
            && LONGER.iter().all(|(longer, _)| longer != path)
    });
    long.map(|(path, text)| {
        format!("{path}: {} lines, {MOST_LINES} at most: find the seam", text.lines().count())
    })
    .collect()
}

fn panics(house: &House) -> Vec<String> {
    let calls =
        Regex::new(r"\.(unwrap|expect|unwrap_err|expect_err)\(|\b(panic|todo|unimplemented)!").unwrap();
    lines_in(house, MAY_PANIC, |path, line| {
        let in_program = path.starts_with("src/") || (path.starts_with("crates/") && path.contains("/src/"));
        in_program && calls.is_match(line.code) && !line.is_test
    })
}

fn sleeps_in_tests(house: &House) -> Vec<String> {
    let sleep = Regex::new(r"\bsleep(_until)?\(").unwrap();
    lines_in(house, MAY_SLEEP, |_, line| line.is_test && sleep.is_match(line.code))
}

fn skipped_tests(house: &House) -> Vec<String> {
    lines_in(house, &[], |_, line| line.code.contains("#[ignore"))
}

/// One line of code, and for whom it is.
struct Line<'a> {
    code: &'a str,
    is_test: bool,
}

fn lines_in(house: &House, except: &[(&str, &str)], broken: impl Fn(&str, &Line<'_>) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (path, parts) in house.parts() {
        if except.iter().any(|(exception, _)| *exception == path) {
            continue;
        }
        for (text, is_test) in [(&parts.production, false), (&parts.tests, true)] {
            let lines = text.lines().filter(|line| broken(path, &Line { code: line, is_test }));
            found.extend(lines.map(|line| format!("{path}: {}", line.trim())));
        }
    }
    found
}

/// Hosts in URLs, and registries in the names of images, that are nobody else's business.
fn foreign_hosts(house: &House) -> Vec<String> {
    static URL: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\bhttps?://([A-Za-z0-9._-]*[A-Za-z0-9])").unwrap());
    static IMAGE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?m)^\s*(?:-?\s*image:|FROM)\s+([A-Za-z0-9-]+[.:][A-Za-z0-9.:-]*/\S+)").unwrap()
    });
    let allowed = Regex::new(&format!("^({})$", HOSTS.join("|"))).unwrap();
    let mut found = Vec::new();
    for (path, text) in house.files() {
        // A lock file says where its packages come from; which places those may be, deny.toml and npm say.
        if path.ends_with(".lock") || path.ends_with("go.sum") {
            continue;
        }
        let hosts = URL.captures_iter(text).filter(|url| !allowed.is_match(&url[1]));
        found.extend(hosts.map(|url| format!("{path}: {}", &url[1])));
        found.extend(IMAGE.captures_iter(text).map(|image| format!("{path}: {}", &image[1])));
    }
    found
}

#[test]
fn no_file_of_code_is_longer_than_four_hundred_lines() {
    none(&too_long(House::ours()));
    let long = "x\n".repeat(MOST_LINES + 1);
    let house =
        House::of(&[("src/a.rs", &long), ("dev/b", &format!("#!/bin/sh\n{long}")), ("docs/c.md", &long)]);
    assert_eq!(too_long(&house).len(), 2);
}

#[test]
fn no_exception_outlives_its_reason() {
    let house = House::ours();
    let is_long = |path: &str| house.text(path).is_some_and(|text| text.lines().count() > MOST_LINES);
    none(
        &LONGER
            .iter()
            .filter(|(path, _)| !is_long(path))
            .map(|(path, _)| format!("{path} is short"))
            .collect::<Vec<_>>(),
    );
    let all = [MAY_PANIC, MAY_SLEEP].concat();
    none(
        &all.iter()
            .filter(|(path, _)| house.text(path).is_none())
            .map(|(path, _)| format!("{path} is gone"))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn nothing_but_a_test_can_panic_by_its_own_words() {
    none(&panics(House::ours()));
    let text = "fn a() { b().unwrap(); }\nfn c() { d.unwrap_or(1); panic!() }\n#[cfg(test)]\nmod tests { fn e() { f().unwrap(); } }";
    let found = panics(&House::of(&[("src/x/a.rs", text), ("tests/it/b.rs", text)]));
    assert_eq!(
        found,
        ["src/x/a.rs: fn a() { b().unwrap(); }", "src/x/a.rs: fn c() { d.unwrap_or(1); panic!() }"]
    );
}

#[test]
fn no_test_waits_for_a_while_instead_of_for_a_condition() {
    none(&sleeps_in_tests(House::ours()));
    let text = "// sleep(1)\nfn a() { tokio::time::sleep(b); }";
    let found = sleeps_in_tests(&House::of(&[("tests/it/a.rs", text), ("src/cmd/b.rs", text)]));
    assert_eq!(found, ["tests/it/a.rs: fn a() { tokio::time::sleep(b); }"]);
}

#[test]
fn no_test_is_skipped() {
    none(&skipped_tests(House::ours()));
    assert_eq!(
        skipped_tests(&House::of(&[("tests/it/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn b() {}")])).len(),
        1
    );
}

#[test]
fn no_machine_and_no_registry_is_named() {
    none(&foreign_hosts(House::ours()));
    let host = ["https:/", "/build-7.corp.internal/x"].concat();
    let image = ["image: regis", "try.corp:5000/usher:1"].concat();
    let planted = format!(
        "{host}\n{image}\nimage: usher:0.1.0\nhttps://usher.acme.example:8443/a\nhttp://127.0.0.1:1/"
    );
    let found = foreign_hosts(&House::of(&[("docs/a.md", &planted)]));
    assert_eq!(found, ["docs/a.md: build-7.corp.internal", "docs/a.md: registry.corp:5000/usher:1"]);
}
