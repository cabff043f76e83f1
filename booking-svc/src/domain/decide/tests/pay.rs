//! Payments: the effect of an attempt on a hold, and of its end, early or late.

use std::time::Duration;

use model::BookingId;
use time::OffsetDateTime;
use uuid::Uuid;

use super::world::{NOW, World, confirm};
use crate::domain::booking::{BookingState, FailureReason, Transition, Verb};
use crate::domain::decide::{NotGranted, Outcome, decide};
use crate::domain::order::{Command, Reinstatement, Settlement};
use crate::domain::payment::{
    AttemptEnd, DeclineReason, NewAttempt, Payment, PaymentState, PaymentWrites,
};
use crate::domain::rejection::Rejection;
use crate::domain::sale::SaleState;

pub(super) const KEY: Uuid = Uuid::from_u128(0xb0b);
const TIMEOUT: Duration = Duration::from_secs(20);
pub(super) const NO_FUNDS: AttemptEnd = AttemptEnd::NotTaken(DeclineReason::InsufficientFunds);

pub(super) fn pay(booking_id: BookingId, key: Uuid) -> Command {
    Command::Pay {
        booking_id,
        version: None,
        attempt: Some(NewAttempt {
            key,
            timeout: TIMEOUT,
            lifetime_max: Duration::from_secs(600),
        }),
    }
}

/// An end of an attempt that began `seconds_left` before its deadline is now.
pub(super) fn settle(booking_id: BookingId, ending: AttemptEnd, deadline_in: i64) -> Settlement {
    Settlement {
        booking_id,
        key: KEY,
        deadline_at: in_secs(deadline_in),
        ending,
        reinstatement: None,
    }
}

pub(super) fn in_secs(seconds: i64) -> OffsetDateTime {
    NOW + time::Duration::seconds(seconds)
}

pub(super) fn run(world: &mut World, id: u128, command: Command) -> (Outcome, PaymentWrites) {
    let orders = [world.order(id, command)];
    let mut decision = decide(&orders, world.locked(&orders));
    let payments = std::mem::take(&mut decision.writes.payments);
    world.apply(decision.writes);
    (decision.outcomes.remove(0), payments)
}

/// A hold that ends in `expires_in` seconds, the time of its running attempt included.
pub(super) fn being_paid(world: &mut World, seats: &[u32], expires_in: i64) -> BookingId {
    let id = world.with_booking(seats, expires_in, false);
    let booking = world.bookings.get_mut(&id).expect("made");
    booking.payment = Some(Payment {
        key: KEY,
        state: PaymentState::Started,
    });
    id
}

/// Lets a hold end as the worker would.
pub(super) fn expire(world: &mut World, id: BookingId) {
    let booking = world.bookings.get_mut(&id).expect("made");
    booking.expires_at = in_secs(-1);
    let (outcome, _) = run(world, 77, Command::Expire { booking_id: id });
    assert_eq!(outcome.expect("lapsed").state, BookingState::Failed);
}

pub(super) fn with_seats(world: &World, mut settlement: Settlement, ordinals: &[u32]) -> Command {
    settlement.reinstatement = Some(Reinstatement {
        sale: world.on_sale(),
        holder: world.bookings[&settlement.booking_id].holder(),
        ordinals: ordinals.to_vec(),
        places: Vec::new(),
    });
    Command::Settle(settlement)
}

fn last_entry(world: &World, id: BookingId, command: Command) -> Transition {
    let orders = [world.order(99, command)];
    let decision = decide(&orders, world.locked(&orders));
    let mut log = decision.writes.transitions.into_iter();
    log.rfind(|entry| entry.booking_id == id)
        .expect("a transition")
}

pub(super) fn last_verb(world: &World, id: BookingId, command: Command) -> Verb {
    last_entry(world, id, command).verb
}

#[test]
fn a_hold_is_shielded_for_as_long_as_the_payment_may_take() {
    let mut world = World::new();
    let held = world.with_booking(&[0], 1, false);
    let before = world.bookings[&held].prior();
    let entry = last_entry(&world, held, pay(held, KEY));
    assert_eq!(entry.prior, Some(before), "for copies of what was before");
    let (outcome, payments) = run(&mut world, 1, pay(held, KEY));
    let booking = outcome.expect("it may be paid");
    assert_eq!(booking.state, BookingState::Pending);
    assert_eq!(booking.expires_at, in_secs(21), "and then the second left");
    assert!(booking.is_being_paid());
    let [started] = payments.started[..] else {
        panic!("{payments:?}");
    };
    assert_eq!((started.key, started.amount), (KEY, booking.total));
    assert_eq!(started.deadline_at, in_secs(20));
}

#[test]
fn nothing_else_happens_to_a_booking_that_is_being_paid() {
    let mut world = World::new();
    let held = being_paid(&mut world, &[0], 30);
    let version = Some(7);
    let sale = world.on_sale();
    let labels = vec!["A-1".to_owned()];
    let commands = [
        confirm(held),
        pay(held, Uuid::from_u128(2)),
        Command::Cancel {
            booking_id: held,
            version,
        },
        Command::Release {
            booking_id: held,
            version,
            sale: sale.clone(),
            labels: labels.clone(),
            places: Vec::new(),
        },
        Command::Extend {
            booking_id: held,
            version,
            hold: TIMEOUT,
            lifetime_max: TIMEOUT,
        },
        Command::Swap {
            booking_id: held,
            version,
            sale,
            labels,
            ordinals: vec![1],
            around: None,
        },
    ];
    for (number, command) in (1..).zip(commands) {
        let (outcome, payments) = run(&mut world, number, command.clone());
        let rejection = Rejection::PaymentPending(held, KEY);
        assert_eq!(outcome, Err(NotGranted::Rejected(rejection)), "{command:?}");
        assert!(payments.is_empty());
    }
}

#[test]
fn nobody_pays_for_a_show_that_was_cancelled() {
    let mut world = World::new();
    let held = world.with_booking(&[0], 60, false);
    world.state = SaleState::Cancelled;
    let (outcome, payments) = run(&mut world, 1, pay(held, KEY));
    let rejection = Rejection::ShowNotOnSale(held.show(), SaleState::Cancelled, None);
    assert_eq!(outcome, Err(NotGranted::Rejected(rejection)));
    assert!(payments.is_empty());
}

#[test]
fn a_free_booking_is_confirmed_without_a_payment_and_a_priced_one_is_not() {
    let mut world = World::new();
    let [free, dear] = [[0], [1]].map(|seats| world.with_booking(&seats, 60, false));
    world.bookings.get_mut(&free).expect("made").total = 0;
    let unpaid = |booking_id| Command::Pay {
        booking_id,
        version: None,
        attempt: None,
    };
    let (outcome, _) = run(&mut world, 1, unpaid(dear));
    let rejection = Rejection::PaymentRequired(Some(dear));
    assert_eq!(outcome, Err(NotGranted::Rejected(rejection)));
    for (number, command) in [(2, pay(free, KEY)), (3, unpaid(free))] {
        let mut world = world.clone();
        let (outcome, payments) = run(&mut world, number, command);
        let booking = outcome.expect("it is free");
        assert_eq!(
            (booking.state, booking.payment),
            (BookingState::Confirmed, None)
        );
        assert!(payments.is_empty());
    }
}

#[test]
fn money_in_time_confirms_and_is_settled_once() {
    let mut world = World::new();
    let held = being_paid(&mut world, &[0], 30);
    let taken = Command::Settle(settle(held, AttemptEnd::Taken, 10));
    let (outcome, payments) = run(&mut world, 1, taken.clone());
    let booking = outcome.expect("in time");
    assert_eq!(booking.state, BookingState::Confirmed);
    assert_eq!(booking.confirmed_at, Some(NOW));
    assert_eq!(payments.settled.len(), 1);
    assert!(payments.refunds.is_empty());
    // Another attempt at the same time, with another outcome.
    let late = Command::Settle(settle(held, NO_FUNDS, 10));
    let (outcome, payments) = run(&mut world, 2, late);
    assert_eq!(outcome, Ok(booking));
    assert!(payments.is_empty());
}

#[test]
fn a_decline_leaves_as_much_of_the_hold_as_there_was() {
    // 10 s were left when the attempt began; its deadline is in 5 s, is now, was 5 s ago.
    for deadline_in in [5, 0, -5] {
        let mut world = World::new();
        let held = being_paid(&mut world, &[0], deadline_in + 10);
        let decline = Command::Settle(settle(held, NO_FUNDS, deadline_in));
        let before = world.bookings[&held].prior();
        let entry = last_entry(&world, held, decline.clone());
        assert_eq!((entry.verb, entry.prior), (Verb::Decline, Some(before)));
        let (outcome, payments) = run(&mut world, 1, decline);
        let booking = outcome.expect("a decline");
        assert_eq!(booking.state, BookingState::Pending);
        assert_eq!(booking.expires_at, in_secs(10), "deadline {deadline_in}");
        assert_eq!(payments.settled[0].ending, NO_FUNDS);
        let again = run(&mut world, 2, pay(held, Uuid::from_u128(2))).0;
        assert_eq!(again.expect("another try").expires_at, in_secs(30));
    }
}

#[test]
fn tries_do_not_keep_a_hold_for_ever() {
    let mut world = World::new();
    let held = world.with_booking(&[0], 60, false);
    let booking = world.bookings.get_mut(&held).expect("made");
    booking.created_at = in_secs(-601);
    let first = run(&mut world.clone(), 1, pay(held, KEY)).0;
    assert!(first.is_ok(), "every hold gets a first attempt");
    world.bookings.get_mut(&held).expect("made").payment = Some(Payment {
        key: Uuid::from_u128(5),
        state: PaymentState::Declined,
    });
    let further = run(&mut world, 2, pay(held, KEY)).0;
    let rejection = Rejection::LifetimeExceeded {
        booking_id: held,
        left: Duration::ZERO,
    };
    assert_eq!(further, Err(NotGranted::Rejected(rejection)));
}

#[test]
fn money_for_a_cancelled_show_is_refunded_whether_or_not_the_booking_was_ended() {
    for is_voided in [false, true] {
        let mut world = World::new();
        let held = being_paid(&mut world, &[0], 30);
        world.state = SaleState::Cancelled;
        if is_voided {
            let voided = run(&mut world, 1, Command::Void { booking_id: held }).0;
            assert_eq!(voided.expect("live").state, BookingState::Failed);
        }
        let command = Command::Settle(settle(held, AttemptEnd::Taken, 5));
        let (outcome, payments) = run(&mut world, 2, command);
        let booking = outcome.expect("settled");
        assert_eq!(booking.state, BookingState::Failed);
        assert_eq!(booking.failure_reason, Some(FailureReason::ShowCancelled));
        assert_eq!(payments.refunds[0].amount, booking.total);
        assert_eq!(world.seats[&(world.sale.show_id, 0)], None);
    }
}

#[test]
fn every_return_of_paid_seats_makes_one_refund_due() {
    let mut world = World::new();
    let id = world.with_booking(&[0, 1], -5, true);
    let booking = world.bookings.get_mut(&id).expect("made");
    booking.payment = Some(Payment {
        key: KEY,
        state: PaymentState::Captured,
    });
    booking.add_up();
    let release = Command::Release {
        booking_id: id,
        version: None,
        sale: world.on_sale(),
        labels: vec!["A-1".to_owned()],
        places: Vec::new(),
    };
    let (outcome, payments) = run(&mut world, 1, release);
    assert_eq!(outcome.expect("live").refund_due, Some(1));
    let cancel = Command::Cancel {
        booking_id: id,
        version: None,
    };
    let (outcome, rest) = run(&mut world, 2, cancel);
    assert_eq!(outcome.expect("live").refund_due, Some(2));
    let due: Vec<_> = [payments.refunds, rest.refunds].concat();
    assert_eq!(due.iter().map(|refund| refund.amount).sum::<i64>(), 2);
    assert_ne!(due[0].key, due[1].key);
}

#[test]
fn what_was_paid_elsewhere_after_a_decline_here_is_not_given_back_here() {
    let mut world = World::new();
    let id = world.with_booking(&[0], -5, true);
    let booking = world.bookings.get_mut(&id).expect("made");
    booking.payment = Some(Payment {
        key: KEY,
        state: PaymentState::Declined,
    });
    let cancel = Command::Cancel {
        booking_id: id,
        version: None,
    };
    let (outcome, payments) = run(&mut world, 1, cancel);
    let booking = outcome.expect("live");
    assert_eq!(booking.refund_due, Some(booking.total));
    assert!(payments.is_empty());
}
