//! What the process that reads XML may still do: read what it was given, compute, and answer.
//!
//! | taken away | by |
//! |---|---|
//! | new privileges | `no_new_privs` |
//! | its memory, for whoever runs as the same user | not dumpable |
//! | descriptors, beyond those of its start | `RLIMIT_NOFILE` |
//! | processes | `RLIMIT_NPROC`, and no system call that makes one |
//! | memory and processor time without end | `RLIMIT_AS`, `RLIMIT_CPU`; the parent's deadline |
//! | sockets, files, programs, other processes, code that was not there | no system call but those below: the kernel ends the process at any other |

use std::{collections::BTreeMap, env::consts::ARCH, io};

use libc::{
    PROT_EXEC, SYS_brk, SYS_clock_gettime, SYS_close, SYS_exit, SYS_exit_group, SYS_futex, SYS_getpid,
    SYS_getrandom, SYS_madvise, SYS_mmap, SYS_mprotect, SYS_mremap, SYS_munmap, SYS_read, SYS_rt_sigaction,
    SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sched_yield, SYS_sigaltstack, SYS_sysinfo, SYS_write,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter_all_threads,
};

/// Address space, in bytes: the program itself, its libraries, and some megabytes for the largest document.
const MEMORY: u64 = 512 << 20;
/// Processor time, in seconds: a response takes some milliseconds.
const SECONDS: u64 = 2;
/// Standard input, output and error.
const DESCRIPTORS: u64 = 3;

/// Why it cannot be locked down.
#[derive(Debug, thiserror::Error)]
pub enum Open {
    /// The kernel does not take a limit.
    #[error("a limit cannot be set")]
    Limit(#[from] io::Error),
    /// It does not take the filter.
    #[error("system calls cannot be filtered")]
    Filter(#[from] seccompiler::Error),
}

/// From now on, and for good.
///
/// # Errors
/// When the kernel does not do it: then nothing must be read.
pub fn lock_down() -> Result<(), Open> {
    rustix::thread::set_no_new_privs(true).map_err(io::Error::from)?;
    not_dumpable()?;
    for (resource, most) in [
        (Resource::As, MEMORY),
        (Resource::Cpu, SECONDS),
        (Resource::Nofile, DESCRIPTORS),
        (Resource::Nproc, 0),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
    ] {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) }).map_err(io::Error::from)?;
    }
    Ok(apply_filter_all_threads(&filter()?)?)
}

/// Nobody else reads this process's memory, as the same user could; and it leaves no core.
///
/// # Errors
/// When the kernel does not do it.
pub fn not_dumpable() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

fn filter() -> Result<BpfProgram, seccompiler::Error> {
    let always = [
        SYS_brk,
        SYS_clock_gettime,
        SYS_close,
        SYS_exit,
        SYS_exit_group,
        SYS_futex,
        SYS_getpid,
        SYS_getrandom,
        SYS_madvise,
        SYS_mremap,
        SYS_munmap,
        SYS_read,
        SYS_rt_sigaction,
        SYS_rt_sigprocmask,
        SYS_rt_sigreturn,
        SYS_sched_yield,
        SYS_sigaltstack,
        // How much memory there is: the C library's sort asks.
        SYS_sysinfo,
        SYS_write,
    ];
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        always.into_iter().map(|call| (call, Vec::new())).collect();
    // Memory for data. Not for code.
    let executable = u64::from(PROT_EXEC.unsigned_abs());
    for call in [SYS_mmap, SYS_mprotect] {
        let is_data =
            SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(executable), 0)?;
        rules.insert(call, vec![SeccompRule::new(vec![is_data])?]);
    }
    let filter =
        SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, ARCH.try_into()?)?;
    Ok(filter.try_into()?)
}
