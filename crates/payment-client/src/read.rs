//! Reads an answer and compares it with its call. Pure.

use model::Amount;
use proto::money::v1::Money;
use proto::payment::v1::{self as pb, PaymentState, RefundState};
use uuid::Uuid;

use crate::ask::Reading;
use crate::values::{Attempt, DeclineReason, PaymentOutcome, RefundKey, RefundOutcome};

type Interpretation<T> = Result<T, &'static str>;

/// How a payment stands, by an answer to Authorize or GetPayment.
pub(crate) fn standing(
    attempt: &Attempt,
    payment: Option<&pb::Payment>,
) -> Reading<PaymentOutcome> {
    reading(sense(attempt, payment))
}

/// By an answer to Capture, which leaves nothing merely approved.
pub(crate) fn captured(
    attempt: &Attempt,
    payment: Option<&pb::Payment>,
) -> Reading<PaymentOutcome> {
    match standing(attempt, payment) {
        Reading::Settled(PaymentOutcome::Approved) => {
            Reading::ProtocolViolation("approved after a capture")
        }
        other => other,
    }
}

/// By an answer to Void, which leaves nothing open.
pub(crate) fn voided(attempt: &Attempt, payment: Option<&pb::Payment>) -> Reading<PaymentOutcome> {
    match standing(attempt, payment) {
        Reading::Settled(PaymentOutcome::Approved) => {
            Reading::ProtocolViolation("approved after a void")
        }
        Reading::Pending => Reading::ProtocolViolation("pending after a void"),
        other => other,
    }
}

/// The outcome of a refund of `amount`.
pub(crate) fn refunded(
    attempt: &Attempt,
    key: RefundKey,
    amount: Amount,
    answer: &pb::RefundResponse,
) -> Reading<RefundOutcome> {
    let refund = || {
        let outcome = sense(attempt, answer.payment.as_ref())?;
        if outcome != Some(PaymentOutcome::Captured) {
            return Err("a refund of a payment that was not captured");
        }
        let refund = answer.refund.as_ref().ok_or("no refund")?;
        if !is_key(&refund.refund_key, key.0) {
            return Err("another refund's key");
        }
        if !is_amount(refund.amount.as_ref(), amount) {
            return Err("another amount refunded");
        }
        let back = answer
            .payment
            .as_ref()
            .and_then(|payment| payment.refunded_amount.as_ref());
        let is_in_payment = back.is_some_and(|back| back.minor_units >= amount.minor_units());
        match RefundState::try_from(refund.state) {
            Ok(RefundState::Refunded) if is_in_payment => Ok(Some(RefundOutcome::Refunded)),
            Ok(RefundState::Refunded) => Err("a refund that its payment does not have"),
            Ok(RefundState::Declined) => Ok(Some(RefundOutcome::Declined)),
            Ok(RefundState::Unspecified) | Err(_) => Err("an unknown state of a refund"),
        }
    };
    reading(refund())
}

fn reading<T>(sense: Interpretation<Option<T>>) -> Reading<T> {
    match sense {
        Ok(Some(value)) => Reading::Settled(value),
        Ok(None) => Reading::Pending,
        Err(why) => Reading::ProtocolViolation(why),
    }
}

/// How a payment stands; nothing while it is pending.
fn sense(
    attempt: &Attempt,
    payment: Option<&pb::Payment>,
) -> Interpretation<Option<PaymentOutcome>> {
    let payment = payment.ok_or("no payment")?;
    if !is_key(&payment.payment_key, attempt.key.0) {
        return Err("another payment's key");
    }
    let reason = decline_reason(payment.decline_reason)?;
    let state = PaymentState::try_from(payment.state).map_err(|_| "an unknown state")?;
    let outcome = match (state, reason) {
        (PaymentState::Pending, None) => None,
        (PaymentState::Approved, None) => Some(PaymentOutcome::Approved),
        (PaymentState::Captured, None) => Some(PaymentOutcome::Captured),
        (PaymentState::Voided, None) => Some(PaymentOutcome::Voided),
        (PaymentState::Declined, Some(reason)) => Some(PaymentOutcome::Declined(reason)),
        (PaymentState::Declined, None) => return Err("declined without a reason"),
        (PaymentState::Unspecified, _) => return Err("no state"),
        (_, Some(_)) => return Err("a decline reason without a decline"),
    };
    check_amounts(attempt.amount, payment, outcome)?;
    Ok(outcome)
}

fn check_amounts(
    amount: Amount,
    payment: &pb::Payment,
    outcome: Option<PaymentOutcome>,
) -> Interpretation<()> {
    let parts = [
        &payment.captured_amount,
        &payment.voided_amount,
        &payment.refunded_amount,
    ];
    if payment.amount.is_none() && outcome == Some(PaymentOutcome::Voided) {
        // Voided before it was asked for.
        return match parts {
            [None, None, None] => Ok(()),
            _ => Err("parts of no amount"),
        };
    }
    if !is_amount(payment.amount.as_ref(), amount) {
        return Err("another amount");
    }
    let [captured, voided, refunded] = parts.map(|part| part_of(amount, part.as_ref()));
    let all_if = |is_all: bool| if is_all { amount.minor_units() } else { 0 };
    if captured? != all_if(outcome == Some(PaymentOutcome::Captured)) {
        return Err("another amount captured");
    }
    if voided? != all_if(outcome == Some(PaymentOutcome::Voided)) {
        return Err("another amount voided");
    }
    if refunded? > captured? {
        return Err("more refunded than captured");
    }
    Ok(())
}

/// Minor units of a part, from nothing to the whole.
fn part_of(amount: Amount, part: Option<&Money>) -> Interpretation<i64> {
    let part = part.ok_or("an amount is missing")?;
    let fits = (0..=amount.minor_units()).contains(&part.minor_units)
        && part.currency_code == amount.currency().as_str();
    if fits {
        Ok(part.minor_units)
    } else {
        Err("an amount that is not part of the whole")
    }
}

fn decline_reason(number: i32) -> Interpretation<Option<DeclineReason>> {
    use pb::DeclineReason as Reported;
    let reported = Reported::try_from(number).map_err(|_| "an unknown reason to decline")?;
    Ok(Some(match reported {
        Reported::Unspecified => return Ok(None),
        Reported::Other => DeclineReason::Other,
        Reported::InsufficientFunds => DeclineReason::InsufficientFunds,
        Reported::Expired => DeclineReason::Expired,
        Reported::Incorrect => DeclineReason::Incorrect,
        Reported::OverLimit => DeclineReason::OverLimit,
        Reported::AuthenticationRequired => DeclineReason::AuthenticationRequired,
        Reported::SuspectedFraud => DeclineReason::SuspectedFraud,
        Reported::CurrencyNotSupported => DeclineReason::CurrencyNotSupported,
    }))
}

fn is_key(text: &str, key: Uuid) -> bool {
    Uuid::try_parse(text).is_ok_and(|reported| reported == key)
}

fn is_amount(money: Option<&Money>, amount: Amount) -> bool {
    money.is_some_and(|money| {
        money.minor_units == amount.minor_units()
            && money.currency_code == amount.currency().as_str()
    })
}

#[cfg(test)]
mod tests;
