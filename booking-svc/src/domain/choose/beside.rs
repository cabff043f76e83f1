//! Accessible seats with a companion for each, for a party that cannot sit together: wheelchair
//! spaces often stand alone, behind the last row or between two aisles.

use std::ops::Range;

use super::hall::{Hall, Kind};
use super::offer::Offer;
use super::{Party, Seating};

/// How far away a companion is near, in hundredths of a seat's width: across an aisle, or in the
/// row in front.
const NEAR: u64 = 400;
/// The factor for the distance to a row in front or behind: beside is better.
const ROWS_APART: u64 = 3;
/// How many positions before and after a seat are searched for a near one: a few rows.
const LOOKED_AT: u32 = 256;
/// For how many accessible seats that is done, the best first. For the others only their direct
/// neighbours are checked.
const LOOKED_FROM_MAX: usize = 1_000;

/// How close a companion can be. The closest is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Company {
    NextSeat,
    Near,
    SameSection,
    Elsewhere,
}

/// An accessible seat for each of the party who needs one, and a companion seat for each, or for as
/// many as possible: those without come after the first, who has the closest.
pub(super) fn pairs(offer: &Offer<'_>, party: Party, seating: Seating) -> Option<Vec<u32>> {
    let companions = party.count.checked_sub(party.accessible)?;
    let mut seats = Seats::of(offer);
    if seats.accessible.len() < party.accessible as usize
        || seats.others_in.iter().sum::<u32>() < companions
    {
        return None;
    }
    let mut chosen = Vec::new();
    for nth in 0..party.accessible {
        let first = chosen.first().copied();
        let accessible = seats.take_accessible(nth < companions, first, seating)?;
        chosen.push(accessible);
        if nth < companions {
            chosen.push(seats.take_companion(accessible)?);
        }
    }
    Some(chosen)
}

/// The seats that are on offer and not chosen yet.
struct Seats<'a> {
    hall: &'a Hall,
    /// The places of the accessible seats.
    accessible: Vec<u32>,
    /// By place, whether it is another one.
    others: Vec<bool>,
    /// By section, how many others it has.
    others_in: Vec<u32>,
}

impl<'a> Seats<'a> {
    fn of(offer: &Offer<'a>) -> Self {
        let hall = offer.hall;
        let mut seats = Self {
            hall,
            accessible: Vec::new(),
            others: vec![false; hall.seat_count()],
            others_in: vec![0; hall.section_count()],
        };
        for stretch in offer.stretches() {
            for place in stretch.places {
                if hall.kind(place) == Kind::Accessible {
                    seats.accessible.push(place);
                } else {
                    seats.others[place as usize] = true;
                    seats.others_in[stretch.section] += 1;
                }
            }
        }
        seats
    }

    /// The accessible seat with the closest companion seat; among equals the one nearest to the party's
    /// `first`, or to the stage while there is none. For SEATING_ANY the first in the layout.
    fn take_accessible(
        &mut self,
        with_companion: bool,
        first: Option<u32>,
        seating: Seating,
    ) -> Option<u32> {
        let hall = self.hall;
        self.accessible.sort_by_key(|place| match (seating, first) {
            (Seating::Anywhere, _) => (false, 0, *place),
            (_, Some(first)) => {
                let is_elsewhere = hall.section_of(first) != hall.section_of(*place);
                (is_elsewhere, apart(hall, first, *place), *place)
            }
            (_, None) => (false, hall.distance(&(*place..place + 1)), *place),
        });
        let mut best: Option<(Company, usize)> = None;
        for (at, place) in self.accessible.iter().enumerate() {
            let company = match with_companion {
                true => self.company(*place, at < LOOKED_FROM_MAX),
                false => Company::NextSeat,
            };
            if best.is_none_or(|(known, _)| company < known) {
                best = Some((company, at));
            }
            if company == Company::NextSeat {
                break;
            }
        }
        best.map(|(_, at)| self.accessible.remove(at))
    }

    fn company(&self, place: u32, looks_around: bool) -> Company {
        let section = self.hall.section_of(place);
        if self.others_in[section] == 0 {
            return Company::Elsewhere;
        }
        if self.next_to(place).next().is_some() {
            return Company::NextSeat;
        }
        let around = self.hall.places_of(section);
        let around = around.start.max(place.saturating_sub(LOOKED_AT))
            ..around.end.min(place.saturating_add(LOOKED_AT + 1));
        let is_near = |other: u32| apart(self.hall, place, other) <= NEAR * NEAR;
        if looks_around && self.others_among(around).any(is_near) {
            return Company::Near;
        }
        Company::SameSection
    }

    /// The closest other seat: one for companions rather than another that is as close.
    fn take_companion(&mut self, accessible: u32) -> Option<u32> {
        let hall = self.hall;
        let is_ordinary = |place: u32| hall.kind(place) != Kind::Companion;
        let closeness =
            |place: &u32| (apart(hall, accessible, *place), is_ordinary(*place), *place);
        let in_section = hall.places_of(hall.section_of(accessible));
        let next = self
            .next_to(accessible)
            .min_by_key(|place| is_ordinary(*place));
        let found = next
            .or_else(|| self.others_among(in_section).min_by_key(closeness))
            .or_else(|| {
                let all = 0..u32::try_from(self.others.len()).unwrap_or(u32::MAX);
                self.others_among(all).min_by_key(closeness)
            })?;
        self.others[found as usize] = false;
        self.others_in[hall.section_of(found)] -= 1;
        Some(found)
    }

    /// The other seats next to this one, with no aisle between.
    fn next_to(&self, place: u32) -> impl Iterator<Item = u32> {
        let run = self.hall.run_of(place);
        let beside = [place.wrapping_sub(1), place + 1].into_iter();
        beside.filter(move |place| run.contains(place) && self.others[*place as usize])
    }

    fn others_among(&self, places: Range<u32>) -> impl Iterator<Item = u32> {
        places.filter(|place| self.others[*place as usize])
    }
}

/// The square of the distance between two seats, for a companion.
fn apart(hall: &Hall, one: u32, other: u32) -> u64 {
    let (one, other) = (hall.point(one), hall.point(other));
    let across = u64::from(one.x.abs_diff(other.x));
    let rows = ROWS_APART * u64::from(one.y.abs_diff(other.y));
    across.pow(2) + rows.pow(2)
}
