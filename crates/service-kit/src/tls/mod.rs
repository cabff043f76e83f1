//! TLS of the gRPC servers and clients: rustls with ring.
//!
//! [`Certificates`] reads the files (`files`, `check`), and reads them again when they change;
//! [`ServerTls`] and [`ClientTls`] are what is in force now, and each new connection takes that.
//! Connections that are there stay as they are. `handshake` bounds what peers that do not finish
//! theirs can cost.
//!
//! Invariant: without certificates nothing here runs.

mod args;
mod check;
mod client;
mod exposure;
mod files;
mod handshake;
mod reload;
mod server;

use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};

pub use self::args::{HealthTlsArgs, ServerTlsArgs};
pub(crate) use self::check::roots;
pub use self::client::{Channels, ClientTls, ClientTlsFiles, Connector};
pub use self::exposure::check_exposure;
pub use self::files::TlsError;
pub(crate) use self::files::{PemFile, system_roots};
pub(crate) use self::handshake::Handshakes;
pub use self::reload::Certificates;
pub use self::server::ServerTls;

/// What ALPN calls HTTP/2, the only protocol that is spoken.
const ALPN_HTTP2: &[u8] = b"h2";

/// The cryptography. It is named wherever it is needed, so that no other crate's choice of a
/// default for the process matters.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
