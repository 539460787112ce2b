//! `usher audit list`: the entries, for people.

use std::{collections::HashMap, process::ExitCode};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::LedgerArgs;
use crate::{
    cmd::{
        Exit, Failure, Output,
        describe::{printable, printable_json},
        edge::Machine,
        print,
    },
    domain::duration::DurationText,
    ledger::{Trail, Unavailable, audit::Link, opened},
    service::edge::Edge as _,
};

/// How many entries are read at once.
const PAGE: u32 = 500;

/// Shows the entries in order, with the names of people as long as they are not forgotten. It verifies nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    ledger: LedgerArgs,
    /// Only those since then: an instant (RFC 3339, such as 2027-01-15T08:00:00Z) or a Go duration (24h: since yesterday).
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
    /// For whom to write; json is one object a line.
    #[arg(short, long, value_enum, default_value_t = Output::Human)]
    output: Output,
}

/// From when on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    Instant(Timestamp),
    Ago(SignedDuration),
}

impl std::str::FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(ago) = text.parse::<DurationText>() {
            return Ok(Self::Ago(SignedDuration::from_secs(ago.seconds())));
        }
        text.parse().map(Self::Instant).map_err(|_| {
            "must be an instant such as 2027-01-15T08:00:00Z, or a Go duration such as 24h".to_owned()
        })
    }
}

impl Since {
    fn instant(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Instant(instant) => instant,
            Self::Ago(ago) => now.checked_sub(ago).unwrap_or(Timestamp::MIN),
        }
    }
}

pub(super) async fn run(args: &Args) -> Result<ExitCode, Failure> {
    let since = args.since.map_or(i64::MIN, |since| since.instant(Machine.now()).as_second());
    opened!(&args.ledger.ledger, to_read, |ledger| list(args, &ledger, since).await)
}

async fn list(args: &Args, ledger: &impl Trail, since: i64) -> Result<ExitCode, Failure> {
    let mut people = HashMap::new();
    let mut after = 0;
    loop {
        let page = ledger.audit(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(Exit::Done.into()) };
        after = last.sequence;
        for link in page.iter().filter(|link| link.at >= since) {
            for mut entry in entries(link) {
                name_person(ledger, &mut people, &mut entry).await?;
                print(&match args.output {
                    Output::Human => for_people(link, &entry),
                    Output::Json => for_programs(link, &entry),
                })?;
            }
        }
    }
}

fn entries(link: &Link) -> Vec<Value> {
    // What somebody has written there by hand is shown as it is.
    serde_json::from_str(&link.entries)
        .unwrap_or_else(|_| vec![json!({"kind": "unreadable", "text": link.entries})])
}

/// The members that are references to persons: an entry has one of them at most.
const PERSONS: [&str; 2] = ["holder", "by"];

/// Puts the name beside the reference, if it is known.
async fn name_person(
    ledger: &impl Trail,
    people: &mut HashMap<String, Option<String>>,
    entry: &mut Value,
) -> Result<(), Unavailable> {
    let reference = PERSONS.iter().find_map(|member| entry.get(member)?.as_str());
    let Some(reference) = reference.map(str::to_owned) else { return Ok(()) };
    if !people.contains_key(&reference) {
        people.insert(reference.clone(), ledger.person(&reference).await?);
    }
    if let Some(Some(name)) = people.get(&reference) {
        entry["name"] = json!(name);
    }
    Ok(())
}

/// `2026-11-25T22:00:00Z  17  bind  license=design/cad seat=… holder=email:ann@acme.example`
fn for_people(link: &Link, entry: &Value) -> String {
    let at = Timestamp::from_second(link.at).map_or_else(|_| link.at.to_string(), |at| at.to_string());
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let name = entry.get("name");
    let members = entry.as_object().into_iter().flatten();
    let said =
        members.filter(|(member, _)| !["kind", "name"].contains(&member.as_str())).map(|(member, value)| {
            let value = if PERSONS.contains(&member.as_str()) { name.unwrap_or(value) } else { value };
            format!(" {member}={}", text(value))
        });
    let kind = entry.get("kind").map(text).unwrap_or_default();
    format!("{}\n", printable(&format!("{at}  {:>6}  {kind:<9}{}", link.sequence, said.collect::<String>())))
}

fn for_programs(link: &Link, entry: &Value) -> String {
    let json = json!({"sequence": link.sequence, "at": link.at, "entry": entry}).to_string();
    format!("{}\n", printable_json(&json))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(entries: &str) -> Link {
        Link { sequence: 17, at: 1_800_000_000, entries: entries.into(), hash: String::new() }
    }

    #[test]
    fn an_entry_is_a_line_with_the_name_of_the_person_where_it_is_known() {
        let link = link(r#"[{"kind":"bind","license":"design/cad","seat":"s","holder":"0a1b"}]"#);
        let mut entry = entries(&link).remove(0);
        let said = for_people(&link, &entry);
        assert_eq!(said, "2027-01-15T08:00:00Z      17  bind      holder=0a1b license=design/cad seat=s\n");
        entry["name"] = json!("email:ann@acme.example");
        assert!(for_people(&link, &entry).contains(" holder=email:ann@acme.example "));
        assert!(for_programs(&link, &entry).contains(r#""sequence":17"#));
    }

    #[test]
    fn what_somebody_wrote_into_the_file_cannot_steer_the_terminal() {
        let link = link("\u{1b}[2J");
        let said = for_people(&link, &entries(&link)[0]);
        assert!(!said.contains('\u{1b}') && said.contains("unreadable"), "{said}");
    }

    #[test]
    fn since_is_an_instant_or_so_long_ago() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let since = |text: &str| text.parse::<Since>().map(|since| since.instant(now).as_second());
        assert_eq!(since("24h"), Ok(1_800_000_000 - 86_400));
        assert_eq!(since("2027-01-15T07:00:00Z"), Ok(1_800_000_000 - 3_600));
        assert!(since("yesterday").is_err());
    }
}
