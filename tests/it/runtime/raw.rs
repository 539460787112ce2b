//! Requests that no client library would send, byte by byte over TLS, and what is answered.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::program::Told;
use crate::ground::{Listening, PATIENCE};

/// What is sent after the headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Whole(Vec<u8>),
    /// It begins, and nothing more comes.
    Endless,
}

/// A request, whatever it is.
#[derive(Debug, Clone)]
pub struct Raw {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub content: Content,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub told: Told,
    head: String,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.into_iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// The way to a server.
#[derive(Clone)]
pub struct Way {
    address: String,
    tls: TlsConnector,
}

impl Way {
    pub fn to(listening: &Listening) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(listening.ca.as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let address = listening.url.strip_prefix("https://").unwrap().to_owned();
        Self { address, tls: TlsConnector::from(Arc::new(config)) }
    }

    async fn connect(&self) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(&self.address).await.unwrap();
        self.tls.connect("localhost".try_into().unwrap(), stream).await.unwrap()
    }

    /// Sends the request; fails if it is not answered in time.
    pub async fn send(&self, raw: &Raw) -> Answer {
        let answered = tokio::time::timeout(PATIENCE, self.exchange(raw)).await;
        answered.unwrap_or_else(|_| panic!("nobody answers {} {}", raw.method, raw.path))
    }

    async fn exchange(&self, raw: &Raw) -> Answer {
        let mut stream = self.connect().await;
        let mut bytes =
            format!("{} {} HTTP/1.1\r\nhost: {}\r\n", raw.method, raw.path, self.address).into_bytes();
        for (name, value) in &raw.headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        match &raw.content {
            Content::Whole(content) => {
                bytes.extend(format!("content-length: {}\r\n\r\n", content.len()).bytes());
                bytes.extend(content);
            }
            Content::Endless => bytes.extend(b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n"),
        }
        // Whoever is not let say all of it may have an answer all the same.
        let _ = stream.write_all(&bytes).await;
        let _ = stream.flush().await;
        let mut read = Vec::new();
        loop {
            if let Some(answer) = whole(&read) {
                return answer;
            }
            let more = stream.read_buf(&mut read).await;
            assert!(
                more.as_ref().is_ok_and(|more| *more > 0),
                "{} {}: {more:?} after {:?}",
                raw.method,
                raw.path,
                String::from_utf8_lossy(&read)
            );
        }
    }
}

/// The answer, once all of it is there.
fn whole(read: &[u8]) -> Option<Answer> {
    let at = read.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (head, body) = (text(&read[..at]), &read[at + 4..]);
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let told = Told { status, nonce: None, proof_nonce: None, text: text(body) };
    let mut answer = Answer { told, head };
    answer.told.nonce = answer.header("n-nonce").map(str::to_owned);
    let length: usize = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
    (body.len() >= length).then_some(answer)
}
