//! Following the catalog's feed: every show that is written there becomes a sale here, in
//! the order of revisions, at least once, from where the last transaction left off.

use std::time::Duration;

use proto::catalog::internal::v1::follow_shows_response::Change;
use proto::catalog::internal::v1::{FeedPosition, FollowShowsRequest, FollowShowsResponse};
use service_kit::Shutdown;
use tonic::Code;

use super::{Catalog, convert};
use crate::sales::Sales;
use crate::store::StoreError;

const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// A feed that is silent for longer than three bookmarks is taken for dead.
const SILENCE_MAX: Duration = Duration::from_secs(45);

#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error("{}: {}", .0.code(), .0.message())]
    Feed(#[from] Box<tonic::Status>),
    #[error("the feed has fallen silent")]
    Silent,
    #[error("the feed has ended")]
    Ended,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Follows the feed until the shutdown. What it cannot apply it tries again; what is on sale
/// goes on selling meanwhile.
pub async fn follow(catalog: Catalog, sales: Sales, shutdown: Shutdown) {
    let mut retry = RETRY_MIN;
    let mut from_start = false;
    loop {
        let mut applied = false;
        let error = tokio::select! {
            () = shutdown.soft.cancelled() => return,
            result = follow_once(&catalog, &sales, from_start, &mut applied) => match result {
                Ok(never) => match never {},
                Err(error) => error,
            },
        };
        // A cursor from another life of the catalog: everything is sent again, and what is
        // here already is left alone.
        from_start =
            matches!(&error, FollowError::Feed(status) if status.code() == Code::OutOfRange);
        if applied {
            retry = RETRY_MIN;
        }
        // Told once when it begins; a long outage must not fill the log.
        if retry == RETRY_MIN {
            tracing::warn!(%error, "the catalog's feed was interrupted");
        } else {
            tracing::debug!(%error, retry_in = ?retry, "the catalog's feed is still interrupted");
        }
        tokio::select! {
            () = shutdown.soft.cancelled() => return,
            () = tokio::time::sleep(retry) => {}
        }
        retry = (retry * 2).min(RETRY_MAX);
    }
}

async fn follow_once(
    catalog: &Catalog,
    sales: &Sales,
    from_start: bool,
    applied: &mut bool,
) -> Result<std::convert::Infallible, FollowError> {
    let after_revision = if from_start {
        0
    } else {
        sales.store().cursor().await?
    };
    // What another replica has applied up to there was not told to this one.
    sales.forget_all();
    let request = FollowShowsRequest {
        after: Some(FeedPosition {
            revision: after_revision,
            timeline_id: String::new(),
        }),
    };
    let mut feed = catalog
        .client
        .clone()
        .follow_shows(request)
        .await
        .map_err(Box::new)?
        .into_inner();
    tracing::info!(after_revision, "following the catalog's feed");
    loop {
        let entry = tokio::time::timeout(SILENCE_MAX, feed.message()).await;
        let entry = entry.map_err(|_| FollowError::Silent)?.map_err(Box::new)?;
        apply(sales, entry.ok_or(FollowError::Ended)?).await?;
        *applied = true;
    }
}

async fn apply(sales: &Sales, entry: FollowShowsResponse) -> Result<(), StoreError> {
    let revision = entry.position.map_or(0, |position| position.revision);
    match entry.change {
        None => sales.store().move_cursor(revision).await,
        Some(Change::DeletedShowId(id)) => match id.parse() {
            Ok(show_id) => sales.close(show_id, revision).await,
            Err(error) => skip(sales, revision, &format!("{id:?} {error}")).await,
        },
        Some(Change::Show(show)) => match convert::snapshot(show) {
            Ok(snapshot) => match sales.apply(&snapshot, Some(revision)).await {
                Err(StoreError::TooManySeats(error)) => {
                    skip(sales, revision, &error.to_string()).await
                }
                applied => applied,
            },
            Err(error) => skip(sales, revision, &error).await,
        },
    }
}

/// A show that cannot be is left out: the feed must not stand still for one.
async fn skip(sales: &Sales, revision: i64, error: &str) -> Result<(), StoreError> {
    tracing::error!(revision, error, "a show of the feed cannot be sold");
    sales.store().move_cursor(revision).await
}
