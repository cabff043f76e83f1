//! Accepting connections, each of which is served by a task of its own.
//!
//! Nothing here waits for a peer: whatever a connection has to do first, as a handshake, belongs
//! into its task.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::places::{Place, Places, Refused};
use crate::tally;

/// How long nothing is accepted after an accept has failed for want of something.
const PAUSE: Duration = Duration::from_millis(100);
/// What goes wrong again within this time is no news.
const EPISODE: Duration = Duration::from_secs(30);

/// Accepts connections until `stop`, closes the listener, and returns when all connections have
/// ended. Dropped, it cuts them off.
///
/// # Errors
///
/// If the listener fails for good. `stop` is cancelled then, and the connections have ended.
pub(super) async fn run<F>(
    listener: TcpListener,
    places: &Places,
    stop: &CancellationToken,
    serve: impl Fn(TcpStream, SocketAddr, Place) -> F,
) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    let mut starved = Episode::default();
    let mut refused = Episode::default();
    let result = loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break Ok(()),
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => match places.take(address.ip()) {
                Ok(place) => {
                    connections.spawn(serve(stream, address, place));
                }
                Err(why) => {
                    tally::count("CONNECTION_REFUSED");
                    refused.note(|| warn_of(why, address));
                }
            },
            Err(error) => match Failure::of(&error) {
                Failure::OfConnection => tracing::debug!(%error, "a connection was lost"),
                Failure::OfListener => break Err(error),
                Failure::Starved => {
                    starved.note(|| tracing::warn!(%error, "cannot accept connections; trying on"));
                    // Whether the stop or the time comes first makes no difference.
                    let _ = tokio::time::timeout(PAUSE, stop.cancelled()).await;
                }
            },
        }
    };
    drop(listener);
    if result.is_err() {
        stop.cancel();
    }
    while connections.join_next().await.is_some() {}
    result
}

fn warn_of(why: Refused, address: SocketAddr) {
    match why {
        Refused::Full => {
            tracing::warn!("there are --connections-max connections; new ones are closed");
        }
        Refused::Peer => {
            tracing::warn!(
                %address,
                "an address has --connections-per-peer-max connections; new ones are closed"
            );
        }
    }
}

/// What it means that an accept has failed.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// A connection broke before it was accepted.
    OfConnection,
    /// There is no descriptor or no memory for one now, or nobody knows what it is.
    Starved,
    /// There will never be one again.
    OfListener,
}

impl Failure {
    fn of(error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(Errno::BADF | Errno::FAULT | Errno::INVAL | Errno::NOTSOCK) => Self::OfListener,
            // Linux hands on what the network knows of a connection.
            Some(
                Errno::CONNABORTED
                | Errno::CONNRESET
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
                | Errno::INTR
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::NOPROTOOPT
                | Errno::OPNOTSUPP
                | Errno::PERM
                | Errno::PROTO
                | Errno::TIMEDOUT,
            ) => Self::OfConnection,
            _ => Self::Starved,
        }
    }
}

/// Something that goes wrong many times, and is logged once.
#[derive(Debug, Default)]
struct Episode {
    last: Option<Instant>,
}

impl Episode {
    fn note(&mut self, log: impl FnOnce()) {
        let now = Instant::now();
        let before = self.last.replace(now);
        if before.is_none_or(|before| now - before > EPISODE) {
            log();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_listener_that_is_none_any_more_has_failed_for_good() {
        let of = |errno: Errno| Failure::of(&errno.into());
        assert_eq!(of(Errno::BADF), Failure::OfListener);
        assert_eq!(of(Errno::INVAL), Failure::OfListener);
        assert_eq!(of(Errno::MFILE), Failure::Starved);
        assert_eq!(of(Errno::NOBUFS), Failure::Starved);
        assert_eq!(of(Errno::CONNABORTED), Failure::OfConnection);
        assert_eq!(of(Errno::NETUNREACH), Failure::OfConnection);
    }

    #[tokio::test(start_paused = true)]
    async fn an_episode_is_logged_once() {
        let mut episode = Episode::default();
        let mut logged = 0;
        for _ in 0..100 {
            episode.note(|| logged += 1);
            tokio::time::advance(PAUSE).await;
        }
        tokio::time::advance(EPISODE).await;
        episode.note(|| logged += 1);
        assert_eq!(logged, 2);
    }
}
