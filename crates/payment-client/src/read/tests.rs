use super::*;
use crate::values::PaymentKey;

/// Makes an answer wrong.
type Spoiler = fn(&mut pb::Payment);
type RefundSpoiler = dyn Fn(&mut pb::Payment, &mut pb::Refund);

const KEY: Uuid = Uuid::from_u128(7);
const REFUND_KEY: Uuid = Uuid::from_u128(8);

fn euros(minor_units: i64) -> Option<Money> {
    Some(Money {
        minor_units,
        currency_code: "EUR".to_owned(),
    })
}

fn amount(minor_units: i64) -> Amount {
    Amount::new(minor_units, "EUR".parse().expect("a currency")).expect("an amount")
}

fn attempt() -> Attempt {
    Attempt {
        key: PaymentKey(KEY),
        amount: amount(100),
    }
}

/// A payment of 100 as a correct provider reports it.
fn payment_in(state: PaymentState) -> pb::Payment {
    let all_if = |is_all| euros(if is_all { 100 } else { 0 });
    let reason = match state {
        PaymentState::Declined => pb::DeclineReason::OverLimit,
        _ => pb::DeclineReason::Unspecified,
    };
    pb::Payment {
        payment_key: KEY.to_string(),
        state: state.into(),
        decline_reason: reason.into(),
        amount: euros(100),
        captured_amount: all_if(state == PaymentState::Captured),
        voided_amount: all_if(state == PaymentState::Voided),
        refunded_amount: euros(0),
        create_time: None,
    }
}

fn with(state: PaymentState, spoil: impl Fn(&mut pb::Payment)) -> Reading<PaymentOutcome> {
    let mut payment = payment_in(state);
    spoil(&mut payment);
    standing(&attempt(), Some(&payment))
}

const OUTCOMES: [(PaymentState, Reading<PaymentOutcome>); 5] = [
    (PaymentState::Pending, Reading::Pending),
    (
        PaymentState::Approved,
        Reading::Settled(PaymentOutcome::Approved),
    ),
    (
        PaymentState::Declined,
        Reading::Settled(PaymentOutcome::Declined(DeclineReason::OverLimit)),
    ),
    (
        PaymentState::Captured,
        Reading::Settled(PaymentOutcome::Captured),
    ),
    (
        PaymentState::Voided,
        Reading::Settled(PaymentOutcome::Voided),
    ),
];

#[test]
fn what_fits_is_believed() {
    for (state, outcome) in OUTCOMES {
        assert_eq!(with(state, |_| {}), outcome);
        let upper_case = with(state, |payment| payment.payment_key.make_ascii_uppercase());
        assert_eq!(upper_case, outcome);
    }
    let partly_refunded = with(PaymentState::Captured, |p| p.refunded_amount = euros(100));
    assert_eq!(partly_refunded, Reading::Settled(PaymentOutcome::Captured));
    let never_asked_for = with(PaymentState::Voided, |payment| {
        payment.amount = None;
        payment.captured_amount = None;
        payment.voided_amount = None;
        payment.refunded_amount = None;
    });
    assert_eq!(never_asked_for, Reading::Settled(PaymentOutcome::Voided));
}

#[test]
fn a_contradictory_answer_is_nonsense_in_every_state() {
    let spoilers: [(&str, Spoiler); 16] = [
        ("another key", |p| {
            p.payment_key = Uuid::from_u128(9).to_string()
        }),
        ("no key", |p| p.payment_key.clear()),
        ("no state", |p| p.state = 0),
        ("an unknown state", |p| p.state = 99),
        ("an unknown reason", |p| p.decline_reason = 99),
        ("another amount", |p| p.amount = euros(101)),
        ("a negative amount", |p| p.amount = euros(-100)),
        ("another currency", |p| {
            p.amount = Some(Money {
                minor_units: 100,
                currency_code: "USD".to_owned(),
            });
        }),
        ("an amount without a currency", |p| {
            p.amount = Some(Money {
                minor_units: 100,
                currency_code: String::new(),
            });
        }),
        ("no amount", |p| p.amount = None),
        ("no captured amount", |p| p.captured_amount = None),
        ("a part of it captured", |p| p.captured_amount = euros(50)),
        ("no voided amount", |p| p.voided_amount = None),
        ("a part of it voided", |p| p.voided_amount = euros(50)),
        ("no refunded amount", |p| p.refunded_amount = None),
        ("more refunded than there was", |p| {
            p.refunded_amount = euros(101)
        }),
    ];
    for (state, _) in OUTCOMES {
        for (what, spoil) in spoilers {
            let read = with(state, spoil);
            assert!(
                matches!(read, Reading::ProtocolViolation(_)),
                "{state:?}, {what}: {read:?}"
            );
        }
    }
    assert_eq!(
        standing(&attempt(), None),
        Reading::ProtocolViolation("no payment")
    );
}

#[test]
fn what_contradicts_the_state_is_nonsense() {
    for (state, _) in OUTCOMES {
        if state != PaymentState::Captured {
            for spoil in [
                |p: &mut pb::Payment| p.captured_amount = euros(100),
                |p: &mut pb::Payment| p.refunded_amount = euros(1),
            ] {
                assert!(
                    matches!(with(state, spoil), Reading::ProtocolViolation(_)),
                    "{state:?}"
                );
            }
        }
        if state != PaymentState::Voided {
            let read = with(state, |payment| payment.voided_amount = euros(100));
            assert!(matches!(read, Reading::ProtocolViolation(_)), "{state:?}");
        }
        let other_reason = match state {
            PaymentState::Declined => pb::DeclineReason::Unspecified,
            _ => pb::DeclineReason::Other,
        };
        let read = with(state, |payment| {
            payment.decline_reason = other_reason.into()
        });
        assert!(matches!(read, Reading::ProtocolViolation(_)), "{state:?}");
    }
}

#[test]
fn an_answer_without_the_requested_effect_is_nonsense() {
    let after = |read: fn(&Attempt, Option<&pb::Payment>) -> Reading<PaymentOutcome>, state| {
        read(&attempt(), Some(&payment_in(state)))
    };
    for (state, outcome) in OUTCOMES {
        let capture = after(captured, state);
        let void = after(voided, state);
        match state {
            PaymentState::Approved => {
                assert!(matches!(capture, Reading::ProtocolViolation(_)));
                assert!(matches!(void, Reading::ProtocolViolation(_)));
            }
            PaymentState::Pending => {
                assert_eq!(capture, Reading::Pending);
                assert!(matches!(void, Reading::ProtocolViolation(_)));
            }
            _ => assert_eq!((capture, void), (outcome, outcome)),
        }
    }
}

#[test]
fn a_refund_is_believed_if_its_payment_has_it() {
    let good = pb::RefundResponse {
        payment: Some(pb::Payment {
            refunded_amount: euros(40),
            ..payment_in(PaymentState::Captured)
        }),
        refund: Some(pb::Refund {
            refund_key: REFUND_KEY.to_string(),
            amount: euros(40),
            state: RefundState::Refunded.into(),
        }),
    };
    let read = |spoil: &RefundSpoiler| {
        let mut answer = good.clone();
        if let (Some(payment), Some(refund)) = (&mut answer.payment, &mut answer.refund) {
            spoil(payment, refund);
        }
        refunded(&attempt(), RefundKey(REFUND_KEY), amount(40), &answer)
    };
    assert_eq!(read(&|_, _| {}), Reading::Settled(RefundOutcome::Refunded));
    let declined = read(&|payment, refund| {
        payment.refunded_amount = euros(0);
        refund.state = RefundState::Declined.into();
    });
    assert_eq!(declined, Reading::Settled(RefundOutcome::Declined));
    let spoilers: [&RefundSpoiler; 7] = [
        &|_, refund| refund.refund_key = KEY.to_string(),
        &|_, refund| refund.amount = euros(41),
        &|_, refund| refund.amount = None,
        &|_, refund| refund.state = 0,
        &|_, refund| refund.state = 99,
        &|payment, _| payment.refunded_amount = euros(39),
        &|payment, _| *payment = payment_in(PaymentState::Voided),
    ];
    for (n, spoil) in spoilers.into_iter().enumerate() {
        let read = read(spoil);
        assert!(
            matches!(read, Reading::ProtocolViolation(_)),
            "{n}: {read:?}"
        );
    }
    let nothing = pb::RefundResponse {
        refund: None,
        ..good.clone()
    };
    let read = refunded(&attempt(), RefundKey(REFUND_KEY), amount(40), &nothing);
    assert_eq!(read, Reading::ProtocolViolation("no refund"));
}
