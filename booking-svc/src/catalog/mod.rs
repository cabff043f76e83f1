//! The client of the catalog: fetches shows to copy as sales, and answers the catalog's proposals.
//! One direction: the catalog knows nothing of bookings, and calls no other service.

mod address;
mod addresses;
mod convert;
mod follow_error;
mod freshness;
mod instance;
mod layout;
pub(crate) mod metrics;

use std::sync::Arc;
use std::time::Duration;

use model::ShowId;
use proto::catalog::internal::v1::catalog_feed_service_client::CatalogFeedServiceClient;
use proto::catalog::internal::v1::{AnswerProposalRequest, GetShowRequest};
use service_kit::auth::Bearer;
use service_kit::cause;
use service_kit::tls::ClientTls;
use tokio::sync::watch;
use tonic::Code;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

pub use addresses::CatalogUrls;
pub(crate) use addresses::first_of;
pub(crate) use convert::snapshot;
pub(crate) use follow_error::FollowError;
pub use freshness::{Freshness, Stale, StaleCatalog, StalenessTerms, watch_staleness};
pub(crate) use instance::{Asked, Following, ask, attempt, check, newest};

use crate::domain::{ProposalAnswer, Snapshot};
use address::Address;

/// More than the catalog ever sends. What can be created now takes less than 4 MiB; layouts and
/// prices of earlier releases may be larger.
const SNAPSHOT_BYTES_MAX: usize = 24 * 1024 * 1024;
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

type Client = CatalogFeedServiceClient<InterceptedService<Channel, Bearer>>;

/// A client of whichever instance of the catalog is followed.
#[derive(Debug, Clone)]
pub struct Catalog {
    urls: CatalogUrls,
    tls: Option<ClientTls>,
    /// What it shows the catalog.
    bearer: Bearer,
    connection: Arc<watch::Sender<Connection>>,
}

#[derive(Debug, Clone)]
pub(crate) enum Connection {
    /// It is being made.
    Sought,
    /// To this instance, of this installation.
    To(Client, Arc<str>),
    /// No instance can be followed, for this reason.
    Away(Arc<str>),
}

/// Why a show could not be fetched from the catalog.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// No instance of the catalog can be followed.
    #[error("no catalog can be followed: {0}")]
    Away(Arc<str>),
    /// The catalog does not answer.
    #[error("the catalog does not answer: {}", cause::chain(.0))]
    Unavailable(#[from] Box<tonic::Status>),
    /// It sent a show that cannot be sold.
    #[error("the catalog sent a show that cannot be: {0}")]
    Malformed(String),
}

impl CatalogError {
    /// Whether any other call would fail as well.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Away(_) => true,
            Self::Unavailable(status) => {
                matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded)
            }
            Self::Malformed(_) => false,
        }
    }
}

impl Catalog {
    /// A client of the catalog's internal service at any of the URLs, which shows it the token of
    /// `bearer`. The feed connects it.
    #[must_use]
    pub fn new(urls: CatalogUrls, bearer: Bearer) -> Self {
        let connection = watch::Sender::new(Connection::Sought);
        Self {
            urls,
            bearer,
            tls: None,
            connection: Arc::new(connection),
        }
    }

    /// The same with certificates for the URLs that are https://.
    #[must_use]
    pub fn with_tls(self, tls: Option<ClientTls>) -> Self {
        Self { tls, ..self }
    }

    /// A show as it stands now; none if there is no such show.
    ///
    /// # Errors
    ///
    /// If the catalog does not answer, or not with a valid show.
    pub async fn show(&self, show_id: ShowId) -> Result<Option<Snapshot>, CatalogError> {
        let (mut client, installation) = self.client().await?;
        let mut request = tonic::Request::new(GetShowRequest {
            show_id: show_id.to_string(),
        });
        request.set_timeout(CALL_TIMEOUT);
        match client.get_show(request).await {
            // The address may belong to another catalog by now; the feed is about to detect that.
            Ok(response) if response.get_ref().installation_id != *installation => {
                Err(CatalogError::Away("it is another catalog".into()))
            }
            Ok(response) => {
                let show = response.into_inner().show.unwrap_or_default();
                snapshot(show).map(Some).map_err(CatalogError::Malformed)
            }
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(Box::new(status).into()),
        }
    }

    /// Sends an answer. A deleted show needs none.
    ///
    /// # Errors
    ///
    /// If the catalog did not accept it.
    pub async fn answer(&self, answer: &ProposalAnswer) -> Result<(), CatalogError> {
        let (mut client, _) = self.client().await?;
        let mut request = tonic::Request::new(AnswerProposalRequest {
            show_id: answer.show_id.to_string(),
            proposal_revision: answer.proposal,
            accepted: answer.accepted,
            booked_seats: answer.booked_seats.clone(),
        });
        request.set_timeout(CALL_TIMEOUT);
        match client.answer_proposal(request).await {
            Ok(_) => Ok(()),
            Err(status) if status.code() == Code::NotFound => Ok(()),
            Err(status) => Err(Box::new(status).into()),
        }
    }

    /// Records which instance is followed, if any.
    pub(crate) fn connection_is(&self, connection: Connection) {
        self.connection.send_replace(connection);
    }

    /// What it shows the catalog.
    pub(crate) fn bearer(&self) -> &Bearer {
        &self.bearer
    }

    /// Where its instances are.
    pub(crate) fn urls(&self) -> &CatalogUrls {
        &self.urls
    }

    /// The certificates for those that are reached by TLS.
    pub(crate) fn tls(&self) -> Option<&ClientTls> {
        self.tls.as_ref()
    }

    /// Whether none of its instances can be followed.
    pub(crate) fn is_away(&self) -> bool {
        matches!(*self.connection.borrow(), Connection::Away(_))
    }

    /// The instance that is followed, and its installation. While one is sought that takes a
    /// little; the caller's deadline bounds it.
    async fn client(&self) -> Result<(Client, Arc<str>), CatalogError> {
        let mut connection = self.connection.subscribe();
        let known = connection.wait_for(|now| !matches!(now, Connection::Sought));
        // Its sender is ours.
        match known.await.as_deref() {
            Ok(Connection::To(client, installation)) => {
                Ok((client.clone(), Arc::clone(installation)))
            }
            Ok(Connection::Away(why)) => Err(CatalogError::Away(Arc::clone(why))),
            Ok(Connection::Sought) | Err(_) => Err(CatalogError::Away("it is sought".into())),
        }
    }
}

/// Connects to an instance.
async fn connect(
    to: &Address,
    tls: Option<&ClientTls>,
    bearer: Bearer,
) -> Result<Client, FollowError> {
    let failed = |error| FollowError::NoConnection(to.clone(), error);
    let endpoint = Endpoint::from_shared(format!("http://{}", to.address)).map_err(failed)?;
    let endpoint = endpoint
        // A proxy goes by the name.
        .origin(to.url.uri())
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_while_idle(true);
    let channel = if to.url.is_tls() {
        let connector = tls.map(|tls| tls.connector(to.url.host()));
        let connector = connector.ok_or(FollowError::NoTls(to.clone()))?;
        let connector = connector.map_err(|error| FollowError::BadName(to.clone(), error))?;
        endpoint.connect_with_connector(connector).await
    } else {
        endpoint.connect().await
    };
    let channel = channel.map_err(failed)?;
    let client = CatalogFeedServiceClient::with_interceptor(channel, bearer);
    Ok(client.max_decoding_message_size(SNAPSHOT_BYTES_MAX))
}
