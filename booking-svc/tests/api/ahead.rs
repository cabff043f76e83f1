//! The optimistic path: batches that are written without locking first, when the expectations hold,
//! and that the result is the same when they do not.

use std::time::{Duration, SystemTime};

use futures_util::join;
use proto::booking::v1::{
    Booking, BookingState, CancelBookingRequest, ExtendHoldRequest, ReserveSeatsRequest,
};
use test_harness::errors::{assert_error, metadata, subjects};
use test_harness::eventually;
use test_harness::system::{confirm, reservation, reserve};
use tokio_postgres::Client;
use tonic::{Code, Status};

use crate::areas::{places, reserve as reserve_places, show_of};
use crate::stage::Stage;

const SOON: Duration = Duration::from_secs(10);
/// How long a show is on sale that closes in a test.
const CLOSES_IN: Duration = Duration::from_secs(8);

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

/// A stage on which the service has read the database's clock.
async fn begin(seats: i32) -> (Stage, String, Client) {
    let stage = Stage::that_waits_for_locks().await;
    let show = stage.a_show(seats).await;
    stage.reserve(&show, &["A-1"]).await;
    let holder = stage.system.database.owner().await;
    (stage, show, holder)
}

#[tokio::test]
async fn optimistic_writes_can_be_turned_off() {
    let mut stage = Stage::with(&["--lock-wait-max", "5s", "--optimistic-writes", "false"]).await;
    let show = stage.a_show(4).await;
    let first = stage.reserve(&show, &["A-1"]).await;
    let holder = stage.system.database.owner().await;
    let seat =
        |ordinal| format!("SELECT FROM booking.show_seats WHERE ordinal = {ordinal} FOR UPDATE");
    run(&holder, &format!("BEGIN; {}", seat(1))).await;
    let mut client = stage.client();
    let meanwhile = async {
        waits(&stage, false).await;
        run(&holder, "COMMIT").await;
    };
    let labels = ["A-2"];
    let (held, ()) = join!(reserve(&mut client, &show, &labels, "bob"), meanwhile);
    held.expect("nobody has it");
    // Its booking is remembered, and would not be read.
    run(&holder, "BEGIN; SELECT FROM booking.bookings FOR UPDATE").await;
    let meanwhile = async {
        waits(&stage, false).await;
        run(&holder, "COMMIT").await;
    };
    let (sold, ()) = join!(confirm(&mut client, &first.booking_id), meanwhile);
    sold.expect("it is live");
    stage.assert_sound().await;
}

async fn run(holder: &Client, statements: &str) {
    holder.batch_execute(statements).await.expect("an owner");
}

/// Reserves while `holder` holds the lock of `lock`; it then runs `meanwhile`.
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
    let (outcome, ()) = join!(reserve(&mut client, show, &labels, "bob"), meanwhile);
    outcome
}

#[tokio::test]
async fn seats_that_seem_free_are_sold_without_locking_first() {
    let (mut stage, show, holder) = begin(4).await;
    let seat = "SELECT FROM booking.show_seats WHERE ordinal = 1 FOR UPDATE";
    let taken = reserve_while(&stage, (&show, "A-2"), &holder, (seat, "SELECT")).await;
    let held = taken.expect("nobody has it");
    // The reply is what is stored, to the microsecond.
    assert_eq!(stage.get(&held.booking_id).await, held);

    // A seat that is known to be taken is locked first.
    run(&holder, &format!("BEGIN; {seat}")).await;
    let mut client = stage.client();
    let meanwhile = async {
        waits(&stage, false).await;
        run(&holder, "COMMIT").await;
    };
    let (refused, ()) = join!(reserve(&mut client, &show, &["A-2"], "bob"), meanwhile);
    let status = refused.expect_err("it is held");
    assert_error(&status, Code::FailedPrecondition, "SEATS_UNAVAILABLE");
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_sale_that_changes_during_the_call_is_looked_up_again() {
    let (mut stage, show, holder) = begin(6).await;
    let sale = "SELECT FROM booking.sales FOR UPDATE";
    let dearer = "UPDATE booking.sales SET revision = revision + 1, \
                  prices = replace(prices::text, '1250', '1350')::jsonb";
    let outcome = reserve_while(&stage, (&show, "A-2"), &holder, (sale, dearer)).await;
    let held = outcome.expect("at the new price");
    assert_eq!(held.total.expect("set").minor_units, 1350);

    // After a miss the next two batches are locked first.
    stage.reserve(&show, &["A-4"]).await;
    stage.reserve(&show, &["A-5"]).await;
    let ended = "UPDATE booking.sales SET sales_close_at = clock_timestamp(), \
                 revision = revision + 1";
    let outcome = reserve_while(&stage, (&show, "A-3"), &holder, (sale, ended)).await;
    let status = outcome.expect_err("closed");
    assert_error(&status, Code::FailedPrecondition, "SHOW_NOT_ON_SALE");
    // The catalog has neither revision.
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
        // The first replica does not know yet.
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
    // No lock is waited for much longer.
    eventually(2 * SOON, "the hold has two seconds left", async || {
        stage.count(&ends_within(2)).await == 1
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
    let (outcome, ()) = join!(confirm(&mut client, &id), meanwhile);
    let status = outcome.expect_err("it has ended");
    assert_error(&status, Code::FailedPrecondition, "HOLD_EXPIRED");
    stage.assert_sound().await;
}

/// The request that reserves places of "Floor".
fn of_floor(show: &str, quantity: i32) -> ReserveSeatsRequest {
    ReserveSeatsRequest {
        places: places(&[("Floor", quantity)]),
        ..reservation(show, &[], "bob")
    }
}

/// A stage with a show of "Floor" alone, of which two places are held, so that the service knows it.
async fn begin_with_floor(capacity: i32) -> (Stage, String, Client) {
    let stage = Stage::that_waits_for_locks().await;
    let show = stage.create(show_of(0, &[("Floor", capacity)])).await;
    reserve_places(&mut stage.client(), of_floor(&show, 2))
        .await
        .expect("free");
    let holder = stage.system.database.owner().await;
    (stage, show, holder)
}

/// Reserves 3 places while another session has their counter locked, runs `meanwhile` and releases it;
/// returns whether the booking was made before that.
async fn made_before_release(stage: &mut Stage, show: &str, meanwhile: &str) -> (Booking, bool) {
    let holder = stage.system.database.owner().await;
    run(&holder, "BEGIN; SELECT FROM booking.show_areas FOR UPDATE").await;
    let mut client = stage.client();
    let release = async {
        waits(stage, true).await;
        let released = "CREATE TABLE released AS SELECT clock_timestamp() AS at";
        run(&holder, &format!("{meanwhile}; {released}; COMMIT")).await;
    };
    let (held, ()) = join!(reserve_places(&mut client, of_floor(show, 3)), release);
    let held = held.expect("enough are left");
    assert_eq!(stage.get(&held.booking_id).await, held);
    let id = &held.booking_id;
    let before = format!(
        "SELECT count(*) FROM booking.bookings AS b, released
         WHERE booking_id = '{id}' AND b.created_at < released.at"
    );
    let before = stage.count(&before).await == 1;
    let at_once = format!(
        "SELECT count(*) FROM booking.bookings AS b JOIN booking.transitions AS t USING (booking_id)
         WHERE booking_id = '{id}' AND t.made_at = b.created_at
             AND b.expires_at = b.places_held_until"
    );
    assert_eq!(stage.count(&at_once).await, 1);
    run(&holder, "DROP TABLE released").await;
    (held, before)
}

#[tokio::test]
async fn places_are_counted_without_having_been_locked() {
    let (mut stage, show, _) = begin_with_floor(10).await;
    // An order that waits for the counter has made its booking by then.
    let (held, before) = made_before_release(&mut stage, &show, "SELECT").await;
    assert!(before);
    assert_eq!(stage.counts(&show).await, [(5, 5, 0)]);

    let confirmed = confirm(&mut stage.client(), &held.booking_id).await;
    assert_eq!(confirmed.expect("live").state(), BookingState::Confirmed);
    assert_eq!(stage.counts(&show).await, [(5, 2, 3)]);
    let held = reserve_places(&mut stage.client(), of_floor(&show, 5)).await;
    let cancel = CancelBookingRequest {
        booking_id: held.expect("5 are left").booking_id,
        ..Default::default()
    };
    let cancelled = stage.client().cancel_booking(cancel).await;
    cancelled.expect("live");
    assert_eq!(stage.counts(&show).await, [(5, 2, 3)]);
    stage.assert_sound().await;
}

#[tokio::test]
async fn bookings_with_places_are_not_made_before_the_places_are_given_back() {
    let (mut stage, show, _) = begin_with_floor(20).await;
    let given_back = "UPDATE booking.show_areas SET taken = taken + 5;
                      UPDATE booking.show_areas SET taken = taken - 5";
    let (_, before) = made_before_release(&mut stage, &show, given_back).await;
    assert!(
        !before,
        "it may have been in the way of what was given back"
    );
    // After a miss the next two batches are locked first. For a while more places may be given back,
    // so nothing is made before it is certain that none was.
    for _ in 0..2 {
        let held = reserve_places(&mut stage.client(), of_floor(&show, 1)).await;
        held.expect("enough are left");
    }
    let (_, before) = made_before_release(&mut stage, &show, "SELECT").await;
    assert!(!before);
    assert_eq!(stage.counts(&show).await, [(10, 10, 0)]);
    stage.assert_sound().await;
}

#[tokio::test]
async fn places_that_another_replica_gave_are_not_given_again() {
    let (mut stage, show, _) = begin_with_floor(10).await;
    let (_other, mut other) = stage.another().await;
    let mut left = 8;
    while left > 0 {
        let quantity = left.min(3);
        let theirs = reserve_places(&mut other, of_floor(&show, quantity)).await;
        theirs.expect("enough are left");
        left -= quantity;
        // The first replica does not know yet.
        let status = reserve_places(&mut stage.client(), of_floor(&show, left + 1)).await;
        let status = status.expect_err("one too many");
        assert_error(&status, Code::FailedPrecondition, "AREA_FULL");
        assert_eq!(metadata(&status)["left"], left.to_string());
    }
    assert_eq!(stage.counts(&show).await, [(0, 10, 0)]);
    stage.assert_sound().await;
}

#[tokio::test]
async fn places_that_are_for_sale_no_more_are_not_given() {
    let (stage, show, holder) = begin_with_floor(10).await;
    // As if the layout had fewer places now, and expired holds had the rest.
    let less = "UPDATE booking.show_areas SET capacity = 4, overhang = 6";
    run(&holder, less).await;
    let status = reserve_places(&mut stage.client(), of_floor(&show, 3)).await;
    let status = status.expect_err("2 are left");
    assert_error(&status, Code::FailedPrecondition, "AREA_FULL");
    assert_eq!(metadata(&status)["left"], "2");
}

/// Makes a reserve wait for the lock of `lock` until the show's sales have closed.
async fn closes_while_waiting(lock: &str, request: impl Fn(&str) -> ReserveSeatsRequest) {
    let stage = Stage::that_waits_for_locks().await;
    let mut described = show_of(4, &[("Floor", 10)]);
    described.sales_close_time = Some((SystemTime::now() + CLOSES_IN).into());
    let show = stage.create(described).await;
    let mut client = stage.client();
    let first = ReserveSeatsRequest {
        seat_labels: vec!["A-4".to_owned()],
        ..of_floor(&show, 1)
    };
    reserve_places(&mut client, first).await.expect("on sale");
    let holder = stage.system.database.owner().await;
    let close_within = async |seconds| {
        let closing = format!(
            "SELECT count(*) FROM booking.sales
             WHERE sales_close_at < clock_timestamp() + interval '{seconds} s'"
        );
        eventually(2 * SOON, "sales close", async || {
            stage.count(&closing).await == 1
        })
        .await;
    };
    // No lock is waited for much longer.
    close_within(2).await;
    run(&holder, &format!("BEGIN; {lock}")).await;
    let meanwhile = async {
        waits(&stage, true).await;
        close_within(0).await;
        run(&holder, "COMMIT").await;
    };
    let (outcome, ()) = join!(reserve_places(&mut client, request(&show)), meanwhile);
    let status = outcome.expect_err("closed");
    assert_error(&status, Code::FailedPrecondition, "SHOW_NOT_ON_SALE");
}

#[tokio::test]
async fn a_sale_that_closes_while_a_reserve_waits_for_a_seat_is_closed_for_it() {
    let lock = "SELECT FROM booking.show_seats FOR UPDATE";
    closes_while_waiting(lock, |show| reservation(show, &["A-1"], "bob")).await;
}

#[tokio::test]
async fn a_sale_that_closes_while_a_reserve_waits_for_places_is_closed_for_it() {
    let lock = "SELECT FROM booking.show_areas FOR UPDATE";
    closes_while_waiting(lock, |show| of_floor(show, 1)).await;
}
