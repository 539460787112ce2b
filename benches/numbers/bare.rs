//! What bounds a durable refresh: a server that only signs and answers, and one that only commits in groups and answers. Each is a process
//! of its own with the same TLS, and answers with as many bytes as Usher does.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    sync::Arc,
};

use axum::{Router, extract::State, routing::post};
use axum_server::{Handle, tls_rustls::RustlsConfig};
use ed25519_dalek::{Signer as _, SigningKey};
use jiff::Timestamp;
use sqlx::{
    Row as _, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{mpsc, oneshot, watch};
use usher::{
    http::serve::{serve, tls},
    keys::tls::{make_ca, make_certificate},
};

use crate::{Failure, clock::unix, load};

/// By which this program is told to be one of them.
const AS: &str = "NUMBERS_BARE";
/// What is signed, and what is written: as much as a refresh signs and writes.
const SIGNED: usize = 900;
const WRITTEN: usize = 3_000;
/// How long the answer is.
const ANSWERED: usize = 2_600;
/// How many rows there are.
const ROWS: i64 = 1_024;
/// How many commands share a commit at most, as in Usher.
const TOGETHER: usize = 256;

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bare {
    /// It signs and answers.
    Signs,
    /// It commits and answers.
    Commits,
}

/// A server as a process; killed when this is dropped.
pub struct Served {
    child: Child,
    pub server: load::Server,
}

impl Served {
    /// Starts it; its file, if it has one, lies in `directory`.
    pub fn start(which: Bare, directory: &Path) -> Result<Self, Failure> {
        let port = load::free_port()?;
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(std::env::current_exe()?)
            .arg("--bench")
            .env(AS, format!("{which:?} {port} {}", directory.join("bare.db").display()))
            .stdout(Stdio::piped())
            .spawn()?;
        let mut ca = String::new();
        for line in BufReader::new(child.stdout.take().ok_or("it says nothing")?).lines() {
            let line = line?;
            ca.push_str(&line);
            ca.push('\n');
            if line.contains("END CERTIFICATE") {
                break;
            }
        }
        Ok(Self { child, server: load::Server::at(port, &ca)? })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves, if this process was started for that.
pub fn asked_for() -> Option<ExitCode> {
    let asked = std::env::var(AS).ok()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().ok()?;
    Some(match runtime.block_on(be(&asked)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    })
}

async fn be(asked: &str) -> Result<(), Failure> {
    let [which, port, file] = asked.splitn(3, ' ').collect::<Vec<_>>()[..] else {
        return Err("which, port, file".into());
    };
    let router = match which {
        "Signs" => {
            Router::new().route("/", post(sign)).with_state(Arc::new(SigningKey::from_bytes(&[7; 32])))
        }
        _ => Router::new().route("/", post(commit)).with_state(writer(Path::new(file)).await?),
    };
    let now = Timestamp::from_second(i64::try_from(unix()?)?)?;
    let ca = make_ca(now)?;
    let config = RustlsConfig::from_config(tls(&make_certificate(&ca, &["localhost".into()], now)?)?);
    let (_stop, stopped) = watch::channel(false);
    let handle = Handle::new();
    let address = format!("127.0.0.1:{port}").parse()?;
    let told = handle.clone();
    tokio::spawn(async move {
        told.listening().await;
        let _ = std::io::stdout().write_all(ca.certificate.as_bytes());
        let _ = std::io::stdout().flush();
    });
    Ok(serve(address, router, config, handle, stopped).await?)
}

async fn sign(State(key): State<Arc<SigningKey>>) -> String {
    let signature = key.sign(&[b'x'; SIGNED]);
    let mut answer: String = signature.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    answer.push_str(&"x".repeat(ANSWERED - answer.len()));
    answer
}

type Queue = mpsc::Sender<(i64, oneshot::Sender<()>)>;

async fn commit(State(queue): State<Queue>, body: String) -> String {
    let (reply, done) = oneshot::channel();
    let row = body.bytes().fold(0i64, |sum, byte| (sum * 31 + i64::from(byte)) % ROWS);
    let sent = queue.send((row, reply)).await.is_ok();
    if sent && done.await.is_ok() { "x".repeat(ANSWERED) } else { String::new() }
}

async fn writer(file: &Path) -> Result<Queue, Failure> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
    sqlx::query("CREATE TABLE heads (id BIGINT PRIMARY KEY, head BIGINT, answer TEXT)")
        .execute(&pool)
        .await?;
    for id in 0..ROWS {
        let filled = sqlx::query("INSERT INTO heads VALUES ($1, 0, $2)").bind(id).bind("x".repeat(WRITTEN));
        filled.execute(&pool).await?;
    }
    let (queue, waiting) = mpsc::channel(1_024);
    tokio::spawn(write(pool, waiting));
    Ok(queue)
}

async fn write(pool: SqlitePool, mut waiting: mpsc::Receiver<(i64, oneshot::Sender<()>)>) -> Option<()> {
    let mut together = Vec::new();
    while waiting.recv_many(&mut together, TOGETHER).await > 0 {
        let mut transaction = pool.begin().await.ok()?;
        for (id, _) in &together {
            let read = sqlx::query("SELECT head FROM heads WHERE id = $1").bind(id);
            let head: i64 = read.fetch_one(&mut *transaction).await.ok()?.get(0);
            let update = sqlx::query("UPDATE heads SET head = $2, answer = $3 WHERE id = $1");
            update.bind(id).bind(head + 1).bind("y".repeat(WRITTEN)).execute(&mut *transaction).await.ok()?;
        }
        transaction.commit().await.ok()?;
        for (_, reply) in together.drain(..) {
            let _ = reply.send(());
        }
    }
    Some(())
}
