//! The ends of a cancelled show's bookings, and the refunds due for them.

use super::*;
use crate::domain::CancelReason;

#[test]
fn the_bookings_of_a_cancelled_show_end_with_a_refund_due() {
    let mut world = World::new();
    let held = world.with_booking(&[0], 60, false);
    let lapsed = world.with_booking(&[1], 0, false);
    let paid = world.with_booking(&[2, 3], -30, true);
    let free = world.with_booking(&[4], -30, true);
    let unpaid = world.bookings.get_mut(&free).expect("it was just made");
    unpaid.total = 0;
    let all = [held, lapsed, paid, free];
    let void = |world: &World, first_request| -> Vec<Order> {
        let void = |booking_id| Command::Void { booking_id };
        let numbered = (first_request..).zip(all);
        numbered
            .map(|(request, id)| world.order(request, void(id)))
            .collect()
    };
    let too_soon = world.decide(&void(&world, 1));
    let unchanged = [0, 2, 3].map(|place: usize| &too_soon[place]);
    assert_eq!(
        unchanged,
        [&Err(NotGranted::SaleChanged); 3],
        "it is on sale"
    );

    world.state = SaleState::Cancelled;
    assert!(world.decide(&void(&world, 5)).iter().all(Result::is_ok));
    let ended = all.map(|id| {
        let booking = &world.bookings[&id];
        (
            booking.state,
            booking.failure_reason,
            booking.failed_at,
            booking.cancel_reason,
            booking.cancelled_at,
            booking.refund_due,
        )
    });
    let (failed, cancelled) = (BookingState::Failed, BookingState::Cancelled);
    let by_organiser = Some(CancelReason::ShowCancelled);
    let in_time = Some(FailureReason::ShowCancelled);
    let before = Some(FailureReason::Expired);
    assert_eq!(
        ended,
        [
            (failed, in_time, Some(NOW), None, None, None),
            (failed, before, Some(NOW), None, None, None),
            (cancelled, None, None, by_organiser, Some(NOW), Some(1)),
            (cancelled, None, None, by_organiser, Some(NOW), None),
        ]
    );
    assert!(world.seats.values().all(Option::is_none), "all are free");

    let again = decide(&void(&world, 9), world.locked(&void(&world, 9)));
    assert!(again.outcomes.iter().all(Result::is_ok));
    assert!(again.writes.transitions.is_empty(), "nothing is done twice");
}

#[test]
fn cancelling_a_paid_booking_makes_a_refund_due() {
    let mut world = World::new();
    let held = world.with_booking(&[0], 60, false);
    let paid = world.with_booking(&[1], -30, true);
    // The show is cancelled, but the worker has not ended its bookings yet.
    world.state = SaleState::Cancelled;
    let cancel = |booking_id| Command::Cancel {
        booking_id,
        version: None,
    };
    let orders = [
        world.order(1, cancel(held)),
        world.order(2, cancel(paid)),
        world.order(3, Command::Void { booking_id: paid }),
    ];
    let refunds = world.decide(&orders).into_iter().map(|outcome| {
        let booking = outcome.expect("a live booking can be cancelled");
        (booking.state, booking.cancel_reason, booking.refund_due)
    });
    let over = |refunds| {
        let customer = Some(CancelReason::Customer);
        (BookingState::Cancelled, customer, refunds)
    };
    assert_eq!(
        refunds.collect::<Vec<_>>(),
        [over(None), over(Some(1)), over(Some(1))]
    );
    let current = world.bookings[&paid].clone();
    let then = current.as_of(2, BookingState::Confirmed, None);
    assert_eq!((then.cancel_reason, then.refund_due), (None, None));
}
