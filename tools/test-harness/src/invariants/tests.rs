//! Each check reports the fault that it is for.

use std::collections::BTreeSet;

use super::*;
use crate::postgres;

/// A statement that breaks what `sound.sql` makes, and the check that must detect it. Bookings are
/// named by their states, of which each has one.
const BREAKS: [(&str, &str); 29] = [
    (
        "UPDATE booking.bookings SET seat_ordinals = '{0}' WHERE state = 'PENDING'",
        "seats in two live bookings",
    ),
    (
        "UPDATE booking.show_seats SET booking_id = b.booking_id FROM booking.bookings AS b \
         WHERE ordinal = 2 AND b.state = 'FAILED'",
        "seats whose owner is not a PENDING or CONFIRMED booking of them",
    ),
    (
        "UPDATE booking.show_seats SET booking_id = b.booking_id FROM booking.bookings AS b \
         WHERE ordinal = 2 AND b.state = 'PENDING'",
        "seats whose owner is not a PENDING or CONFIRMED booking of them",
    ),
    (
        "UPDATE booking.show_seats SET booking_id = NULL WHERE ordinal = 0",
        "PENDING or CONFIRMED bookings that do not own a seat of theirs",
    ),
    (
        "DELETE FROM booking.show_seats WHERE ordinal = 3",
        "PENDING or CONFIRMED bookings that do not own a seat of theirs",
    ),
    (
        "DELETE FROM booking.transitions WHERE verb = 'EXPIRE'",
        "bookings whose log has gaps, or does not lead to their state",
    ),
    (
        "UPDATE booking.transitions SET verb = 'SWAP', to_state = 'CONFIRMED' WHERE verb = 'CANCEL'",
        "bookings whose log has gaps, or does not lead to their state",
    ),
    (
        "INSERT INTO booking.rejections SELECT show_id, request_id, 0, '{}', now() \
         FROM booking.transitions WHERE verb = 'EXPIRE'",
        "request ids that were both granted and refused",
    ),
    (
        "UPDATE booking.sales SET places_per_customer_max = 2",
        "customers with more places of a show than one may have",
    ),
    (
        "UPDATE booking.bookings SET customer_id = 'ada' WHERE state = 'PENDING'",
        "customers with more places of a show than one may have",
    ),
    (
        "DELETE FROM booking.transitions WHERE verb = 'PAY'",
        "entries of the log that do not begin where the one before ended",
    ),
    (
        "UPDATE booking.transitions SET verb = 'CONFIRM', to_state = 'CONFIRMED' WHERE verb = 'PAY'",
        "entries of the log that do not begin where the one before ended",
    ),
    (
        "INSERT INTO booking.transitions SELECT show_id, '01020304-0506-8000-8000-000000000009', 1, \
         verb, NULL, to_state, made_at, actor, gen_random_uuid(), 0 \
         FROM booking.transitions WHERE verb = 'RESERVE' LIMIT 1",
        "entries of the log about no booking",
    ),
    (
        "UPDATE booking.bookings SET confirmed_at = confirmed_at + interval '1 s' \
         WHERE state = 'CONFIRMED'",
        "bookings that were confirmed or cancelled at another time than the log says",
    ),
    (
        "UPDATE booking.bookings SET cancelled_at = cancelled_at + interval '1 s' \
         WHERE state = 'CANCELLED'",
        "bookings that were confirmed or cancelled at another time than the log says",
    ),
    (
        "UPDATE booking.sales SET state = 'CANCELLED', fully_cancelled_at = now()",
        "PENDING or CONFIRMED bookings of sales that are fully cancelled",
    ),
    (
        "UPDATE booking.bookings SET refund_due = 4 WHERE state = 'CANCELLED'",
        "bookings whose refund due is not what was paid and returned",
    ),
    (
        "UPDATE booking.bookings SET refund_due = NULL WHERE state = 'CANCELLED'",
        "bookings whose refund due is not what was paid and returned",
    ),
    (
        "UPDATE booking.bookings SET total = 12 WHERE state = 'CONFIRMED'",
        "bookings whose total is not the sum of their lines",
    ),
    (
        "UPDATE booking.show_areas SET taken = 3",
        "areas whose counter is not the sum of PENDING and CONFIRMED bookings",
    ),
    (
        "DELETE FROM booking.show_areas",
        "areas whose counter is not the sum of PENDING and CONFIRMED bookings",
    ),
    (
        "UPDATE booking.show_areas SET capacity = 1, overhang = 1",
        "areas of which live bookings have more places than there are",
    ),
    (
        "UPDATE booking.bookings SET cancel_reason = 'SHOW_CANCELLED' WHERE state = 'CANCELLED'",
        "bookings that a show's end has ended while it is on sale",
    ),
    (
        "UPDATE booking.bookings SET failure_reason = 'SHOW_CANCELLED' WHERE state = 'FAILED'",
        "bookings that a show's end has ended while it is on sale",
    ),
    (
        "UPDATE booking.payments SET state = 'DECLINED', decline_reason = 'OTHER'",
        "bookings whose payment is not on record as they have it",
    ),
    (
        "UPDATE booking.bookings SET payment_state = 'DECLINED', payment_key = gen_random_uuid() \
         WHERE state = 'PENDING'",
        "bookings whose payment is not on record as they have it",
    ),
    (
        "UPDATE booking.refunds SET amount = 4",
        "payments that have taken more or less than is sold for them or due",
    ),
    (
        "DELETE FROM booking.refunds",
        "payments that have taken more or less than is sold for them or due",
    ),
    (
        "UPDATE booking.sales SET revision = 2",
        "sales ahead of the feed's cursor in the catalog",
    ),
];

/// The names of all checks.
fn checks() -> BTreeSet<String> {
    let text = include_str!("../invariants.sql").replace("''", "\u{2019}");
    let named = text.match_indices("SELECT '").map(|(place, begin)| {
        let name = &text[place + begin.len()..];
        let end = name.find('\'').expect("a name ends");
        name[..end].replace('\u{2019}', "'")
    });
    named.collect()
}

#[tokio::test]
async fn a_new_database_is_in_order() {
    assert_hold(&postgres::database().await).await;
}

#[tokio::test]
async fn what_is_broken_is_named_by_its_check() {
    let database = postgres::database().await;
    let owner = database.owner().await;
    let run = async |statements: &str| {
        let done = owner.batch_execute(statements).await;
        done.unwrap_or_else(|error| panic!("{statements}: {error:?}"));
    };
    run(include_str!("sound.sql")).await;
    assert_hold(&database).await;
    for (statement, check) in BREAKS {
        run("BEGIN").await;
        run(statement).await;
        let show = Uuid::from_u128(0x0102_0304_0506_8000_8000_0000_0000_0000);
        for of in [None, Some(show)] {
            let broken = broken(&owner, of).await;
            let is_named = broken.iter().any(|failure| failure.starts_with(check));
            assert!(is_named, "{statement}: {broken:#?}");
        }
        let other = broken(&owner, Some(Uuid::nil())).await;
        assert!(other.is_empty(), "of another show: {other:#?}");
        run("ROLLBACK").await;
    }
    let broken: BTreeSet<_> = BREAKS
        .iter()
        .map(|(_, check)| (*check).to_owned())
        .collect();
    assert_eq!(broken, checks());
}
