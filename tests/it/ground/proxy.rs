//! A proxy (RFC 9110, section 9.3.6), which a test can cut.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A proxy, and to whom it was asked to lead.
pub struct Proxy {
    pub url: String,
    asked: Arc<Mutex<Vec<String>>>,
    plugged: watch::Sender<bool>,
}

impl Proxy {
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (asked, (plugged, is_plugged)) = (Arc::new(Mutex::new(Vec::new())), watch::channel(true));
        let to = asked.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(leads(client, to.clone(), is_plugged.clone()));
            }
        });
        Self { url, asked, plugged }
    }

    /// To whom it was asked to lead, whether it did or not.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Whoever is connected is cut off, and nobody is led anywhere.
    pub fn pull(&self) {
        self.plugged.send_replace(false);
    }

    /// All is well again.
    pub fn plug(&self) {
        self.plugged.send_replace(true);
    }
}

async fn leads(mut client: TcpStream, asked: Arc<Mutex<Vec<String>>>, mut is_plugged: watch::Receiver<bool>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(next) = client.read_u8().await else { return };
        head.push(next);
    }
    let head = String::from_utf8(head).unwrap();
    let mut words = head.split(' ');
    assert_eq!(words.next(), Some("CONNECT"), "{head}");
    let authority = words.next().unwrap().to_owned();
    asked.lock().unwrap().push(authority.clone());
    if !*is_plugged.borrow() {
        return;
    }
    let mut server = TcpStream::connect(&authority).await.unwrap();
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = is_plugged.wait_for(|plugged| !plugged) => {}
    }
}
