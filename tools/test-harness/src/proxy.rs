//! A way to the database that can fall silent: connections stay open, and pass nothing on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use url::Url;

const BUFFER_BYTES: usize = 64 * 1024;

/// Passes everything on until a fault is set. Ends with the test's runtime.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    ways: Arc<Ways>,
}

#[derive(Debug)]
struct Ways {
    /// How many connections there were.
    count: AtomicU64,
    /// Connections up to this number are silent.
    silent_to: watch::Sender<u64>,
}

impl Proxy {
    /// A proxy to the server of a URL.
    ///
    /// # Panics
    ///
    /// If the URL is invalid, or no port is free.
    pub async fn start(database_url: &str) -> Self {
        let url: Url = database_url.parse().expect("a URL");
        let host = url.host_str().expect("a URL with a host");
        let server = format!("{host}:{}", url.port().expect("a URL with a port"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let ways = Arc::new(Ways {
            count: AtomicU64::new(0),
            silent_to: watch::Sender::new(0),
        });
        let of_all = Arc::clone(&ways);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let number = of_all.count.fetch_add(1, Ordering::SeqCst) + 1;
                let server = server.clone();
                let silent_to = of_all.silent_to.subscribe();
                tokio::spawn(pass_on(near, server, number, silent_to));
            }
        });
        Self { address, ways }
    }

    /// A database's URL through the proxy.
    ///
    /// # Panics
    ///
    /// If the URL is invalid.
    #[must_use]
    pub fn url(&self, database_url: &str) -> String {
        let mut url: Url = database_url.parse().expect("a URL");
        url.set_ip_host(self.address.ip()).expect("it has a host");
        url.set_port(Some(self.address.port()))
            .expect("it has a host");
        url.into()
    }

    /// Connections pass nothing on from now on, and new ones neither.
    pub fn fall_silent(&self) {
        self.ways.silent_to.send_replace(u64::MAX);
    }

    /// New connections are forwarded again. Existing ones never will be.
    pub fn let_new_ones_pass(&self) {
        let count = self.ways.count.load(Ordering::SeqCst);
        self.ways.silent_to.send_replace(count);
    }
}

async fn pass_on(near: TcpStream, server: String, number: u64, silent_to: watch::Receiver<u64>) {
    while_not_silent(number, silent_to.clone()).await;
    let Ok(far) = TcpStream::connect(&server).await else {
        return;
    };
    let (from_near, to_near) = near.into_split();
    let (from_far, to_far) = far.into_split();
    tokio::select! {
        () = carry(from_near, to_far, number, silent_to.clone()) => {}
        () = carry(from_far, to_near, number, silent_to) => {}
    }
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    number: u64,
    silent_to: watch::Receiver<u64>,
) {
    let mut buffer = vec![0; BUFFER_BYTES];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        while_not_silent(number, silent_to.clone()).await;
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// Returns at once, or never while the connection of this number is silent.
async fn while_not_silent(number: u64, mut silent_to: watch::Receiver<u64>) {
    if silent_to.wait_for(|to| *to < number).await.is_err() {
        std::future::pending::<()>().await;
    }
}
