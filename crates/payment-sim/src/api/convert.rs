//! Payments as protobuf messages; wrong ones, if their token says so.

use model::Amount;
use prost_types::Timestamp;
use proto::money::v1::Money;
use proto::payment::v1 as pb;
use uuid::Uuid;

use crate::ledger::{Millis, Payment, State, Token};
use crate::ledger_store::Done;

pub(super) fn payment(payment: &Payment, now: Millis) -> pb::Payment {
    let state = payment.state(now);
    let amount = payment
        .asked
        .map(|asked| reported(asked.amount, asked.token, state));
    let part = |is_all: bool| {
        amount.clone().map(|amount| Money {
            minor_units: if is_all { amount.minor_units } else { 0 },
            ..amount
        })
    };
    let refunded_amount = amount.clone().map(|amount| Money {
        minor_units: payment.refunded(),
        ..amount
    });
    let decline_reason = match state {
        State::Declined => pb::DeclineReason::InsufficientFunds,
        _ => pb::DeclineReason::Unspecified,
    };
    pb::Payment {
        payment_key: payment.key.to_string(),
        state: state_of(state).into(),
        decline_reason: decline_reason.into(),
        captured_amount: part(state == State::Captured),
        voided_amount: part(state == State::Voided),
        refunded_amount,
        amount,
        create_time: Some(timestamp(payment.created_at)),
    }
}

pub(super) fn refund(key: Uuid, amount: Amount, done: &Done) -> pb::Refund {
    let mut refunded = money(amount);
    let token = done.payment.asked.map(|asked| asked.token);
    if done.is_first && token == Some(Token::NonsenseRefund) {
        refunded.minor_units += 1;
    }
    let state = if done.payment.declines_refunds() {
        pb::RefundState::Declined
    } else {
        pb::RefundState::Refunded
    };
    pb::Refund {
        refund_key: key.to_string(),
        amount: Some(refunded),
        state: state.into(),
    }
}

/// The amount in an answer.
fn reported(amount: Amount, token: Token, state: State) -> Money {
    let mut money = money(amount);
    if token == Token::Nonsense && state != State::Voided {
        money.minor_units += 1;
    }
    money
}

fn money(amount: Amount) -> Money {
    Money {
        minor_units: amount.minor_units(),
        currency_code: amount.currency().to_string(),
    }
}

fn state_of(state: State) -> pb::PaymentState {
    match state {
        State::Pending => pb::PaymentState::Pending,
        State::Approved => pb::PaymentState::Approved,
        State::Declined => pb::PaymentState::Declined,
        State::Captured => pb::PaymentState::Captured,
        State::Voided => pb::PaymentState::Voided,
    }
}

fn timestamp(at: Millis) -> Timestamp {
    Timestamp {
        seconds: at.div_euclid(1_000),
        nanos: i32::try_from(at.rem_euclid(1_000)).unwrap_or_default() * 1_000_000,
    }
}
