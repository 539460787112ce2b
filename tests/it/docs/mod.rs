//! What README.md and docs/ tell people to apply, to run and to follow.
//!
//! | file | what |
//! |---|---|
//! | [`followed`] | every page with commands is followed from its top to its end |
//! | [`reader`] | whoever follows a page, at a desk of their own |
//! | [`tables`] | what a test has no means for, what stands for it, and what is to be seen |

mod followed;
mod reader;
mod tables;

use std::{
    collections::BTreeSet,
    path::{Component, Path, PathBuf},
    sync::LazyLock,
};

use regex_lite::Regex;

use crate::{
    ground::{MARK, shared},
    tidy::{House, none},
};

/// The pages that people read, by their path.
fn pages(house: &House) -> impl Iterator<Item = (&str, &str)> {
    house.files().filter(|(path, _)| path.ends_with(".md"))
}

/// A fenced block: its language, its text, and the line where it begins.
struct Block<'a> {
    language: &'a str,
    text: String,
    line: usize,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let (mut blocks, mut open): (Vec<Block<'_>>, Option<Block<'_>>) = (Vec::new(), None);
    for (number, line) in (1..).zip(page.lines()) {
        match (line.trim_start().strip_prefix("```"), open.take()) {
            (Some(language), None) => open = Some(Block { language, text: String::new(), line: number }),
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some(mut block)) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    blocks
}

/// What the page says outside of its blocks.
fn prose(page: &str) -> String {
    let mut inside = false;
    let outside = page.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    outside.collect::<Vec<_>>().join("\n")
}

/// Whole objects; a part of one, shown to explain it, has no `apiVersion`.
fn manifests(page: &str) -> Vec<Block<'_>> {
    blocks(page)
        .into_iter()
        .filter(|block| block.language == "yaml" && block.text.contains("apiVersion:"))
        .collect()
}

/// `make X`, in a code span or as a command of its own line in a block.
fn targets(page: &str) -> BTreeSet<String> {
    static SPAN: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bmake ([a-z]+)").unwrap());
    static COMMAND: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?m)^(?:\$ )?(?:[A-Z]+=\S+ )*make ([a-z]+)").unwrap());
    let (prose, blocks) = (prose(page), blocks(page));
    let spans = prose.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let in_spans = spans.flat_map(|span| SPAN.captures_iter(span));
    let in_blocks = blocks.iter().flat_map(|block| COMMAND.captures_iter(&block.text));
    in_spans.chain(in_blocks).map(|found| found[1].to_owned()).collect()
}

/// Whether there is such a file, whatever is in it.
fn house_has(path: &str) -> bool {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).is_file()
}

/// The targets of links that lead nowhere, from the page `path`.
fn broken_links(house: &House, path: &str, page: &str) -> Vec<String> {
    static LINK: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\]\(([^)\s]+)\)").unwrap());
    let prose = prose(page);
    let leads_nowhere = |link: &str| {
        let (file, heading) = link.split_once('#').unwrap_or((link, ""));
        let target = if file.is_empty() { path.to_owned() } else { beside(path, file) };
        let is_folder =
            house.files().any(|(file, _)| file.starts_with(&format!("{}/", target.trim_end_matches('/'))));
        match house.text(&target) {
            Some(text) => !heading.is_empty() && !headings(text).contains(heading),
            // A picture is no text.
            None => !(is_folder || target.ends_with(".png") && house_has(&target)),
        }
    };
    LINK.captures_iter(&prose)
        .map(|found| found[1].to_owned())
        .filter(|link| !link.starts_with("http") && leads_nowhere(link))
        .map(|link| format!("{path}: {link} leads nowhere"))
        .collect()
}

fn beside(page: &str, link: &str) -> String {
    let mut path = PathBuf::new();
    for component in Path::new(page).parent().unwrap().join(link).components() {
        match component {
            Component::ParentDir => drop(path.pop()),
            other => path.push(other),
        }
    }
    path.to_str().unwrap().to_owned()
}

/// The headings of a page, as links name them.
fn headings(page: &str) -> BTreeSet<String> {
    let titles = prose(page);
    let titles =
        titles.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let kept = |char: &char| char.is_alphanumeric() || " -_".contains(*char);
    titles
        .map(|title| title.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-"))
        .collect()
}

#[test]
fn every_manifest_in_the_documentation_is_accepted_by_the_api_server() {
    let house = House::ours();
    // Where it is somebody's already, it is theirs to keep.
    if shared().try_kubectl(&["create", "namespace", "design"], "").0 {
        shared().kubectl(&["label", "namespace", "design", &format!("{}={}", MARK.0, MARK.1)]);
    }
    let mut refused = Vec::new();
    let mut applied = 0;
    for (path, page) in pages(house) {
        for block in manifests(page) {
            let (accepted, said) =
                shared().try_kubectl(&["apply", "--dry-run=server", "-f", "-"], &block.text);
            applied += 1;
            refused.extend((!accepted).then(|| format!("{path}:{}: {said}", block.line)));
        }
    }
    none(&refused);
    assert!(applied >= 3, "only {applied} manifests were found");
}

#[test]
fn every_make_target_in_the_documentation_is_one() {
    let house = House::ours();
    let makefile = house.text("Makefile").unwrap();
    let known = |target: &str| makefile.lines().any(|line| line.starts_with(&format!("{target}:")));
    let unknown = pages(house).flat_map(|(path, page)| {
        targets(page)
            .into_iter()
            .filter(|target| !known(target))
            .map(move |target| format!("{path}: make {target}"))
    });
    none(&unknown.collect::<Vec<_>>());
}

#[test]
fn every_link_in_the_documentation_leads_somewhere() {
    let house = House::ours();
    none(&pages(house).flat_map(|(path, page)| broken_links(house, path, page)).collect::<Vec<_>>());
}

const PLANTED: &str = "# A page: here
See `make all` or `x`, who make sure of `y`, and [this](other.md#no-such), [that](../x.md), [it](other.md#a-heading), [folder](sub), [here](#a-page-here).
```yaml
apiVersion: v1
```
```yaml
spec: {}
```
```sh
make clean
cannot be changed: make another
```
";

#[test]
fn what_is_planted_in_a_page_is_found() {
    assert_eq!(manifests(PLANTED).iter().map(|block| block.line).collect::<Vec<_>>(), [3]);
    assert_eq!(targets(PLANTED), BTreeSet::from(["all".to_owned(), "clean".to_owned()]));
    let house = House::of(&[("docs/a.md", PLANTED), ("docs/other.md", "## A heading"), ("docs/sub/b", "")]);
    let broken = broken_links(&house, "docs/a.md", PLANTED);
    assert_eq!(broken, ["docs/a.md: other.md#no-such leads nowhere", "docs/a.md: ../x.md leads nowhere"]);
}
