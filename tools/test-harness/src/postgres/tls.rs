//! A server that takes connections over TLS alone, for whoever tests that.

use std::env;
use std::path::Path;

use dev_postgres::ServerTls;
use url::Url;

use super::{OwnServer, or_panic, start_private};
use crate::postgres::certificates::{Authority, Pair, Valid};

/// What a server of ours is reached by.
pub(super) const NAMES: [&str; 2] = ["127.0.0.1", "localhost"];

/// How a server is to be that takes connections over TLS alone.
#[derive(Debug, Default)]
pub struct TlsServer {
    /// `pg_hba.conf`, beginning with a line for the owner; none trusts everybody.
    pub hba: Option<String>,
    /// Who may sign client certificates, as PEM.
    pub client_ca: Option<String>,
}

impl OwnServer {
    /// Starts a cluster that takes connections over TLS alone, with a certificate of `authority`
    /// for 127.0.0.1 and localhost. The URLs of its databases ask for `sslmode=verify-full`.
    ///
    /// # Panics
    ///
    /// If there is no PostgreSQL to be had, with what was tried.
    pub async fn start_tls(authority: &Authority, how: TlsServer) -> Self {
        let tls = ServerTls {
            hba: how.hba,
            client_ca: how.client_ca,
            ..server_of(authority)
        };
        Self::of(or_panic(start_private(&[], Some((tls, authority))).await))
    }

    /// Gives a server that was started with TLS, and trusts everybody, another certificate. New
    /// connections see it soon after.
    ///
    /// # Panics
    ///
    /// If it cannot be given.
    pub async fn replace_certificate(&self, pair: &Pair) {
        let tls = ServerTls {
            certificate: pair.certificate.clone(),
            key: pair.key.clone(),
            client_ca: None,
            hba: None,
        };
        or_panic(self.cluster.replace_tls(tls).await);
        self.reload();
    }
}

/// Whether the environment asks for TLS in all tests.
pub(super) fn is_asked_for() -> bool {
    env::var("TICKETING_POSTGRES_TLS").is_ok_and(|value| value == "1")
}

/// A server's URL that verifies it by the CA in a file.
pub(super) fn with_root(url: &Url, root: &Path) -> Url {
    let mut url = url.clone();
    let root = root.display().to_string();
    url.query_pairs_mut()
        .append_pair("sslmode", "verify-full")
        .append_pair("sslrootcert", &root);
    url
}

pub(super) fn server_of(authority: &Authority) -> ServerTls {
    let Pair { certificate, key } = authority.server(&NAMES, Valid::Now);
    ServerTls {
        certificate,
        key,
        client_ca: None,
        hba: None,
    }
}
