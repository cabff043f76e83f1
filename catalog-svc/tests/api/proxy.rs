//! A way to the database that loses answers or holds them up, as a network does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How the driver begins a transaction.
const BEGIN: &[u8] = b"BEGIN\0";
/// How it ends one.
const COMMIT: &[u8] = b"COMMIT\0";
const BUFFER_BYTES: usize = 64 * 1024;

/// Forwards everything, except what a test makes it lose or hold.
pub(crate) struct Proxy {
    address: SocketAddr,
    faults: Arc<Faults>,
}

#[derive(Default)]
struct Faults {
    /// The number of commits whose answers are lost.
    commits_to_lose: AtomicU32,
    /// Answers are held up from the next begin on.
    begin_to_hold: AtomicU32,
    /// No answer passes while this is true.
    held: watch::Sender<bool>,
}

impl Proxy {
    pub(crate) async fn start(database_url: &str) -> Self {
        let target = address_in(database_url);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let faults = Arc::new(Faults::default());
        let of_connections = Arc::clone(&faults);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&target).await.expect("the database");
                tokio::spawn(hand_on(client, server, Arc::clone(&of_connections)));
            }
        });
        Self { address, faults }
    }

    /// The URL of the database by this way.
    pub(crate) fn url(&self, database_url: &str) -> String {
        database_url.replacen(&address_in(database_url), &self.address.to_string(), 1)
    }

    /// The connection of the next commit is cut once the database has it.
    pub(crate) fn lose_next_commit(&self) {
        self.faults.commits_to_lose.store(1, Ordering::SeqCst);
    }

    /// From the next BEGIN on, requests reach the database and its answers are held.
    pub(crate) fn hold_from_next_begin(&self) {
        self.faults.begin_to_hold.store(1, Ordering::SeqCst);
    }

    /// Whether answers are held up.
    pub(crate) fn holds(&self) -> bool {
        *self.faults.held.borrow()
    }

    /// From now on the database's answers are held.
    pub(crate) fn hold(&self) {
        self.faults.held.send_replace(true);
    }

    /// Forwards the held answers; panics if there are none.
    pub(crate) fn release(&self) {
        assert!(self.faults.held.send_replace(false), "nothing was held up");
    }
}

/// "host:port" of a database's URL.
fn address_in(url: &str) -> String {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = after_scheme.split(['/', '?']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default().to_owned()
}

async fn hand_on(client: TcpStream, server: TcpStream, faults: Arc<Faults>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        // Cut: the client gets nothing more, and the database finishes what it has.
        () = requests(from_client, to_server, &faults) => {}
        () = answers(from_server, to_client, &faults) => {}
    }
}

/// Returns when the connection ends, or is to be cut before an answer.
async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, faults: &Faults) {
    let mut buffer = vec![0; BUFFER_BYTES];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..read];
        if contains(bytes, BEGIN) && take(&faults.begin_to_hold) {
            faults.held.send_replace(true);
        }
        let loses = contains(bytes, COMMIT) && take(&faults.commits_to_lose);
        if to.write_all(bytes).await.is_err() || loses {
            return;
        }
    }
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, faults: &Faults) {
    let mut held = faults.held.subscribe();
    let mut buffer = vec![0; BUFFER_BYTES];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        // The sender is ours.
        let _ = held.wait_for(|held| !held).await;
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

fn contains(bytes: &[u8], message: &[u8]) -> bool {
    bytes.windows(message.len()).any(|window| window == message)
}

fn take(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
        left.checked_sub(1)
    })
    .is_ok()
}
