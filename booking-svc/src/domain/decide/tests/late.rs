//! Money that was taken after the hold had ended.

use std::sync::Arc;

use super::pay::*;
use super::world::{World, places};
use crate::domain::booking::{BookingState, FailureReason, Verb};
use crate::domain::decide::NotGranted;
use crate::domain::order::Command;
use crate::domain::payment::AttemptEnd;
use crate::domain::sale::SaleState;

#[test]
fn an_end_after_the_hold_is_decided_again_behind_its_expire() {
    let mut world = World::new();
    let held = being_paid(&mut world, &[0], -1);
    for ending in [AttemptEnd::Taken, NO_FUNDS] {
        let command = Command::Settle(settle(held, ending, -5));
        let (outcome, payments) = run(&mut world, 1, command);
        assert_eq!(outcome, Err(NotGranted::Lapsed(vec![held])));
        assert!(payments.is_empty());
    }
}

#[test]
fn late_money_takes_all_the_seats_back_at_their_price() {
    let mut world = World::new();
    let held = being_paid(&mut world, &[0, 1], 30);
    let before = world.bookings[&held].clone();
    expire(&mut world, held);
    let settlement = settle(held, AttemptEnd::Taken, -5);
    let blind = run(&mut world, 1, Command::Settle(settlement.clone())).0;
    assert_eq!(blind, Err(NotGranted::SaleChanged), "it needs the seats");
    let command = with_seats(&world, settlement, &[0, 1]);
    assert_eq!(last_verb(&world, held, command.clone()), Verb::Reinstate);
    let (outcome, payments) = run(&mut world, 2, command);
    let booking = outcome.expect("free seats");
    assert_eq!(booking.state, BookingState::Confirmed);
    assert_eq!((booking.failed_at, booking.failure_reason), (None, None));
    assert_eq!(
        (booking.seats, booking.total),
        (before.seats, before.total),
        "frozen"
    );
    assert_eq!(booking.refund_due, None);
    assert!(payments.refunds.is_empty());
}

#[test]
fn late_money_for_taken_seats_is_refunded() {
    let mut world = World::new();
    let held = being_paid(&mut world, &[0, 1], 30);
    expire(&mut world, held);
    world.with_booking(&[1], 60, false);
    let command = with_seats(&world, settle(held, AttemptEnd::Taken, -5), &[0, 1]);
    assert_eq!(last_verb(&world, held, command.clone()), Verb::Repay);
    let (outcome, payments) = run(&mut world, 1, command);
    let booking = outcome.expect("settled");
    assert_eq!(booking.state, BookingState::Failed);
    assert_eq!(booking.failure_reason, Some(FailureReason::Expired));
    assert_eq!(booking.refund_due, Some(booking.total));
    let [refund] = payments.refunds[..] else {
        panic!("{payments:?}");
    };
    assert_eq!((refund.payment_key, refund.amount), (KEY, booking.total));
    assert_ne!(refund.key, KEY);
}

#[test]
fn late_money_beyond_the_customers_quota_is_refunded() {
    for (limit, verb) in [(2, Verb::Repay), (3, Verb::Reinstate)] {
        let mut world = World::new();
        Arc::make_mut(&mut world.sale).terms.places_per_customer_max = Some(limit);
        let held = being_paid(&mut world, &[0, 1], 30);
        expire(&mut world, held);
        world.with_booking(&[2], 60, false);
        let command = with_seats(&world, settle(held, AttemptEnd::Taken, -5), &[0, 1]);
        assert_eq!(last_verb(&world, held, command), verb, "{limit}");
    }
}

#[test]
fn late_money_waits_for_lapsed_holds_to_be_written() {
    let mut world = World::new();
    let held = being_paid(&mut world, &[0], 30);
    expire(&mut world, held);
    let lapsed = world.with_booking(&[0], -1, false);
    let command = with_seats(&world, settle(held, AttemptEnd::Taken, -5), &[0]);
    let (outcome, _) = run(&mut world, 1, command);
    assert_eq!(outcome, Err(NotGranted::Lapsed(vec![lapsed])));
}

#[test]
fn late_money_takes_the_places_back_with_the_seats_or_neither() {
    for is_taken in [false, true] {
        let mut world = World::new();
        world.with_areas(&[("Floor", 2)]);
        let held = being_paid(&mut world, &[0], 30);
        world.give_places(held, &[("Floor", 2)]);
        expire(&mut world, held);
        if is_taken {
            let other = world.with_booking(&[], 60, false);
            world.give_places(other, &[("Floor", 1)]);
        }
        let mut settlement = with_seats(&world, settle(held, AttemptEnd::Taken, -5), &[0]);
        if let Command::Settle(settlement) = &mut settlement
            && let Some(reinstatement) = &mut settlement.reinstatement
        {
            reinstatement.places = places(&[("Floor", 2)]);
        }
        let (outcome, _) = run(&mut world, 1, settlement);
        let state = outcome.expect("settled").state;
        let owner = world.seats[&(held.show(), 0)];
        let taken = world.areas[&(held.show(), "Floor".into())].taken;
        let wanted = if is_taken {
            (BookingState::Failed, None, 1)
        } else {
            (BookingState::Confirmed, Some(held), 2)
        };
        assert_eq!((state, owner, taken), wanted);
    }
}

#[test]
fn the_newest_sale_decides_which_seats_can_be_taken_back() {
    let mut world = World::new();
    let held = being_paid(&mut world, &[0], 30);
    expire(&mut world, held);
    Arc::make_mut(&mut world.sale).revision -= 1;
    let command = with_seats(&world, settle(held, AttemptEnd::Taken, -5), &[0]);
    let outcome = run(&mut world, 1, command).0;
    assert_eq!(outcome, Err(NotGranted::SaleChanged));
}

#[test]
fn late_money_for_a_cancelled_show_is_refunded() {
    let mut world = World::new();
    let held = being_paid(&mut world, &[0], 30);
    expire(&mut world, held);
    world.state = SaleState::Cancelled;
    let command = with_seats(&world, settle(held, AttemptEnd::Taken, -5), &[0]);
    assert_eq!(last_verb(&world, held, command), Verb::Repay);
}

#[test]
fn a_late_decline_leaves_the_end_of_the_hold_as_it_was() {
    let mut world = World::new();
    let held = being_paid(&mut world, &[0], 30);
    expire(&mut world, held);
    let ended = world.bookings[&held].expires_at;
    let (outcome, _) = run(&mut world, 1, Command::Settle(settle(held, NO_FUNDS, -5)));
    let booking = outcome.expect("settled");
    assert_eq!(
        (booking.state, booking.expires_at),
        (BookingState::Failed, ended)
    );
}
