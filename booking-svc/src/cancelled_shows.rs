//! The cancelled-shows worker: ends each booking of a cancelled show, and records the refund that
//! is due to its customer.
//!
//! Each booking is ended by its own order, decided under the locks like a caller's and
//! behind those that came before it. So a crash leaves less to do, and nothing half done, and
//! several replicas at once end each booking once.
//!
//! Invariants: at most one page of orders waits or is decided at a time; a sale is marked
//! fully cancelled only after a whole pass over its bookings has found none to end. No such booking
//! can appear after that pass: an order that was decided while the show was on sale was committed
//! before the sale was cancelled, and since then no order makes a booking live.

use std::time::Duration;

use futures_util::future::join_all;
use model::{BookingId, ShowId};
use service_kit::Shutdown;
use service_kit::background::{self, Skipped, StepError};
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::{Command, Order, Rejection, Requester};
use crate::sales::Sales;
use crate::store::{BadRow, CancelledSale, GroupCommit, OrderError, StoreError};

/// How often it looks for bookings to end, whether or not the feed has reported a cancelled show.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);
/// The pause if a faulty booking cannot be ended, or a sale is locked.
const FAULT_INTERVAL: Duration = Duration::from_secs(10);
/// The longest that an order may wait to be decided.
const ORDER_WAIT_MAX: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
enum CancelledShowError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("no decision on booking {0}: {1:?}")]
    Undecided(BookingId, OrderError),
    #[error("booking {0} is not ended: {1:?}")]
    Rejected(BookingId, Rejection),
    #[error("the sale of {0} could not be marked as fully cancelled")]
    NotNoted(ShowId),
}

impl CancelledShowError {
    /// Whether it is about one booking or sale, so that the others can continue.
    fn is_local(&self) -> bool {
        match self {
            Self::Undecided(_, error) => error.is_local(),
            Self::Rejected(..)
            | Self::NotNoted(_)
            | Self::Store(StoreError::BadRow(_) | StoreError::TooManySeats(_)) => true,
            Self::Store(StoreError::Db(_) | StoreError::OtherEpoch) => false,
        }
    }
}

impl StepError for CancelledShowError {
    fn is_outage(&self) -> bool {
        match self {
            Self::Store(error) => error.is_outage(),
            Self::Undecided(_, error) => !matches!(error, OrderError::Fault(_)),
            Self::Rejected(..) | Self::NotNoted(_) => false,
        }
    }
}

/// Ends the bookings of cancelled shows until the shutdown: those left at the start, and each show
/// as soon as the feed reports it. Failures are retried.
pub async fn cancelled_shows(sales: Sales, group_commit: GroupCommit, shutdown: Shutdown) {
    let stop = &shutdown.soft;
    let work = WindingUp {
        sales: &sales,
        group_commit: &group_commit,
        logged: Skipped::default(),
    };
    let cancellation = || sales.cancellation();
    background::run_woken("cancelled shows", stop, cancellation, async || {
        match stop.run_until_cancelled(work.all()).await {
            // The fault was logged, and all other bookings were ended.
            Some(Err(error)) if error.is_local() && !error.is_outage() => Ok(FAULT_INTERVAL),
            Some(Err(error)) => Err(error),
            Some(Ok(())) | None => Ok(LOOK_INTERVAL),
        }
    })
    .await;
}

struct WindingUp<'a> {
    sales: &'a Sales,
    group_commit: &'a GroupCommit,
    /// Bookings that cannot be ended, which was logged.
    logged: Skipped<BookingId>,
}

impl WindingUp<'_> {
    async fn all(&self) -> Result<(), CancelledShowError> {
        let mut failed = Ok(());
        let mut after = None;
        loop {
            let page = self.sales.store().cancelled_sales(after).await?;
            for sale in page.items {
                keep(&mut failed, self.sale(sale).await)?;
            }
            after = page.next;
            if after.is_none() {
                return failed;
            }
        }
    }

    async fn sale(&self, sale: CancelledSale) -> Result<(), CancelledShowError> {
        let mut bookings = 0;
        loop {
            let ended = self.pass(sale.show_id).await?;
            if ended == 0 {
                break;
            }
            bookings += ended;
        }
        if !self.sales.store().mark_fully_cancelled(sale).await? {
            return Err(CancelledShowError::NotNoted(sale.show_id));
        }
        if bookings > 0 {
            tracing::info!(show_id = %sale.show_id, bookings, "all bookings of a cancelled show have ended");
        }
        Ok(())
    }

    /// Ends every live booking that one pass over a show meets; returns how many there were. If
    /// another session has the whole show locked, other shows do not wait for each of its pages.
    async fn pass(&self, show_id: ShowId) -> Result<usize, CancelledShowError> {
        let mut met = 0;
        let mut failed = Ok(());
        let mut after = None;
        loop {
            let page = self.sales.store().live_bookings(show_id, after).await?;
            met += page.items.len();
            let deadline = Instant::now() + ORDER_WAIT_MAX;
            let endings = page.items.into_iter().map(|id| self.end(id, deadline));
            let ended = join_all(endings).await;
            let is_locked = !ended.is_empty() && ended.iter().all(is_contention);
            for ended in ended {
                keep(&mut failed, ended)?;
            }
            after = page.next;
            if after.is_none() || is_locked {
                return failed.map(|()| met);
            }
        }
    }

    async fn end(
        &self,
        booking_id: Result<BookingId, BadRow>,
        deadline: Instant,
    ) -> Result<(), CancelledShowError> {
        let booking_id = booking_id.map_err(StoreError::from).inspect_err(|error| {
            tracing::error!(%error, "a booking of a cancelled show cannot be ended");
        })?;
        let error = match self.group_commit.decide(void(booking_id), deadline).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(rejection)) => CancelledShowError::Rejected(booking_id, rejection),
            Err(error) => CancelledShowError::Undecided(booking_id, error),
        };
        if !error.is_outage() && !self.logged.contains(booking_id) {
            self.logged.add(booking_id);
            tracing::error!(%error, "a booking of a cancelled show cannot be ended");
        }
        Err(error)
    }
}

fn is_contention(ended: &Result<(), CancelledShowError>) -> bool {
    matches!(
        ended,
        Err(CancelledShowError::Undecided(_, OrderError::Contention))
    )
}

/// Keeps the first error that concerns no other booking or sale, and returns the others.
fn keep(
    failed: &mut Result<(), CancelledShowError>,
    outcome: Result<(), CancelledShowError>,
) -> Result<(), CancelledShowError> {
    match outcome {
        Err(error) if error.is_local() => {
            if failed.is_ok() {
                *failed = Err(error);
            }
            Ok(())
        }
        outcome => outcome,
    }
}

fn void(booking_id: BookingId) -> Order {
    Order {
        show_id: booking_id.show(),
        request_id: Uuid::now_v7(),
        repeatable: false,
        fingerprint: 0,
        requester: Requester::unnamed(),
        command: Command::Void { booking_id },
    }
}
