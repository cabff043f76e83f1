//! Money: `i64` minor units and an ISO 4217 code.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The highest price of one seat, in minor units: 100 seats of it still fit an `i64` with
/// room to spare.
pub const PRICE_MAX: i64 = 1_000_000_000_000;

/// The currencies of ISO 4217 that people pay with, by how many digits their minor unit has.
/// Metals, funds, units of account and the codes for tests and for none are not among them.
const CODES: [(u8, &str); 3] = [
    (
        0,
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    ),
    (
        2,
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN \
     BZD CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP \
     GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD \
     KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN \
     NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG \
     SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH \
     USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG",
    ),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
];

/// A currency by its ISO 4217 code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

/// A text that is no currency's code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be the ISO 4217 code of a currency, such as \"EUR\"")]
pub struct MoneyError;

impl Currency {
    /// The currency of free shows: ISO 4217's code for no currency. Nothing can be paid
    /// in it, so only [`Self::of_price`] parses it.
    pub const NONE: Self = Self(*b"XXX");

    /// The currency of a price: one that people pay with, or [`Self::NONE`].
    ///
    /// # Errors
    ///
    /// If the text is neither's code.
    pub fn of_price(code: &str) -> Result<Self, MoneyError> {
        if code == Self::NONE.as_str() {
            return Ok(Self::NONE);
        }
        code.parse()
    }

    /// The code, as "EUR".
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// How many digits the minor unit has: 2 for EUR (100 cents), 0 for JPY.
    #[must_use]
    pub fn minor_digits(&self) -> u8 {
        minor_digits(self.as_str()).unwrap_or_default()
    }
}

/// Of a currency that there is.
fn minor_digits(code: &str) -> Option<u8> {
    let has = |codes: &str| codes.split_ascii_whitespace().any(|known| known == code);
    CODES
        .iter()
        .find(|(_, codes)| has(codes))
        .map(|(digits, _)| *digits)
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(code: &str) -> Result<Self, MoneyError> {
        match code.as_bytes() {
            &[a, b, c] if minor_digits(code).is_some() => Ok(Self([a, b, c])),
            _ => Err(MoneyError),
        }
    }
}

impl TryFrom<String> for Currency {
    type Error = MoneyError;

    /// A stored currency, which need not be in use any more.
    fn try_from(code: String) -> Result<Self, MoneyError> {
        match code.as_bytes() {
            &[a, b, c] if code.bytes().all(|b| b.is_ascii_uppercase()) => Ok(Self([a, b, c])),
            _ => Err(MoneyError),
        }
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_currency_is_one_that_people_pay_with() {
        for (code, digits) in [("EUR", 2), ("JPY", 0), ("KWD", 3), ("ZWG", 2), ("XOF", 0)] {
            let currency: Currency = code.parse().expect(code);
            assert_eq!((currency.as_str(), currency.minor_digits()), (code, digits));
        }
        for bad in [
            "", "eur", "EU", "EURO", "E R", "ÄÖ", "EUR ", "XXZ", "XXX", "XTS", "XAU", "XDR", "R U",
        ] {
            assert_eq!(bad.parse::<Currency>(), Err(MoneyError), "{bad:?}");
        }
    }

    #[test]
    fn only_a_price_can_be_in_no_currency() {
        assert_eq!(Currency::of_price("XXX"), Ok(Currency::NONE));
        assert_eq!(Currency::of_price("EUR"), "EUR".parse());
        assert_eq!(Currency::of_price("XTS"), Err(MoneyError));
        assert_eq!("XXX".parse::<Currency>(), Err(MoneyError));
        assert_eq!(Currency::NONE.minor_digits(), 0);
    }

    #[test]
    fn a_stored_amount_in_a_former_currency_is_read() {
        let read = |code: &str| Currency::try_from(code.to_owned());
        assert_eq!(
            read("DEM").map(|currency| currency.to_string()),
            Ok("DEM".to_owned())
        );
        assert!("DEM".parse::<Currency>().is_err());
        assert!(read("dem").is_err() && read("DEMO").is_err());
    }

    #[test]
    fn the_table_has_each_code_once() {
        let codes = || {
            CODES
                .iter()
                .flat_map(|(_, codes)| codes.split_ascii_whitespace())
        };
        assert_eq!(codes().collect::<HashSet<_>>().len(), codes().count());
        assert!(
            codes().all(|code| code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase()))
        );
    }
}
