//! What to measure, and how much of it.

use crate::Failure;

/// One row, or a few that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    Verify,
    Reconcile,
    Latency,
    Memory,
    Idle,
    Restart,
    Failover,
    Refresh,
    Growth,
}

const ALL: [(&str, Row); 9] = [
    ("verify", Row::Verify),
    ("reconcile", Row::Reconcile),
    ("latency", Row::Latency),
    ("memory", Row::Memory),
    ("idle", Row::Idle),
    ("restart", Row::Restart),
    ("failover", Row::Failover),
    ("refresh", Row::Refresh),
    ("growth", Row::Growth),
];

/// What to measure, and how much of it.
#[derive(Debug, Clone)]
pub struct Plan {
    rows: Vec<Row>,
    /// 1 for the real sizes.
    pub scale: f64,
    /// How often the two sides of `reconcile` alternate.
    pub runs: usize,
}

impl Plan {
    /// As `ROWS`, `SCALE` and `RUNS` say.
    ///
    /// # Errors
    /// With a sentence, when one of them says something else.
    pub fn from_environment() -> Result<Self, Failure> {
        let words = setting("ROWS");
        let row = |word: &str| {
            let found = ALL.iter().find(|(name, _)| *name == word).map(|(_, row)| *row);
            let names = ALL.map(|(name, _)| name).join(" ");
            found.ok_or_else(|| format!("there is no row {word}; rows are: {names}"))
        };
        let rows: Vec<Row> =
            words.split([' ', ',']).filter(|word| !word.is_empty()).map(row).collect::<Result<_, _>>()?;
        let rows = if rows.is_empty() { ALL.map(|(_, row)| row).to_vec() } else { rows };
        let scale = number("SCALE", 1.0)?;
        let runs = number("RUNS", 3.0)?;
        if !(0.01..=1.0).contains(&scale) || !(1.0..=20.0).contains(&runs) {
            return Err("SCALE is from 0.01 to 1, RUNS from 1 to 20".into());
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 20")]
        Ok(Self { rows, scale, runs: runs as usize })
    }

    /// Whether the row is wanted.
    pub fn has(&self, row: Row) -> bool {
        self.rows.contains(&row)
    }

    /// So many of `full`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "at most a million"
    )]
    pub fn scaled(&self, full: usize) -> usize {
        ((full as f64 * self.scale).round() as usize).max(1)
    }
}

fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_default().trim().to_owned()
}

fn number(name: &str, default: f64) -> Result<f64, Failure> {
    match setting(name).as_str() {
        "" => Ok(default),
        text => text.parse().map_err(|_| format!("{name}={text} is not a number").into()),
    }
}
