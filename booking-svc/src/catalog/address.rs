//! An address of an instance of the catalog.

use std::fmt;
use std::net::SocketAddr;

use service_kit::args::ServiceUrl;

/// An address of the catalog.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    /// The URL that it was found by.
    pub(crate) url: ServiceUrl,
    /// The address of the connection.
    pub(crate) address: SocketAddr,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.url, self.address)
    }
}
