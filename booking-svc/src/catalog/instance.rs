//! One instance of the catalog: whether its feed can be followed, and its answers to calls.

use std::time::Duration;

use proto::catalog::internal::v1::{
    FeedPosition, FollowShowsRequest, FollowShowsResponse, GetFeedRequest, GetFeedResponse,
};
use service_kit::auth::Bearer;
use service_kit::tls::ClientTls;
use tokio::time::{Instant, timeout};
use tonic::Streaming;
use uuid::Uuid;

use super::address::Address;
use super::follow_error::FollowError;
use super::{Client, connect};
use crate::store::FeedCursor;

/// How long it may take to answer. Then another instance is tried.
const ANSWER_MAX: Duration = Duration::from_millis(1_500);

/// An instance that can be followed.
pub(crate) struct Following {
    pub(crate) address: Address,
    pub(crate) client: Client,
    pub(crate) feed: Streaming<FollowShowsResponse>,
    /// Its first answer.
    pub(crate) asked: Asked,
}

/// The catalog's answer to GetFeed.
pub(crate) struct Asked {
    /// When it was asked.
    pub(crate) at: Instant,
    /// The revision that this instance last reported as applied.
    pub(crate) applied: i64,
    pub(crate) answer: GetFeedResponse,
}

/// Asks an instance whether it can be followed, and begins to.
pub(crate) async fn attempt(
    address: Address,
    tls: Option<&ClientTls>,
    bearer: Bearer,
    cursor: FeedCursor,
) -> Result<Following, FollowError> {
    let mut client = connect(&address, tls, bearer).await?;
    let asked = ask(address.clone(), client.clone(), cursor.clone(), None).await?;
    check(&address, &cursor, &asked.answer)?;
    let after = Some(position(&cursor));
    match client.follow_shows(FollowShowsRequest { after }).await {
        Ok(feed) => Ok(Following {
            address,
            client,
            feed: feed.into_inner(),
            asked,
        }),
        Err(status) => Err(FollowError::Feed(address, Box::new(status))),
    }
}

pub(crate) async fn ask(
    address: Address,
    mut client: Client,
    cursor: FeedCursor,
    id: Option<Uuid>,
) -> Result<Asked, FollowError> {
    let at = Instant::now();
    let request = GetFeedRequest {
        position: Some(position(&cursor)),
        follower_id: id.map(|id| id.to_string()).unwrap_or_default(),
    };
    match timeout(ANSWER_MAX, client.get_feed(request)).await {
        Ok(Ok(answer)) => Ok(Asked {
            at,
            applied: cursor.place.revision,
            answer: answer.into_inner(),
        }),
        Ok(Err(status)) => Err(FollowError::Feed(address, Box::new(status))),
        Err(_) => Err(FollowError::NoAnswer(address)),
    }
}

/// Whether it is the catalog that is followed, with the history that was followed.
pub(crate) fn check(
    address: &Address,
    cursor: &FeedCursor,
    answer: &GetFeedResponse,
) -> Result<(), FollowError> {
    let installation = answer.installation_id.parse().unwrap_or_default();
    if let Some(known) = cursor.installation
        && installation != known
    {
        return Err(FollowError::AnotherCatalog {
            address: address.clone(),
            found: installation,
            newest: newest(answer),
            known,
        });
    }
    if !answer.has_position {
        return Err(FollowError::LostHistory {
            address: address.clone(),
            installation,
            newest: newest(answer),
            followed: cursor.place.revision,
            timeline: position(cursor).timeline_id,
        });
    }
    Ok(())
}

pub(crate) fn newest(answer: &GetFeedResponse) -> i64 {
    answer.newest.as_ref().map_or(0, |newest| newest.revision)
}

fn position(cursor: &FeedCursor) -> FeedPosition {
    let timeline = cursor.place.timeline.map(|id| id.to_string());
    FeedPosition {
        revision: cursor.place.revision,
        timeline_id: timeline.unwrap_or_default(),
    }
}
