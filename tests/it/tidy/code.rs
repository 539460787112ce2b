//! Reading Rust just far enough: what is code, and what of it is for tests.

use std::{collections::BTreeSet, sync::LazyLock};

use regex_lite::Regex;

use super::House;

/// The code of a Rust file: comments and the contents of literals are gone, lines are where they were.
pub fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (literal, length) = match literal_or_comment(rest) {
            Some(length) => (true, length),
            None => (false, first.len_utf8()),
        };
        let (token, after) = rest.split_at(length);
        if literal {
            code.push(' ');
            code.extend(token.chars().filter(|char| *char == '\n'));
        } else {
            code.push_str(token);
        }
        rest = after;
    }
    code
}

/// How long the comment or literal is that `rest` begins with.
fn literal_or_comment(rest: &str) -> Option<usize> {
    let end_of =
        |from: usize, end: &str| rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len());
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(end_of(2, "*/"));
    }
    if let Some(raw) = rest.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        return raw[hashes..]
            .starts_with('"')
            .then(|| end_of(hashes + 2, &format!("\"{}", "#".repeat(hashes))));
    }
    let mut chars = rest.char_indices();
    match chars.next()?.1 {
        '"' => {
            let mut escaped = false;
            for (at, char) in chars {
                match char {
                    _ if escaped => escaped = false,
                    '\\' => escaped = true,
                    '"' => return Some(at + 1),
                    _ => {}
                }
            }
            Some(rest.len())
        }
        '\'' => match (chars.next()?.1, chars.next()?) {
            ('\\', (at, escaped)) => Some(end_of(at + escaped.len_utf8(), "'")),
            (_, (at, '\'')) => Some(at + 1),
            // A lifetime.
            _ => None,
        },
        _ => None,
    }
}

/// Code without the items under `#[cfg(test)]`, and those items.
pub fn split_tests(code: &str) -> (String, String) {
    let (mut production, mut tests) = (String::new(), String::new());
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        let (before, item) = rest.split_at(at);
        let (item, after) = item.split_at(item_length(item));
        production.push_str(before);
        production.extend(item.chars().filter(|char| *char == '\n'));
        tests.push_str(item);
        rest = after;
    }
    (production + rest, tests)
}

/// To the `;` or the closing brace that ends the item.
fn item_length(item: &str) -> usize {
    let mut depth = 0;
    for (at, char) in item.char_indices() {
        match char {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 && (char == '}' || char == ';') {
            return at + 1;
        }
    }
    item.len()
}

/// The modules that a file declares in files of their own.
pub fn declared(code: &str) -> Vec<String> {
    static MODULE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?m)^\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;").unwrap());
    MODULE.captures_iter(code).map(|found| found[1].to_owned()).collect()
}

/// The files in which the module `name` of the file `parent` can be.
pub fn homes(parent: &str, is_root: bool, name: &str) -> [String; 2] {
    let (folder, file) = parent.rsplit_once('/').unwrap_or(("", parent));
    let stem = file.trim_end_matches(".rs");
    let folder = if is_root || stem == "mod" { folder.to_owned() } else { format!("{folder}/{stem}") };
    [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")]
}

/// The lines of a Rust file that are not for tests, and those that are, without comments and literals.
pub struct Parts {
    pub production: String,
    pub tests: String,
}

impl House {
    /// Every Rust file in its parts. A file under `tests/`, or declared under `#[cfg(test)]`, is all test.
    pub fn parts(&self) -> Vec<(&str, Parts)> {
        let lexed: Vec<(&str, String)> = self.rust().map(|(path, text)| (path, code(text))).collect();
        let for_tests: BTreeSet<String> = lexed
            .iter()
            .flat_map(|(path, code)| {
                let is_root = path.ends_with("/lib.rs") || path.ends_with("/main.rs");
                declared(&split_tests(code).1.replace("#[cfg(test)]", ""))
                    .into_iter()
                    .flat_map(move |name| homes(path, is_root, &name))
            })
            .collect();
        lexed
            .into_iter()
            .map(|(path, code)| {
                let all_test =
                    path.starts_with("tests/") || path.contains("/tests/") || for_tests.contains(path);
                let (production, tests) = if all_test { (String::new(), code) } else { split_tests(&code) };
                (path, Parts { production, tests })
            })
            .collect()
    }
}

#[test]
fn comments_and_literals_are_no_code() {
    let text = "a // b\n/* c\n */ d \"e \\\" f\" 'g' '\\'' &'h i r#\"j\"k\"# l";
    assert_eq!(code(text).split_whitespace().collect::<Vec<_>>(), ["a", "d", "&'h", "i", "l"]);
    assert_eq!(code(text).lines().count(), 3);
}

#[test]
fn what_is_under_cfg_test_is_for_tests_and_nothing_else_is() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { {} } }\n#[cfg(test)]\nmod c;\nfn d() {}\n";
    let (production, tests) = split_tests(text);
    assert_eq!(production.split_whitespace().collect::<Vec<_>>(), ["fn", "a()", "{}", "fn", "d()", "{}"]);
    assert!(tests.contains("fn b()") && tests.contains("mod c;"));
    let house = House::of(&[
        ("src/x/mod.rs", "#[cfg(test)]\nmod y;\nmod z;"),
        ("src/x/y.rs", "why"),
        ("src/x/z.rs", "zed"),
    ]);
    let parts = house.parts();
    let of = |path: &str| parts.iter().find(|(found, _)| *found == path).map(|(_, parts)| parts).unwrap();
    assert_eq!((of("src/x/y.rs").production.as_str(), of("src/x/y.rs").tests.as_str()), ("", "why"));
    assert_eq!((of("src/x/z.rs").production.as_str(), of("src/x/z.rs").tests.as_str()), ("zed", ""));
}
