//! What Usher measures is what docs/metrics.md lists, and all that dashboard, alerts and runbooks build upon.

use std::collections::{BTreeMap, BTreeSet};

use regex_lite::Regex;
use serde::Deserialize;
use usher::{
    cluster::{
        census::{Census, Standing},
        metrics::Metrics,
    },
    domain::reason::Reason,
};

use super::{House, none};

const PAGE: &str = "docs/metrics.md";
const DASHBOARDS: &str = "docs/dashboards/";
const RULES: &str = "charts/usher/files/rules/";
const RUNBOOKS: &str = "docs/runbooks.md";

/// A metric: its type, its labels, and what it means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Metric {
    kind: String,
    labels: BTreeSet<String>,
    means: String,
}

type Listed = BTreeMap<String, Metric>;

/// The metrics of this OpenMetrics text, by the names that queries use.
fn measured(text: &str) -> Listed {
    let sample = Regex::new(r"^([a-z_]+)(?:\{(.*)\})? ").unwrap();
    let label = Regex::new(r#"([a-z_]+)=""#).unwrap();
    let (mut metrics, mut means, mut family) = (Listed::new(), String::new(), (String::new(), String::new()));
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            help.split_once(' ').unwrap().1.clone_into(&mut means);
        } else if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ').unwrap();
            let suffix = match kind {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            family = (name.to_owned(), format!("{name}{suffix}"));
            let metric = Metric { kind: kind.to_owned(), means: means.clone(), ..Metric::default() };
            metrics.insert(family.1.clone(), metric);
        } else if let Some(sample) = sample.captures(line) {
            assert!(sample[1].starts_with(&family.0), "{line} is no sample of {}", family.0);
            let labels = sample.get(2).map_or("", |labels| labels.as_str());
            let labels = label.captures_iter(labels).map(|label| label[1].to_owned());
            metrics.get_mut(&family.1).unwrap().labels.extend(labels.filter(|label| label != "le"));
        }
    }
    metrics
}

/// Every metric that Usher has, each with a sample.
fn ours() -> Listed {
    let (metrics, one) = (Metrics::default(), BTreeMap::from([(Standing::of(&[]), 1)]));
    metrics.counted(&Census { licenses: one.clone(), authorities: one, ..Census::default() });
    measured(&metrics.text())
}

/// The rows of the page.
fn listed(page: &str) -> Listed {
    let rows = page.lines().filter(|line| line.starts_with("| `usher_"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, means] = cells[..] else { panic!("{PAGE}: a row has four cells: {line}") };
        let labels = labels.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        let metric = Metric { kind: kind.to_owned(), labels, means: means.to_owned() };
        (name.trim_matches('`').to_owned(), metric)
    })
    .collect()
}

fn unlisted(page: &str, metrics: &Listed) -> Vec<String> {
    let listed = listed(page);
    let row = |name: &str, metric: &Metric| {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        format!("| `{name}` | {} | {} | {} |", metric.kind, labels.join(", "), metric.means)
    };
    let differs = metrics.iter().filter(|(name, metric)| listed.get(*name) != Some(*metric));
    let lacks = differs.map(|(name, metric)| format!("{PAGE} lacks the row: {}", row(name, metric)));
    let invented = listed.keys().filter(|name| !metrics.contains_key(*name));
    lacks.chain(invented.map(|name| format!("{PAGE}: there is no metric {name}"))).collect()
}

/// What a query asks for that there is not: metrics, their labels, and the words of these.
fn unknown(query: &str, metrics: &Listed) -> Vec<String> {
    let selector = Regex::new(r"\b(usher_[a-z_]+)(?:\{([^}]*)\})?").unwrap();
    let matcher = Regex::new(r#"([a-z_]+)\s*[=!]~?\s*"([^"]*)""#).unwrap();
    let mut broken = Vec::new();
    for found in selector.captures_iter(query) {
        let name = &found[1];
        let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let metric = metrics.get(name).filter(|metric| metric.kind != "histogram");
        let metric = metric.or_else(|| metrics.get(histogram?).filter(|metric| metric.kind == "histogram"));
        let Some(metric) = metric else {
            broken.push(format!("there is no metric {name}"));
            continue;
        };
        for matched in matcher.captures_iter(found.get(2).map_or("", |labels| labels.as_str())) {
            if !metric.labels.contains(&matched[1]) {
                broken.push(format!("{name} has no label {}", &matched[1]));
            }
            let is_reason = |word: &str| Reason::ALL.iter().any(|(reason, _)| reason.as_str() == word);
            if &matched[1] == "reason" && !matched[2].split('|').all(is_reason) {
                broken.push(format!("{name}: {} is no reason", &matched[2]));
            }
        }
    }
    if broken.is_empty() && !selector.is_match(query) {
        broken.push(format!("it asks for nothing of ours: {query}"));
    }
    broken
}

/// A dashboard, as far as we read it.
#[derive(Deserialize)]
struct Dashboard {
    uid: String,
    title: String,
    panels: Vec<Panel>,
}

#[derive(Deserialize)]
struct Panel {
    id: u32,
    title: String,
    description: String,
    datasource: Source,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    expr: String,
}

#[derive(Deserialize)]
struct Source {
    uid: String,
}

fn broken_dashboard(json: &str, metrics: &Listed) -> Vec<String> {
    let board: Dashboard = match serde_json::from_str(json) {
        Ok(board) => board,
        Err(error) => return vec![format!("cannot be read: {error}")],
    };
    let mut broken = Vec::new();
    let ids: BTreeSet<u32> = board.panels.iter().map(|panel| panel.id).collect();
    if board.uid.is_empty() || board.title.is_empty() || ids.len() != board.panels.len() {
        broken.push("a dashboard has a uid, a title, and a panel for each id".to_owned());
    }
    for panel in &board.panels {
        let mut found: Vec<String> =
            panel.targets.iter().flat_map(|target| unknown(&target.expr, metrics)).collect();
        if panel.description.is_empty() || panel.targets.is_empty() || panel.datasource.uid != "$datasource" {
            found.push("a panel has a description, a query, and $datasource".to_owned());
        }
        broken.extend(found.into_iter().map(|found| format!("{}: {found}", panel.title)));
    }
    broken
}

/// An alert rule.
#[derive(Deserialize)]
struct Rule {
    alert: String,
    expr: String,
    #[serde(rename = "for")]
    _lasts: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

fn broken_rules(yaml: &str, runbooks: &str, metrics: &Listed) -> Vec<String> {
    let rules: Vec<Rule> = match serde_saphyr::from_str(yaml) {
        Ok(rules) => rules,
        Err(error) => return vec![format!("cannot be read: {error}")],
    };
    let headings: Vec<&str> = runbooks.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let mut broken = Vec::new();
    for rule in &rules {
        let mut found = unknown(&rule.expr, metrics);
        if !headings.contains(&rule.alert.as_str()) {
            found.push(format!("{RUNBOOKS} has no heading ## {}", rule.alert));
        }
        let url = format!("{RUNBOOKS}#{}", rule.alert.to_lowercase());
        if rule.annotations.get("runbook_url") != Some(&url) {
            found.push(format!("its runbook_url is not {url}"));
        }
        let severity = rule.labels.get("severity").map(String::as_str);
        let says = ["summary", "description"].iter().all(|name| rule.annotations.contains_key(*name));
        if !says || !matches!(severity, Some("critical" | "warning")) {
            found.push("an alert has a summary, a description, and is critical or a warning".to_owned());
        }
        broken.extend(found.into_iter().map(|found| format!("{}: {found}", rule.alert)));
    }
    let nameless = headings.iter().filter(|heading| !rules.iter().any(|rule| rule.alert == **heading));
    broken.extend(nameless.map(|heading| format!("{RUNBOOKS}: there is no alert {heading}")));
    broken
}

/// The files below a folder, which is not empty.
fn below(folder: &'static str) -> Vec<(&'static str, &'static str)> {
    let files: Vec<_> = House::ours().files().filter(|(path, _)| path.starts_with(folder)).collect();
    assert!(!files.is_empty(), "nothing is in {folder}");
    files
}

#[test]
fn every_metric_is_listed_in_its_own_words_and_no_other_is() {
    none(&unlisted(House::ours().text(PAGE).unwrap_or_default(), &ours()));
}

#[test]
fn every_panel_asks_for_metrics_that_there_are() {
    let boards = below(DASHBOARDS).into_iter();
    let found = boards.flat_map(|(path, json)| {
        broken_dashboard(json, &ours()).into_iter().map(move |found| format!("{path}: {found}"))
    });
    none(&found.collect::<Vec<_>>());
}

#[test]
fn every_alert_asks_for_metrics_that_there_are_and_has_its_runbook() {
    let rules: String = below(RULES).into_iter().map(|(_, yaml)| yaml).collect();
    none(&broken_rules(&rules, House::ours().text(RUNBOOKS).unwrap_or_default(), &ours()));
}

const TEXT: &str = "# HELP usher_looks Looks.\n# TYPE usher_looks counter\nusher_looks_total{kind=\"License\"} 1\n\
                    # HELP usher_took How long.\n# TYPE usher_took histogram\nusher_took_bucket{le=\"1\"} 1\n";
const ROWS: &str =
    "| `usher_looks_total` | counter | `kind` | Looks. |\n| `usher_took` | histogram | | How long. |\n";

#[test]
fn a_metric_that_the_page_lacks_changes_or_invents_is_found() {
    none(&unlisted(ROWS, &measured(TEXT)));
    assert_eq!(unlisted("", &measured(TEXT)).len(), 2, "lacks");
    for (word, other) in [("counter", "gauge"), ("`kind`", "`name`"), ("Looks.", "Sights.")] {
        assert_eq!(unlisted(&ROWS.replace(word, other), &measured(TEXT)).len(), 1, "changes {word}");
    }
    assert_eq!(unlisted(ROWS, &Listed::new()).len(), 2, "invents");
}

#[test]
fn a_query_for_what_there_is_not_is_found() {
    let metrics = measured(TEXT);
    for query in ["rate(usher_looks_total{kind=\"License\"}[5m])", "usher_took_bucket + usher_took_count"] {
        none(&unknown(query, &metrics));
    }
    for query in
        ["usher_looks", "usher_took", "usher_looks_total_count", "usher_looks_total{name=\"a\"}", "up == 0"]
    {
        assert_eq!(unknown(query, &metrics).len(), 1, "{query}");
    }
}

#[test]
fn an_alert_without_its_runbook_and_a_runbook_without_its_alert_are_found() {
    let rule = "- alert: A\n  expr: usher_looks_total > 0\n  for: 5m\n  labels: {severity: warning}\n  \
                annotations: {summary: s, description: d, runbook_url: \"docs/runbooks.md#a\"}\n";
    let broken = |rule: &str, runbooks: &str| broken_rules(rule, runbooks, &measured(TEXT)).len();
    assert_eq!(broken(rule, "## A\n"), 0);
    assert_eq!(broken(rule, "## A\n## B\n"), 1, "a runbook without its alert");
    assert_eq!(broken(rule, "# A\n"), 1, "no heading of that level");
    for (word, other) in [("looks_total", "looks"), ("#a", "#b"), ("warning", "loud"), ("summary", "sum")] {
        assert_eq!(broken(&rule.replace(word, other), "## A\n"), 1, "{word}");
    }
}

#[test]
fn a_panel_that_is_bound_to_somebodys_own_prometheus_is_found() {
    let board = r#"{"uid": "u", "title": "t", "panels": [{"id": 1, "title": "p", "description": "d",
        "datasource": {"uid": "$datasource"}, "targets": [{"expr": "usher_looks_total"}]}]}"#;
    let broken = |board: &str| broken_dashboard(board, &measured(TEXT)).len();
    assert_eq!(broken(board), 0);
    for (word, other) in
        [("$datasource", "mine"), ("looks_total", "gone"), ("\"u\"", "\"\""), ("\"id\"", "\"no\"")]
    {
        assert_eq!(broken(&board.replace(word, other)), 1, "{word}");
    }
}
