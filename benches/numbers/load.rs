//! A client that costs little: HTTP/1.1 over TLS on connections that stay open, one request at a time on each.

use std::{net::Ipv4Addr, sync::Arc};

use k8s_openapi::api::core::v1::ConfigMap;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::Failure;

/// A port that is free now.
pub fn free_port() -> Result<u16, Failure> {
    Ok(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Where to connect, and under which CA.
#[derive(Clone)]
pub struct Server {
    port: u16,
    tls: TlsConnector,
}

impl Server {
    /// The server at `port` of this machine.
    pub fn at(port: u16, ca: &str) -> Result<Self, Failure> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.as_bytes())?)?;
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Ok(Self { port, tls: TlsConnector::from(Arc::new(config)) })
    }

    /// The server at `port` of this machine, under the CA that Usher publishes.
    pub async fn of_usher(client: &kube::Client, port: u16) -> Result<Self, Failure> {
        let maps: kube::Api<ConfigMap> = kube::Api::namespaced(client.clone(), "usher-system");
        let ca = maps.get("usher-ca").await?.data.and_then(|mut data| data.remove("ca.crt"));
        Self::at(port, &ca.ok_or("no CA")?)
    }

    /// A connection.
    pub async fn connect(&self) -> Result<Connection, Failure> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        stream.set_nodelay(true)?;
        let stream = self.tls.connect(ServerName::try_from("localhost")?, stream).await?;
        Ok(Connection { stream, buffer: Vec::with_capacity(16 * 1024) })
    }
}

/// A connection.
pub struct Connection {
    stream: TlsStream<TcpStream>,
    buffer: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub nonce: Option<String>,
    pub body: String,
}

impl Connection {
    /// Posts a request and waits for the answer. `headers` are whole lines.
    pub async fn post(&mut self, path: &str, headers: &str, body: &str) -> Result<Answer, Failure> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\n{headers}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        self.stream.flush().await?;
        self.buffer.clear();
        let head = loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            self.read().await?;
        };
        let text = std::str::from_utf8(self.buffer.get(..head).unwrap_or_default())?.to_owned();
        let value = |name: &str| {
            let lines = text.lines().filter_map(|line| line.split_once(": "));
            lines.filter(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
        };
        let status = text.split(' ').nth(1).unwrap_or_default().parse()?;
        let nonce = value("n-nonce").map(str::to_owned);
        let whole = head + 4 + value("content-length").unwrap_or("0").parse::<usize>()?;
        while self.buffer.len() < whole {
            self.read().await?;
        }
        let body = String::from_utf8_lossy(self.buffer.get(head + 4..whole).unwrap_or_default()).into_owned();
        Ok(Answer { status, nonce, body })
    }

    async fn read(&mut self) -> Result<(), Failure> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err("the server closed the connection".into()),
            _ => Ok(()),
        }
    }
}
