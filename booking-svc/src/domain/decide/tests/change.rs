//! Changes of a live booking: extended, swapped, returned in part, sold at once.

use std::sync::Arc;
use std::time::Duration;

use model::BookingId;

use super::world::{NOW, World};
use crate::domain::booking::{Booking, BookingState, Verb};
use crate::domain::decide::{NotGranted, Outcome};
use crate::domain::order::Command;
use crate::domain::rejection::{Rejection, Taken};

fn extend(booking_id: BookingId, secs: u64) -> Command {
    Command::Extend {
        booking_id,
        version: None,
        hold: Duration::from_secs(secs),
        lifetime_max: Duration::from_secs(600),
    }
}

fn swap(world: &World, booking_id: BookingId, labels: &[&str], ordinals: &[u32]) -> Command {
    Command::Swap {
        booking_id,
        version: None,
        sale: Arc::clone(&world.sale),
        labels: labels.iter().map(|&label| label.to_owned()).collect(),
        ordinals: ordinals.to_vec(),
        around: None,
    }
}

fn release(world: &World, booking_id: BookingId, labels: &[&str]) -> Command {
    Command::Release {
        booking_id,
        version: None,
        sale: Arc::clone(&world.sale),
        labels: labels.iter().map(|&label| label.to_owned()).collect(),
        places: Vec::new(),
    }
}

fn run(world: &mut World, request_id: u128, command: Command) -> Outcome {
    world.decide(&[world.order(request_id, command)]).remove(0)
}

fn rejection(outcome: Outcome) -> Rejection {
    match outcome {
        Err(NotGranted::Rejected(rejection)) => rejection,
        other => panic!("not refused: {other:?}"),
    }
}

fn ordinals(booking: &Booking) -> Vec<u32> {
    booking.seats.iter().map(|seat| seat.ordinal).collect()
}

#[test]
fn a_hold_ends_later_but_never_sooner_and_not_beyond_its_lifetime() {
    let mut world = World::new();
    // Made 60 s ago.
    let held = world.with_booking(&[0], 60, false);
    let extended = run(&mut world, 1, extend(held, 300)).expect("it may");
    assert_eq!(extended.expires_at, NOW + Duration::from_secs(300));
    let sooner = run(&mut world, 2, extend(held, 10)).expect("it may");
    assert_eq!(sooner.expires_at, extended.expires_at);
    assert_eq!(sooner.version, 3);
    let beyond = rejection(run(&mut world, 3, extend(held, 541)));
    let left = Duration::from_secs(540);
    assert_eq!(
        beyond,
        Rejection::LifetimeExceeded {
            booking_id: held,
            left
        }
    );
    assert!(
        run(&mut world, 4, extend(held, 540)).is_ok(),
        "to the second"
    );

    let lapsed = world.with_booking(&[1], 0, false);
    let late = rejection(run(&mut world, 5, extend(lapsed, 300)));
    assert_eq!(late, Rejection::HoldExpired(lapsed, NOW));
    let sold = world.with_booking(&[2], 60, true);
    let too_late = rejection(run(&mut world, 6, extend(sold, 300)));
    assert!(matches!(too_late, Rejection::BookingState { .. }));
}

#[test]
fn seats_are_swapped_all_or_none() {
    let mut world = World::new();
    let held = world.with_booking(&[0, 1], 60, false);
    let other = world.with_booking(&[4], 60, true);
    let command = swap(&world, held, &["A-2", "A-1"], &[3, 4]);
    let taken = rejection(run(&mut world, 1, command));
    let booked = vec![("A-5".to_owned(), Taken::Booked)];
    assert_eq!(
        taken,
        Rejection::SeatsUnavailable(world.sale.show_id, booked)
    );
    let command = swap(&world, held, &["A-5", "A-1", "nowhere"], &[2, 3, 5]);
    let not_its_own = rejection(run(&mut world, 2, command));
    let labels = vec!["A-5".to_owned(), "nowhere".to_owned()];
    assert_eq!(not_its_own, Rejection::NotInBooking(held, labels));

    let command = swap(&world, held, &["A-1"], &[5]);
    let swapped = run(&mut world, 3, command).expect("free");
    assert_eq!(ordinals(&swapped), [1, 5]);
    // The one that it keeps at 1, the other at today's price.
    assert_eq!((swapped.total, swapped.refund_due), (1_251, None));
    let show_id = world.sale.show_id;
    assert_eq!(world.seats[&(show_id, 0)], None);
    assert_eq!(world.seats[&(show_id, 5)], Some(held));
    assert_eq!(world.seats[&(show_id, 4)], Some(other));
}

#[test]
fn a_paid_booking_is_swapped_for_less_or_as_much_but_not_for_more() {
    let mut world = World::new();
    let sold = world.with_booking(&[0], 60, true);
    let command = swap(&world, sold, &["A-1"], &[1]);
    let dearer = rejection(run(&mut world, 1, command));
    let by_1249 = Rejection::SwapCostsMore {
        booking_id: sold,
        by: 1_249,
        currency: world.sale.prices.currency(),
    };
    assert_eq!(dearer, by_1249);

    let booking = world.bookings.get_mut(&sold).expect("the booking exists");
    booking.seats[0].price = 2_000;
    booking.total = 2_000;
    let command = swap(&world, sold, &["A-1"], &[1]);
    let swapped = run(&mut world, 2, command).expect("it is cheaper");
    assert_eq!((swapped.total, swapped.released), (1_250, Some(750)));
    assert_eq!(swapped.refund_due, Some(750));
    let cancel = Command::Cancel {
        booking_id: sold,
        version: None,
    };
    let cancelled = run(&mut world, 3, cancel).expect("it may");
    assert_eq!(cancelled.refund_due, Some(2_000), "all that was paid");
}

#[test]
fn some_seats_are_released_and_the_rest_is_kept() {
    let mut world = World::new();
    for (confirmed, refund) in [(false, None), (true, Some(1))] {
        let booking = world.with_booking(&[0, 1], 60, confirmed);
        world.bookings.get_mut(&booking).expect("there").total = 2;
        let id = u128::from(confirmed) * 10;
        let command = release(&world, booking, &["A-1"]);
        let rest = run(&mut world, id, command).expect("its own");
        assert_eq!(ordinals(&rest), [1]);
        assert_eq!((rest.total, rest.refund_due), (1, refund));
        assert_ne!(rest.state, BookingState::Cancelled);
        let command = release(&world, booking, &["A-1"]);
        let again = rejection(run(&mut world, id + 1, command));
        assert_eq!(
            again,
            Rejection::NotInBooking(booking, vec!["A-1".to_owned()])
        );
        // The last one is all of it.
        let command = release(&world, booking, &["A-2"]);
        let ended = run(&mut world, id + 2, command).expect("its own");
        assert_eq!(ended.state, BookingState::Cancelled);
        assert_eq!(ended.refund_due, confirmed.then_some(2));
    }
}

#[test]
fn what_is_sold_at_once_is_confirmed_by_one_transition() {
    let mut world = World::new();
    let mut order = world.reserve(1, &[2, 3]);
    if let Command::Reserve(wanted) = &mut order.command {
        wanted.sell = true;
        wanted.payment_reference = Some("till 4".to_owned());
    }
    let sold = world.decide(&[order]).remove(0).expect("free");
    assert_eq!((sold.state, sold.version), (BookingState::Confirmed, 1));
    assert_eq!(sold.confirmed_at, Some(NOW));
    assert_eq!(sold.payment_reference.as_deref(), Some("till 4"));
    let kept = &world.bookings[&sold.booking_id];
    assert_eq!(kept, &sold);
}

#[test]
fn a_replay_of_an_earlier_request_gets_the_booking_of_that_time() {
    let mut world = World::new();
    let first = world.decide(&[world.reserve(1, &[0, 1])]).remove(0);
    let first = first.expect("free");
    let id = first.booking_id;
    let extended = run(&mut world, 2, extend(id, 300)).expect("it may");
    let command = swap(&world, id, &["A-1"], &[4]);
    let swapped = run(&mut world, 3, command).expect("free");
    let command = release(&world, id, &["A-2"]);
    run(&mut world, 4, command).expect("its own");

    let copy = world.decide(&[world.reserve(1, &[0, 1])]).remove(0);
    assert_eq!(copy, Ok(first));
    assert_eq!(run(&mut world, 2, extend(id, 300)), Ok(extended));
    let command = swap(&world, id, &["A-1"], &[4]);
    assert_eq!(run(&mut world, 3, command), Ok(swapped));
}

#[test]
fn several_changes_in_one_batch_are_each_in_the_log() {
    let mut world = World::new();
    let held = world.with_booking(&[0, 1], 60, false);
    let orders = [
        world.order(1, extend(held, 300)),
        world.order(2, swap(&world, held, &["A-1"], &[4])),
        world.order(3, super::confirm(held)),
    ];
    let locked = world.locked(&orders);
    let decision = crate::domain::decide::decide(&orders, locked);
    let commands: Vec<_> = decision.writes.transitions.iter().map(|t| t.verb).collect();
    assert_eq!(commands, [Verb::Extend, Verb::Swap, Verb::Confirm]);
    assert_eq!(decision.writes.rewritten.len(), 1);
    assert!(decision.writes.updated.is_empty(), "it is written once");
    world.apply(decision.writes);
}
