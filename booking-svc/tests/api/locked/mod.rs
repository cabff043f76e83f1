//! Locks that stay held: a caller that needs one gets CONTENTION in time, or the lock soon
//! after its release, and no other caller waits.

#![allow(
    clippy::print_stdout,
    reason = "how long others waited is worth seeing"
)]

mod advisory;
mod background;
mod customers;
mod paid;
mod rows;

use std::cell::Cell;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::join;
use proto::booking::v1::{CancelBookingRequest, ConfirmBookingRequest, ReserveSeatsRequest};
use test_harness::errors::{assert_error, describe, has_retry_info};
use test_harness::system::{reservation, reserve};
use tokio::time::sleep;
use tokio_postgres::Client;
use tonic::{Code, Request, Status};
use uuid::Uuid;

use crate::stage::{Bookings, Stage};

/// The longest that others may wait: far longer than they do even on a busy machine, and far shorter
/// than the locks are held here.
const OTHERS_MAX: Duration = Duration::from_secs(2);
/// How long the impatient wait for an answer.
const IMPATIENT: Duration = Duration::from_secs(2);
/// How long the patient would.
const PATIENT: Duration = Duration::from_secs(20);
/// Seats of a show whose customers need no locked row.
const SEATS: i32 = 2_000;
/// The first of them that is not locked in any test.
const FIRST_OF_OTHERS: i32 = 11;

/// An open transaction of another session.
struct Holder(Client);

impl Holder {
    async fn of(stage: &Stage, lock: &str) -> Self {
        let holder = stage.system.database.owner().await;
        let locked = holder.batch_execute(&format!("BEGIN; {lock}")).await;
        locked.unwrap_or_else(|error| panic!("{lock}: {error}"));
        Self(holder)
    }

    async fn release(self) {
        self.0.batch_execute("ROLLBACK").await.expect("an end");
    }
}

/// Sends `call` again and again while `holder` holds a lock that it needs, and once from a caller
/// that waits until the lock is released; meanwhile others reserve seats of `shows`. The call is a
/// new one each time.
async fn assert_isolated(
    client: &Bookings,
    (holder, what): (Holder, &str),
    shows: &[&str],
    call: impl AsyncFn(Bookings, Duration) -> Result<(), Status>,
) {
    let released = Cell::new(None);
    let impatient = (0..3).map(|_| async {
        for _ in 0..2 {
            let status = call(client.clone(), IMPATIENT).await.expect_err(what);
            assert_error(&status, Code::Aborted, "CONTENTION");
            assert!(has_retry_info(&status), "{}", describe(&status));
        }
    });
    let patient = async {
        let outcome = call(client.clone(), PATIENT).await;
        (outcome, Instant::now())
    };
    let releasing = async {
        join_all(impatient).await;
        holder.release().await;
        released.set(Some(Instant::now()));
    };
    let others = shows.iter().map(|show| others(client, show, &released));
    let ((outcome, had_at), longest, ()) = join!(patient, join_all(others), releasing);
    outcome.unwrap_or_else(|status| panic!("{what}: {}", describe(&status)));
    let after = had_at.duration_since(released.get().expect("it was"));
    let longest = longest.into_iter().max().unwrap_or_default();
    println!("{what}: others waited {longest:?} at most; had {after:?} after it was let go");
    assert!(longest < OTHERS_MAX, "{what}: others waited {longest:?}");
    assert!(after < OTHERS_MAX, "{what}: had after {after:?}");
}

/// Buys seat after seat until `released`; the longest that one took.
async fn others(client: &Bookings, show: &str, released: &Cell<Option<Instant>>) -> Duration {
    let mut client = client.clone();
    let mut longest = Duration::ZERO;
    for seat in FIRST_OF_OTHERS..=SEATS {
        let began = Instant::now();
        let held = reserve(&mut client, show, &[&format!("A-{seat}")], "bob").await;
        held.unwrap_or_else(|status| panic!("{}", describe(&status)));
        longest = longest.max(began.elapsed());
        if released.get().is_some() {
            break;
        }
        sleep(Duration::from_millis(2)).await;
    }
    longest
}

fn within<M>(message: M, deadline: Duration) -> Request<M> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

async fn send_reserve(
    mut client: Bookings,
    deadline: Duration,
    message: ReserveSeatsRequest,
) -> Result<(), Status> {
    let answer = client.reserve_seats(within(message, deadline)).await;
    answer.map(drop)
}

async fn send_confirm(mut client: Bookings, deadline: Duration, id: &str) -> Result<(), Status> {
    let message = ConfirmBookingRequest {
        booking_id: id.to_owned(),
        request_id: Uuid::new_v4().to_string(),
        ..Default::default()
    };
    let answer = client.confirm_booking(within(message, deadline)).await;
    answer.map(drop)
}

async fn send_cancel(mut client: Bookings, deadline: Duration, id: &str) -> Result<(), Status> {
    let message = CancelBookingRequest {
        booking_id: id.to_owned(),
        request_id: Uuid::new_v4().to_string(),
        ..Default::default()
    };
    let answer = client.cancel_booking(within(message, deadline)).await;
    answer.map(drop)
}

/// The request that reserves a seat.
fn seat(show: &str, label: &str) -> ReserveSeatsRequest {
    reservation(show, &[label], "ann")
}
