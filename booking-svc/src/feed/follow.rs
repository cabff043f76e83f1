//! The feed consumer: makes every show of the catalog's feed a sale here, in the order of revisions,
//! at least once, continuing from the last transaction.
//!
//! Besides reading the stream it calls GetFeed every second. The answer gives the newest revision,
//! and so the age of the copies here, and says whether the catalog still has the history that was
//! followed. The request reports the revision that this process has applied.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use model::ShowId;
use proto::catalog::internal::v1::follow_shows_response::Change;
use proto::catalog::internal::v1::{FeedPosition, FollowShowsResponse};
use service_kit::Shutdown;
use service_kit::background::Trouble;
use service_kit::cause;
use service_kit::tls::ClientTls;
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use crate::catalog::{
    Asked, Catalog, Connection, FollowError, Following, Freshness, ask, attempt, check, first_of,
    metrics, newest, snapshot,
};
use crate::sales::Sales;
use crate::store::{Applied, FeedCursor, FeedPlace, FoundCatalog, StoreError};

/// How often the catalog is asked for its newest revision.
const ASK_INTERVAL: Duration = Duration::from_secs(1);
/// How long the stream may lack a revision that an answer has named. A stream gets new revisions
/// within a second, even if a notification was lost.
const STALL_MAX: Duration = Duration::from_secs(3);
/// An instance that was followed for so long is left without a pause when it falls silent.
const STEADY: Duration = Duration::from_secs(1);
/// How long a change waits for the locks of its show before it is set aside.
const LOCK_WAIT: Duration = Duration::from_millis(500);
/// The same for a change that was set aside: the feed stops for that time.
const AGAIN_LOCK_WAIT: Duration = Duration::from_millis(50);
/// How often set-aside changes are retried.
const AGAIN_INTERVAL: Duration = Duration::from_millis(500);
/// The most of them that may fail in a row; then the feed continues.
const AGAIN_FAILURES_MAX: u32 = 4;

/// Follows the feed until the shutdown, at whichever address of the catalog answers.
pub async fn follow(catalog: Catalog, sales: Sales, shutdown: Shutdown) {
    let mut follower = Follower {
        freshness: sales.freshness().clone(),
        catalog,
        sales,
        id: Uuid::new_v4(),
        cursor: None,
        last: None,
        tls: None,
        again: None,
        tidied: 0,
    };
    shutdown.soft.run_until_cancelled(follower.run()).await;
}

struct Follower {
    catalog: Catalog,
    sales: Sales,
    freshness: Freshness,
    /// This process's id as a follower.
    id: Uuid,
    /// The catalog that is followed, and up to where it was read.
    cursor: Option<FeedCursor>,
    /// The address that was followed last.
    last: Option<SocketAddr>,
    /// The certificates that it was connected to with.
    tls: Option<ClientTls>,
    /// The show that was tried again last.
    again: Option<ShowId>,
    /// The epoch whose catalog is completely applied: sales of other catalogs are closed.
    tidied: i64,
}

impl Follower {
    async fn run(&mut self) {
        let mut trouble = Trouble::new("feed");
        loop {
            let began = Instant::now();
            let error = match self.find().await {
                Ok(following) => {
                    let installation = Arc::from(&*following.asked.answer.installation_id);
                    let to = Connection::To(following.client.clone(), installation);
                    self.catalog.connection_is(to);
                    let error = self.follow(following, &mut trouble).await;
                    self.catalog.connection_is(Connection::Sought);
                    if matches!(error, FollowError::CertificatesChanged) {
                        // Nothing is wrong: the next connection has them.
                        continue;
                    }
                    error
                }
                Err(error) => {
                    let away = Connection::Away(cause::chain(&error).into());
                    self.catalog.connection_is(away);
                    error
                }
            };
            let pause = trouble.failed(&error);
            if self.catalog.is_away() || began.elapsed() < STEADY {
                sleep(pause).await;
            }
        }
    }

    /// Finds an instance that can be followed.
    async fn find(&mut self) -> Result<Following, FollowError> {
        let stored = self.sales.store().cursor().await?;
        // Another catalog was accepted, or this process has just started.
        let is_other = |known: &FeedCursor| known.place.epoch != stored.place.epoch;
        if self.cursor.as_ref().is_none_or(is_other) {
            self.sales.forget_all();
            self.freshness.begin_again();
            self.cursor = None;
            // Reports about another catalog's revisions do not count.
            self.id = Uuid::new_v4();
        }
        let mut cursor = self.cursor.take().unwrap_or(stored);
        self.cursor = Some(cursor.clone());
        let addresses = self.catalog.urls().addresses(self.last).await?;
        // Before the connection is made: what changes meanwhile is then seen.
        self.tls = self.catalog.tls().map(ClientTls::of_now);
        let (tls, bearer) = (self.tls.as_ref(), self.catalog.bearer());
        let attempt = |address| attempt(address, tls, bearer.clone(), cursor.clone());
        let found = match first_of(addresses, attempt).await {
            Ok(found) => found,
            Err(error) => return Err(self.store_rejection(error).await),
        };
        self.last = Some(found.address.address);
        // Whichever is found first is followed from then on, by all replicas.
        let installation = found.asked.answer.installation_id.parse();
        let store = self.sales.store();
        let installation = store.follow_installation(installation.unwrap_or_default());
        cursor.installation = Some(installation.await?);
        check(&found.address, &cursor, &found.asked.answer)?;
        self.cursor = Some(cursor);
        Ok(found)
    }

    /// Records the catalog that was found and refused, so that an operator can decide on it.
    async fn store_rejection(&self, error: FollowError) -> FollowError {
        let (FollowError::AnotherCatalog {
            found: installation,
            newest,
            ..
        }
        | FollowError::LostHistory {
            installation,
            newest,
            ..
        }) = error
        else {
            return error;
        };
        let found = FoundCatalog {
            installation,
            newest,
        };
        match self.sales.store().note_found(found).await {
            Ok(()) => error,
            Err(failed) => failed.into(),
        }
    }

    /// Follows an instance until an error ends it, which it returns.
    async fn follow(&mut self, following: Following, trouble: &mut Trouble) -> FollowError {
        let result = self.apply_all(following, trouble).await;
        match result {
            Ok(never) => match never {},
            Err(error) => self.store_rejection(error).await,
        }
    }

    async fn apply_all(
        &mut self,
        following: Following,
        trouble: &mut Trouble,
    ) -> Result<std::convert::Infallible, FollowError> {
        let Following {
            address,
            client,
            mut feed,
            asked,
        } = following;
        let mut cursor = self.cursor.clone().ok_or(FollowError::Ended)?;
        tracing::info!(%address, after_revision = cursor.place.revision, "following the catalog's feed");
        // The newest revision that the catalog has and that is not applied here yet.
        let mut ahead = Some((asked.at, newest(&asked.answer)));
        let mut question: Option<BoxFuture<'static, Result<Asked, FollowError>>> = None;
        let mut ask_at = asked.at + ASK_INTERVAL;
        let mut again_at = Instant::now();
        let mut follower = None;
        let mut moved_at = Instant::now();
        let mut tls = self.tls.clone();
        metrics::newest_is(newest(&asked.answer));
        loop {
            metrics::applied_up_to(cursor.place.revision);
            if let Some((asked_at, revision)) = ahead
                && cursor.place.revision >= revision
            {
                self.tidy(cursor.place.epoch).await?;
                self.freshness.known_at(asked_at);
                trouble.recovered();
                ahead = None;
                if follower.is_none() {
                    // From now on changes wait for this process.
                    follower = Some(self.id);
                    ask_at = Instant::now();
                }
            }
            let waits = self.freshness.gap_after().is_some();
            let stalls_at = moved_at + STALL_MAX;
            tokio::select! {
                entry = feed.message() => {
                    let entry = entry.map_err(|status| FollowError::Feed(address.clone(), Box::new(status)))?;
                    let entry = entry.ok_or(FollowError::Ended)?;
                    self.apply(entry, &mut cursor).await?;
                    moved_at = Instant::now();
                    // The catalog waits for this report.
                    ask_at = moved_at;
                }
                asked = async { question.as_mut().expect("it is set").await }, if question.is_some() => {
                    question = None;
                    let asked = asked?;
                    check(&address, &cursor, &asked.answer)?;
                    metrics::newest_is(newest(&asked.answer));
                    if asked.applied == cursor.place.revision {
                        ask_at = asked.at + ASK_INTERVAL;
                    }
                    if ahead.is_none() {
                        ahead = Some((asked.at, newest(&asked.answer)));
                        moved_at = Instant::now();
                    }
                }
                () = sleep_until(ask_at), if question.is_none() => {
                    question = Some(Box::pin(ask(address.clone(), client.clone(), cursor.clone(), follower)));
                }
                () = sleep_until(again_at), if waits => {
                    self.try_again().await?;
                    again_at = Instant::now() + AGAIN_INTERVAL;
                    moved_at = Instant::now();
                }
                () = changed(&mut tls) => return Err(FollowError::CertificatesChanged),
                () = sleep_until(stalls_at), if ahead.is_some() => return Err(FollowError::Stalled),
            }
        }
    }

    /// Applies an entry, and moves the cursor behind it; sets a show aside that cannot be written
    /// now.
    async fn apply(
        &mut self,
        entry: FollowShowsResponse,
        cursor: &mut FeedCursor,
    ) -> Result<(), FollowError> {
        let before = cursor.place;
        let at = place(entry.position, before.epoch);
        // A consumer that resumes from the stored cursor must get the waiting changes again.
        let stored = self.freshness.gap_after().unwrap_or(at);
        let store = self.sales.store();
        let (show_id, applied) = match entry.change {
            None => {
                store.move_cursor(stored).await?;
                (None, Ok(Applied::Nothing))
            }
            Some(Change::UnreadableShowId(id)) => match id.parse() {
                Ok(show_id) => {
                    tracing::error!(%show_id, revision = at.revision,
                        "the catalog cannot read a show: it is not sold until its row is mended");
                    self.set_aside(show_id, at, before)?;
                    (None, Ok(Applied::Nothing))
                }
                Err(error) => {
                    skip(&self.sales, at, stored, &format!("{id:?} {error}")).await?;
                    (None, Ok(Applied::Nothing))
                }
            },
            Some(Change::DeletedShowId(id)) => match id.parse() {
                Ok(show_id) => {
                    let closed = self.sales.close(show_id, at.revision, stored, LOCK_WAIT);
                    (Some(show_id), closed.await)
                }
                Err(error) => {
                    skip(&self.sales, at, stored, &format!("{id:?} {error}")).await?;
                    (None, Ok(Applied::Nothing))
                }
            },
            Some(Change::Show(show)) => match snapshot(show) {
                Ok(snapshot) => {
                    let applied = self.sales.apply(&snapshot, Some(stored), LOCK_WAIT).await;
                    (Some(snapshot.show_id), applied)
                }
                Err(error) => {
                    skip(&self.sales, at, stored, &error).await?;
                    (None, Ok(Applied::Nothing))
                }
            },
        };
        if let Some(show_id) = show_id {
            self.settle(show_id, applied, at, before, stored).await?;
        }
        cursor.place = at;
        self.cursor = Some(cursor.clone());
        Ok(())
    }

    /// Records the result of applying a change of a show.
    async fn settle(
        &mut self,
        show_id: ShowId,
        applied: Result<Applied, StoreError>,
        at: FeedPlace,
        before: FeedPlace,
        stored: FeedPlace,
    ) -> Result<(), FollowError> {
        match applied {
            Ok(Applied::Locked) => {
                tracing::warn!(%show_id, revision = at.revision,
                    "a show is locked by another session: it is not sold until its change is applied");
            }
            Err(error @ StoreError::BadRow(_)) => {
                tracing::error!(%show_id, revision = at.revision, %error,
                    "a change of a show cannot be applied: the show is not sold until it is");
            }
            Err(StoreError::TooManySeats(error)) => {
                skip(&self.sales, at, stored, &error.to_string()).await?;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
            Ok(_) => {
                self.freshness.applied(show_id, at.revision);
                return Ok(());
            }
        }
        self.set_aside(show_id, at, before)
    }

    /// Sets aside a show whose change at `at` is not applied: it is not sold until it is.
    fn set_aside(
        &self,
        show_id: ShowId,
        at: FeedPlace,
        before: FeedPlace,
    ) -> Result<(), FollowError> {
        if self.freshness.set_aside(show_id, at.revision, before) {
            Ok(())
        } else {
            Err(FollowError::TooManyWait)
        }
    }

    /// Closes the sales of another catalog, once all of the accepted one is applied.
    async fn tidy(&mut self, epoch: i64) -> Result<(), StoreError> {
        if self.tidied == epoch {
            return Ok(());
        }
        let shows = self.sales.store().close_unknown(epoch).await?;
        self.tidied = epoch;
        if shows > 0 {
            self.sales.forget_all();
            tracing::warn!(
                shows,
                "shows that the accepted catalog does not have are closed"
            );
        }
        Ok(())
    }

    /// Retries set-aside changes, with the catalog's current shows.
    async fn try_again(&mut self) -> Result<(), FollowError> {
        let mut failures = 0;
        for _ in 0..self.freshness.waiting_count() {
            let Some((show_id, waiting)) = self.freshness.next_waiting(self.again) else {
                break;
            };
            if failures >= AGAIN_FAILURES_MAX {
                break;
            }
            self.again = Some(show_id);
            let applied = match self.catalog.show(show_id).await {
                Ok(Some(snapshot)) => {
                    let applied = self.sales.apply(&snapshot, None, AGAIN_LOCK_WAIT).await;
                    applied.map(|applied| (applied, snapshot.revision))
                }
                Ok(None) => {
                    let closed = self.sales.close(
                        show_id,
                        waiting.revision,
                        waiting.before,
                        AGAIN_LOCK_WAIT,
                    );
                    closed.await.map(|applied| (applied, waiting.revision))
                }
                // If the catalog is down, the polls detect it.
                Err(error) => {
                    tracing::debug!(%show_id, %error, "a show that waits cannot be asked for");
                    failures += 1;
                    continue;
                }
            };
            match applied {
                Ok((Applied::Locked, _)) | Err(StoreError::BadRow(_)) => failures += 1,
                Err(StoreError::TooManySeats(error)) => {
                    tracing::error!(%show_id, %error, "a show of the feed cannot be sold");
                    self.freshness.applied(show_id, i64::MAX);
                }
                Err(error) => return Err(error.into()),
                Ok((_, revision)) => {
                    if self.freshness.applied(show_id, revision) {
                        tracing::info!(%show_id, revision, "a show that waited is applied");
                    }
                }
            }
        }
        Ok(())
    }
}

/// Waits for other certificates; without TLS for ever.
async fn changed(tls: &mut Option<ClientTls>) {
    match tls {
        Some(tls) => tls.changed().await,
        None => std::future::pending().await,
    }
}

fn place(position: Option<FeedPosition>, epoch: i64) -> FeedPlace {
    let position = position.unwrap_or_default();
    FeedPlace {
        epoch,
        revision: position.revision,
        timeline: position.timeline_id.parse().ok(),
    }
}

/// A show that cannot be is left out: the feed must not stand still for one.
async fn skip(
    sales: &Sales,
    at: FeedPlace,
    stored: FeedPlace,
    error: &str,
) -> Result<(), StoreError> {
    let revision = at.revision;
    tracing::error!(revision, error, "a show of the feed cannot be sold");
    sales.store().move_cursor(stored).await
}
