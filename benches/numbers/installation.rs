//! Installations that ask: for new documents, or to keep their sessions.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    Failure,
    clock::Since,
    load::{Connection, Server},
};

/// How long one side is measured in a run.
pub const LONG: Duration = Duration::from_secs(8);

/// An installation, as its program keeps it.
pub struct Own {
    pub id: String,
    pub token: String,
    pub nonce: String,
    /// How often it has asked.
    pub asked: u64,
    /// The session that it keeps, once it has opened one.
    pub session: String,
}

/// What an installation asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Refresh,
    Heartbeat,
}

impl Own {
    async fn ask(&mut self, what: Asked, connection: &mut Connection) -> Result<(), Failure> {
        match what {
            Asked::Refresh => self.refresh(connection).await,
            Asked::Heartbeat => self.heartbeat(connection).await,
        }
    }

    /// Keeps its session, which it opens first.
    async fn heartbeat(&mut self, connection: &mut Connection) -> Result<(), Failure> {
        let (id, authorization) = (&self.id, format!("authorization: Bearer {}\r\n", self.token));
        if self.session.is_empty() {
            let headers = format!("{authorization}idempotency-key: {id}\r\n");
            let told =
                connection.post("/v1/sessions", &headers, &json!({"activation": id}).to_string()).await?;
            let answer: Value = serde_json::from_str(&told.body)?;
            answer.get("until").ok_or_else(|| format!("no session was opened: {told:?}"))?;
            self.session = answer.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        }
        let told =
            connection.post(&format!("/v1/sessions/{}/heartbeat", self.session), &authorization, "").await?;
        if told.status == 200 { Ok(()) } else { Err(format!("a heartbeat was refused: {told:?}").into()) }
    }

    /// Refreshes, and keeps the next nonce.
    pub async fn refresh(&mut self, connection: &mut Connection) -> Result<(), Failure> {
        self.asked += 1;
        let (id, token, nonce) = (&self.id, &self.token, &self.nonce);
        let headers = format!(
            "authorization: Bearer {token}\r\nn-nonce: {nonce}\r\nidempotency-key: {id}{:016x}\r\n",
            self.asked
        );
        let path = format!("/v1/activations/{id}/refresh");
        let told = connection.post(&path, &headers, "").await?;
        if told.status != 200 {
            return Err(format!("a refresh was refused: {told:?}").into());
        }
        self.nonce = told.nonce.ok_or("no nonce")?;
        Ok(())
    }
}

/// What one side did in one run.
#[derive(Default, Clone)]
pub struct Run {
    pub a_second: f64,
    pub took: Vec<Duration>,
}

/// Asks on so many connections, each with its part of the installations, which come back.
pub async fn asks(
    what: Asked,
    server: &Server,
    connections: usize,
    mut installations: Vec<Own>,
) -> Result<(Run, Vec<Own>), Failure> {
    let each = installations.len() / connections;
    let mut tasks = Vec::new();
    for _ in 0..connections {
        let mut own = installations.split_off(installations.len() - each);
        let mut connection = server.connect().await?;
        tasks.push(tokio::spawn(async move {
            let (begun, mut took) = (Since::now(), Vec::new());
            let mut next = 0;
            while begun.elapsed() < LONG {
                let one = Since::now();
                let at = next % own.len();
                if let Some(own) = own.get_mut(at) {
                    own.ask(what, &mut connection).await?;
                }
                took.push(one.elapsed());
                next += 1;
            }
            // The next run goes on where this one ended.
            let asked = next % own.len().max(1);
            own.rotate_left(asked);
            Ok::<_, Failure>((own, took))
        }));
    }
    let mut took = Vec::new();
    for task in tasks {
        let (own, some) = task.await??;
        installations.extend(own);
        took.extend(some);
    }
    Ok((run(took), installations))
}

/// What so many took within [`LONG`].
pub fn run(took: Vec<Duration>) -> Run {
    let count = f64::from(u32::try_from(took.len()).unwrap_or(u32::MAX));
    Run { a_second: count / LONG.as_secs_f64(), took }
}
