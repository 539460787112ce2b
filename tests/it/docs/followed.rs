//! Every page with commands is followed, from its top to its end.

use regex_lite::Regex;

use super::{
    blocks, pages,
    reader::{Reader, commands},
    tables::{BEFORE, INSTEAD, NOT_RUN, SEEN},
};
use crate::{
    ground::{Ground, until},
    tidy::{House, none},
};

/// The pages that the tests below follow.
const FOLLOWED: &[&str] = &["docs/guide.md", "docs/backup.md", "docs/metrics.md", "docs/runbooks.md"];

fn page(path: &str) -> &'static str {
    House::ours().text(path).unwrap()
}

/// What of a page lies between these headings.
fn part(page: &'static str, from: &str, to: &str) -> &'static str {
    let at = |heading: &str| page.find(&format!("\n{heading}\n")).unwrap();
    &page[at(from)..at(to)]
}

#[tokio::test]
async fn whoever_follows_the_guide_gets_what_it_says_and_is_rid_of_it_in_the_end() {
    let mut reader = Reader::new();
    reader.follows(part(page("docs/guide.md"), "## Install", "## Uninstall")).await;
    let is = |object: &[&str], reason: &'static str| {
        let path = r#"jsonpath={.status.conditions[?(@.type=="Ready")].reason}"#;
        reader.ground().kubectl(&[&["get"], object, &["-o", path]].concat()) == reason
    };
    until("the key set of the root outside is taken", async || {
        is(&["authority", "vendor"], "Published").then_some(())
    })
    .await;
    until("what has moved is at work", async || {
        is(&["license", "cam", "-n", "studio"], "Issued").then_some(())
    })
    .await;
    reader.follows(&page("docs/guide.md")[page("docs/guide.md").find("\n## Uninstall\n").unwrap()..]).await;
    let gone = |ground: &Ground, object: &[&str]| !ground.try_kubectl(&[&["get"], object].concat(), "").0;
    assert!(gone(reader.ground(), &["crd", "licenses.usher.dev"]));
    assert!(gone(reader.ground(), &["namespace", "usher-system"]));
}

#[tokio::test]
async fn whoever_follows_the_runbooks_and_restores_a_backup_gets_what_these_pages_say() {
    let mut reader = Reader::new();
    let guide = page("docs/guide.md");
    for (from, to) in [
        ("## Install", "## Several replicas"),
        ("## Let Usher into a namespace", "## Decide who grants, who assigns, who looks"),
        ("## The first License", "## What many Licenses share"),
    ] {
        reader.follows(part(guide, from, to)).await;
    }
    for path in &FOLLOWED[1..] {
        reader.follows(page(path)).await;
    }
}

/// Every command of these pages.
fn all() -> Vec<(&'static str, String)> {
    let of = |path: &&'static str| {
        let sh = blocks(page(path)).into_iter().filter(|block| block.language == "sh");
        sh.flat_map(|block| commands(&block.text)).map(|command| (*path, command)).collect::<Vec<_>>()
    };
    FOLLOWED.iter().flat_map(of).collect()
}

#[test]
fn every_page_with_commands_is_followed() {
    let ours = pages(House::ours()).filter(|(path, _)| path.starts_with("docs/"));
    let left = ours.filter(|(path, page)| {
        !FOLLOWED.contains(path) && blocks(page).iter().any(|block| block.language == "sh")
    });
    none(&left.map(|(path, _)| format!("{path} has commands, and no test follows it")).collect::<Vec<_>>());
    assert!(all().len() > 60, "{}", all().len());
}

#[test]
fn every_entry_of_the_tables_is_about_a_command_or_a_manifest_of_a_page() {
    let (commands, texts) = (all(), FOLLOWED.iter().map(|path| page(path)).collect::<Vec<_>>());
    let in_command =
        |what: &str| commands.iter().any(|(_, command)| command.contains(what.trim_start_matches('!')));
    let mut idle: Vec<&str> =
        NOT_RUN.iter().chain(SEEN).map(|(what, _)| *what).filter(|what| !in_command(what)).collect();
    idle.extend(
        BEFORE.iter().map(|(what, _)| *what).filter(|what| !texts.iter().any(|text| text.contains(what))),
    );
    let found = |pattern: &str| texts.iter().any(|text| Regex::new(pattern).unwrap().is_match(text));
    idle.extend(INSTEAD.iter().map(|(pattern, _)| *pattern).filter(|pattern| !found(pattern)));
    none(&idle.into_iter().map(|what| format!("{what} is about nothing")).collect::<Vec<_>>());
    let says = |why: &str| why.starts_with("needs ") || why.starts_with("the tests have ");
    assert!(NOT_RUN.iter().all(|(_, why)| says(why)), "a reason says what is not there");
}

#[test]
fn what_the_runbooks_look_for_in_the_log_is_what_usher_says() {
    let quoted = Regex::new(r"grep '([^']+)'").unwrap();
    let sources: Vec<&str> =
        House::ours().rust().filter(|(path, _)| path.starts_with("src/")).map(|(_, text)| text).collect();
    let commands = all();
    let sought = commands
        .iter()
        .flat_map(|(_, command)| quoted.captures_iter(command))
        .map(|found| found[1].to_owned());
    let unknown = sought.filter(|text| !sources.iter().any(|source| source.contains(text)));
    none(&unknown.collect::<Vec<_>>());
}

#[test]
fn a_command_has_all_of_its_lines() {
    let block = "a \\\n  b\n# a remark\n\nc <<EOF\nd\nEOF\ne\n";
    assert_eq!(commands(block), ["a \\\n  b", "c <<EOF\nd\nEOF", "e"]);
}
