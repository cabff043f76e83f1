//! Requests as values that cannot be invalid.

use model::{Amount, Currency};
use proto::money::v1::Money;
use proto::payment::v1 as pb;
use service_kit::{ApiError, FieldViolations};
use uuid::Uuid;

use crate::ledger::{Asked, Token};

pub(super) fn authorize(request: &pb::AuthorizeRequest) -> Result<(Uuid, Asked), ApiError> {
    let mut wrong = FieldViolations::default();
    let key = wrong.take("payment_key", key(&request.payment_key));
    let token = wrong.take("payment_token", request.payment_token.parse::<Token>());
    let amount = amount(&mut wrong, request.amount.as_ref());
    match (key, token, amount) {
        (Some(key), Some(token), Some(amount)) => Ok((key, Asked { token, amount })),
        _ => Err(wrong.into_error()),
    }
}

pub(super) fn capture(request: &pb::CaptureRequest) -> Result<(Uuid, Amount), ApiError> {
    let mut wrong = FieldViolations::default();
    let key = wrong.take("payment_key", key(&request.payment_key));
    match (key, amount(&mut wrong, request.amount.as_ref())) {
        (Some(key), Some(amount)) => Ok((key, amount)),
        _ => Err(wrong.into_error()),
    }
}

pub(super) fn refund(request: &pb::RefundRequest) -> Result<(Uuid, Uuid, Amount), ApiError> {
    let mut wrong = FieldViolations::default();
    let payment_key = wrong.take("payment_key", key(&request.payment_key));
    let refund_key = wrong.take("refund_key", key(&request.refund_key));
    let amount = amount(&mut wrong, request.amount.as_ref());
    match (payment_key, refund_key, amount) {
        (Some(payment_key), Some(refund_key), Some(amount)) => {
            Ok((payment_key, refund_key, amount))
        }
        _ => Err(wrong.into_error()),
    }
}

pub(super) fn payment_key(text: &str) -> Result<Uuid, ApiError> {
    key(text).map_err(|message| ApiError::invalid_field("payment_key", message))
}

fn key(text: &str) -> Result<Uuid, &'static str> {
    match Uuid::try_parse(text) {
        Ok(key) if !key.is_nil() => Ok(key),
        _ if text.is_empty() => Err("is empty"),
        _ => Err("must be a UUID"),
    }
}

fn amount(wrong: &mut FieldViolations, money: Option<&Money>) -> Option<Amount> {
    let money = wrong.take("amount", money.ok_or("is required"))?;
    let currency = money.currency_code.parse::<Currency>();
    let currency = wrong.take("amount.currency_code", currency)?;
    wrong.take(
        "amount.minor_units",
        Amount::new(money.minor_units, currency),
    )
}
