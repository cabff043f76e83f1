//! The layout in a CreateShow request: sections, or the short form.

use model::{
    Currency, PRICE_MAX, ROWS_MAX, SEATS_MAX, SECTIONS_MAX, SeatLayout, SeatRow, Seats, Section,
};
use proto::catalog::v1 as pb;
use proto::money::v1::Money;
use service_kit::FieldViolations;

/// The name of the one section of the short form.
const SHORT_FORM_SECTION: &str = "General";

/// The layout that a request describes, or notes of everything that is wrong with it.
pub(super) fn parse(
    violations: &mut FieldViolations,
    sections: Vec<pb::Section>,
    total_seats: i32,
    seat_price: Option<&Money>,
) -> Option<SeatLayout> {
    if sections.is_empty() {
        return short_form(violations, total_seats, seat_price);
    }
    if total_seats != 0 {
        violations.add("total_seats", "must not be set beside sections");
    }
    if seat_price.is_some() {
        violations.add("seat_price", "must not be set beside sections");
    }
    // The model says so too; but what is far too large is not even converted.
    let row_count: usize = sections.iter().map(|section| section.rows.len()).sum();
    if sections.len() > SECTIONS_MAX || row_count > ROWS_MAX {
        let message =
            format!("must be at most {SECTIONS_MAX} sections with {ROWS_MAX} rows in all");
        violations.add("sections", message);
        return None;
    }
    let mut parser = Parser {
        violations,
        currency: None,
    };
    let sections = parser.sections(sections);
    // Without any valid currency that problem was noted; the rest is checked under another.
    let currency = parser.currency.or_else(|| "XXX".parse().ok())?;
    check(violations, currency, sections)
}

fn short_form(
    violations: &mut FieldViolations,
    total_seats: i32,
    seat_price: Option<&Money>,
) -> Option<SeatLayout> {
    let count = u32::try_from(total_seats)
        .ok()
        .filter(|count| (1..=SEATS_MAX).contains(count));
    if count.is_none() {
        let message = format!("must be 1 to {SEATS_MAX}, unless sections are given");
        violations.add("total_seats", message);
    }
    let mut parser = Parser {
        violations,
        currency: None,
    };
    let price = parser.price("seat_price", seat_price);
    let currency = parser.currency;
    let (count, price, currency) = (count?, price?, currency?);
    let row = SeatRow {
        name: Box::default(),
        seats: Seats::Count(count),
    };
    let section = Section {
        name: SHORT_FORM_SECTION.into(),
        price,
        rows: vec![row],
    };
    check(violations, currency, vec![section])
}

fn check(
    violations: &mut FieldViolations,
    currency: Currency,
    sections: Vec<Section>,
) -> Option<SeatLayout> {
    match SeatLayout::new(currency, sections) {
        Ok(layout) => Some(layout),
        Err(problems) => {
            for problem in problems {
                violations.add(problem.path, problem.message);
            }
            None
        }
    }
}

/// Converts sections, noting what the model cannot express. What is wrong becomes something
/// valid, so that the model can tell of everything else at once.
struct Parser<'a> {
    violations: &'a mut FieldViolations,
    /// That of the first price which has one.
    currency: Option<Currency>,
}

impl Parser<'_> {
    fn sections(&mut self, sections: Vec<pb::Section>) -> Vec<Section> {
        let section = |(s, section): (usize, pb::Section)| {
            let path = format!("sections[{s}]");
            let price = self.price(&format!("{path}.price"), section.price.as_ref());
            let rows = section.rows.into_iter().enumerate();
            let rows = rows
                .map(|(r, row)| self.row(&format!("{path}.rows[{r}]"), row))
                .collect();
            Section {
                name: section.name.into(),
                price: price.unwrap_or_default(),
                rows,
            }
        };
        sections.into_iter().enumerate().map(section).collect()
    }

    fn row(&mut self, path: &str, row: pb::SeatRow) -> SeatRow {
        let count = u32::try_from(row.seat_count).unwrap_or_else(|_| {
            self.violations
                .add(format!("{path}.seat_count"), "must not be negative");
            1
        });
        if count != 0 && !row.seat_labels.is_empty() {
            self.violations
                .add(path, "must have either seat_count or seat_labels");
        }
        let seats = if row.seat_labels.is_empty() {
            Seats::Count(count)
        } else {
            Seats::Labels(row.seat_labels.into_iter().map(Into::into).collect())
        };
        SeatRow {
            name: row.name.into(),
            seats,
        }
    }

    /// A price in the one currency of the show.
    fn price(&mut self, path: &str, money: Option<&Money>) -> Option<i64> {
        let Some(money) = money else {
            self.violations.add(path, "must be set");
            return None;
        };
        let currency_path = format!("{path}.currency_code");
        let currency = self
            .violations
            .take(&currency_path, money.currency_code.parse());
        match (self.currency, currency) {
            (Some(first), Some(other)) if first != other => {
                let message = format!("must be {first} as in the prices before it");
                self.violations.add(currency_path, message);
            }
            (None, Some(first)) => self.currency = Some(first),
            _ => {}
        }
        let is_price = (0..=PRICE_MAX).contains(&money.minor_units);
        if !is_price {
            let message = format!("must be 0 to {PRICE_MAX}");
            self.violations.add(format!("{path}.minor_units"), message);
        }
        is_price.then_some(money.minor_units)
    }
}
