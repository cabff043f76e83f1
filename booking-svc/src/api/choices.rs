//! The choices of a reserve: parsing them, and their errors.

use std::collections::HashSet;
use std::num::NonZeroU8;

use model::{Currency, PRICE_MAX};
use proto::booking::v1 as pb;
use proto::money::v1::Money;
use service_kit::{ApiError, FieldViolations};

use crate::domain::choose::{PARTY_MAX, Seating};
use crate::domain::{Choice, Misnamed};

/// The most choices of a request.
const CHOICES_MAX: usize = 10;
/// The most accessible seats of a choice: few ways to sit are left to many of them, and finding
/// the best takes long.
const ACCESSIBLE_MAX: u8 = 8;
/// The most price tiers of a choice.
const TIERS_MAX: usize = 50;

/// For how many people all of them are.
pub(super) fn seat_count(choices: &[pb::SeatChoice]) -> usize {
    let counts = choices
        .iter()
        .map(|choice| usize::try_from(choice.count).unwrap_or(0));
    counts.sum()
}

/// Brings the names in a choice into the form in which the show has them.
pub(super) fn normalize(choice: &mut pb::SeatChoice) {
    model::normalize(&mut choice.section);
    choice.price_tiers.iter_mut().for_each(model::normalize);
}

/// The valid choices; invalid ones become violations.
pub(super) fn parse(choices: &[pb::SeatChoice], violations: &mut FieldViolations) -> Vec<Choice> {
    if choices.len() > CHOICES_MAX {
        violations.add("choices", format!("has more than {CHOICES_MAX} choices"));
        return Vec::new();
    }
    let numbered = choices.iter().enumerate();
    let parsed =
        numbered.map(|(place, said)| choice(&format!("choices[{place}]"), said, violations));
    parsed.flatten().collect()
}

fn choice(path: &str, said: &pb::SeatChoice, violations: &mut FieldViolations) -> Option<Choice> {
    let count = u8::try_from(said.count).ok().filter(|n| *n <= PARTY_MAX);
    let count = violations.take(
        &format!("{path}.count"),
        count
            .and_then(NonZeroU8::new)
            .ok_or(format!("must be 1 to {PARTY_MAX}")),
    );
    let accessible_max = count.map_or(ACCESSIBLE_MAX, |count| count.get().min(ACCESSIBLE_MAX));
    let accessible = u8::try_from(said.accessible_count).ok();
    let accessible = violations.take(
        &format!("{path}.accessible_count"),
        accessible
            .filter(|n| *n <= accessible_max)
            .ok_or(format!("must be 0 to {accessible_max}")),
    );
    let seating = match pb::Seating::try_from(said.seating) {
        Ok(pb::Seating::Unspecified | pb::Seating::Best) => Ok(Seating::Best),
        Ok(pb::Seating::Together) => Ok(Seating::Together),
        Ok(pb::Seating::Any) => Ok(Seating::Anywhere),
        Err(_) => Err("is not a known seating"),
    };
    let seating = violations.take(&format!("{path}.seating"), seating);
    tiers(
        &format!("{path}.price_tiers"),
        &said.price_tiers,
        violations,
    );
    let price_max = said.price_max.as_ref();
    let price_max =
        price_max.and_then(|price| money(&format!("{path}.price_max"), price, violations));
    Some(Choice {
        count: count?,
        accessible: accessible?,
        section: Some(said.section.clone()).filter(|name| !name.is_empty()),
        tiers: said.price_tiers.clone(),
        price_max,
        seating: seating?,
    })
}

fn tiers(path: &str, names: &[String], violations: &mut FieldViolations) {
    if names.len() > TIERS_MAX {
        violations.add(path, format!("has more than {TIERS_MAX} tiers"));
        return;
    }
    let mut seen = HashSet::new();
    for (place, name) in names.iter().enumerate() {
        if !seen.insert(name) {
            violations.add(format!("{path}[{place}]"), "is listed twice");
        }
    }
}

fn money(path: &str, price: &Money, violations: &mut FieldViolations) -> Option<(i64, Currency)> {
    let minor_units = Some(price.minor_units).filter(|units| (0..=PRICE_MAX).contains(units));
    let minor_units = violations.take(
        &format!("{path}.minor_units"),
        minor_units.ok_or(format!("must be 0 to {PRICE_MAX}")),
    );
    let currency = violations.take(
        &format!("{path}.currency_code"),
        Currency::of_price(&price.currency_code),
    );
    Some((minor_units?, currency?))
}

/// INVALID_ARGUMENT for names that the show does not have.
pub(super) fn misnamed(misnamed: Vec<(usize, Misnamed)>) -> ApiError {
    let mut violations = FieldViolations::default();
    for (place, what) in misnamed {
        let path = format!("choices[{place}]");
        match what {
            Misnamed::Section => {
                violations.add(format!("{path}.section"), "names no section of the show");
            }
            Misnamed::Tier(tier) => violations.add(
                format!("{path}.price_tiers[{tier}]"),
                "names no price tier of the show",
            ),
            Misnamed::Currency(currency) => violations.add(
                format!("{path}.price_max.currency_code"),
                format!("must be {currency}, as the show's prices are"),
            ),
        }
    }
    violations.into_error()
}
