//! Why the catalog is not, or no longer, followed.

use service_kit::args::ServiceUrl;
use service_kit::background::StepError;
use service_kit::cause;
use service_kit::tls::TlsError;
use uuid::Uuid;

use super::address::Address;
use crate::store::StoreError;

/// Why an instance of the catalog cannot be followed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FollowError {
    #[error("{0}: {1}")]
    NoAddress(ServiceUrl, String),
    #[error("{0}: {why}", why = cause::chain(.1))]
    NoConnection(Address, tonic::transport::Error),
    #[error("{0} is https://, and there are no certificates for it")]
    NoTls(Address),
    #[error("{0}: its host {1}")]
    BadName(Address, TlsError),
    #[error("other certificates are in force")]
    CertificatesChanged,
    #[error("{0} does not answer")]
    NoAnswer(Address),
    #[error("{0}: {code}: {message}", code = .1.code(), message = .1.message())]
    Feed(Address, Box<tonic::Status>),
    #[error("the feed has ended")]
    Ended,
    #[error("the feed lacks revisions that the catalog has")]
    Stalled,
    #[error("too many shows could not be applied")]
    TooManyWait,
    #[error(
        "{address} is another catalog: its installation is {found}, {known} is followed. If it is \
         meant, run `migrate accept-catalog`"
    )]
    AnotherCatalog {
        address: Address,
        found: Uuid,
        newest: i64,
        known: Uuid,
    },
    #[error(
        "{address} has lost what was followed: its newest revision is {newest}, and revision \
         {followed} of timeline {timeline} is not in its history. It was restored, or promoted \
         without its last changes. Run `migrate accept-catalog`"
    )]
    LostHistory {
        address: Address,
        installation: Uuid,
        newest: i64,
        followed: i64,
        timeline: String,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl FollowError {
    /// Whether an operator must say that the catalog is the right one.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::AnotherCatalog { .. } | Self::LostHistory { .. })
    }
}

impl StepError for FollowError {
    fn is_outage(&self) -> bool {
        match self {
            Self::Store(error) => error.is_outage(),
            other => !other.is_refusal(),
        }
    }
}
