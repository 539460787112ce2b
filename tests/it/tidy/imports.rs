//! Which room may enter which. The tables are the rule.

use std::{collections::BTreeSet, sync::LazyLock};

use regex_lite::Regex;

use super::{House, none};

/// A room under `src/`, and the rooms that it may enter. What is not listed is a wall.
const MAY_ENTER: [(&str, &[&str]); 8] = [
    ("domain", &[]),
    ("ledger", &["domain", "usher_license"]),
    ("keys", &["domain", "usher_license"]),
    ("identity", &["domain"]),
    ("service", &["domain", "ledger", "keys", "identity", "usher_license"]),
    ("http", &["domain", "keys", "service"]),
    ("cluster", &["domain", "ledger", "keys", "identity", "service", "usher_license"]),
    (
        "cmd",
        &[
            "domain",
            "ledger",
            "keys",
            "identity",
            "service",
            "http",
            "cluster",
            "usher_license",
            "usher_client",
        ],
    ),
];

/// What the outside world is called, and the rooms that hide it from the others.
const HIDDEN_IN: [(&str, &[&str]); 23] = [
    ("sqlx", &["ledger"]),
    ("ed25519_dalek", &["keys"]),
    ("hmac", &["keys"]),
    ("aws_lc_rs", &["keys"]),
    ("rcgen", &["keys"]),
    ("openidconnect", &["identity"]),
    ("reqwest", &["identity"]),
    ("chrono", &["identity"]),
    ("samael", &["identity"]),
    ("openssl", &["identity"]),
    ("roxmltree", &["identity"]),
    ("seccompiler", &["identity"]),
    ("libc", &["identity"]),
    ("kube", &["cluster", "cmd"]),
    ("k8s_openapi", &["cluster", "cmd"]),
    ("axum", &["http"]),
    ("maud", &["http"]),
    ("axum_server", &["http", "cmd"]),
    ("rustls", &["http", "cmd"]),
    ("clap", &["cmd"]),
    ("tokio", &["ledger", "identity", "http", "cluster", "cmd"]),
    ("std::fs", &["ledger", "cmd"]),
    ("std::net", &["identity", "http", "cmd"]),
];

/// The room of a file under `src/`; the crate's own roots have none.
fn room(path: &str) -> Option<&str> {
    path.strip_prefix("src/")?.split_once('/').map(|(room, _)| room)
}

/// Every room that this code names: `crate::room…`, `crate::{room::…, …}`, and our other crates.
fn entered(code: &str) -> BTreeSet<String> {
    static CRATE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bcrate::(\{|\w+)").unwrap());
    static OTHER: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\b(usher_license|usher_client)\b").unwrap());
    let mut rooms = BTreeSet::new();
    for found in CRATE.captures_iter(code) {
        match &found[1] {
            "{" => rooms.extend(first_names(&code[found.get(0).unwrap().end()..])),
            name => drop(rooms.insert(name.to_owned())),
        }
    }
    rooms.extend(OTHER.find_iter(code).map(|found| found.as_str().to_owned()));
    rooms
}

/// The first name of each path in a braced import, whose brace is open already.
fn first_names(group: &str) -> Vec<String> {
    let (mut depth, mut outermost) = (1, String::new());
    for char in group.chars() {
        match char {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ if depth == 1 => outermost.push(char),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    let is_name = |char: char| char.is_alphanumeric() || char == '_';
    let names = outermost.split(',').filter_map(|path| path.trim().split(|char| !is_name(char)).next());
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn through_walls(house: &House) -> Vec<String> {
    let mut broken = Vec::new();
    for (path, parts) in house.parts() {
        let Some(room) = room(path) else { continue };
        let Some((_, allowed)) = MAY_ENTER.iter().find(|(name, _)| *name == room) else {
            broken.push(format!(
                "{path}: src/{room} is not in the table MAY_ENTER: say which rooms it may enter"
            ));
            continue;
        };
        for entered in entered(&parts.production) {
            if entered != room && !allowed.contains(&entered.as_str()) {
                broken.push(format!("{path}: {room} must not enter {entered}"));
            }
        }
        if parts.production.contains("super::super::") {
            broken.push(format!(
                "{path}: write crate:: instead of super::super::, which can leave the room unseen"
            ));
        }
    }
    broken
}

fn not_hidden(house: &House) -> Vec<String> {
    let mut broken = Vec::new();
    for (path, parts) in house.parts() {
        let Some(room) = room(path) else { continue };
        for (foreign, rooms) in HIDDEN_IN {
            let (outer, inner) = foreign.split_once("::").unwrap_or(("", foreign));
            let direct = Regex::new(&format!(r"(^|[^:\w]){foreign}\b(::|;| as )")).unwrap();
            let grouped = Regex::new(&format!(r"\buse {outer}::\{{[^;]*\b{inner}\b")).unwrap();
            let named = direct.is_match(&parts.production)
                || (!outer.is_empty() && grouped.is_match(&parts.production));
            if named && !rooms.contains(&room) {
                broken.push(format!("{path}: {foreign} stays in {}", rooms.join(" and ")));
            }
        }
    }
    broken
}

/// Whoever names an engine of the ledger outside of `usher run`, and of `usher ledger`, which copies its file, has bypassed
/// the port.
fn engines_named(house: &House) -> Vec<String> {
    let engine = Regex::new(r"\b(ledger::(sqlite|postgres)|Sqlite|Postgres)\b").unwrap();
    let named = house.parts().into_iter().filter(|(path, parts)| {
        path.starts_with("src/")
            && !path.starts_with("src/ledger/")
            && !["src/cmd/run.rs", "src/cmd/ledger.rs"].contains(path)
            && engine.is_match(&parts.production)
    });
    named
        .map(|(path, _)| {
            format!("{path}: only src/cmd/run.rs and src/cmd/ledger.rs name an engine of the ledger")
        })
        .collect()
}

#[test]
fn no_room_enters_another_through_a_wall() {
    none(&through_walls(House::ours()));
}

#[test]
fn a_way_through_a_wall_is_found_in_every_form_of_import() {
    for import in [
        "use crate::ledger::Ledger;",
        "use crate::{\n    domain::{license::{Key, Uid}, text},\n    ledger,\n};",
        "fn f() { crate::ledger::audit::hex(&[]) }",
        "macro_rules! m { () => { $crate::ledger::x } }",
    ] {
        let house = House::of(&[("src/domain/x.rs", import)]);
        assert_eq!(through_walls(&house), ["src/domain/x.rs: domain must not enter ledger"], "{import}");
    }
    let between = House::of(&[
        ("src/http/x.rs", "use crate::cluster::Context;"),
        ("src/cluster/x.rs", "use crate::http;"),
    ]);
    assert_eq!(through_walls(&between).len(), 2);
    let wire = House::of(&[("src/http/x.rs", "use usher_license as wire;")]);
    assert_eq!(through_walls(&wire), ["src/http/x.rs: http must not enter usher_license"]);
    assert_eq!(
        through_walls(&House::of(&[("src/cellar/x.rs", "")])).len(),
        1,
        "a new room needs a line in the table"
    );
}

#[test]
fn tests_comments_and_ones_own_room_are_no_walls() {
    let text = "//! See [`crate::ledger`].\nuse crate::domain::text;\n#[cfg(test)]\nmod tests { use crate::ledger; }";
    none(&through_walls(&House::of(&[("src/domain/x.rs", text)])));
}

#[test]
fn what_is_foreign_stays_in_the_room_that_hides_it() {
    none(&not_hidden(House::ours()));
}

#[test]
fn a_foreign_crate_in_the_wrong_room_is_found() {
    let house = House::of(&[
        ("src/service/a.rs", "use kube::Client;"),
        ("src/domain/b.rs", "use std::{collections::HashMap, fs};"),
        ("src/cluster/c.rs", "fn f(e: sqlx::Error) {}"),
        ("src/ledger/d.rs", "use std::fs::File; use sqlx::Row; fn kube() {}"),
    ]);
    let found: Vec<String> = not_hidden(&house);
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn only_usher_run_and_usher_ledger_name_an_engine_of_the_ledger() {
    none(&engines_named(House::ours()));
    let house = House::of(&[
        ("src/service/x.rs", "use crate::ledger::sqlite::Sqlite;"),
        ("src/service/y.rs", "Postgres::open"),
        ("src/cmd/run.rs", "Sqlite::open"),
    ]);
    assert_eq!(engines_named(&house).len(), 2);
}
