//! Prices between the contract and the model.

use model::{Currency, PRICE_MAX, PriceDescription, PriceTier, RowRef};
use prost::Message;
use proto::catalog::v1 as pb;
use proto::money::v1::Money;
use service_kit::FieldViolations;

/// The most bytes of a show's tiers in an answer, which may have them twice, and two layouts.
pub(super) const PRICES_BYTES_MAX: usize = 384 * 1024;

/// The prices that a CreateShow has: tiers, or one price for everything, or nothing for everything.
pub(super) fn parse_either(
    violations: &mut FieldViolations,
    tiers: Vec<pb::PriceTier>,
    seat_price: Option<&Money>,
) -> Option<PriceDescription> {
    if tiers.is_empty() {
        let mut parser = Parser::new(violations);
        let price = parser.price("seat_price", seat_price)?;
        return Some(PriceDescription::single(parser.currency()?, price));
    }
    if seat_price.is_some() {
        violations.add("seat_price", "must not be set together with price_tiers");
    }
    parse(violations, tiers)
}

/// Price tiers, or violations of their amounts and currencies.
pub(super) fn parse(
    violations: &mut FieldViolations,
    tiers: Vec<pb::PriceTier>,
) -> Option<PriceDescription> {
    if tiers.is_empty() {
        violations.add("price_tiers", "must be set");
    }
    let mut parser = Parser::new(violations);
    let tiers = tiers.into_iter().enumerate();
    let tiers: Vec<_> = tiers.map(|(t, tier)| parser.tier(t, tier)).collect();
    let currency = parser.currency()?;
    let tiers = tiers.into_iter().collect::<Option<_>>()?;
    let mut prices = PriceDescription { currency, tiers };
    prices.normalize();
    let bytes: usize = write(&prices).iter().map(Message::encoded_len).sum();
    if bytes > PRICES_BYTES_MAX {
        let message = format!(
            "take {bytes} bytes, at most {PRICES_BYTES_MAX} are allowed: name sections or rows \
             rather than seats"
        );
        parser.violations.add("price_tiers", message);
        return None;
    }
    Some(prices)
}

/// Converts prices; values that the model cannot express become violations.
struct Parser<'a> {
    violations: &'a mut FieldViolations,
    /// That of the first price which has one.
    currency: Option<Currency>,
    /// Whether a price has an invalid currency.
    is_wrong: bool,
}

impl<'a> Parser<'a> {
    fn new(violations: &'a mut FieldViolations) -> Self {
        Self {
            violations,
            currency: None,
            is_wrong: false,
        }
    }

    /// The currency of all prices; [`Currency::NONE`] if none of them is given.
    fn currency(&self) -> Option<Currency> {
        self.currency.or((!self.is_wrong).then_some(Currency::NONE))
    }

    fn tier(&mut self, t: usize, tier: pb::PriceTier) -> Option<PriceTier> {
        let price = self.price(&format!("price_tiers[{t}].price"), tier.price.as_ref());
        let names = |names: Vec<String>| names.into_iter().map(Into::into).collect();
        let row = |row: pb::RowName| RowRef {
            section: row.section.into(),
            row: row.row.into(),
        };
        Some(PriceTier {
            name: tier.name.into(),
            price: price?,
            sections: names(tier.sections),
            rows: tier.rows.into_iter().map(row).collect(),
            seat_labels: names(tier.seat_labels),
            areas: names(tier.areas),
        })
    }

    /// A price in the one currency of the show; 0 if it is not given.
    fn price(&mut self, path: &str, money: Option<&Money>) -> Option<i64> {
        let Some(money) = money else {
            return Some(0);
        };
        let currency_path = format!("{path}.currency_code");
        let currency = Currency::of_price(&money.currency_code);
        let currency = self.violations.take(&currency_path, currency);
        self.is_wrong |= currency.is_none();
        match (self.currency, currency) {
            (Some(first), Some(other)) if first != other => {
                let message = format!("must be {first} as in the prices before it");
                self.violations.add(currency_path, message);
            }
            (None, Some(first)) => self.currency = Some(first),
            _ => {}
        }
        let max = match currency {
            Some(Currency::NONE) => 0,
            _ => PRICE_MAX,
        };
        let is_price = (0..=max).contains(&money.minor_units);
        if !is_price {
            let message = match max {
                0 => format!("must be 0 in {}, which is no currency", Currency::NONE),
                max => format!("must be 0 to {max}"),
            };
            self.violations.add(format!("{path}.minor_units"), message);
        }
        is_price.then_some(money.minor_units)
    }
}

/// Prices as the contract writes them.
pub(super) fn write(prices: &PriceDescription) -> Vec<pb::PriceTier> {
    let tiers = prices.tiers.iter();
    tiers
        .map(|tier| write_tier(tier, prices.currency))
        .collect()
}

fn write_tier(tier: &PriceTier, currency: Currency) -> pb::PriceTier {
    let names = |names: &[Box<str>]| names.iter().map(ToString::to_string).collect();
    let row = |row: &RowRef| pb::RowName {
        section: row.section.to_string(),
        row: row.row.to_string(),
    };
    pb::PriceTier {
        name: tier.name.to_string(),
        price: Some(Money {
            minor_units: tier.price,
            currency_code: currency.to_string(),
        }),
        sections: names(&tier.sections),
        rows: tier.rows.iter().map(row).collect(),
        seat_labels: names(&tier.seat_labels),
        areas: names(&tier.areas),
    }
}
