//! The table.

use std::fmt::Write as _;

use crate::{machine::Machine, plan::Plan};

/// One row of the table.
#[derive(Debug, Clone)]
pub struct Line {
    /// What was measured.
    pub what: String,
    /// The goal, and whether it was met.
    pub goal: Option<(String, bool)>,
    /// The figure.
    pub figure: String,
    /// Both sides, and the spread.
    pub detail: String,
}

/// The page that `make bench` prints.
pub fn page(plan: &Plan, machine: &Machine, lines: &[Line]) -> String {
    let mut page = format!("{machine}\n");
    if plan.scale < 1.0 {
        let _ =
            writeln!(page, "Sizes are {} of the real ones: this is a trial, not a measurement.", plan.scale);
    }
    page.push_str("\n| what | goal | measured | both sides, spread |\n|---|---|---|---|\n");
    for Line { what, goal, figure, detail } in lines {
        let (goal, verdict) = match goal {
            Some((goal, true)) => (goal.as_str(), ""),
            Some((goal, false)) => (goal.as_str(), ", missed"),
            None => ("–", ""),
        };
        let _ = writeln!(page, "| {what} | {goal} | **{figure}**{verdict} | {detail} |");
    }
    page
}

/// Tells whoever waits what is going on.
pub fn tell(text: &str) {
    eprintln!("bench: {text}");
}
