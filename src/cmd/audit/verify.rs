//! `usher audit verify`: whether the audit is whole.

use std::{path::PathBuf, process::ExitCode};

use serde_json::{Value, json};
use usher_license::Thumbprint;

use super::{
    LedgerArgs,
    checkpoints::{Outside, from_cluster, from_file},
};
use crate::{
    cmd::{
        Exit, Failure, Output,
        describe::{BAD, DOUBTFUL, GOOD, columns, instant, styled},
        edge::Machine,
        eprint, print, print_json, unix,
    },
    domain::text::Label,
    ledger::{
        audit::walk::{Report, Turn},
        opened,
    },
    service::{edge::Edge as _, verify_audit::verify_audit},
};

/// Computes the chain anew, and says whether it passes through every checkpoint.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    ledger: LedgerArgs,
    /// Compare with the checkpoints in the cluster, and trust the key there.
    #[arg(long, conflicts_with = "checkpoints")]
    from_cluster: bool,
    /// Compare with the checkpoints in this file: Usher's log, or a copy of the ConfigMap usher-audit.
    #[arg(long, value_name = "FILE")]
    checkpoints: Option<PathBuf>,
    /// The thumbprint of the audit key that you trust.
    #[arg(long, value_name = "THUMBPRINT", allow_hyphen_values = true)]
    trust: Option<Thumbprint>,
    /// Usher's own namespace.
    #[arg(short, long, env = "USHER_NAMESPACE", default_value = "usher-system")]
    namespace: Label,
    /// For whom to write.
    #[arg(short, long, value_enum, default_value_t = Output::Human)]
    output: Output,
}

const EXAMPLES: &str = "\
Examples:
  kubectl exec -n usher-system deploy/usher -- usher audit verify --from-cluster
  usher audit verify --ledger copy-of-ledger.db --checkpoints usher.log

Exit codes:
  0  whole: the chain passes through every checkpoint, those from outside of the ledger included
  1  broken: something was changed, removed, reordered or inserted; each finding says what and where
  2  the command line is wrong, or something could not be read
  3  whole in itself, but whoever owns the ledger can have made it anew: it was compared with nothing outside, or its end is by a key
     that is not the one that you trust";

pub(super) async fn run(args: &Args) -> Result<ExitCode, Failure> {
    // Before the ledger: what the cluster has is then never ahead of it, unless something is wrong.
    let outside = match (&args.checkpoints, args.from_cluster) {
        (Some(path), _) => Some(from_file(path)?),
        (None, true) => Some(from_cluster(&args.namespace).await?),
        (None, false) => None,
    };
    let named = outside.as_ref().and_then(|outside| outside.key.clone());
    let trusted = args.trust.clone().or(named);
    let compared = trusted.is_some() || outside.is_some();
    let given = outside.as_ref().map(|outside| outside.checkpoints.as_slice()).unwrap_or_default();
    let report =
        opened!(&args.ledger.ledger, to_read, |ledger| verify_audit(&ledger, given, trusted).await?);
    // A key of which nothing is there vouches for nothing.
    let proven = compared && report.vouched >= report.sealed && (report.vouched > 0 || report.head == 0);
    let now = unix(Machine.now());
    match args.output {
        Output::Json => print_json(&for_programs(&report, proven))?,
        Output::Human if report.is_whole() => print(&whole(&report, outside.as_ref(), proven, now))?,
        Output::Human => eprint(&broken(&report))?,
    }
    Ok(exit(&report, proven).into())
}

fn exit(report: &Report, proven: bool) -> Exit {
    match (report.is_whole(), proven) {
        (false, _) => Exit::Refused,
        (true, true) => Exit::Done,
        (true, false) => Exit::Unproven,
    }
}

fn whole(report: &Report, outside: Option<&Outside>, proven: bool, now: u64) -> String {
    let from = report.anchor.as_ref().map_or(1, |anchor| anchor.sequence + 1);
    let entries = match report.entries {
        0 => "no entries yet".to_owned(),
        1 => format!("1 entry, number {from}"),
        many => format!("{many} entries, {from} to {}", report.head),
    };
    let verdict = if proven { styled(GOOD, "whole") } else { styled(DOUBTFUL, "whole in itself") };
    let mut rows = Vec::new();
    if let Some(anchor) = &report.anchor {
        let at = instant(u64::try_from(anchor.at).unwrap_or(0), now);
        rows.push((
            "pruned",
            format!("up to entry {}, sealed {at}; verified from there on", anchor.sequence),
        ));
    }
    let mut passed = vec![format!("{} in the ledger", report.checkpoints)];
    passed.extend(outside.map(|outside| format!("{} from {}", report.outside, outside.place)));
    rows.push(("checkpoints", passed.join(", ")));
    if report.lost > 0 {
        let lost =
            format!("{} of before the ledger was lost or restored, as the audit itself says", report.lost);
        rows.push(("lost", lost));
    }
    rows.extend(report.turns.iter().map(|Turn { sequence, from, to }| {
        let said = format!("at entry {sequence}, from {from} to {to}, as somebody consented");
        ("key changed", said)
    }));
    let unsealed = report.head - report.sealed;
    let sealed = match (report.sealed, unsealed) {
        (_, 0) => "all".to_owned(),
        (0, _) => "none yet".to_owned(),
        (sealed, unsealed) => format!("up to entry {sealed}, {unsealed} not yet"),
    };
    rows.push(("sealed", sealed));
    rows.extend(report.key.as_ref().map(|key| ("key", key.to_string())));
    let next = if proven {
        ""
    } else if report.turns.is_empty() || report.vouched == 0 {
        "next: compare with what is kept outside of the ledger: add --from-cluster, or --checkpoints with Usher's log\n"
    } else {
        rows.push((
            "proven",
            format!("up to entry {}, where the key that you trust sealed last", report.vouched),
        ));
        "next: a key says nothing of what another one sealed after it: ask whoever consented which key is theirs, and add --trust with it; or \
         compare with a log that was kept elsewhere\n"
    };
    format!("{verdict}: {entries}\n{}{next}", columns(&rows))
}

fn broken(report: &Report) -> String {
    let findings: String = report.findings.iter().map(|finding| format!("  {finding}\n")).collect();
    let more = if report.more == 0 { String::new() } else { format!("  and {} more\n", report.more) };
    format!(
        "{}: the audit is not as it was written\n{findings}{more}\
         next: keep this ledger and the checkpoints as they are, and look for a backup that is whole: what differs shows what was done\n",
        styled(BAD, "broken")
    )
}

fn for_programs(report: &Report, proven: bool) -> Value {
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            json!({"code": finding.code(), "sequence": finding.sequence(), "message": finding.to_string()})
        })
        .collect();
    let verdict = match exit(report, proven) {
        Exit::Refused | Exit::Failed => "broken",
        Exit::Done => "whole",
        Exit::Unproven => "unproven",
    };
    json!({
        "verdict": verdict,
        "findings": findings,
        "more": report.more,
        "prunedThrough": report.anchor.as_ref().map(|anchor| anchor.sequence),
        "entries": report.entries,
        "head": report.head,
        "sealed": report.sealed,
        "checkpoints": {"ledger": report.checkpoints, "outside": report.outside, "lost": report.lost},
        "proven": report.vouched,
        "key": report.key.as_ref().map(Thumbprint::as_str),
        "keyChanges": report.turns,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        keys::KeyPair,
        ledger::audit::{Checkpoint, Finding},
    };

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    fn report() -> Report {
        Report { entries: 7, head: 7, sealed: 5, vouched: 5, checkpoints: 2, outside: 1, ..Report::default() }
    }

    #[test]
    fn an_audit_whose_key_changed_says_where_and_what_the_key_that_is_trusted_proves() {
        let [from, to] = [1, 2].map(|seed| KeyPair::from_seed(&[seed; 32]).thumbprint());
        let turns = vec![Turn { sequence: 4, from: from.clone(), to: to.clone() }];
        let changed = Report { turns, vouched: 3, ..report() };
        let said = plain(&whole(&changed, None, false, 0));
        let row = format!("  key changed  at entry 4, from {from} to {to}, as somebody consented\n");
        assert!(said.starts_with("whole in itself: ") && said.contains(&row), "{said}");
        assert!(
            said.contains(
                "up to entry 3, where the key that you trust sealed last\nnext: a key says nothing"
            ),
            "{said}"
        );
        assert!(plain(&whole(&changed, None, true, 0)).contains(&row));
        let json = for_programs(&changed, false);
        let change = json!({"sequence": 4, "from": from, "to": to});
        assert_eq!((&json["proven"], &json["keyChanges"][0]), (&3.into(), &change));
    }

    #[test]
    fn a_whole_audit_says_what_was_compared_with_what() {
        let outside = Outside { place: "usher.log".into(), checkpoints: Vec::new(), key: None };
        let expected = "whole: 7 entries, 1 to 7
  checkpoints  2 in the ledger, 1 from usher.log
  sealed       up to entry 5, 2 not yet
";
        assert_eq!(plain(&whole(&report(), Some(&outside), true, 0)), expected);
        assert_eq!(exit(&report(), true), Exit::Done);
    }

    #[test]
    fn an_audit_that_was_compared_with_nothing_is_not_called_proven() {
        let said = plain(&whole(&report(), None, false, 0));
        assert!(said.starts_with("whole in itself: 7 entries"), "{said}");
        assert!(said.contains("add --from-cluster"), "{said}");
        assert_eq!(exit(&report(), false), Exit::Unproven);
        assert_eq!(for_programs(&report(), false)["verdict"], "unproven");
    }

    #[test]
    fn a_pruned_audit_says_from_where_on_it_is_verified() {
        let anchor = Checkpoint { sequence: 3, hash: String::new(), at: 0, jws: String::new(), anchor: true };
        let report = Report { anchor: Some(anchor), entries: 4, ..report() };
        let said = plain(&whole(&report, None, true, 60));
        assert!(said.starts_with("whole: 4 entries, 4 to 7\n"), "{said}");
        let pruned = "up to entry 3, sealed 1970-01-01T00:00:00Z (60 seconds ago); verified from there on";
        assert!(said.contains(pruned), "{said}");
    }

    #[test]
    fn a_broken_audit_says_every_finding_and_exits_with_1_whatever_else_is_proven() {
        let findings = vec![Finding::Changed { sequence: 3 }, Finding::Missing { from: 5, to: 6 }];
        let report = Report { findings, more: 2, ..report() };
        let said = plain(&broken(&report));
        assert!(
            said.starts_with("broken: the audit is not as it was written\n  entry 3 was changed: "),
            "{said}"
        );
        assert!(
            said.contains("\n  entries 5 to 6 are missing: they were removed\n  and 2 more\nnext: "),
            "{said}"
        );
        assert_eq!((exit(&report, true), exit(&report, false)), (Exit::Refused, Exit::Refused));
        let json = for_programs(&report, true);
        assert_eq!((&json["verdict"], &json["findings"][0]["code"]), (&"broken".into(), &"changed".into()));
    }
}
