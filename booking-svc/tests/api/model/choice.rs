//! Choices of seats: the requests, and their possible outcomes. The chosen seats cannot be predicted
//! here; but they must satisfy the request.

use std::collections::BTreeSet;

use proto::booking::v1::{SeatChoice, Seating};

use super::ask::Reserve;
use super::hall::Instant;
use super::replay::Moment;
use super::show::{all_labels, are_beside, money, row_of};

/// Seats for a party.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Choice {
    pub(super) count: usize,
    pub(super) seating: Seating,
    /// Any, if none; the same for the next two.
    pub(super) section: Option<&'static str>,
    pub(super) tier: Option<&'static str>,
    pub(super) price_max: Option<i64>,
}

impl Choice {
    /// The choice as a message.
    pub(super) fn asked(&self) -> SeatChoice {
        SeatChoice {
            count: i32::try_from(self.count).expect("it is small"),
            seating: self.seating.into(),
            section: self.section.unwrap_or_default().to_owned(),
            price_tiers: self.tier.iter().map(ToString::to_string).collect(),
            price_max: self.price_max.map(money),
            ..SeatChoice::default()
        }
    }

    fn suits(&self, label: &str) -> bool {
        row_of(label).is_some_and(|row| {
            self.section.is_none_or(|section| section == row.section)
                && self.tier.is_none_or(|tier| tier == row.tier)
                && self.price_max.is_none_or(|max| row.price <= max)
        })
    }

    /// Whether a party may be given these.
    fn is_met_by(&self, seats: &BTreeSet<String>) -> bool {
        seats.len() == self.count && self.largest_party(seats) == self.count
    }

    /// The largest party that could sit in these seats with the choice's seating.
    fn largest_party(&self, free: &BTreeSet<String>) -> usize {
        let (mut all, mut together, mut longest) = (0, 0, 0);
        let mut before: Option<String> = None;
        for label in all_labels() {
            if !free.contains(&label) || !self.suits(&label) {
                continue;
            }
            let goes_on = before.is_some_and(|before| are_beside(&before, &label));
            together = if goes_on { together + 1 } else { 1 };
            longest = longest.max(together);
            all += 1;
            before = Some(label);
        }
        if self.seating == Seating::Together {
            longest
        } else {
            all
        }
    }
}

/// Whether these seats satisfy the choices, each with separate seats.
pub(super) fn are_met(choices: &[Choice], seats: &BTreeSet<String>) -> bool {
    let Some((choice, others)) = choices.split_first() else {
        return seats.is_empty();
    };
    parts(seats, choice.count)
        .iter()
        .any(|part| choice.is_met_by(part) && are_met(others, &(seats - part)))
}

/// Every way to take `count` of these.
fn parts(of: &BTreeSet<String>, count: usize) -> Vec<BTreeSet<String>> {
    let mut all = vec![BTreeSet::new()];
    for _ in 0..count {
        let one_more = all.iter().flat_map(|part: &BTreeSet<String>| {
            let last = part.last();
            let later = of.iter().filter(move |label| Some(*label) > last);
            later.map(move |label| part.iter().chain([label]).cloned().collect())
        });
        all = one_more.collect();
    }
    all
}

/// Whether a choice can have had this largest party. Free seats are not
/// read under a lock: each seat counts as it was at some moment of the call. The seats that the other
/// choices of the call get first cannot be predicted.
pub(super) fn was_unavailable(
    asked: &Reserve,
    at: usize,
    largest: usize,
    met: &[(&Moment, Vec<Instant>)],
) -> bool {
    let Some(choice) = asked.choices.get(at) else {
        return false;
    };
    let named = &asked.wanted.seats;
    let free_at = |(moment, times): &(&Moment, Vec<Instant>)| -> Vec<BTreeSet<String>> {
        let free = |at: &Instant| {
            moment
                .hall
                .free_seats(*at)
                .difference(named)
                .cloned()
                .collect()
        };
        times.iter().map(free).collect()
    };
    let seen: Vec<BTreeSet<String>> = met.iter().flat_map(free_at).collect();
    let sometimes: BTreeSet<String> = seen.iter().flatten().cloned().collect();
    let mut always = sometimes.clone();
    always.retain(|label| seen.iter().all(|free| free.contains(label)));

    let others: usize = asked.choices.iter().map(|choice| choice.count).sum();
    let others = (others - choice.count).min(always.len());
    let worst = parts(&always, others)
        .iter()
        .map(|taken| choice.largest_party(&(&always - taken)))
        .min();
    largest < choice.count
        && worst.unwrap_or(0) <= largest
        && largest <= choice.largest_party(&sometimes)
}
