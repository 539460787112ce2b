//! The way to a database, which a test can cut.

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
};

/// A port of this machine that leads to a database, while it is plugged in.
pub struct Cable {
    /// The database by this way.
    pub url: String,
    plugged: watch::Sender<bool>,
}

impl Cable {
    /// A way to the database at `url`, which is on a socket of this machine.
    pub async fn to(url: &str, plugged: bool) -> Self {
        let (server, directory) = url.split_once("?host=").unwrap();
        let socket = format!("{directory}/.s.PGSQL.5432");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = server.replace("@localhost/", &format!("@127.0.0.1:{port}/"));
        let (plugged, is_plugged) = watch::channel(plugged);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, socket.clone(), is_plugged.clone()));
            }
        });
        Self { url, plugged }
    }

    /// Whoever is connected is cut off, and nobody is let in.
    pub fn pull(&self) {
        self.plugged.send_replace(false);
    }

    /// All is well again.
    pub fn plug(&self) {
        self.plugged.send_replace(true);
    }
}

async fn carry(mut client: TcpStream, socket: String, mut is_plugged: watch::Receiver<bool>) {
    if !*is_plugged.borrow() {
        return;
    }
    let mut server = UnixStream::connect(socket).await.unwrap();
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = is_plugged.wait_for(|plugged| !plugged) => {}
    }
}
