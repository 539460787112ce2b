//! `usher ledger`: backups, and what to do when the ledger was lost, or is another cluster's.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    cluster::{standing, witness},
    cmd::{self, Exit, Failure, eprint, place::LedgerArgs, print},
    domain::witness::{Mark, Owner},
    ledger::{Place, sqlite::backup},
};

/// Backs up, restores, rebuilds or takes over the ledger.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Copy the ledger to a file, also while the operator is at work.
    Backup(Copy),
    /// Put a backup in the place of the ledger. The operator must be stopped.
    Restore(Copy),
    /// Tell the operator to rebuild a ledger that it found lost, where it runs with --on-loss=refuse.
    Rebuild(Rebuild),
    /// Tell the operator to take over the ledger of another cluster, which is gone or must not use it any more.
    Adopt(Adopt),
}

#[derive(Debug, clap::Args)]
struct Copy {
    /// The backup; - is standard output, or input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    ledger: LedgerArgs,
}

#[derive(Debug, clap::Args)]
struct Rebuild {
    /// The namespace of Usher itself.
    #[arg(long, env = "USHER_NAMESPACE", default_value = "usher-system")]
    namespace: String,
}

#[derive(Debug, clap::Args)]
struct Adopt {
    /// Whose the ledger is, as the condition with the reason `LedgerForeign` of each Authority names it.
    #[arg(value_name = "UID/NUMBER")]
    owner: Owner,
    #[command(flatten)]
    of: Rebuild,
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match args.command {
            Command::Backup(copy) => back_up(&copy).await,
            Command::Restore(copy) => restore(&copy).await,
            Command::Rebuild(rebuild) => consent(&rebuild).await,
            Command::Adopt(adopt) => take_over(&adopt).await,
        }
    })?;
    Ok(Exit::Done.into())
}

/// A file beside the ledger, on the one disk that is sure to be writable, gone when this is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn beside(ledger: &Path) -> Self {
        let mut name = ledger.as_os_str().to_owned();
        name.push(format!(".{}.copy", std::process::id()));
        Self(name.into())
    }

    /// Makes it, for its owner only: it holds who holds what.
    fn create(&self) -> io::Result<File> {
        File::options().write(true).create_new(true).mode(0o600).open(&self.0)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn is_stream(file: &Path) -> bool {
    file == Path::new("-")
}

/// A database is copied by its own tools: they know how to, while others write.
fn file<'a>(place: &'a Place, tool: &str) -> Result<&'a Path, Failure> {
    match place {
        Place::File(path) => Ok(path),
        Place::Database(_) => Err(format!(
            "{place} is a PostgreSQL database: back it up and restore it as such, with {tool} or as your provider does. \
             When Usher finds an older ledger than it had, it says LedgerMissing: docs/backup.md tells what then"
        )
        .into()),
    }
}

async fn back_up(copy: &Copy) -> Result<(), Failure> {
    let ledger = file(&copy.ledger.ledger, "pg_dump")?;
    if !is_stream(&copy.file) {
        let mark = backup::backup(ledger, &copy.file).await?;
        return print(&format!("{} holds {}\n", copy.file.display(), said(mark)));
    }
    let scratch = Scratch::beside(ledger);
    let mark = backup::backup(ledger, &scratch.0).await?;
    io::copy(&mut File::open(&scratch.0)?, &mut io::stdout().lock())?;
    eprint(&format!("written: {}\n", said(mark)))
}

async fn restore(copy: &Copy) -> Result<(), Failure> {
    let ledger = file(&copy.ledger.ledger, "pg_restore")?;
    let scratch = Scratch::beside(ledger);
    let from = if is_stream(&copy.file) {
        io::copy(&mut io::stdin().lock(), &mut scratch.create()?)?;
        &scratch.0
    } else {
        &copy.file
    };
    let (mark, replaced) = backup::restore(from, ledger).await?;
    let kept =
        replaced.map(|path| format!("; the former one is kept in {}", path.display())).unwrap_or_default();
    print(&format!("{} is {}{kept}\n", ledger.display(), said(mark)))?;
    eprint(
        "next: start Usher; it compares the ledger with the documents in Secrets before it decides anything\n",
    )
}

fn said(Mark { incarnation, commits }: Mark) -> String {
    format!("the ledger of incarnation {incarnation} after {commits} commits")
}

/// Writes the consent beside the witness that it is about.
async fn consent(rebuild: &Rebuild) -> Result<(), Failure> {
    let client = Client::try_from(cmd::cluster().await?)?;
    let maps: Api<ConfigMap> = Api::namespaced(client, &rebuild.namespace);
    let Some(map) = maps.get_opt(witness::NAME).await? else {
        return Err(format!(
            "there is no ConfigMap {} in namespace {}: Usher never had a ledger here, and there is nothing to rebuild",
            witness::NAME,
            rebuild.namespace
        )
        .into());
    };
    let entry = |name: &str| map.data.as_ref().and_then(|data| data.get(name)).cloned().unwrap_or_default();
    let consent = witness::consent(entry("incarnation"), entry("commits"));
    let patch = json!({"metadata": {"annotations": {witness::REBUILD: consent}}});
    maps.patch(witness::NAME, &PatchParams::default(), &Patch::Merge(patch)).await?;
    print(&format!("Usher may rebuild the ledger that was lost after {consent} (incarnation/commits)\n"))?;
    eprint("next: kubectl get authorities -w; LedgerMissing ends within seconds if Usher waits for this\n")
}

/// Writes the consent on the namespace by which this cluster is known.
async fn take_over(Adopt { owner, of }: &Adopt) -> Result<(), Failure> {
    let client = Client::try_from(cmd::cluster().await?)?;
    let namespaces: Api<Namespace> = Api::all(client);
    let patch = json!({"metadata": {"annotations": {standing::ADOPT: owner.to_string()}}});
    namespaces.patch(&of.namespace, &PatchParams::default(), &Patch::Merge(patch)).await?;
    print(&format!(
        "Usher in {} may take over the ledger of {owner}, unless somebody has led it since\n",
        of.namespace
    ))?;
    eprint("next: kubectl get authorities -w; LedgerForeign ends within seconds if Usher waits for this\n")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_restored_from_standard_input_is_for_its_owner_only_and_does_not_stay() {
        let directory = tempfile::tempdir().unwrap();
        let scratch = Scratch::beside(&directory.path().join("ledger.db"));
        let mode = scratch.create().unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(scratch);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
