//! Nothing lies about: what nobody declares is not compiled, what nobody names is not used.

use std::collections::BTreeSet;

use regex_lite::Regex;

use super::{
    House,
    code::{code, declared, homes},
    none,
};

/// What Cargo compiles without being told by a `mod`.
const ROOTS: &str = r"(^|/)(src/(main|lib)\.rs|(tests|benches)/(\w+/main|\w+)\.rs|(examples|fuzz_targets)/\w+\.rs|build\.rs)$";

fn undeclared(house: &House) -> Vec<String> {
    let root = Regex::new(ROOTS).unwrap();
    let mut reached: BTreeSet<String> = BTreeSet::new();
    let mut next: Vec<String> =
        house.rust().map(|(path, _)| path.to_owned()).filter(|path| root.is_match(path)).collect();
    while let Some(path) = next.pop() {
        let Some(text) = house.text(&path).filter(|_| reached.insert(path.clone())) else { continue };
        for module in declared(&code(text)) {
            next.extend(homes(&path, root.is_match(&path), &module));
        }
        next.extend(by_path(&path, text));
    }
    let lost = house.rust().filter(|(path, _)| !reached.contains(*path));
    lost.map(|(path, _)| {
        format!("{path}: no `mod` declares it, so it is never compiled: declare or delete it")
    })
    .collect()
}

/// The files that `file` makes modules of its own by their paths.
fn by_path(file: &str, text: &str) -> Vec<String> {
    let path = Regex::new(r#"(?m)^#\[path = "([^"]+)"\]$"#).unwrap();
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let resolved = path.captures_iter(text).map(|found| {
        let mut way: Vec<&str> = folder.split('/').collect();
        for step in found[1].split('/') {
            match step {
                ".." => _ = way.pop(),
                step => way.push(step),
            }
        }
        way.join("/")
    });
    resolved.collect()
}

/// Vectors, snapshots and whatever else lies beside tests, and is named in no test.
fn unnamed(house: &House) -> Vec<String> {
    let is_data = |path: &str| {
        (path.starts_with("tests/") || path.contains("/tests/"))
            && !path.ends_with(".rs")
            && !path.ends_with("README.md")
    };
    let named = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        let quoted = [format!("\"{name}\""), format!("/{name}\"")];
        house.rust().any(|(_, text)| quoted.iter().any(|quoted| text.contains(quoted)))
    };
    let orphaned = house.files().filter(|(path, _)| is_data(path) && !named(path));
    orphaned.map(|(path, _)| format!("{path}: no test names it: use or delete it")).collect()
}

#[test]
fn every_rust_file_is_declared_by_a_module_or_is_a_root() {
    none(&undeclared(House::ours()));
}

#[test]
fn a_file_that_no_module_declares_is_found() {
    let house = House::of(&[
        ("src/lib.rs", "mod a;\n// mod b;"),
        ("src/a/mod.rs", "pub(crate) mod c;"),
        ("src/a/c.rs", "mod d;\n#[path = \"../h/mod.rs\"]\nmod h;"),
        ("src/a/c/d.rs", ""),
        ("src/b.rs", ""),
        ("src/h/mod.rs", "mod i;"),
        ("src/h/i.rs", ""),
        ("tests/it/main.rs", "mod e;"),
        ("tests/it/e.rs", ""),
        ("tests/it/f.rs", ""),
        ("crates/license/examples/g.rs", ""),
    ]);
    let found = undeclared(&house);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("src/b.rs:") && found[1].starts_with("tests/it/f.rs:"), "{found:?}");
}

#[test]
fn every_vector_and_snapshot_is_named_in_a_test() {
    none(&unnamed(House::ours()));
}

#[test]
fn a_vector_that_no_test_names_is_found() {
    let house = House::of(&[
        ("tests/vectors/used.json", ""),
        ("tests/vectors/lost.json", ""),
        ("tests/vectors/README.md", ""),
        ("crates/license/tests/it/x.rs", "load(\"used.json\")"),
    ]);
    assert_eq!(unnamed(&house), ["tests/vectors/lost.json: no test names it: use or delete it"]);
}
