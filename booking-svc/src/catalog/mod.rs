//! The catalog as this service knows it: a client that copies shows as sales. One direction:
//! the catalog knows nothing of bookings.

mod convert;
mod follow;

use std::time::Duration;

use model::ShowId;
use proto::catalog::v1::GetShowRequest;
use proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

pub use follow::follow;

use crate::domain::Sale;

/// A snapshot with 100,000 labels of 40 characters has 4.3 MB.
const SNAPSHOT_BYTES_MAX: usize = 16 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const GET_TIMEOUT: Duration = Duration::from_secs(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// A client of the catalog. Connects when it is needed, and again when it has to.
#[derive(Debug, Clone)]
pub struct Catalog {
    client: CatalogServiceClient<Channel>,
}

/// Why a show could not be had from the catalog.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The catalog does not answer.
    #[error("the catalog does not answer: {0}")]
    Unavailable(#[from] Box<tonic::Status>),
    /// What it sent is no show that could be sold.
    #[error("the catalog sent a show that cannot be: {0}")]
    Malformed(String),
}

impl Catalog {
    /// A client of the catalog at `endpoint`.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        let channel = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_while_idle(true)
            .connect_lazy();
        let client =
            CatalogServiceClient::new(channel).max_decoding_message_size(SNAPSHOT_BYTES_MAX);
        Self { client }
    }

    /// A show as it stands now; none if there is no such show.
    ///
    /// # Errors
    ///
    /// If the catalog does not answer, or not with a show.
    pub async fn show(&self, show_id: ShowId) -> Result<Option<Sale>, CatalogError> {
        let mut request = tonic::Request::new(GetShowRequest {
            show_id: show_id.to_string(),
            ..Default::default()
        });
        request.set_timeout(GET_TIMEOUT);
        match self.client.clone().get_show(request).await {
            Ok(response) => {
                let show = response.into_inner().show.unwrap_or_default();
                convert::sale(show)
                    .map(Some)
                    .map_err(CatalogError::Malformed)
            }
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(Box::new(status).into()),
        }
    }
}
