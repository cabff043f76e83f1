//! The processes that follow the feed, and up to where each has applied it: so that what a change
//! has answered is what is sold next.
//!
//! A follower tells the instance that it follows, and that tells all others by a notification. Who
//! was not heard for a while is waited for no longer: it sells nothing soon, or asks again.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::PgConnection;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::error::StoreError;

/// Where followers are told of.
pub(super) const CHANNEL: &str = "catalog_followers";
/// For how long a follower counts; it asks every second.
const HEARD_FOR: Duration = Duration::from_secs(3);
/// The longest that a change waits for followers.
const WAIT_MAX: Duration = Duration::from_millis(500);
/// The most followers: as many as streams.
const FOLLOWERS_MAX: usize = 256;

/// A process that follows the feed, and up to where it has applied it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Follower {
    /// By which it is known.
    pub id: Uuid,
    /// Up to where.
    pub revision: i64,
}

/// What was heard of followers.
#[derive(Debug, Clone, Default)]
pub(super) struct Followers(watch::Sender<HashMap<Uuid, Heard>>);

#[derive(Debug, Clone, Copy)]
struct Heard {
    revision: i64,
    at: Instant,
}

impl Followers {
    /// Notes what a follower has said.
    pub(super) fn heard(&self, follower: Follower) {
        self.0.send_modify(|known| {
            known.retain(|_, heard| heard.at.elapsed() < HEARD_FOR);
            let at = Instant::now();
            let revision = follower.revision;
            if let Some(heard) = known.get_mut(&follower.id) {
                // What was said before may come later.
                heard.revision = heard.revision.max(revision);
                heard.at = at;
            } else if known.len() < FOLLOWERS_MAX {
                known.insert(follower.id, Heard { revision, at });
            }
        });
    }

    /// Notes a follower that another instance has notified of.
    pub(super) fn notified(&self, payload: &str) {
        let parts = payload.split_once(':');
        let parsed =
            parts.and_then(|(id, revision)| Some((id.parse().ok()?, revision.parse().ok()?)));
        if let Some((id, revision)) = parsed {
            self.heard(Follower { id, revision });
        }
    }

    /// How many were heard lately.
    pub(super) fn count(&self) -> usize {
        let known = self.0.borrow();
        let lately = |heard: &&Heard| heard.at.elapsed() < HEARD_FOR;
        known.values().filter(lately).count()
    }

    /// Waits until every follower has applied a revision, for a while at most.
    pub(super) async fn wait_for(&self, revision: i64) {
        let mut known = self.0.subscribe();
        let applied = known.wait_for(|known| {
            let mut lately = known
                .values()
                .filter(|heard| heard.at.elapsed() < HEARD_FOR);
            lately.all(|heard| heard.revision >= revision)
        });
        if timeout(WAIT_MAX, applied).await.is_err() {
            tracing::debug!(revision, "followers have not applied a change in time");
        }
    }
}

/// Tells all instances of a follower.
pub(super) async fn tell(
    connection: &mut PgConnection,
    Follower { id, revision }: Follower,
) -> Result<(), StoreError> {
    sqlx::query("SELECT pg_notify($1, $2)")
        .bind(CHANNEL)
        .bind(format!("{id}:{revision}"))
        .execute(connection)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn waits(followers: &Followers, revision: i64) -> Duration {
        let began = Instant::now();
        followers.wait_for(revision).await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_waits_for_who_was_heard_lately() {
        let followers = Followers::default();
        assert_eq!(waits(&followers, 5).await, Duration::ZERO, "nobody follows");
        let (one, two) = (Uuid::new_v4(), Uuid::new_v4());
        followers.heard(Follower {
            id: one,
            revision: 5,
        });
        followers.notified(&format!("{two}:4"));
        assert_eq!(waits(&followers, 4).await, Duration::ZERO);
        assert!(waits(&followers, 5).await >= WAIT_MAX);
        let (waited, ()) = futures_util::join!(waits(&followers, 5), async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            followers.notified(&format!("{two}:6"));
            followers.notified(&format!("{two}:3"));
            followers.notified("nonsense");
        });
        assert!(waited < Duration::from_millis(30), "{waited:?}");
        tokio::time::advance(HEARD_FOR).await;
        assert_eq!(waits(&followers, 9).await, Duration::ZERO, "both are gone");
    }
}
