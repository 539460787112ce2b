//! Installations that refresh.

use std::time::Duration;

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
}

impl Own {
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

/// Refreshes on so many connections, each with its part of the installations, which come back.
pub async fn refreshes(
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
                    own.refresh(&mut connection).await?;
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
