//! Tests of each rule, and that a batch ends as its orders would one after another.

mod areas;
mod batch;
mod cancelled_show;
mod change;
mod choices;
mod late;
mod on_sale;
mod own;
mod pay;
mod quota;
mod rejections;
mod world;

use std::sync::Arc;

use self::world::{NOW, World, confirm};
use super::*;
use crate::domain::rejection::Taken;

#[test]
fn a_reserve_names_every_seat_that_is_taken() {
    let mut world = World::new();
    world.with_booking(&[0], 60, false);
    world.with_booking(&[2], -30, true);
    let outcomes = world.decide(&[world.reserve(1, &[0, 1, 2])]);
    let taken = vec![
        ("A-1".to_owned(), Taken::Held),
        ("A-3".to_owned(), Taken::Booked),
    ];
    let rejection = Rejection::SeatsUnavailable(world.sale.show_id, taken);
    assert_eq!(outcomes, [Err(NotGranted::Rejected(rejection))]);
}

#[test]
fn a_hold_ends_exactly_when_it_expires() {
    let mut world = World::new();
    let lapsed = world.with_booking(&[0], 0, false);
    let live = world.with_booking(&[1], 1, false);
    let orders = [
        world.order(1, confirm(lapsed)),
        world.order(2, confirm(live)),
    ];
    let outcomes = world.decide(&orders);
    assert_eq!(
        outcomes[0],
        Err(NotGranted::Rejected(Rejection::HoldExpired(lapsed, NOW)))
    );
    assert!(outcomes[1].is_ok());
}

#[test]
fn the_seats_of_a_lapsed_hold_go_to_the_next_reserve_once_its_owner_is_locked() {
    let mut world = World::new();
    let lapsed = world.with_booking(&[0, 1], -1, false);
    let wanted = world.reserve(1, &[1, 2]);
    let outcomes = world.decide(std::slice::from_ref(&wanted));
    assert_eq!(outcomes, [Err(NotGranted::Lapsed(vec![lapsed]))]);

    let expire = world.order(2, Command::Expire { booking_id: lapsed });
    let outcomes = world.decide(&[expire, wanted]);
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let failed = &world.bookings[&lapsed];
    assert_eq!(
        (failed.state, failed.failed_at),
        (BookingState::Failed, Some(failed.expires_at))
    );
    assert_eq!(
        world.seats[&(world.sale.show_id, 0)],
        None,
        "its other seat is free too"
    );
}

#[test]
fn nothing_is_sold_of_a_show_that_is_cancelled_started_or_unknown() {
    let mut world = World::new();
    let held = world.with_booking(&[0], 60, false);
    world.state = SaleState::Cancelled;
    let confirm = confirm(held);
    let orders = [world.reserve(1, &[3]), world.order(2, confirm)];
    let not_on_sale = Rejection::ShowNotOnSale(world.sale.show_id, SaleState::Cancelled, None);
    for outcome in world.decide(&orders) {
        assert_eq!(outcome, Err(NotGranted::Rejected(not_on_sale.clone())));
    }

    let mut world = World::new();
    Arc::make_mut(&mut world.sale).terms.start_at = NOW;
    let outcomes = world.decide(&[world.reserve(1, &[3])]);
    let started = Rejection::ShowStarted(world.sale.show_id, NOW);
    assert_eq!(outcomes, [Err(NotGranted::Rejected(started))]);

    let orders = [world.reserve(3, &[3])];
    let mut locked = world.locked(&orders);
    locked.sales.clear();
    let unknown = Rejection::ShowNotFound(world.sale.show_id);
    assert_eq!(
        decide(&orders, locked).outcomes,
        [Err(NotGranted::Rejected(unknown))]
    );
}

#[test]
fn a_sale_that_changed_since_it_was_looked_up_is_looked_up_again() {
    let mut world = World::new();
    Arc::make_mut(&mut world.sale).revision = 0;
    let outcomes = world.decide(&[world.reserve(1, &[3])]);
    assert_eq!(outcomes, [Err(NotGranted::SaleChanged)]);
}

#[test]
fn a_repeated_request_gets_the_first_result_and_another_body_is_refused() {
    let mut world = World::new();
    let first = world
        .decide(&[world.reserve(1, &[0])])
        .remove(0)
        .expect("granted");
    let confirm = confirm(first.booking_id);
    let confirmed = world.decide(&[world.order(2, confirm)]);
    assert!(confirmed[0].is_ok());
    let repeated = world.decide(&[world.reserve(1, &[0]), world.reserve(1, &[4])]);
    assert_eq!(repeated[0], Ok(first), "as it was, not as it is");
    assert_eq!(
        repeated[1],
        Err(NotGranted::Rejected(Rejection::RequestIdReused))
    );
}

#[test]
fn a_version_that_is_not_the_present_one_is_refused() {
    let mut world = World::new();
    let held = world.with_booking(&[0], 60, false);
    let cancel = |version| Command::Cancel {
        booking_id: held,
        version: Some(version),
    };
    let stale = world.decide(&[world.order(1, cancel(2))]);
    assert_eq!(
        stale,
        [Err(NotGranted::Rejected(Rejection::VersionMismatch(
            held, 1
        )))]
    );
    assert!(world.decide(&[world.order(2, cancel(1))])[0].is_ok());
}

#[test]
fn every_pair_of_state_and_command_is_decided_by_the_table() {
    use BookingState::{Cancelled, Confirmed, Failed, Pending};
    use Verb::{
        Cancel, Confirm, Decline, Expire, Extend, Pay, Reinstate, Release, Repay, Reserve, Sell,
        Swap, Void,
    };
    let allowed = [
        (None, Reserve, Pending),
        (None, Sell, Confirmed),
        (Some(Pending), Confirm, Confirmed),
        (Some(Pending), Cancel, Cancelled),
        (Some(Confirmed), Cancel, Cancelled),
        (Some(Pending), Expire, Failed),
        (Some(Pending), Void, Failed),
        (Some(Confirmed), Void, Cancelled),
        (Some(Pending), Extend, Pending),
        (Some(Pending), Swap, Pending),
        (Some(Confirmed), Swap, Confirmed),
        (Some(Pending), Release, Pending),
        (Some(Confirmed), Release, Confirmed),
        (Some(Pending), Pay, Pending),
        (Some(Pending), Decline, Pending),
        (Some(Failed), Decline, Failed),
        (Some(Failed), Reinstate, Confirmed),
        (Some(Pending), Repay, Failed),
        (Some(Failed), Repay, Failed),
    ];
    let commands = [
        Reserve, Confirm, Cancel, Expire, Void, Sell, Extend, Swap, Release, Pay, Decline,
        Reinstate, Repay,
    ];
    for from in [
        None,
        Some(Pending),
        Some(Confirmed),
        Some(Cancelled),
        Some(Failed),
    ] {
        for verb in commands {
            let wanted = allowed.iter().find(|(f, v, _)| (*f, *v) == (from, verb));
            assert_eq!(
                next_state(from, verb),
                wanted.map(|(_, _, to)| *to),
                "{from:?} {verb:?}"
            );
        }
    }
}
