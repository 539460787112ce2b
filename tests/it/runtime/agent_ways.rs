//! `usher agent` behind a proxy.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use super::{Scene, agent::Machine, for_devices};
use crate::ground::served;

/// A proxy (RFC 9110, section 9.3.6), and to whom it was asked to lead.
async fn proxy() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let to = asked.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(leads(client, to.clone()));
        }
    });
    (url, asked)
}

async fn leads(mut client: TcpStream, asked: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let mut words = head.split(' ');
    assert_eq!(words.next(), Some("CONNECT"), "{head}");
    let authority = words.next().unwrap().to_owned();
    let mut server = TcpStream::connect(&authority).await.unwrap();
    asked.lock().unwrap().push(authority);
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_asked_through_the_proxy_that_is_named_or_that_of_the_environment() {
    let scene = Scene::new(&for_devices(1)).await;
    let machine = Machine::new(&scene);
    let authority = served().url.strip_prefix("https://").unwrap();
    let ((named, to_named), (other, to_other)) = (proxy().await, proxy().await);
    for (state, option) in [("one", Some(&named)), ("two", None)] {
        let mut command = machine.command(state, "lab-3", &[]);
        if let Some(proxy) = option {
            command.args(["--proxy", proxy]);
        }
        command.args(["--", "true"]).env("HTTPS_PROXY", &other).env_remove("NO_PROXY").env_remove("no_proxy");
        let ran = command.output().unwrap();
        assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    }
    for asked in [to_named, to_other] {
        let asked = asked.lock().unwrap();
        assert!(!asked.is_empty() && asked.iter().all(|to| to == authority), "{asked:?}");
    }
}
