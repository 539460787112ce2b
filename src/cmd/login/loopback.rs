//! The port to which the browser comes back. It listens on loopback alone, to one request after the other, and to nothing but the answer.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use usher_client::login::Flow;

use crate::cmd::Failure;

/// The most that is read of a request, in bytes: its first line has all that we want.
const LARGEST: usize = 8 * 1024;
/// How long a request may take: the browser is on this machine.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long somebody may take to sign in.
const LONGEST: Duration = Duration::from_secs(900);

pub(super) struct Loopback {
    listener: TcpListener,
    port: u16,
}

impl Loopback {
    pub(super) async fn open() -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port })
    }

    pub(super) fn uri(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// The code that the browser brings.
    pub(super) async fn code(&self, flow: &Flow) -> Result<String, Failure> {
        let waited = timeout(LONGEST, async {
            loop {
                let (mut stream, _) = self.listener.accept().await?;
                // Whoever says nothing holds up nobody for long.
                let Ok(Ok(target)) = timeout(PATIENCE, target(&mut stream)).await else { continue };
                let (answer, found) = match flow.code(&target) {
                    Ok(None) => (page("404 Not Found", "There is nothing here."), None),
                    Ok(Some(code)) => {
                        (page("200 OK", "You are signed in. You can close this page."), Some(Ok(code)))
                    }
                    Err(error) => {
                        (page("200 OK", "You are not signed in. You can close this page."), Some(Err(error)))
                    }
                };
                drop(timeout(PATIENCE, stream.write_all(answer.as_bytes())).await);
                if let Some(found) = found {
                    return found.map_err(Failure::from);
                }
            }
        });
        waited.await.unwrap_or_else(|_| Err("nobody signed in within 15 minutes: usher login".into()))
    }
}

/// What is asked for: `/?code=…` of `GET /?code=… HTTP/1.1`.
async fn target(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut read = Vec::new();
    let mut part = [0; 1024];
    while !read.windows(4).any(|end| end == b"\r\n\r\n") && read.len() < LARGEST {
        let more = stream.read(&mut part).await?;
        if more == 0 {
            break;
        }
        read.extend_from_slice(part.get(..more).unwrap_or_default());
    }
    let line = read.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = std::str::from_utf8(line).unwrap_or_default();
    let target = line.strip_prefix("GET ").and_then(|rest| rest.split(' ').next());
    Ok(target.unwrap_or_default().to_owned())
}

fn page(status: &str, said: &str) -> String {
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>Usher</title><h1>{said}</h1>"
    );
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nContent-Security-Policy: default-src 'none'\r\n\r\n{body}",
        body.len()
    )
}
