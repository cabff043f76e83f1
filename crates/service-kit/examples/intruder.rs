//! Connects to an abstract Unix socket as another process: `intruder NAME`. The test of sqlx's socket
//! runs it. Fails if it gets an answer, or if there is no such socket.

#[cfg(target_os = "linux")]
use std::{
    env,
    io::{self, Read as _, Write as _},
    os::linux::net::SocketAddrExt as _,
    os::unix::net::{SocketAddr, UnixStream},
    process::ExitCode,
};

/// A request that PostgreSQL would answer: whether it has TLS.
#[cfg(target_os = "linux")]
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

#[cfg(target_os = "linux")]
fn main() -> io::Result<ExitCode> {
    let name = env::args().nth(1).unwrap_or_default();
    let address = SocketAddr::from_abstract_name(name)?;
    let mut stream = UnixStream::connect_addr(&address)?;
    let asked = stream.write_all(&SSL_REQUEST);
    let mut answer = Vec::new();
    let answered = stream.read_to_end(&mut answer);
    let is_closed = asked.is_err() || answered.is_err() || answer.is_empty();
    Ok(if is_closed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// There are no abstract sockets elsewhere.
#[cfg(not(target_os = "linux"))]
fn main() {}
