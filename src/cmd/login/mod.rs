//! `usher login`, `whoami`, `logout`: somebody is signed in on this machine.
//!
//! The tokens lie in the credential store of the operating system; where there is none, in `$XDG_STATE_HOME/usher/login.json` (`~/.local/state/usher/login.json`),
//! which only its owner may read.

mod device;
mod loopback;
mod theirs;

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use usher_client::{
    Device, Error, Options, Server,
    login::{Endpoints, Flow, Kept, Key, Login, Me, Mine, Tokens, Vault},
};

use crate::{
    cmd::{
        Exit, Failure, Output, describe::printable, edge::Machine, eprint, print, print_json, source, unix,
    },
    domain::text::DeviceName,
    service::edge::Edge as _,
};
use loopback::Loopback;

/// Signs you in on this machine, in a browser.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct LoginArgs {
    #[command(flatten)]
    place: Place,
    /// Usher's address, such as https://usher.acme.example.
    #[arg(long, env = "USHER_URL", value_name = "URL")]
    server: String,
    /// What to call this machine; its name in the network if not given.
    #[arg(long, value_name = "NAME")]
    device_name: Option<DeviceName>,
    /// Do not open a browser: only print the address to open on this machine.
    #[arg(long)]
    no_browser: bool,
    /// There is no browser on this machine: prints a code, and the address at which it is typed in a browser anywhere.
    #[arg(long, conflicts_with = "no_browser")]
    device: bool,
    /// Where the tokens and their key are kept; in the credential store of the operating system if there is one, else in a file.
    #[arg(long, value_enum)]
    store: Option<Store>,
    /// Sign in without a key of this machine's own (DPoP, RFC 9449): then whoever has the tokens has all that calls need, such as curl.
    #[arg(long)]
    bearer: bool,
}

const EXAMPLES: &str = "\
Example:
  usher login --server https://usher.acme.example
The browser must run on this machine: it is sent back to a port of 127.0.0.1. If there is none:
  usher login --server https://usher.acme.example --device";

/// Where secrets are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Store {
    /// In a file that only you may read.
    File,
    /// In the credential store of the operating system.
    Os,
}

impl From<Store> for Vault {
    fn from(store: Store) -> Self {
        match store {
            Store::File => Self::File,
            Store::Os => Self::Os,
        }
    }
}

/// Where tokens are kept, and what the server is trusted by.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// The certificate authority of Usher's address, as a PEM file, if the system does not know it.
    #[arg(long, env = "USHER_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The folder in which it is kept who is signed in; usher in XDG_STATE_HOME if not given.
    #[arg(long, env = "USHER_LOGIN", value_name = "DIR")]
    login_dir: Option<PathBuf>,
}

/// Says who is signed in on this machine, until when, and what is theirs: seats, devices, places in the queue.
#[derive(Debug, clap::Args)]
pub(super) struct WhoamiArgs {
    #[command(flatten)]
    place: Place,
    /// For whom to write.
    #[arg(short, long, value_enum, default_value_t = Output::Human)]
    output: Output,
}

/// Signs you out on this machine. Seats and activations stay yours.
#[derive(Debug, clap::Args)]
pub(super) struct LogoutArgs {
    #[command(flatten)]
    place: Place,
}

pub(super) fn login(args: &LoginArgs) -> Result<ExitCode, Failure> {
    asynchronously(async {
        let folder = args.place.folder()?;
        let server = args.place.server(&args.server)?;
        let endpoints = server.endpoints().await?;
        let hostname = Device::of_this_machine().hostname.and_then(|name| name.parse().ok());
        let device = args.device_name.clone().or(hostname);
        let device = device.as_ref().map(DeviceName::as_str);
        // Nobody waits for whoever sits in front of the browser.
        let key = prepared(&folder, args)?;
        let tokens = if args.device {
            device::sign_in(&server, &endpoints, device, key.as_ref()).await?
        } else {
            in_browser(&server, &endpoints, device, key.as_ref(), !args.no_browser).await?
        };
        let kept = Kept::open(&folder)?;
        // Whoever was signed in here before is not any more.
        if let Ok(Some(former)) = kept.tokens()
            && former.server == tokens.server
        {
            drop(server.sign_out(&endpoints, &former).await);
        }
        kept.keep(&tokens)?;
        drop(kept);
        said(&Login::at(folder).me(&server).await?)
    })
}

/// Decides where the login will be kept. Gives the key to which it will be bound.
fn prepared(folder: &Path, args: &LoginArgs) -> Result<Option<Key>, Failure> {
    let mut kept = Kept::open(folder)?;
    if let Some(why) = kept.choose(args.store.map(Vault::from))? {
        eprint(&format!(
            "The sign-in will be kept in {}, for you alone to read: {why}.\n",
            kept.path().display()
        ))?;
    }
    Ok((!args.bearer).then(|| kept.key_or_new()).transpose()?)
}

async fn in_browser(
    server: &Server,
    endpoints: &Endpoints,
    device: Option<&str>,
    key: Option<&Key>,
    opens: bool,
) -> Result<Tokens, Failure> {
    let loopback = Loopback::open().await?;
    let flow = Flow::begin(endpoints, loopback.uri(), device, &Machine.entropy())?;
    eprint("Sign in in your browser; if none opens, open this address on this machine:\n")?;
    print(&format!("{}\n", flow.url()))?;
    if opens {
        open_browser(flow.url());
    }
    let code = loopback.code(&flow).await?;
    Ok(server.exchange(endpoints, &flow, &code, key, now()).await?)
}

pub(super) fn whoami(args: &WhoamiArgs) -> Result<ExitCode, Failure> {
    asynchronously(async {
        let login = Login::at(args.place.folder()?);
        let Some(server) = login.server()? else { return nobody() };
        match known(&login, &args.place.server(&server)?).await {
            Err(Error::Refused(problem)) if problem.is_of_login() => {
                Err(format!("{} {}", problem.detail, problem.next).into())
            }
            told => {
                let (me, mine) = told?;
                match args.output {
                    Output::Json => print_json(&all(&me, &mine)?)?,
                    Output::Human => {
                        said(&me)?;
                        theirs::told(&mine)
                            .lines()
                            .try_for_each(|line| print(&format!("{}\n", printable(line))))?;
                    }
                }
                Ok(Exit::Done.into())
            }
        }
    })
}

pub(super) fn logout(args: &LogoutArgs) -> Result<ExitCode, Failure> {
    asynchronously(async {
        let kept = Kept::open(&args.place.folder()?)?;
        let Some(tokens) = kept.tokens()? else { return nobody() };
        let server = args.place.server(&tokens.server)?;
        let endpoints = server.endpoints().await?;
        // The server first: tokens that are good and that nobody knows any more help nobody.
        server.sign_out(&endpoints, &tokens).await?;
        kept.forget()?;
        eprint("You are signed out on this machine.\n")?;
        Ok(Exit::Done.into())
    })
}

fn nobody() -> Result<ExitCode, Failure> {
    eprint("Nobody is signed in on this machine: usher login\n")?;
    Ok(Exit::Refused.into())
}

async fn known(login: &Login, server: &Server) -> Result<(Me, Mine), Error> {
    Ok((login.me(server).await?, login.mine(server).await?))
}

/// Who they are and what is theirs, as one object.
fn all(me: &Me, mine: &Mine) -> Result<serde_json::Value, Failure> {
    let mut all = serde_json::to_value(me)?;
    if let (Some(all), serde_json::Value::Object(mine)) = (all.as_object_mut(), serde_json::to_value(mine)?) {
        all.extend(mine);
    }
    Ok(all)
}

fn said(me: &Me) -> Result<ExitCode, Failure> {
    let email = me.email.as_ref().map(|email| format!(" ({email})")).unwrap_or_default();
    let who =
        format!("{}{email}, of {}, is signed in on this machine until {}.", me.name, me.provider, me.until);
    print(&format!("{}\n", printable(&who)))?;
    if let Some(why) = &me.why_no_email {
        print(&format!("{}\n", printable(&format!("No seat of an e-mail address can be theirs: {why}."))))?;
    }
    Ok(Exit::Done.into())
}

fn now() -> u64 {
    unix(Machine.now())
}

fn asynchronously(work: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// If it does not open, the address is there to be copied.
fn open_browser(url: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(program);
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    drop(command.spawn());
}

impl Place {
    fn folder(&self) -> Result<PathBuf, Failure> {
        folder(self.login_dir.as_deref())
    }

    fn server(&self, url: &str) -> Result<Server, Failure> {
        let ca = self.ca.as_deref().map(source::file).transpose()?;
        Ok(Server::new(url, Options { ca, ..Options::default() })?)
    }
}

/// The folder in which it is kept who is signed in, if none is `named`.
pub(super) fn folder(named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(folder) = named {
        return Ok(folder.to_owned());
    }
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
    let state = absolute("XDG_STATE_HOME");
    let state = state.or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    let state = state.ok_or("neither XDG_STATE_HOME nor HOME is set: say --login-dir")?;
    Ok(state.join("usher"))
}
