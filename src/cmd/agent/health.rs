//! How the agent stands, for whoever asks over HTTP: a probe of Kubernetes, somebody who looks into it.
//!
//! On this machine's own addresses it is plain HTTP. Anywhere else it is HTTPS, under a certificate that is made at the start and that
//! nobody knows: a kubelet does not verify it, and nothing is told that is a secret.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use axum_server::{Handle, tls_rustls::RustlsConfig};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::documents::Status;
use crate::{
    cmd::{Failure, unix},
    http::{self, Stands},
    keys::tls,
    service::edge::Edge,
};

/// Where to tell it: `PORT` of this machine only, or `ADDRESS:PORT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At(SocketAddr);

impl std::str::FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let here = text.parse().map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let at = here.or_else(|_| text.parse());
        at.map(Self)
            .map_err(|_| "must be a port such as 8087, or ADDRESS:PORT such as 0.0.0.0:8087".to_owned())
    }
}

/// What is known. Times are Unix seconds.
#[derive(Debug, Default)]
struct Known {
    /// How it stands; nothing before the first document.
    status: Option<Status>,
    /// When that document ends.
    ends: Option<u64>,
    /// When the server was asked last.
    asked_at: Option<u64>,
    /// When it last gave a document.
    refreshed_at: Option<u64>,
    /// Why it gave none since.
    trouble: Option<String>,
}

/// What is known, between the agent's loop and whoever asks.
#[derive(Debug, Clone, Default)]
pub(super) struct Health(Arc<Mutex<Known>>);

impl Health {
    fn with<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The server was asked, and has given a document; or why not.
    pub(super) fn asked(&self, at: u64, came: Result<(), String>) {
        self.with(|known| {
            known.asked_at = Some(at);
            match came {
                Ok(()) => (known.refreshed_at, known.trouble) = (Some(at), None),
                Err(why) => known.trouble = Some(why),
            }
        });
    }

    /// It stands so, with a document that ends then.
    pub(super) fn stands(&self, status: &Status, ends: u64) {
        self.with(|known| (known.status, known.ends) = (Some(status.clone()), Some(ends)));
    }

    /// Tells whoever asks, until it is dropped.
    pub(super) async fn serve(&self, At(address): At, edge: Arc<dyn Edge>) -> Result<(), Failure> {
        let (health, clock) = (self.clone(), edge.clone());
        let router = http::probes(Arc::new(move || health.with(|known| known.told(unix(clock.now())))));
        let served = if address.ip().is_loopback() {
            http::serve::serve_here(address, router).await
        } else {
            let ca = tls::make_ca(edge.now())?;
            let certificate = tls::make_certificate(&ca, &[address.ip().to_string()], edge.now())?;
            let tls = RustlsConfig::from_config(http::serve::tls(&certificate)?);
            let (_never, stop) = watch::channel(false);
            http::serve::serve(address, router, tls, Handle::new(), stop).await
        };
        served.map_err(|error| format!("cannot tell of its health at {address}: {error}").into())
    }
}

impl Known {
    fn told(&self, now: u64) -> Stands {
        let json = json!({
            "now": now,
            "document_ends": self.ends,
            "asked_at": self.asked_at,
            "refreshed_at": self.refreshed_at,
            "trouble": self.trouble,
        });
        let status = self.status.as_ref().and_then(|status| serde_json::to_value(status).ok());
        let mut status = status.unwrap_or_else(|| json!({"state": "starting"}));
        if let (Value::Object(all), Value::Object(more)) = (&mut status, json) {
            all.extend(more);
        }
        Stands { may_run: self.may_run(now), json: format!("{status}\n") }
    }

    fn may_run(&self, now: u64) -> Result<(), String> {
        let why = match &self.status {
            Some(Status::Over { why }) => why.clone(),
            Some(_) if self.ends.is_some_and(|ends| now < ends) => return Ok(()),
            Some(_) => "the document has ended".to_owned(),
            None => "nothing is activated yet".to_owned(),
        };
        Err(match &self.trouble {
            Some(trouble) if *trouble != why => format!("{why}: {trouble}"),
            _ => why,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_one_of_this_machine() {
        for (text, address) in
            [("8087", "127.0.0.1:8087"), ("0.0.0.0:1", "0.0.0.0:1"), ("[::1]:2", "[::1]:2")]
        {
            assert_eq!(text.parse::<At>(), Ok(At(address.parse().unwrap())));
        }
        for text in ["", "localhost:1", "70000", "0.0.0.0"] {
            assert!(text.parse::<At>().unwrap_err().contains("such as 8087"), "{text}");
        }
    }

    #[test]
    fn a_program_may_run_as_long_as_its_document_lasts_whatever_the_server_says() {
        let health = Health::default();
        let told = |now| health.with(|known| known.told(now));
        assert_eq!(told(1).may_run, Err("nothing is activated yet".into()));
        health.asked(2, Err("no route".into()));
        assert_eq!(told(2).may_run, Err("nothing is activated yet: no route".into()));
        health.asked(3, Ok(()));
        health.stands(&Status::Good { until: 100, trouble: None }, 200);
        assert_eq!(told(3).may_run, Ok(()));
        health.asked(50, Err("no route".into()));
        let json: Value = serde_json::from_str(&told(51).json).unwrap();
        let expected = json!({"state": "good", "until": 100, "now": 51, "document_ends": 200, "asked_at": 50, "refreshed_at": 3,
            "trouble": "no route"});
        assert_eq!(json, expected);
        health.stands(
            &Status::Refused { ends: 200, code: "nonce-used".into(), why: "It was used.".into() },
            200,
        );
        assert_eq!(
            (told(199).may_run, told(200).may_run.is_err()),
            (Ok(()), true),
            "a loop that sleeps, too"
        );
        health.stands(&Status::Over { why: "no route".into() }, 200);
        assert_eq!(told(60).may_run, Err("no route".into()));
    }
}
