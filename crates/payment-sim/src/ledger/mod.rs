//! The provider's payments and refunds, and the decisions over them. Pure: callers pass the time,
//! and write an event to the journal before they apply it.
//!
//! What must always hold: an event that was decided on can be applied, and a repeat of a finished
//! call decides on no event.

mod token;

use std::collections::HashMap;

use model::Amount;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use token::{SLOW_MAX, Token, TokenError};

/// The most refunds of one payment.
pub const REFUNDS_PER_PAYMENT_MAX: usize = 100;

/// Milliseconds since the beginning of 1970.
pub type Millis = i64;

/// A change of the ledger, as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum LedgerEvent {
    /// A payment was asked for.
    Authorize {
        /// Its key.
        key: Uuid,
        /// The token, which determines its outcome.
        token: Token,
        /// How much.
        amount: Amount,
        /// When.
        at: Millis,
    },
    /// Its money was taken, or could not be.
    Capture {
        /// Its key.
        key: Uuid,
    },
    /// It was let go, or will never be.
    Void {
        /// Its key.
        key: Uuid,
        /// When.
        at: Millis,
    },
    /// A part of it was given back, or could not be.
    Refund {
        /// Its key.
        key: Uuid,
        /// The refund's.
        refund_key: Uuid,
        /// How much.
        amount: Amount,
    },
}

/// A payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Its key.
    pub key: Uuid,
    /// When the key first arrived.
    pub created_at: Millis,
    /// None if it was voided before its Authorize.
    pub asked: Option<Asked>,
    /// The refunds that were asked for, in the order in which they were: made all of them, or
    /// all declined.
    pub refunds: Vec<(Uuid, Amount)>,
    state: Decided,
}

/// The request of an Authorize.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The token, which determines its outcome.
    pub token: Token,
    /// How much.
    pub amount: Amount,
}

/// The decided state of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decided {
    Approved,
    Declined,
    Captured,
    Voided,
}

/// Where a payment is in its life at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not decided yet.
    Pending,
    /// Its money is held.
    Approved,
    /// It was refused.
    Declined,
    /// Its money was taken.
    Captured,
    /// Nothing is held.
    Voided,
}

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing has arrived under the key.
    NotFound(Uuid),
    /// The payment's key was used for another body.
    PaymentKeyReused,
    /// The refund's key was used for another body.
    RefundKeyReused,
    /// The amount, or its currency, is not the payment's.
    OtherAmount(Amount),
    /// Only so much is left to give back.
    NotRefundable {
        /// The payment's key.
        key: Uuid,
        /// In minor units.
        left: i64,
    },
    /// The limit of payments, this many, is reached.
    Full(usize),
}

/// All payments.
#[derive(Debug)]
pub struct Ledger {
    payments: Vec<Payment>,
    places: HashMap<Uuid, usize>,
    payments_max: usize,
}

impl Payment {
    /// Where it is in its life at an instant.
    #[must_use]
    pub fn state(&self, now: Millis) -> State {
        match self.state {
            Decided::Approved if now < self.due_at() => State::Pending,
            Decided::Approved => State::Approved,
            Decided::Declined => State::Declined,
            Decided::Captured => State::Captured,
            Decided::Voided => State::Voided,
        }
    }

    /// When it is decided.
    #[must_use]
    pub fn due_at(&self) -> Millis {
        match self.asked.map(|asked| asked.token) {
            Some(Token::Slow(wait)) => {
                let wait = Millis::try_from(wait.as_millis()).unwrap_or(Millis::MAX);
                self.created_at.saturating_add(wait)
            }
            _ => self.created_at,
        }
    }

    /// How much was given back, in minor units.
    #[must_use]
    pub fn refunded(&self) -> i64 {
        if self.declines_refunds() {
            return 0;
        }
        self.refunds
            .iter()
            .map(|(_, part)| part.minor_units())
            .sum()
    }

    /// Whether nothing of it can be given back this way.
    #[must_use]
    pub fn declines_refunds(&self) -> bool {
        self.asked
            .is_some_and(|asked| asked.token == Token::DeclineRefund)
    }
}

impl Ledger {
    /// An empty ledger for at most this many payments.
    #[must_use]
    pub fn new(payments_max: usize) -> Self {
        Self {
            payments: Vec::new(),
            places: HashMap::new(),
            payments_max,
        }
    }

    /// A payment by its key.
    #[must_use]
    pub fn get(&self, key: Uuid) -> Option<&Payment> {
        self.places.get(&key).map(|place| &self.payments[*place])
    }

    /// The payments from a place on, in the order in which their keys arrived.
    #[must_use]
    pub fn from_place(&self, place: usize) -> &[Payment] {
        self.payments.get(place..).unwrap_or_default()
    }

    /// The event for an Authorize; none for a repeat.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub fn authorize(
        &self,
        key: Uuid,
        asked: Asked,
        at: Millis,
    ) -> Result<Option<LedgerEvent>, Refusal> {
        match self.get(key) {
            Some(payment) => match payment.asked {
                Some(before) if before != asked => Err(Refusal::PaymentKeyReused),
                _ => Ok(None),
            },
            None => self.room().map(|()| {
                let Asked { token, amount } = asked;
                Some(LedgerEvent::Authorize {
                    key,
                    token,
                    amount,
                    at,
                })
            }),
        }
    }

    /// The event for a Capture; none if no money is held.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub fn capture(
        &self,
        key: Uuid,
        amount: Amount,
        now: Millis,
    ) -> Result<Option<LedgerEvent>, Refusal> {
        let payment = self.get(key).ok_or(Refusal::NotFound(key))?;
        match payment.asked {
            Some(asked) if asked.amount != amount => Err(Refusal::OtherAmount(asked.amount)),
            _ if payment.state(now) == State::Approved => Ok(Some(LedgerEvent::Capture { key })),
            _ => Ok(None),
        }
    }

    /// The event for a Void; none if the payment holds no money, and
    /// will not.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub fn void(&self, key: Uuid, at: Millis) -> Result<Option<LedgerEvent>, Refusal> {
        match self.get(key).map(|payment| payment.state) {
            None => self.room().map(|()| Some(LedgerEvent::Void { key, at })),
            Some(Decided::Approved) => Ok(Some(LedgerEvent::Void { key, at })),
            Some(Decided::Declined | Decided::Captured | Decided::Voided) => Ok(None),
        }
    }

    /// The event for a Refund; none for a repeat.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub fn refund(
        &self,
        key: Uuid,
        refund_key: Uuid,
        amount: Amount,
    ) -> Result<Option<LedgerEvent>, Refusal> {
        let payment = self.get(key).ok_or(Refusal::NotFound(key))?;
        let copy = payment.refunds.iter().find(|(key, _)| *key == refund_key);
        match (copy, payment.asked) {
            (Some((_, before)), _) if *before == amount => return Ok(None),
            (Some(_), _) => return Err(Refusal::RefundKeyReused),
            (None, Some(asked)) if asked.amount.currency() != amount.currency() => {
                return Err(Refusal::OtherAmount(asked.amount));
            }
            (None, _) => {}
        }
        let left = payment.left();
        if amount.minor_units() > left {
            return Err(Refusal::NotRefundable { key, left });
        }
        Ok(Some(LedgerEvent::Refund {
            key,
            refund_key,
            amount,
        }))
    }

    /// Applies an event that was decided on, or was applied before. An event that does not follow
    /// from those before it changes nothing and is an error that says why.
    ///
    /// # Errors
    ///
    /// If it does not follow.
    pub fn apply(&mut self, event: &LedgerEvent) -> Result<(), &'static str> {
        match *event {
            LedgerEvent::Authorize {
                key,
                token,
                amount,
                at,
            } => {
                let state = match token {
                    Token::Decline => Decided::Declined,
                    _ => Decided::Approved,
                };
                self.insert(key, Some(Asked { token, amount }), state, at)
            }
            LedgerEvent::Capture { key } => {
                let payment = self.approved(key)?;
                payment.state = match payment.asked.map(|asked| asked.token) {
                    Some(Token::DeclineCapture) => Decided::Declined,
                    _ => Decided::Captured,
                };
                Ok(())
            }
            LedgerEvent::Void { key, at } if !self.places.contains_key(&key) => {
                self.insert(key, None, Decided::Voided, at)
            }
            LedgerEvent::Void { key, .. } => {
                self.approved(key)?.state = Decided::Voided;
                Ok(())
            }
            LedgerEvent::Refund {
                key,
                refund_key,
                amount,
            } => {
                let payment = self.payment(key)?;
                if amount.minor_units() > payment.left() {
                    return Err("it gives back more than was taken");
                }
                payment.refunds.push((refund_key, amount));
                Ok(())
            }
        }
    }

    fn room(&self) -> Result<(), Refusal> {
        if self.payments.len() < self.payments_max {
            Ok(())
        } else {
            Err(Refusal::Full(self.payments_max))
        }
    }

    fn insert(
        &mut self,
        key: Uuid,
        asked: Option<Asked>,
        state: Decided,
        created_at: Millis,
    ) -> Result<(), &'static str> {
        self.room().map_err(|_| "it is one payment too many")?;
        if self.places.contains_key(&key) {
            return Err("its payment exists already");
        }
        self.places.insert(key, self.payments.len());
        self.payments.push(Payment {
            key,
            created_at,
            asked,
            refunds: Vec::new(),
            state,
        });
        Ok(())
    }

    fn payment(&mut self, key: Uuid) -> Result<&mut Payment, &'static str> {
        let place = self.places.get(&key).ok_or("its payment does not exist")?;
        Ok(&mut self.payments[*place])
    }

    fn approved(&mut self, key: Uuid) -> Result<&mut Payment, &'static str> {
        let payment = self.payment(key)?;
        if payment.state == Decided::Approved {
            Ok(payment)
        } else {
            Err("its payment holds no money")
        }
    }
}

impl Payment {
    /// How much can be given back, in minor units.
    fn left(&self) -> i64 {
        match (self.state, self.asked) {
            (Decided::Captured, Some(asked)) if self.refunds.len() < REFUNDS_PER_PAYMENT_MAX => {
                asked.amount.minor_units() - self.refunded()
            }
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests;
