//! On what this was measured: the machine's size, never its name.

use std::{
    fmt,
    fs::{self, File},
    io::{Seek as _, SeekFrom, Write as _},
    time::Duration,
};

use crate::{Failure, clock::Since, stats::Sorted};

/// How long syncing is tried.
const SYNCING: Duration = Duration::from_secs(2);

/// The machine.
#[derive(Debug)]
pub struct Machine {
    cores: usize,
    gibibytes: u64,
    syncs_per_second: f64,
    slowest_sync: f64,
    load: String,
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, gibibytes, syncs_per_second, slowest_sync, load } = self;
        write!(
            f,
            "{cores} cores, {gibibytes} GiB; the disk does {syncs_per_second:.0} fsync/s of 4 KiB with one writer \
             (p99 {slowest_sync:.1} ms). Load before the first run: {load}."
        )
    }
}

/// Looks, for two seconds.
pub fn look() -> Result<Machine, Failure> {
    let syncs = syncs()?;
    let total: f64 = syncs.iter().map(Duration::as_secs_f64).sum();
    let count = f64::from(u32::try_from(syncs.len())?);
    Ok(Machine {
        cores: std::thread::available_parallelism()?.get(),
        gibibytes: kibibytes("/proc/meminfo", "MemTotal:")? / (1024 * 1024),
        syncs_per_second: count / total,
        slowest_sync: Sorted::millis(&syncs).quantile(0.99),
        load: load()?,
    })
}

/// The load average of the last minute.
pub fn load() -> Result<String, Failure> {
    Ok(fs::read_to_string("/proc/loadavg")?.split(' ').next().unwrap_or_default().to_owned())
}

/// How long each sync took, where the control plane and the ledger will lie.
fn syncs() -> Result<Vec<Duration>, Failure> {
    let directory = tempfile::tempdir()?;
    let mut file = File::create(directory.path().join("sync"))?;
    let (block, begun, mut took) = ([7; 4096], Since::now(), Vec::new());
    while begun.elapsed() < SYNCING {
        let one = Since::now();
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&block)?;
        file.sync_all()?;
        took.push(one.elapsed());
    }
    Ok(took)
}

/// A number of a file under /proc whose lines are like `VmHWM:   1234 kB`.
pub fn kibibytes(file: &str, name: &str) -> Result<u64, Failure> {
    let text = fs::read_to_string(file)?;
    let line =
        text.lines().find(|line| line.starts_with(name)).ok_or_else(|| format!("{file} has no {name}"))?;
    Ok(line.split_whitespace().nth(1).unwrap_or_default().parse()?)
}

/// The processor time that a process has had so far.
pub fn cpu(process: u32) -> Result<Duration, Failure> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name, in parentheses, may contain anything.
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse().unwrap_or(0)).sum();
    // Linux counts in hundredths of a second here, whatever its own tick is.
    Ok(Duration::from_millis(ticks * 10))
}

/// The children of a process.
pub fn children(process: u32) -> Result<Vec<u32>, Failure> {
    let path = format!("/proc/{process}/task/{process}/children");
    Ok(fs::read_to_string(path)?.split_whitespace().filter_map(|child| child.parse().ok()).collect())
}
