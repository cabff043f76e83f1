//! ExpiryService: the worker's round, for an operator.

use proto::expiry::v1::expiry_service_server::ExpiryService;
use proto::expiry::v1::{RunOnceRequest, RunOnceResponse};
use service_kit::{ApiError, Shutdown};
use tonic::{Request, Response, Status};

use crate::sweep::Sweeper;

/// The service.
#[derive(Debug, Clone)]
pub struct Expiry {
    /// The sweeper that RunOnce runs.
    pub sweeper: Sweeper,
    /// When it must stop.
    pub shutdown: Shutdown,
}

#[tonic::async_trait]
impl ExpiryService for Expiry {
    async fn run_once(
        &self,
        _: Request<RunOnceRequest>,
    ) -> Result<Response<RunOnceResponse>, Status> {
        let mut failed = 0;
        self.sweeper
            .run_once(&self.shutdown.soft, &mut failed)
            .await
            .map_err(ApiError::from)?;
        Ok(Response::new(RunOnceResponse {
            failed_count: failed.try_into().unwrap_or(i64::MAX),
        }))
    }
}
