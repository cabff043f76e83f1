//! The amount of one payment or refund: the sum of a booking's prices, or a part of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Currency;

/// The largest amount of a payment, in minor units: 100 seats at the highest price.
pub const AMOUNT_MAX: i64 = 100_000_000_000_000;

/// An amount of money to pay: 1 to [`AMOUNT_MAX`] minor units of a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "(i64, Currency)", into = "(i64, Currency)")]
pub struct Amount {
    minor_units: i64,
    currency: Currency,
}

/// A number that is no amount to pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {AMOUNT_MAX} minor units")]
pub struct AmountError;

impl Amount {
    /// An amount in minor units of a currency.
    ///
    /// # Errors
    ///
    /// If they are 0, negative, or above the limit.
    pub fn new(minor_units: i64, currency: Currency) -> Result<Self, AmountError> {
        if (1..=AMOUNT_MAX).contains(&minor_units) {
            Ok(Self {
                minor_units,
                currency,
            })
        } else {
            Err(AmountError)
        }
    }

    /// How many minor units.
    #[must_use]
    pub fn minor_units(self) -> i64 {
        self.minor_units
    }

    /// Of which currency.
    #[must_use]
    pub fn currency(self) -> Currency {
        self.currency
    }
}

impl TryFrom<(i64, Currency)> for Amount {
    type Error = AmountError;

    fn try_from((minor_units, currency): (i64, Currency)) -> Result<Self, AmountError> {
        Self::new(minor_units, currency)
    }
}

impl From<Amount> for (i64, Currency) {
    fn from(amount: Amount) -> Self {
        (amount.minor_units, amount.currency)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.minor_units, self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_cannot_be_paid_nor_too_much() {
        let euro = "EUR".parse().expect("a currency");
        for bad in [i64::MIN, -1, 0, AMOUNT_MAX + 1] {
            assert_eq!(Amount::new(bad, euro), Err(AmountError), "{bad}");
        }
        for good in [1, AMOUNT_MAX] {
            let amount = Amount::new(good, euro).expect("an amount");
            assert_eq!(amount.minor_units(), good);
        }
        assert_eq!(AMOUNT_MAX, 100 * crate::PRICE_MAX);
    }

    #[test]
    fn an_amount_survives_its_text_and_a_bad_one_is_not_read() {
        let amount = Amount::new(1250, "EUR".parse().expect("a currency")).expect("an amount");
        let text = serde_json::to_string(&amount).expect("a text");
        assert_eq!(text, r#"[1250,"EUR"]"#);
        assert_eq!(serde_json::from_str::<Amount>(&text).ok(), Some(amount));
        assert!(serde_json::from_str::<Amount>(r#"[0,"EUR"]"#).is_err());
    }
}
