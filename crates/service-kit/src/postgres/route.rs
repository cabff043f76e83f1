//! The way to a place for another driver than tokio-postgres.
//!
//! sqlx reads the files of TLS by rules of its own: it trusts the system's CAs beside those of the
//! file, and verifies the name that it connects to, which here is an address. It can be given
//! neither a configuration nor a connection. So where a place is reached over TLS, the connection
//! is made here, by the same code and the same configuration as all others, and sqlx reaches it
//! through a socket inside this process.
//!
//! What must always hold: nobody but this process is let into that socket.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, io, process};

use rustix::net::sockopt;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy, split};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_rustls::client;
use tokio_util::either::Either;
use uuid::Uuid;

use super::database::CONNECT_TIMEOUT;
use super::failure::{ConnectError, Failed};
use super::host::{KEEPALIVE, KEEPALIVE_RETRIES};
use super::place::Place;
use super::tls::{Connector, TlsMode};

/// What asks a server for TLS: its length, and a number that no version of the protocol has.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
const YES: u8 = b'S';
/// The longest that a connection's end in good order may take.
const CLOSE_MAX: Duration = Duration::from_secs(1);

/// How a driver reaches a place, once.
pub struct Route {
    url: String,
    socket: Option<PathBuf>,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL has the password in it.
        f.write_str("Route(hidden)")
    }
}

impl Route {
    /// The URL to connect to, without TLS. It has the password in it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The folder of the socket to connect through instead of the URL's host; none for the host.
    /// It takes one connection, within 3 s, from this process alone.
    #[must_use]
    pub fn socket(&self) -> Option<&PathBuf> {
        self.socket.as_ref()
    }
}

type Stream = Either<TcpStream, client::TlsStream<TcpStream>>;

impl Place {
    /// How another driver connects to it.
    ///
    /// # Errors
    ///
    /// If it is reached over TLS and cannot be connected to now.
    pub async fn route(&self) -> Result<Route, ConnectError> {
        let socket = match self.tls {
            None => None,
            Some(_) => Some(
                self.socket()
                    .await
                    .map_err(|failed| self.failed_by(failed))?,
            ),
        };
        Ok(Route {
            url: self.url(),
            socket,
        })
    }

    /// A socket behind which there is a connection to it.
    async fn socket(&self) -> Result<PathBuf, Failed> {
        let connecting = timeout(CONNECT_TIMEOUT, self.stream()).await;
        let server = connecting.map_err(|_| Failed::no_answer(CONNECT_TIMEOUT))??;
        let entrance = Entrance::open(self.port()).map_err(Failed::passing)?;
        let folder = entrance.folder.clone();
        let place = self.clone();
        tokio::spawn(async move {
            let entering = timeout(CONNECT_TIMEOUT, entrance.enter()).await;
            // A caller that has left needs no connection.
            let Ok(Ok(driver)) = entering else {
                return;
            };
            drop(entrance);
            if let Err(error) = pass(driver, server).await {
                // The driver sees no more than that its connection has ended.
                match place.peer.refusal(&error) {
                    Some(reason) => tracing::warn!(%place, reason, "a connection was refused"),
                    None => tracing::debug!(%place, %error, "a connection was cut off"),
                }
            }
        });
        Ok(folder)
    }

    /// A connection to it, as far as TLS.
    async fn stream(&self) -> Result<Stream, Failed> {
        // A socket in a folder has no TLS, and so no need of this.
        let address = self.address.ok_or_else(|| Failed::passing("no address"))?;
        let connected = connect((address, self.port()).into()).await;
        let mut stream = connected.map_err(Failed::passing)?;
        let has_tls = async {
            stream.write_all(&SSL_REQUEST).await?;
            io::Result::Ok(stream.read_u8().await? == YES)
        };
        if !has_tls.await.map_err(Failed::passing)? {
            return match self.peer.mode {
                TlsMode::Disable | TlsMode::Prefer => Ok(Either::Left(stream)),
                _ => Err(Failed::of_tls(&self.peer.has_no_tls())),
            };
        }
        let connector = Connector::new(self.peer.clone()).await;
        let connector = connector.map_err(|error| Failed::of_files(&error))?;
        let stream = connector.connect_on(stream).await;
        Ok(Either::Right(
            stream.map_err(|error| Failed::of_tls(&error))?,
        ))
    }
}

/// Passes on what one says to the other until either has ended.
async fn pass(driver: UnixStream, server: Stream) -> io::Result<()> {
    let (mut from_driver, mut to_driver) = split(driver);
    let (mut from_server, mut to_server) = split(server);
    tokio::select! {
        done = copy(&mut from_driver, &mut to_server) => {
            done?;
            // A server that hangs would never answer that, and nobody is there to read it.
            let _ = timeout(CLOSE_MAX, to_server.shutdown()).await;
        }
        done = copy(&mut from_server, &mut to_driver) => {
            done?;
        }
    }
    Ok(())
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(&stream, true)?;
    sockopt::set_tcp_keepidle(&stream, KEEPALIVE)?;
    sockopt::set_tcp_keepintvl(&stream, KEEPALIVE)?;
    sockopt::set_tcp_keepcnt(&stream, KEEPALIVE_RETRIES)?;
    #[cfg(target_os = "linux")]
    {
        let millis = super::host::TCP_USER_TIMEOUT.as_millis();
        sockopt::set_tcp_user_timeout(&stream, u32::try_from(millis).unwrap_or(u32::MAX))?;
    }
    Ok(stream)
}

/// A socket as PostgreSQL's own is named, in a folder that nobody else knows of.
#[derive(Debug)]
struct Entrance {
    listener: UnixListener,
    folder: PathBuf,
}

impl Entrance {
    /// One without a file: images may have no place for one.
    #[cfg(target_os = "linux")]
    fn open(port: u16) -> io::Result<Self> {
        use std::os::linux::net::SocketAddrExt as _;
        use std::os::unix::net;

        let folder = format!("ticketing-{}", Uuid::new_v4().simple());
        let name = format!("{folder}/.s.PGSQL.{port}");
        let listener = net::UnixListener::bind_addr(&net::SocketAddr::from_abstract_name(name)?)?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener: UnixListener::from_std(listener)?,
            folder: format!("\0{folder}").into(),
        })
    }

    /// One in a folder that only we can enter, which goes with it.
    #[cfg(not(target_os = "linux"))]
    fn open(port: u16) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;

        let name = format!("ticketing-{}", Uuid::new_v4().simple());
        let folder = std::env::temp_dir().join(name);
        std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
        let listener = UnixListener::bind(folder.join(format!(".s.PGSQL.{port}")))?;
        Ok(Self { listener, folder })
    }

    /// Lets this process in, and nobody else.
    async fn enter(&self) -> io::Result<UnixStream> {
        let own = i32::try_from(process::id()).ok();
        loop {
            let (stream, _) = self.listener.accept().await?;
            if stream.peer_cred()?.pid() == own {
                return Ok(stream);
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Drop for Entrance {
    fn drop(&mut self) {
        // The system empties the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
