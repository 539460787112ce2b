use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use axum::routing::get;
use jiff::Timestamp;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::*;
use crate::keys::tls::{make_ca, make_certificate};

/// Longer than anything here takes; whoever waits so long is stuck.
const STUCK: Duration = Duration::from_secs(20);

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// Two listeners with these limits, as `usher run` has, and clients of them.
struct Listening {
    addresses: [SocketAddr; 2],
    client: Arc<ClientConfig>,
    stop: watch::Sender<bool>,
}

impl Listening {
    async fn start(limits: Limits) -> Self {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let ca = make_ca(now).unwrap();
        let certificate = make_certificate(&ca, &["localhost".into()], now).unwrap();
        let tls = RustlsConfig::from_config(tls(&certificate).unwrap());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.certificate.as_bytes()).unwrap()).unwrap();
        let mut client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        client.time_provider = Arc::new(Then);
        let (stop, stopped) = watch::channel(false);
        let mut addresses = Vec::new();
        for _ in 0..2 {
            let handle = Handle::new();
            let router = Router::new().route("/healthz", get(async || "ok\n"));
            let any = "127.0.0.1:0".parse().unwrap();
            tokio::spawn(serve_within(limits, any, router, tls.clone(), handle.clone(), stopped.clone()));
            addresses.push(handle.listening().await.unwrap());
        }
        Self { addresses: [addresses[0], addresses[1]], client: Arc::new(client), stop }
    }

    /// A connection that has said nothing yet.
    fn connect(&self, listener: usize) -> TcpStream {
        let stream = TcpStream::connect(self.addresses[listener]).unwrap();
        stream.set_read_timeout(Some(STUCK)).unwrap();
        stream
    }

    fn tls(&self, listener: usize) -> Tls {
        let name = "localhost".try_into().unwrap();
        let connection = ClientConnection::new(self.client.clone(), name).unwrap();
        StreamOwned::new(connection, self.connect(listener))
    }

    /// What the listener answers to a request for its health, if it does.
    fn health(&self, listener: usize) -> Option<String> {
        let mut stream = self.tls(listener);
        let request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request).ok()?;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        (!answer.is_empty()).then(|| String::from_utf8(answer).unwrap())
    }
}

/// The instant at which the certificates of this test are good.
#[derive(Debug)]
struct Then;

impl rustls::time_provider::TimeProvider for Then {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        Some(rustls::pki_types::UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000)))
    }
}

/// Whether the other side closes the connection, rather than leaving us to wait.
fn is_closed(stream: &mut impl io::Read) -> bool {
    match stream.read(&mut [0; 256]) {
        Ok(read) => read == 0 || is_closed(stream),
        Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_says_half_a_header_or_no_handshake_is_not_waited_for() {
    let limits = Limits { patience: Duration::from_secs(2), ..Limits::default() };
    let listening = Listening::start(limits).await;
    let asked = tokio::task::spawn_blocking(move || {
        let mut half = listening.tls(0);
        half.write_all(b"GET /healthz HTTP/1.1\r\nHost: local").unwrap();
        let mut silent = listening.connect(0);
        let mut second = listening.tls(0);
        second.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /hea").unwrap();
        assert!(is_closed(&mut half), "half a header");
        assert!(is_closed(&mut silent), "no handshake");
        assert!(is_closed(&mut second), "half of a second header");
        let mut long = listening.tls(0);
        let _ = long.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: ");
        let _ = long.write_all(&vec![b'x'; 4 * BUFFER]);
        assert!(is_closed(&mut long), "a header without end");
        assert!(listening.health(0).unwrap().ends_with("ok\n"));
        listening.stop.send_replace(true);
    });
    asked.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_too_many_is_closed_at_once_while_the_other_listener_answers() {
    let listening = Listening::start(Limits { connections: 3, ..Limits::default() }).await;
    let asked = tokio::task::spawn_blocking(move || {
        let mut held: Vec<Tls> = (0..3).map(|_| listening.tls(0)).collect();
        for stream in &mut held {
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            assert!(stream.read(&mut [0; 256]).unwrap() > 0, "so many are let in");
        }
        assert!(is_closed(&mut listening.connect(0)), "one too many");
        assert_eq!(listening.health(0), None);
        assert!(listening.health(1).unwrap().ends_with("ok\n"), "the other listener has its own places");
        drop(held);
        // The server sees the end of a connection when it reads it.
        while listening.health(0).is_none() {
            std::thread::yield_now();
        }
        listening.stop.send_replace(true);
    });
    asked.await.unwrap();
}

#[test]
fn each_listener_has_512_connections_and_waits_ten_seconds() {
    let Limits { connections, patience } = Limits::default();
    assert_eq!((connections, patience), (512, Duration::from_secs(10)));
}
