//! A PostgreSQL that a test may crash. Gone when the process is, however that ends.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::postgres::database_at;

/// A server that a test may crash.
pub struct Server {
    url: String,
    tell: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
    _supervisor: Child,
}

impl Server {
    pub async fn new() -> Self {
        let mut supervisor = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/dev/postgres"))
            .arg("run")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(supervisor.stdout.take().unwrap()).lines();
        let tell = supervisor.stdin.take().unwrap();
        let mut server = Self { url: String::new(), tell, said, _supervisor: supervisor };
        server.url = server.is_up().await;
        server
    }

    /// The URL of a new, empty database.
    pub async fn database(&self) -> String {
        database_at(&self.url).await
    }

    /// Kills the postmaster; nothing of it is left when this returns.
    pub async fn crash(&mut self) {
        self.tell.write_all(b"crash\n").await.unwrap();
        assert_eq!(self.says().await, "CRASHED");
    }

    /// Starts it again on what it had written.
    pub async fn start(&mut self) {
        self.tell.write_all(b"start\n").await.unwrap();
        assert_eq!(self.is_up().await, self.url);
    }

    async fn is_up(&mut self) -> String {
        self.says().await.strip_prefix("URL=").expect("dev/postgres says what is missing").to_owned()
    }

    async fn says(&mut self) -> String {
        self.said.next_line().await.unwrap().expect("dev/postgres lives")
    }
}
