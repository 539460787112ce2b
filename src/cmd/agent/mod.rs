//! `usher agent`: keeps an installation activated, and runs a program under it.
//!
//! ```text
//!   activate ──► documents written ──► COMMAND runs ──► refresh at renew_at, again and again
//!                                        │                │ refused: told in status.json, the document still has an end
//!                                        │                │ unreachable, or a disk that is full: the same, tried again within a minute
//!                                        ▼                ▼ the document has ended: COMMAND is stopped
//!                            it ends, or SIGTERM: deactivate, unless a copy goes on
//! ```

mod child;
mod documents;
mod health;
mod keep;
mod trouble;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use tokio::signal::unix::{SignalKind, signal};
use usher_client::{Credential, Device, Installation, Options, Request, Server, Trusted, fingerprint};
use usher_license::Thumbprint;

use crate::{
    cmd::{Exit, Failure, edge::Machine, source, stop},
    domain::text::{Issuer, Product},
};
use child::Child;
use documents::Documents;
use health::{At, Health};
use keep::{End, Keeper};

/// Keeps an activation alive, writes its document, and runs a command under it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Usher's address, such as https://usher.acme.example.
    #[arg(long, env = "USHER_URL", value_name = "URL")]
    server: String,
    /// The certificate authority of that address, as a PEM file, if the system does not know it.
    #[arg(long, env = "USHER_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The proxy to go through, if not that of HTTPS_PROXY.
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// The License, as NAMESPACE/NAME.
    #[arg(long, env = "USHER_LICENSE", value_name = "NAMESPACE/NAME")]
    license: String,
    /// A file that holds the activation key.
    #[arg(long, env = "USHER_KEY_FILE", value_name = "FILE", required_unless_present = "token_file")]
    key_file: Option<PathBuf>,
    /// In a pod: the file of a projected volume with its service account's token, whose audience is the Authority's issuer. It is read anew for each call.
    #[arg(long, env = "USHER_TOKEN_FILE", value_name = "FILE", conflicts_with_all = ["key_file", "device"])]
    token_file: Option<PathBuf>,
    /// A folder of this installation's own, on a disk that lasts as long as the installation.
    #[arg(long, env = "USHER_STATE", value_name = "DIR")]
    state: PathBuf,
    /// Where to write license.jws, keys.jws and status.json; the state's folder if not given.
    #[arg(long, env = "USHER_DOCUMENTS", value_name = "DIR")]
    documents: Option<PathBuf>,
    /// Which device this is; the fingerprint of this machine if not given. Name it yourself in a container.
    #[arg(long, env = "USHER_DEVICE", value_name = "ID")]
    device: Option<String>,
    /// What people call the device.
    #[arg(long, env = "USHER_DEVICE_NAME", value_name = "NAME")]
    device_name: Option<String>,
    /// The thumbprint of the root key that you trust: the agent then verifies each document before it writes it.
    #[arg(long, value_name = "THUMBPRINT", allow_hyphen_values = true, requires_all = ["issuer", "product"])]
    trust: Option<Thumbprint>,
    /// The issuer whose documents count.
    #[arg(long, value_name = "URL", requires = "trust")]
    issuer: Option<Issuer>,
    /// The product that asks.
    #[arg(long, requires = "trust")]
    product: Option<Product>,
    /// Activate again although something is activated: once, after a snapshot was restored or the state was copied.
    #[arg(long)]
    recover: bool,
    /// Activate without a key of this installation's own (DPoP, RFC 9449): then whoever has the activation's token has all that its calls need.
    #[arg(long)]
    bearer: bool,
    /// Keep the place when this ends, for the next start.
    #[arg(long)]
    keep: bool,
    /// Stop the command as soon as the server refuses, and not when the last document ends.
    #[arg(long)]
    strict: bool,
    /// Tell over HTTP how it stands, at this port of this machine; at another address over HTTPS, by a certificate of its own.
    #[arg(long, env = "USHER_HEALTH", value_name = "[ADDRESS:]PORT")]
    health: Option<At>,
    /// The program to run, with its arguments. Without one, the agent only keeps the documents.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  usher agent --server https://usher.acme.example --license design/cad \\
      --key-file key --state /var/lib/cad/usher -- /opt/cad/bin/cad
  usher agent --server https://usher.acme.example --license design/cad \\
      --token-file /var/run/usher/token --state /var/lib/usher -- /opt/cad/bin/cad     # in a pod
SIGHUP makes it ask the server at once. The command finds the folder of the documents in USHER_DOCUMENTS. status.json there says in a member `state`:
  good     until when
  grace    the server has not been reached for a whole lease; when it ends
  refused  why, and what to do; when it ends
  over     the command is told to stop (SIGTERM, and SIGKILL half a minute later)

With --health 8087, http://127.0.0.1:8087 answers:
  /healthz 200 while the agent lives
  /readyz  200 while the command may run: the document has not ended; else 503 and why
  /status  JSON: the state as in status.json, document_ends, asked_at, refreshed_at, and trouble: why the server gave no document when it
           was asked last
A kubelet asks from outside of the pod: --health 0.0.0.0:8087, and a probe with `scheme: HTTPS`.

Exit codes:
  0  told to stop, and the place was given back; with a command: the command's own
  1  the license says no
  2  the command line is wrong, or the agent could not do its work";

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(work(args))
}

async fn work(args: Args) -> Result<ExitCode, Failure> {
    let (health, at) = (Health::default(), args.health);
    let told = async {
        match at {
            Some(at) => health.serve(at, Arc::new(Machine)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        // An address that cannot be had is said before anything is activated.
        biased;
        failed = told => failed.map(|()| Exit::Failed.into()),
        ended = kept(args, health.clone()) => ended,
    }
}

async fn kept(args: Args, health: Health) -> Result<ExitCode, Failure> {
    let stopped = stop::told()?;
    let request = args.request()?;
    let credential = args.credential()?;
    let server = Server::new(&args.server, args.options()?)?;
    let installation = Installation::open(&args.state, server, credential)?;
    let installation = if args.bearer { installation.bearer() } else { installation };
    let documents = Documents::open(args.documents.as_ref().unwrap_or(&args.state))?;
    let (folder, strict) = (documents.folder().to_owned(), args.strict);
    let asked = signal(SignalKind::hangup())?;
    let edge = Arc::new(Machine);
    let mut keeper =
        Keeper::new(installation, request, documents, args.trusted(), edge, health, (stopped, asked));
    if let Some(end) = keeper.begin(args.recover).await? {
        let exit = ended(&end);
        give_back(&mut keeper, &end, args.keep).await?;
        return exit;
    }
    if let Some(end) = keeper.refused().filter(|_| strict) {
        return ended(&end);
    }
    let child = match args.command.split_first() {
        Some((program, arguments)) => Some(Child::start(program, arguments, &folder)?),
        None => None,
    };
    let (exit, end) = match child {
        None => (None, keeper.keep(strict).await?),
        Some(mut child) => tokio::select! {
            exit = child.ended() => (Some(exit?), End::Stopped),
            end = keeper.keep(strict) => (Some(child.stop().await?), end?),
        },
    };
    give_back(&mut keeper, &end, args.keep).await?;
    match (exit, &end) {
        (Some(code), End::Stopped) => Ok(code.into()),
        _ => ended(&end),
    }
}

/// Who was told to stop has no use of the place any more, nor has whoever has no document that a program could run under.
async fn give_back(keeper: &mut Keeper, end: &End, keep: bool) -> Result<(), Failure> {
    match end {
        End::Stopped | End::Nothing(_) if !keep => keeper.give_back().await,
        _ => Ok(()),
    }
}

fn ended(end: &End) -> Result<ExitCode, Failure> {
    match end {
        End::Stopped => Ok(Exit::Done.into()),
        End::Over(why) => {
            anstream::eprintln!("usher: {why}");
            Ok(Exit::Refused.into())
        }
        End::Nothing(why) => {
            anstream::eprintln!("usher: {why}");
            Ok(Exit::Failed.into())
        }
    }
}

impl Args {
    fn request(&self) -> Result<Request, Failure> {
        let id = match (&self.device, &self.token_file) {
            (Some(id), _) => id.clone(),
            // Which one it is, the server knows.
            (None, Some(_)) => "pod".to_owned(),
            (None, None) => fingerprint::of_this_machine()
                .map_err(|error| format!("{error}; the option for it is --device"))?,
        };
        let device = Device { id, name: self.device_name.clone(), ..Device::of_this_machine() };
        Ok(Request { license: self.license.clone(), device })
    }

    fn credential(&self) -> Result<Credential, Failure> {
        match (&self.token_file, &self.key_file) {
            (Some(file), _) => Ok(Credential::TokenFile(file.clone())),
            (None, Some(file)) => Ok(Credential::Key(source::secret_line(file)?)),
            (None, None) => Err("either --key-file or --token-file is needed".into()),
        }
    }

    fn options(&self) -> Result<Options, Failure> {
        let ca = self.ca.as_deref().map(source::file).transpose()?;
        Ok(Options { ca, proxy: self.proxy.clone(), ..Options::default() })
    }

    fn trusted(&self) -> Option<Trusted> {
        let (root, issuer, product) = (self.trust.clone()?, self.issuer.as_ref()?, self.product.as_ref()?);
        Some(Trusted { root, issuer: issuer.to_string(), product: product.to_string() })
    }
}
