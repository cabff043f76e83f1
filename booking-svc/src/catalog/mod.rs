//! The catalog as this service knows it: a client that copies shows as sales, and answers what
//! the catalog proposes. One direction: the catalog knows nothing of bookings, and calls nobody.

mod answer;
mod convert;
mod follow;
mod layout;

use std::time::Duration;

use model::ShowId;
use proto::catalog::internal::v1::catalog_feed_service_client::CatalogFeedServiceClient;
use proto::catalog::internal::v1::{AnswerProposalRequest, GetShowRequest};
use service_kit::cause;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

pub use answer::tell_answers;
pub use follow::follow;

use crate::domain::{ProposalAnswer, Snapshot};

/// More than the catalog ever sends. What can be created now takes less than 4 MiB; layouts and
/// prices of earlier releases may be larger.
const SNAPSHOT_BYTES_MAX: usize = 24 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// A client of the catalog. Connects when it is needed, and again when it has to.
#[derive(Debug, Clone)]
pub struct Catalog {
    client: CatalogFeedServiceClient<Channel>,
}

/// Why a show could not be had from the catalog.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The catalog does not answer.
    #[error("the catalog does not answer: {}", cause::chain(.0))]
    Unavailable(#[from] Box<tonic::Status>),
    /// What it sent is no show that could be sold.
    #[error("the catalog sent a show that cannot be: {0}")]
    Malformed(String),
}

impl CatalogError {
    /// Whether any other call would fail as well.
    fn is_outage(&self) -> bool {
        let Self::Unavailable(status) = self else {
            return false;
        };
        matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded)
    }
}

impl Catalog {
    /// A client of the catalog's internal service at `endpoint`.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        let channel = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_while_idle(true)
            .connect_lazy();
        let client =
            CatalogFeedServiceClient::new(channel).max_decoding_message_size(SNAPSHOT_BYTES_MAX);
        Self { client }
    }

    /// A show as it stands now; none if there is no such show.
    ///
    /// # Errors
    ///
    /// If the catalog does not answer, or not with a show.
    pub async fn show(&self, show_id: ShowId) -> Result<Option<Snapshot>, CatalogError> {
        let mut request = tonic::Request::new(GetShowRequest {
            show_id: show_id.to_string(),
        });
        request.set_timeout(CALL_TIMEOUT);
        match self.client.clone().get_show(request).await {
            Ok(response) => {
                let show = response.into_inner().show.unwrap_or_default();
                convert::snapshot(show)
                    .map(Some)
                    .map_err(CatalogError::Malformed)
            }
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(Box::new(status).into()),
        }
    }

    /// Tells an answer. A show that is gone waits for none.
    ///
    /// # Errors
    ///
    /// If the catalog has not heard it.
    pub async fn answer(&self, answer: &ProposalAnswer) -> Result<(), CatalogError> {
        let mut request = tonic::Request::new(AnswerProposalRequest {
            show_id: answer.show_id.to_string(),
            proposal_revision: answer.proposal,
            accepted: answer.accepted,
            booked_seats: answer.booked_seats.clone(),
        });
        request.set_timeout(CALL_TIMEOUT);
        match self.client.clone().answer_proposal(request).await {
            Ok(_) => Ok(()),
            Err(status) if status.code() == Code::NotFound => Ok(()),
            Err(status) => Err(Box::new(status).into()),
        }
    }
}
