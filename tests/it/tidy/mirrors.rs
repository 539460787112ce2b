//! What is written twice says the same twice.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt as _;
use usher::{
    cluster::api::definitions,
    domain::{reason::Reason, refusal::Code},
};

use super::{House, none};

/// `crds/`, file by file, against `definitions`.
fn outdated(house: &House, definitions: &[CustomResourceDefinition]) -> Vec<String> {
    let path = |definition: &CustomResourceDefinition| format!("crds/{}.yaml", definition.name_any());
    let mut broken = Vec::new();
    for definition in definitions {
        let committed = house.text(&path(definition)).and_then(|text| serde_saphyr::from_str(text).ok());
        if committed.as_ref() != Some(definition) {
            broken.push(format!("{}: is not what the code says: run `make generate`", path(definition)));
        }
    }
    let paths: Vec<String> = definitions.iter().map(path).collect();
    let files = house.files().map(|(path, _)| path).filter(|path| path.starts_with("crds/"));
    broken.extend(
        files
            .filter(|file| !paths.iter().any(|p| p == file))
            .map(|file| format!("{file}: defines nothing of ours")),
    );
    broken
}

/// What in the chart is not the copy of `crds/` that it should be.
fn not_copied(house: &House) -> Vec<String> {
    let (of_code, of_chart) = ("crds/", "charts/usher/files/crds/");
    let in_folder = |folder: &'static str| house.files().filter(move |(path, _)| path.starts_with(folder));
    let differs = |path: String, text: &str| (house.text(&path) != Some(text)).then_some(path);
    in_folder(of_code)
        .filter_map(|(path, text)| differs(path.replacen(of_code, of_chart, 1), text))
        .chain(
            in_folder(of_chart).filter_map(|(path, text)| differs(path.replacen(of_chart, of_code, 1), text)),
        )
        .map(|path| format!("{path}: differs from its mirror: run `make generate`"))
        .collect()
}

/// The rows of the table in docs/reasons.md that differ from `reasons`, in their order.
fn unexplained(page: &str, reasons: &[(&str, &str)]) -> Vec<String> {
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let mut broken = Vec::new();
    for (at, (word, sentence)) in reasons.iter().enumerate() {
        let [name, on, means, next] = rows.get(at).map_or(&[][..], Vec::as_slice) else {
            broken.push(format!("docs/reasons.md lacks the row: | `{word}` | … | {sentence} | … |"));
            continue;
        };
        if (*name, *means) != (format!("`{word}`").as_str(), *sentence) || on.is_empty() || next.is_empty() {
            broken
                .push(format!("docs/reasons.md says {name}: {means}\n  the code says `{word}`: {sentence}"));
        }
    }
    broken.extend(
        rows.iter().skip(reasons.len()).map(|row| format!("docs/reasons.md: there is no reason {}", row[0])),
    );
    broken
}

/// What of the table in docs/refusals.md is not what `codes` say.
fn unlisted(page: &str, codes: &[Code]) -> Vec<String> {
    let row = |code: &Code| format!("| `{code}` | {} | {} |", code.means(), code.next());
    let wanted: Vec<String> = codes.iter().map(row).collect();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let lacking = wanted.iter().filter(|row| !rows.contains(&row.as_str()));
    let invented = rows.iter().filter(|row| !wanted.iter().any(|wanted| wanted == *row));
    lacking
        .map(|row| format!("docs/refusals.md lacks the row: {row}"))
        .chain(invented.map(|row| format!("docs/refusals.md: the code does not say: {row}")))
        .collect()
}

/// The tests that docs/sign-in-checks.md names and that are not there.
fn untested(house: &House, page: &str) -> Vec<String> {
    let is_test = |name: &str| house.rust().any(|(_, text)| text.contains(&format!("fn {name}()")));
    let named = page
        .lines()
        .filter(|line| line.starts_with("| "))
        .filter_map(|line| line.trim_matches('|').rsplit('|').next());
    let named = named.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    named
        .filter(|name| !is_test(name))
        .map(|name| format!("docs/sign-in-checks.md: there is no test {name}"))
        .collect()
}

#[test]
fn each_check_of_a_sign_in_has_the_tests_that_the_page_names() {
    let page = include_str!("../../../docs/sign-in-checks.md");
    none(&untested(House::ours(), page));
    let house = House::of(&[("tests/x.rs", "fn is_there() {}")]);
    assert_eq!(untested(&house, "| a | `x` | `is_there`, `is_not` |").len(), 1);
}

#[test]
fn the_committed_resources_are_those_that_the_code_defines() {
    none(&outdated(House::ours(), &definitions()));
}

#[test]
fn the_chart_installs_the_resources_that_the_code_defines() {
    none(&not_copied(House::ours()));
    let house = House::of(&[
        ("crds/a.yaml", "a"),
        ("crds/b.yaml", "b"),
        ("charts/usher/files/crds/a.yaml", "a"),
        ("charts/usher/files/crds/c.yaml", "c"),
    ]);
    let found: Vec<String> = not_copied(&house);
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn a_resource_that_was_edited_by_hand_is_found() {
    let all = definitions();
    let yaml: Vec<(String, String)> = all
        .iter()
        .map(|definition| {
            (format!("crds/{}.yaml", definition.name_any()), serde_saphyr::to_string(definition).unwrap())
        })
        .collect();
    let mut files: Vec<(&str, &str)> =
        yaml.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    none(&outdated(&House::of(&files), &all));
    let edited =
        files[0].1.replacen("Namespaced", "Cluster", 1).replacen("maxLength: 63", "maxLength: 64", 1);
    files[0].1 = &edited;
    files.push(("crds/old.yaml", ""));
    assert_eq!(outdated(&House::of(&files), &all).len(), 2);
}

#[test]
fn every_reason_is_explained_in_its_own_words_and_no_other_is() {
    let reasons: Vec<(&str, &str)> =
        Reason::ALL.iter().map(|(reason, doc)| (reason.as_str(), doc.trim())).collect();
    none(&unexplained(House::ours().text("docs/reasons.md").unwrap_or_default(), &reasons));
}

#[test]
fn a_reason_that_the_page_lacks_changes_or_invents_is_found() {
    let reasons = [("Bound", "The Seat holds a seat."), ("Issued", "Signed.")];
    let page = "| reason | on | means | what to do |\n|---|---|---|---|\n| `Bound` | Seat | The Seat holds a seat. | nothing |\n";
    none(&unexplained(page, &reasons[..1]));
    assert_eq!(unexplained(page, &reasons).len(), 1, "lacks");
    assert_eq!(unexplained(&page.replace("holds", "has"), &reasons[..1]).len(), 1, "changes");
    assert_eq!(unexplained(page, &[]).len(), 1, "invents");
}

#[test]
fn every_refusal_is_listed_in_its_own_words_and_no_other_is() {
    let page = House::ours().text("docs/refusals.md").unwrap_or_default();
    none(&unlisted(page, Code::ALL));
    assert_eq!(unlisted(page, &Code::ALL[1..]).len(), 1, "invents");
    assert_eq!(unlisted(&page.replacen("Draw a new key", "Take one", 1), Code::ALL).len(), 2, "changes");
    assert_eq!(unlisted("", Code::ALL).len(), Code::ALL.len(), "lacks");
}
