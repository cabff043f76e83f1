//! Why TLS failed, in words for whoever can mend it.

use std::error::Error as StdError;
use std::{fmt, io};

use rustls::{AlertDescription, CertificateError, Error};

use super::verify::{is_self_signed, is_version_1};
use super::{TlsMode, TlsSettings};

/// Why there is no TLS connection.
#[derive(Debug)]
pub(in super::super) struct TlsError {
    words: String,
    /// Whether waiting may mend it.
    pub(in super::super) may_pass: bool,
}

impl TlsError {
    /// What waiting may mend.
    pub(super) fn passing(words: impl ToString) -> Self {
        Self {
            words: words.to_string(),
            may_pass: true,
        }
    }

    /// What somebody has to mend.
    pub(super) fn lasting(words: String) -> Self {
        Self {
            words,
            may_pass: false,
        }
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl StdError for TlsError {}

/// Whom a connection is made to, and what was asked of it.
#[derive(Debug, Clone)]
pub(in super::super) struct Peer {
    /// The host's name in the URL, or its address: what the certificate must be for.
    pub(in super::super) name: String,
    pub(in super::super) mode: TlsMode,
    pub(in super::super) settings: TlsSettings,
}

impl Peer {
    /// Why a handshake failed.
    pub(super) fn failed(&self, error: &io::Error) -> TlsError {
        match rustls_error(error) {
            Some(error) => TlsError::lasting(self.explain(error)),
            // The server may be ending or starting.
            None => TlsError::passing(format!("the TLS handshake was cut off: {error}")),
        }
    }

    /// Why the server ended a connection behind the handshake, if it said so in TLS: with 1.3 it
    /// looks at a client's certificate only then.
    pub(in super::super) fn refusal(&self, error: &(dyn StdError + 'static)) -> Option<String> {
        let mut next = Some(error);
        while let Some(error) = next {
            let io = error.downcast_ref::<io::Error>();
            if let Some(error) = io.and_then(rustls_error) {
                return Some(self.explain(error));
            }
            next = error.source();
        }
        None
    }

    /// That the server has no TLS.
    pub(in super::super) fn has_no_tls(&self) -> TlsError {
        TlsError::lasting(format!(
            "the server has no TLS, and sslmode={} asks for it: set ssl = on at the server, or \
             connect to one that has it",
            self.mode
        ))
    }

    fn explain(&self, error: &Error) -> String {
        match error {
            Error::InvalidCertificate(why) if is_self_signed(error) || is_unknown(why) => format!(
                "the server's certificate is not signed by a CA that is trusted ({}): name the file \
                 of the server's CA in sslrootcert",
                self.settings.trusted()
            ),
            Error::InvalidCertificate(_) if is_version_1(error) => {
                "the server's certificate is of X.509 version 1, which cannot be verified: make it \
                 anew with extensions, with its names in subjectAltName"
                    .to_owned()
            }
            Error::InvalidCertificate(why) => self.explain_certificate(why),
            Error::AlertReceived(alert) => self.explain_alert(*alert),
            other => format!("TLS failed: {other}"),
        }
    }

    fn explain_certificate(&self, why: &CertificateError) -> String {
        let Self { name, .. } = self;
        match why {
            CertificateError::NotValidForName => format!(
                "the server's certificate is not for {name}: connect by a name that is in its \
                 subjectAltName"
            ),
            CertificateError::NotValidForNameContext { presented, .. } => {
                let names = if presented.is_empty() {
                    "no name in subjectAltName".to_owned()
                } else {
                    presented.join(", ")
                };
                format!(
                    "the server's certificate is not for {name}, but for {names}: connect by a \
                     name that it has, or give the server a certificate for {name}"
                )
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!("the server's certificate, or its CA's, has expired ({why}): renew it")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => format!(
                "the server's certificate, or its CA's, is not valid yet ({why}): look at the \
                 clock of this machine"
            ),
            other => format!("the server's certificate cannot be used: {other}"),
        }
    }

    fn explain_alert(&self, alert: AlertDescription) -> String {
        match alert {
            AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion => format!(
                "the server ended the TLS handshake ({alert:?}): it may have no protocol or cipher \
                 that we have; TLS 1.2 or 1.3 is needed"
            ),
            alert if self.settings.has_identity() => format!(
                "the server refused the certificate of sslcert ({alert:?}): the server's \
                 ssl_ca_file must have the CA that signed it"
            ),
            alert => format!(
                "the server ended the TLS connection ({alert:?}): if it asks for a client \
                 certificate, name one by sslcert and sslkey"
            ),
        }
    }
}

fn is_unknown(why: &CertificateError) -> bool {
    matches!(
        why,
        CertificateError::UnknownIssuer | CertificateError::BadSignature
    )
}

fn rustls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref::<Error>()
}
