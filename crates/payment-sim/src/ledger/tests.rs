use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn key(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn euros(minor_units: i64) -> Amount {
    Amount::new(minor_units, "EUR".parse().expect("a currency")).expect("an amount")
}

fn asked(token: Token, minor_units: i64) -> Asked {
    Asked {
        token,
        amount: euros(minor_units),
    }
}

/// Applies the event that was decided on; returns whether there was one.
fn act(
    ledger: &mut Ledger,
    decided: Result<Option<LedgerEvent>, Refusal>,
) -> Result<bool, Refusal> {
    let event = decided?;
    if let Some(event) = &event {
        ledger.apply(event).expect("it was decided on");
    }
    Ok(event.is_some())
}

fn authorize(ledger: &mut Ledger, n: u128, asked: Asked, at: Millis) -> Result<bool, Refusal> {
    let decided = ledger.authorize(key(n), asked, at);
    act(ledger, decided)
}

fn capture(ledger: &mut Ledger, n: u128, amount: i64, at: Millis) -> Result<bool, Refusal> {
    let decided = ledger.capture(key(n), euros(amount), at);
    act(ledger, decided)
}

fn void(ledger: &mut Ledger, n: u128) -> Result<bool, Refusal> {
    let decided = ledger.void(key(n), 5);
    act(ledger, decided)
}

fn refund(ledger: &mut Ledger, n: u128, refund: u128, amount: i64) -> Result<bool, Refusal> {
    let decided = ledger.refund(key(n), key(refund), euros(amount));
    act(ledger, decided)
}

fn state(ledger: &Ledger, n: u128, at: Millis) -> State {
    ledger.get(key(n)).expect("a payment").state(at)
}

#[test]
fn a_repeat_does_nothing_and_another_body_is_refused() {
    let mut ledger = Ledger::new(10);
    assert_eq!(
        authorize(&mut ledger, 1, asked(Token::Approve, 100), 0),
        Ok(true)
    );
    assert_eq!(
        authorize(&mut ledger, 1, asked(Token::Approve, 100), 9),
        Ok(false)
    );
    for other in [asked(Token::Approve, 101), asked(Token::Decline, 100)] {
        let refused = authorize(&mut ledger, 1, other, 0);
        assert_eq!(refused, Err(Refusal::PaymentKeyReused));
    }
    let refused = capture(&mut ledger, 1, 99, 0);
    assert_eq!(refused, Err(Refusal::OtherAmount(euros(100))));
    assert_eq!(capture(&mut ledger, 1, 100, 0), Ok(true));
    assert_eq!(capture(&mut ledger, 1, 100, 0), Ok(false));
    assert_eq!(refund(&mut ledger, 1, 50, 40), Ok(true));
    assert_eq!(refund(&mut ledger, 1, 50, 40), Ok(false));
    assert_eq!(
        refund(&mut ledger, 1, 50, 41),
        Err(Refusal::RefundKeyReused)
    );
    assert_eq!(ledger.get(key(1)).map(Payment::refunded), Some(40));
}

#[test]
fn every_command_in_every_state() {
    use State::{Approved, Captured, Declined, Voided};
    for (before, captures, voids) in [
        (Approved, Captured, Voided),
        (Declined, Declined, Declined),
        (Captured, Captured, Captured),
        (Voided, Voided, Voided),
    ] {
        let in_state = || {
            let mut ledger = Ledger::new(10);
            let token = if before == Declined {
                Token::Decline
            } else {
                Token::Approve
            };
            authorize(&mut ledger, 1, asked(token, 100), 0).expect("a payment");
            match before {
                Captured => capture(&mut ledger, 1, 100, 0).expect("captured"),
                Voided => void(&mut ledger, 1).expect("voided"),
                _ => false,
            };
            assert_eq!(state(&ledger, 1, 0), before);
            ledger
        };
        let mut ledger = in_state();
        assert_eq!(capture(&mut ledger, 1, 100, 0), Ok(captures != before));
        assert_eq!(state(&ledger, 1, 0), captures, "capture in {before:?}");
        let mut ledger = in_state();
        assert_eq!(void(&mut ledger, 1), Ok(voids != before));
        assert_eq!(state(&ledger, 1, 0), voids, "void in {before:?}");
        let mut ledger = in_state();
        let refunded = refund(&mut ledger, 1, 50, 1);
        assert_eq!(refunded.is_ok(), before == Captured, "refund in {before:?}");
        assert_eq!(state(&ledger, 1, 0), before);
    }
}

#[test]
fn a_key_voided_first_never_holds_money() {
    let mut ledger = Ledger::new(10);
    assert_eq!(void(&mut ledger, 1), Ok(true));
    assert_eq!(void(&mut ledger, 1), Ok(false));
    assert_eq!(
        authorize(&mut ledger, 1, asked(Token::Approve, 100), 0),
        Ok(false)
    );
    assert_eq!(capture(&mut ledger, 1, 100, 0), Ok(false));
    assert_eq!(state(&ledger, 1, 0), State::Voided);
    assert_eq!(ledger.get(key(1)).and_then(|payment| payment.asked), None);
}

#[test]
fn what_has_not_arrived_is_not_found() {
    let mut ledger = Ledger::new(10);
    let not_found = Err(Refusal::NotFound(key(1)));
    assert_eq!(capture(&mut ledger, 1, 100, 0), not_found);
    assert_eq!(refund(&mut ledger, 1, 50, 1), not_found);
}

#[test]
fn a_slow_payment_is_pending_until_it_is_due_and_can_be_voided_before() {
    let mut ledger = Ledger::new(10);
    let slow = asked(Token::Slow(Duration::from_secs(2)), 100);
    for n in [1, 2] {
        authorize(&mut ledger, n, slow, 10_000).expect("a payment");
    }
    assert_eq!(state(&ledger, 1, 11_999), State::Pending);
    assert_eq!(capture(&mut ledger, 1, 100, 11_999), Ok(false));
    assert_eq!(state(&ledger, 1, 12_000), State::Approved);
    assert_eq!(capture(&mut ledger, 1, 100, 12_000), Ok(true));
    assert_eq!(void(&mut ledger, 2), Ok(true));
    assert_eq!(state(&ledger, 2, 12_000), State::Voided);
}

#[test]
fn a_declined_capture_holds_nothing() {
    let mut ledger = Ledger::new(10);
    authorize(&mut ledger, 1, asked(Token::DeclineCapture, 100), 0).expect("a payment");
    assert_eq!(state(&ledger, 1, 0), State::Approved);
    assert_eq!(capture(&mut ledger, 1, 100, 0), Ok(true));
    assert_eq!(state(&ledger, 1, 0), State::Declined);
}

#[test]
fn no_more_is_refunded_than_was_taken_nor_more_often_than_allowed() {
    let mut ledger = Ledger::new(10);
    for n in [1, 2] {
        authorize(&mut ledger, n, asked(Token::Approve, 1_000), 0).expect("a payment");
        capture(&mut ledger, n, 1_000, 0).expect("captured");
    }
    assert_eq!(refund(&mut ledger, 1, 50, 900), Ok(true));
    let left = |key, left| Err(Refusal::NotRefundable { key, left });
    assert_eq!(refund(&mut ledger, 1, 51, 101), left(key(1), 100));
    assert_eq!(refund(&mut ledger, 1, 51, 100), Ok(true));
    for n in 0..REFUNDS_PER_PAYMENT_MAX {
        assert_eq!(refund(&mut ledger, 2, 100 + n as u128, 1), Ok(true));
    }
    assert_eq!(refund(&mut ledger, 2, 99, 1), left(key(2), 0));
    let yen = Amount::new(1, "JPY".parse().expect("a currency")).expect("an amount");
    let refused = ledger.refund(key(2), key(99), yen);
    assert_eq!(refused, Err(Refusal::OtherAmount(euros(1_000))));
}

#[test]
fn a_declined_refund_refunds_nothing_and_a_repeat_does_nothing() {
    let mut ledger = Ledger::new(10);
    authorize(&mut ledger, 1, asked(Token::DeclineRefund, 100), 0).expect("a payment");
    capture(&mut ledger, 1, 100, 0).expect("captured");
    assert_eq!(refund(&mut ledger, 1, 50, 70), Ok(true));
    assert_eq!(refund(&mut ledger, 1, 50, 70), Ok(false));
    assert_eq!(refund(&mut ledger, 1, 51, 70), Ok(true));
    let refused = refund(&mut ledger, 1, 52, 101);
    let (key, left) = (key(1), 100);
    assert_eq!(refused, Err(Refusal::NotRefundable { key, left }));
    assert_eq!(ledger.get(key).map(Payment::refunded), Some(0));
}

#[test]
fn a_full_ledger_takes_nothing_new() {
    let mut ledger = Ledger::new(1);
    authorize(&mut ledger, 1, asked(Token::Approve, 100), 0).expect("a payment");
    assert_eq!(
        authorize(&mut ledger, 2, asked(Token::Approve, 100), 0),
        Err(Refusal::Full(1))
    );
    assert_eq!(void(&mut ledger, 2), Err(Refusal::Full(1)));
    assert_eq!(capture(&mut ledger, 1, 100, 0), Ok(true));
}

#[test]
fn a_deed_that_does_not_follow_is_refused() {
    let mut ledger = Ledger::new(10);
    authorize(&mut ledger, 1, asked(Token::Decline, 100), 0).expect("a payment");
    let authorize = LedgerEvent::Authorize {
        key: key(1),
        token: Token::Approve,
        amount: euros(100),
        at: 0,
    };
    let refund = LedgerEvent::Refund {
        key: key(1),
        refund_key: key(50),
        amount: euros(1),
    };
    for event in [
        authorize,
        LedgerEvent::Capture { key: key(1) },
        LedgerEvent::Capture { key: key(2) },
        refund,
    ] {
        assert!(ledger.apply(&event).is_err(), "{event:?}");
    }
    assert_eq!(state(&ledger, 1, 0), State::Declined);
}

/// A verb on one of a few payments, so that they meet.
fn any_call() -> impl Strategy<Value = (u8, u128, i64)> {
    (0..4_u8, 1..4_u128, 1..4_i64)
}

proptest! {
    #[test]
    fn deeds_can_be_written_read_and_done_again(calls in prop::collection::vec(any_call(), 1..60)) {
        let mut ledger = Ledger::new(10);
        let mut again = Ledger::new(10);
        for (at, (verb, n, amount)) in calls.into_iter().enumerate() {
            let at = Millis::try_from(at).expect("a few");
            let token = if n == 1 { Token::Slow(Duration::from_millis(20)) } else { Token::Approve };
            let decided = match verb {
                0 => ledger.authorize(key(n), asked(token, 3), at),
                1 => ledger.capture(key(n), euros(3), at),
                2 if amount == 1 => ledger.void(key(n), at),
                _ => ledger.refund(key(n), Uuid::from_u128(u128::from(at.unsigned_abs()) % 7), euros(amount)),
            };
            let Ok(Some(event)) = decided else { continue };
            ledger.apply(&event).expect("it was decided on");
            let text = serde_json::to_string(&event).expect("a text");
            let read: LedgerEvent = serde_json::from_str(&text).expect("an event");
            again.apply(&read).expect("it was done before");
        }
        prop_assert_eq!(ledger.from_place(0), again.from_place(0));
        for payment in ledger.from_place(0) {
            let taken = match payment.state(Millis::MAX) {
                State::Captured => 3,
                _ => 0,
            };
            prop_assert!((0..=taken).contains(&payment.refunded()));
        }
    }
}
