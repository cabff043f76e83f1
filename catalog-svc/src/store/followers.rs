//! The processes that follow the feed, and the revision that each has applied, so that a change
//! answers only once it is what booking-svc sells.
//!
//! A follower reports to the instance that it reads from, and that notifies all other instances. A
//! follower that stops reporting is no longer waited for: it soon stops selling, or reports again.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::PgConnection;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::error::StoreError;

/// The channel for reports of followers.
pub(super) const CHANNEL: &str = "catalog_followers";
/// How long a report counts; a follower reports every second.
const REPORT_MAX_AGE: Duration = Duration::from_secs(3);
/// The longest that a change waits for followers.
const WAIT_MAX: Duration = Duration::from_millis(500);
/// The most followers: as many as streams.
const FOLLOWERS_MAX: usize = 256;

/// A process that follows the feed, and the revision that it has applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Follower {
    /// Identifies the process.
    pub id: Uuid,
    /// The newest revision that it has applied.
    pub revision: i64,
}

/// The newest report of each follower.
#[derive(Debug, Clone, Default)]
pub(super) struct Followers(watch::Sender<HashMap<Uuid, Report>>);

#[derive(Debug, Clone, Copy)]
struct Report {
    revision: i64,
    at: Instant,
}

impl Followers {
    /// Stores a follower's report.
    pub(super) fn report(&self, follower: Follower) {
        self.0.send_modify(|known| {
            known.retain(|_, report| report.at.elapsed() < REPORT_MAX_AGE);
            let at = Instant::now();
            let revision = follower.revision;
            if let Some(report) = known.get_mut(&follower.id) {
                // Reports may arrive out of order.
                report.revision = report.revision.max(revision);
                report.at = at;
            } else if known.len() < FOLLOWERS_MAX {
                known.insert(follower.id, Report { revision, at });
            }
        });
    }

    /// Stores a report that another instance has received.
    pub(super) fn notified(&self, payload: &str) {
        let parts = payload.split_once(':');
        let parsed =
            parts.and_then(|(id, revision)| Some((id.parse().ok()?, revision.parse().ok()?)));
        if let Some((id, revision)) = parsed {
            self.report(Follower { id, revision });
        }
    }

    /// How many have reported lately.
    pub(super) fn count(&self) -> usize {
        let known = self.0.borrow();
        let lately = |report: &&Report| report.at.elapsed() < REPORT_MAX_AGE;
        known.values().filter(lately).count()
    }

    /// Waits until every follower has applied a revision, for a while at most.
    pub(super) async fn wait_for(&self, revision: i64) {
        let mut known = self.0.subscribe();
        let applied = known.wait_for(|known| {
            let mut lately = known
                .values()
                .filter(|report| report.at.elapsed() < REPORT_MAX_AGE);
            lately.all(|report| report.revision >= revision)
        });
        if timeout(WAIT_MAX, applied).await.is_err() {
            tracing::debug!(revision, "followers have not applied a change in time");
        }
    }
}

/// Sends a follower's report to all instances.
pub(super) async fn notify(
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
    async fn a_change_waits_for_followers_that_reported_lately() {
        let followers = Followers::default();
        assert_eq!(waits(&followers, 5).await, Duration::ZERO, "nobody follows");
        let (one, two) = (Uuid::new_v4(), Uuid::new_v4());
        followers.report(Follower {
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
        tokio::time::advance(REPORT_MAX_AGE).await;
        assert_eq!(waits(&followers, 9).await, Duration::ZERO, "both are gone");
    }
}
