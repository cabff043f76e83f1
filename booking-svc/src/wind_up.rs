//! Winding up the sales of cancelled shows: each of their bookings is ended, and its customer
//! owed what was paid.
//!
//! A booking is ended by an order of its own, decided under the locks like a caller's and
//! behind those that came before it. So a crash leaves less to do, and nothing half done, and
//! several replicas at once end each booking once.
//!
//! Invariants: no more than one page of orders waits or is decided at a time; a sale is noted
//! as wound up only after a whole pass over its bookings has met none to end. None can come
//! after that pass: an order that was decided while the show was on sale was committed before
//! the sale was cancelled, and none that would make a booking live is granted since.

use std::time::Duration;

use futures_util::future::join_all;
use model::{BookingId, ShowId};
use service_kit::Shutdown;
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::{Command, Order, Refusal};
use crate::sales::Sales;
use crate::store::{CancelledSale, LaneError, Lanes, StoreError};

/// How often it looks for what is left, whether or not the feed has told of anything.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(10);
/// The longest that an order may wait for its turn.
const ORDER_WAIT_MAX: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
enum WindUpError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("no decision: {0:?}")]
    Undecided(LaneError),
    #[error("refused: {0:?}")]
    Refused(Refusal),
}

impl WindUpError {
    /// Whether it is about one booking or sale, so that the others can be wound up.
    fn is_local(&self) -> bool {
        match self {
            Self::Undecided(LaneError::Fault(_) | LaneError::SaleChanged)
            | Self::Refused(_)
            | Self::Store(StoreError::BadRow(_) | StoreError::TooManySeats(_)) => true,
            Self::Undecided(_) | Self::Store(StoreError::Db(_)) => false,
        }
    }
}

/// Winds up cancelled shows until the shutdown: what is left when it starts, and each as soon
/// as the feed tells of it. What fails is tried again.
pub async fn wind_up(sales: Sales, lanes: Lanes, shutdown: Shutdown) {
    let mut retry = RETRY_MIN;
    loop {
        let outcome = tokio::select! {
            () = shutdown.soft.cancelled() => return,
            outcome = wind_up_all(&sales, &lanes) => outcome,
        };
        let pause = match outcome {
            Ok(()) => {
                retry = RETRY_MIN;
                LOOK_INTERVAL
            }
            Err(error) => {
                // Told once when it begins; a long outage must not fill the log.
                if retry > RETRY_MIN {
                    tracing::debug!(%error, retry_in = ?retry, "cancelled shows still cannot be wound up");
                } else if error.is_local() {
                    tracing::error!(%error, "a cancelled show cannot be wound up");
                } else {
                    tracing::warn!(%error, "winding up cancelled shows was interrupted");
                }
                let pause = retry;
                retry = (retry * 2).min(RETRY_MAX);
                pause
            }
        };
        tokio::select! {
            () = shutdown.soft.cancelled() => return,
            () = sales.cancellation() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn wind_up_all(sales: &Sales, lanes: &Lanes) -> Result<(), WindUpError> {
    let mut failed = Ok(());
    let mut after = None;
    loop {
        let page = sales.store().cancelled_sales(after).await?;
        let Some(last) = page.last() else {
            return failed;
        };
        after = Some(last.show_id);
        for sale in page {
            keep(&mut failed, wind_up_sale(sales, lanes, sale).await)?;
        }
    }
}

async fn wind_up_sale(
    sales: &Sales,
    lanes: &Lanes,
    sale: CancelledSale,
) -> Result<(), WindUpError> {
    let mut bookings = 0;
    loop {
        let ended = pass(sales, lanes, sale.show_id).await?;
        if ended == 0 {
            break;
        }
        bookings += ended;
    }
    sales.store().wound_up(sale).await?;
    if bookings > 0 {
        tracing::info!(show_id = %sale.show_id, bookings, "a cancelled show was wound up");
    }
    Ok(())
}

/// Ends whatever it meets on one way through a show's bookings; how many there were.
async fn pass(sales: &Sales, lanes: &Lanes, show_id: ShowId) -> Result<usize, WindUpError> {
    let mut met = 0;
    let mut failed = Ok(());
    let mut after = None;
    loop {
        let page = sales.store().live_bookings(show_id, after).await?;
        met += page.items.len();
        let deadline = Instant::now() + ORDER_WAIT_MAX;
        let orders = page.items.into_iter().map(void);
        for answer in join_all(orders.map(|order| lanes.decide(order, deadline))).await {
            let ended = match answer {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(refusal)) => Err(WindUpError::Refused(refusal)),
                Err(error) => Err(WindUpError::Undecided(error)),
            };
            keep(&mut failed, ended)?;
        }
        after = page.next;
        if after.is_none() {
            return failed.map(|()| met);
        }
    }
}

/// Keeps the first error that concerns no other booking or sale, and returns the others.
fn keep(
    failed: &mut Result<(), WindUpError>,
    outcome: Result<(), WindUpError>,
) -> Result<(), WindUpError> {
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
        command: Command::Void { booking_id },
    }
}
