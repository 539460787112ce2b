//! `usher agent`: keeps an installation activated, and runs a program under it.
//!
//! ```text
//!   activate ──► documents written ──► COMMAND runs ──► refresh at renew_at, again and again
//!                                        │                │ refused: told in status.json, the document still has an end
//!                                        │                │ unreachable, or a disk that is full: the same, tried again within a minute
//!                                        ▼                ▼ the document has ended: COMMAND is stopped
//!                            it ends, or SIGTERM: deactivate, unless a copy goes on
//! ```
//! With `--login` whoever is signed in on this machine activates, and is asked about again before each document and whenever their access token ends.

mod child;
mod documents;
mod health;
mod keep;
mod session;
mod signed_in;
mod trouble;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use tokio::signal::unix::{SignalKind, signal};
use usher_client::{
    Credential, Device, Installation, Options, Request, Server, Trusted, fingerprint,
    login::{Login, nobody},
};
use usher_license::Thumbprint;

use crate::{
    cmd::{Exit, Failure, edge::Machine, login, source, stop},
    domain::text::{Issuer, Product},
};
use child::Child;
use documents::Documents;
use health::{At, Health};
use keep::{End, Keeper};
use signed_in::Watch;

/// Keeps an activation alive, writes its document, and runs a command under it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Usher's address, such as https://usher.acme.example; with --login that at which you are signed in, if not given.
    #[arg(long, env = "USHER_URL", value_name = "URL", required_unless_present = "login")]
    server: Option<String>,
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
    #[arg(long, env = "USHER_KEY_FILE", value_name = "FILE", required_unless_present_any = ["token_file", "login"])]
    key_file: Option<PathBuf>,
    /// In a pod: the file of a projected volume with its service account's token, whose audience is the Authority's issuer. It is read anew for each call.
    #[arg(long, env = "USHER_TOKEN_FILE", value_name = "FILE", conflicts_with_all = ["key_file", "device"])]
    token_file: Option<PathBuf>,
    /// Go by whoever is signed in on this machine (usher login), on the seat that is theirs.
    #[arg(long, conflicts_with_all = ["key_file", "token_file", "bearer"])]
    login: bool,
    /// The folder in which it is kept who is signed in; usher in XDG_STATE_HOME if not given.
    #[arg(long, env = "USHER_LOGIN", value_name = "DIR")]
    login_dir: Option<PathBuf>,
    /// A folder of this installation's own, on a disk that lasts as long as the installation; with --login activations/LICENSE beside the login, if not given.
    #[arg(long, env = "USHER_STATE", value_name = "DIR", required_unless_present = "login")]
    state: Option<PathBuf>,
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
    /// Have a session open while the command runs.
    #[arg(long, requires = "command")]
    session: bool,
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
  usher agent --login --license design/cad -- /opt/cad/bin/cad     # after usher login
With --login the sign-in is asked about every ten minutes, and as soon as the network is back. Once it has ended, status.json says refused with the code
signed-out: sign in again (usher login), and the agent goes on.
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
    let Some(server) = args.address(&credential)? else { return ended(&End::Over(nobody().to_string())) };
    let (server, state) = (Server::new(&server, args.options()?)?, args.state(&credential)?);
    let watch = match &credential {
        Credential::Login(login) => Some(Watch::of(login.clone())),
        Credential::Key(_) | Credential::TokenFile(_) => None,
    };
    let installation = Installation::open(&state, server, credential)?;
    let installation = if args.bearer { installation.bearer() } else { installation };
    let documents = Documents::open(args.documents.as_ref().unwrap_or(&state))?;
    let asked = signal(SignalKind::hangup())?;
    let edge = Arc::new(Machine);
    let keeper =
        Keeper::new(installation, request, documents, args.trusted(), edge, health, (stopped, asked));
    run_under(keeper.watching(watch), &args).await
}

async fn run_under(mut keeper: Keeper, args: &Args) -> Result<ExitCode, Failure> {
    let strict = args.strict;
    if let Some(end) = begun(&mut keeper, args).await? {
        let exit = ended(&end);
        give_back(&mut keeper, &end, args.keep).await?;
        return exit;
    }
    if let Some(end) = keeper.refused().filter(|_| strict) {
        keeper.close_session().await;
        return ended(&end);
    }
    let child = match args.command.split_first() {
        Some((program, arguments)) => Some(Child::start(program, arguments, keeper.folder())?),
        None => None,
    };
    let (exit, end) = match child {
        None => (None, keeper.keep(strict).await?),
        Some(mut child) => tokio::select! {
            exit = child.ended() => (Some(exit?), End::Stopped),
            end = keeper.keep(strict) => (Some(child.stop().await?), end?),
        },
    };
    keeper.close_session().await;
    give_back(&mut keeper, &end, args.keep).await?;
    match (exit, &end) {
        (Some(code), End::Stopped) => Ok(code.into()),
        _ => ended(&end),
    }
}

/// Sees that there is all that the command is to have. Ends if there cannot be.
async fn begun(keeper: &mut Keeper, args: &Args) -> Result<Option<End>, Failure> {
    let end = keeper.begin(args.recover).await?;
    if end.is_none() && args.session { Ok(keeper.open_session().await) } else { Ok(end) }
}

/// Who was told to stop has no use of the place any more, nor has whoever has no document that a program could run under.
async fn give_back(keeper: &mut Keeper, end: &End, keep: bool) -> Result<(), Failure> {
    match end {
        End::Stopped | End::Nothing(_) | End::Full(_) if !keep => keeper.give_back().await,
        _ => Ok(()),
    }
}

fn ended(end: &End) -> Result<ExitCode, Failure> {
    match end {
        End::Stopped => Ok(Exit::Done.into()),
        End::Over(why) | End::Full(why) => {
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
            _ if self.login => Ok(Credential::Login(Login::at(login::folder(self.login_dir.as_deref())?))),
            (Some(file), _) => Ok(Credential::TokenFile(file.clone())),
            (None, Some(file)) => Ok(Credential::Key(source::secret_line(file)?)),
            (None, None) => Err("one of --key-file, --token-file and --login is needed".into()),
        }
    }

    /// The server's address; nothing if whoever is signed in would say it, and nobody is.
    fn address(&self, credential: &Credential) -> Result<Option<String>, Failure> {
        match (&self.server, credential) {
            (None, Credential::Login(login)) => Ok(login.server()?),
            (server, _) => Ok(server.clone()),
        }
    }

    /// The folder of this installation.
    fn state(&self, credential: &Credential) -> Result<PathBuf, Failure> {
        match (&self.state, credential) {
            (Some(state), _) => Ok(state.clone()),
            (None, Credential::Login(login)) => {
                let is_name =
                    |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
                let named = self.license.split_once('/').filter(|(namespace, name)| {
                    is_name(namespace)
                        && !namespace.is_empty()
                        && name.split('.').all(|part| is_name(part) && !part.is_empty())
                });
                let (namespace, name) =
                    named.ok_or("--license must be NAMESPACE/NAME, such as design/cad")?;
                Ok(login.folder().join("activations").join(namespace).join(name))
            }
            (None, Credential::Key(_) | Credential::TokenFile(_)) => Err("--state is needed".into()),
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
