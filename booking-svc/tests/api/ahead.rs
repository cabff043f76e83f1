//! What is written without having been locked, as it is expected to be granted: when that is so,
//! and that it comes to the same when something is otherwise.

use std::time::Duration;

use proto::booking::v1::{Booking, BookingState, ExtendHoldRequest};
use system_tests::errors::{assert_error, subjects};
use system_tests::eventually;
use system_tests::system::{confirm, reservation, reserve};
use tokio_postgres::Client;
use tonic::{Code, Status};

use crate::stage::Stage;

const SOON: Duration = Duration::from_secs(10);

/// Waits until booking-svc waits for a lock, in the statement that writes or in one that locks.
async fn waits(stage: &Stage, writing: bool) {
    let waiting = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
             AND datname = current_database() AND usename = 'booking_svc'
             AND (query LIKE '-- Everything that a batch writes%') = {writing}"
    );
    eventually(SOON, "the service waits", async || {
        stage.count(&waiting).await == 1
    })
    .await;
}

/// A stage on which the service has looked at the database's clock.
async fn begin(seats: i32) -> (Stage, String, Client) {
    let stage = Stage::start().await;
    let show = stage.a_show(seats).await;
    stage.reserve(&show, &["A-1"]).await;
    let holder = stage.system.database.owner().await;
    (stage, show, holder)
}

async fn run(holder: &Client, statements: &str) {
    holder.batch_execute(statements).await.expect("an owner");
}

/// Reserves while `holder` has what `lock` locks, which then does `meanwhile`.
async fn reserve_while(
    stage: &Stage,
    (show, seat): (&str, &str),
    holder: &Client,
    (lock, meanwhile): (&str, &str),
) -> Result<Booking, Status> {
    run(holder, &format!("BEGIN; {lock}")).await;
    let mut client = stage.client();
    let meanwhile = async {
        waits(stage, true).await;
        run(holder, &format!("{meanwhile}; COMMIT")).await;
    };
    let labels = [seat];
    let (outcome, ()) = tokio::join!(reserve(&mut client, show, &labels, "bob"), meanwhile);
    outcome
}

#[tokio::test]
async fn what_seems_free_is_taken_without_having_been_locked() {
    let (mut stage, show, holder) = begin(4).await;
    let seat = "SELECT FROM booking.show_seats WHERE ordinal = 1 FOR UPDATE";
    let taken = reserve_while(&stage, (&show, "A-2"), &holder, (seat, "SELECT")).await;
    let held = taken.expect("nobody has it");
    // It is what is stored, to the microsecond.
    assert_eq!(stage.get(&held.booking_id).await, held);

    // What is known to be taken is locked first.
    run(&holder, &format!("BEGIN; {seat}")).await;
    let mut client = stage.client();
    let meanwhile = async {
        waits(&stage, false).await;
        run(&holder, "COMMIT").await;
    };
    let (refused, ()) = tokio::join!(reserve(&mut client, &show, &["A-2"], "bob"), meanwhile);
    let status = refused.expect_err("it is held");
    assert_error(&status, Code::FailedPrecondition, "SEATS_UNAVAILABLE");
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_sale_that_changes_meanwhile_is_looked_up_again() {
    let (mut stage, show, holder) = begin(6).await;
    let sale = "SELECT FROM booking.sales FOR UPDATE";
    let dearer = "UPDATE booking.sales SET revision = revision + 1, \
                  prices = replace(prices::text, '1250', '1350')::jsonb";
    let outcome = reserve_while(&stage, (&show, "A-2"), &holder, (sale, dearer)).await;
    let held = outcome.expect("at the new price");
    assert_eq!(held.total.expect("set").minor_units, 1350);

    // After what was in vain the next two are locked first.
    stage.reserve(&show, &["A-4"]).await;
    stage.reserve(&show, &["A-5"]).await;
    let ended = "UPDATE booking.sales SET sales_close_at = clock_timestamp(), \
                 revision = revision + 1";
    let outcome = reserve_while(&stage, (&show, "A-3"), &holder, (sale, ended)).await;
    let status = outcome.expect_err("closed");
    assert_error(&status, Code::FailedPrecondition, "SHOW_NOT_ON_SALE");
    // The catalog knows of neither.
    let back = "UPDATE booking.sales SET revision = revision - 2";
    run(&holder, back).await;
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_seat_that_another_replica_gave_is_refused_and_named() {
    let (mut stage, show, _) = begin(8).await;
    let (_other, mut other) = stage.another().await;
    for seat in 2..=8 {
        let label = format!("A-{seat}");
        let theirs = reserve(&mut other, &show, &[&label], "bob").await;
        theirs.expect("nobody has it");
        // The first does not know yet.
        let status = reserve(&mut stage.client(), &show, &[&label], "ann").await;
        let status = status.expect_err("bob has it");
        assert_error(&status, Code::FailedPrecondition, "SEATS_UNAVAILABLE");
        assert_eq!(subjects(&status), [label]);
    }
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_hold_that_another_replica_changed_is_confirmed_as_it_is() {
    let (mut stage, show, _) = begin(4).await;
    let (_other, mut other) = stage.another().await;
    let held = stage.reserve(&show, &["A-2"]).await;
    let extend = ExtendHoldRequest {
        booking_id: held.booking_id.clone(),
        hold_duration: Some(Duration::from_secs(900).try_into().expect("a time")),
        ..Default::default()
    };
    let extended = other.extend_hold(extend).await.expect("live");
    let extended = extended.into_inner().booking.expect("set");
    let confirmed = confirm(&mut stage.client(), &held.booking_id).await;
    let confirmed = confirmed.expect("live");
    assert_eq!(confirmed.state(), BookingState::Confirmed);
    assert_eq!(confirmed.expire_time, extended.expire_time);
    assert_eq!(stage.get(&held.booking_id).await, confirmed);
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_hold_that_ends_while_its_confirm_waits_is_not_confirmed() {
    let (mut stage, show, holder) = begin(4).await;
    let mut client = stage.client();
    let mut request = reservation(&show, &["A-2"], "bob");
    // The shortest that there is; moved by hand it would not be as expected.
    request.hold_duration = Some(Duration::from_secs(10).try_into().expect("a time"));
    let held = client.reserve_seats(request).await.expect("free");
    let id = held.into_inner().booking.expect("set").booking_id;
    let ends_within = |seconds| {
        format!(
            "SELECT count(*) FROM booking.bookings WHERE customer_id = 'bob'
                 AND expires_at < clock_timestamp() + interval '{seconds} s'"
        )
    };
    eventually(2 * SOON, "the hold has a second left", async || {
        stage.count(&ends_within(1)).await == 1
    })
    .await;
    run(&holder, "BEGIN; SELECT FROM booking.bookings FOR UPDATE").await;
    let meanwhile = async {
        waits(&stage, true).await;
        eventually(SOON, "it ends", async || {
            stage.count(&ends_within(0)).await == 1
        })
        .await;
        run(&holder, "COMMIT").await;
    };
    let (outcome, ()) = tokio::join!(confirm(&mut client, &id), meanwhile);
    let status = outcome.expect_err("it has ended");
    assert_error(&status, Code::FailedPrecondition, "HOLD_EXPIRED");
    stage.assert_sound().await;
}
