//! The persons who book: fewer than customers, each under any of their names, and the quota that a
//! show sets for one of them.

use std::collections::{BTreeMap, BTreeSet};

use proto::booking::v1::reserve_seats_request::Customer as Name;

use super::ask::Reserve;
use super::booking::Booking;
use super::hall::{Hall, Instant};
use super::rejection::Rejection;
use super::replay::Moment;
use super::show::Terms;
use crate::customers::{by, client_of, new};
use crate::stage::Stage;

/// How many of them are customers of CustomerService.
const LINKED: usize = 3;

/// A person who books.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) names: Vec<Name>,
    /// The id as a customer of CustomerService.
    linked: Option<String>,
}

/// Persons with a customer record, and one without.
pub(super) async fn of(stage: &Stage) -> Vec<Person> {
    let stranger = Person {
        names: vec![Name::CustomerId("stranger".to_owned())],
        linked: None,
    };
    let mut people = vec![stranger];
    let mut customers = client_of(&stage.system.booking);
    for number in 0..LINKED {
        let email = format!("person-{number}@example.org");
        let id = new(&mut customers, by(&email)).await.customer_id;
        people.push(Person {
            names: vec![Name::Email(email), Name::CustomerId(id.clone())],
            linked: Some(id),
        });
    }
    people
}

impl Terms {
    /// The customer of CustomerService that goes by a name.
    pub(super) fn linked(&self, name: &Name) -> Option<&str> {
        let person = self.people.iter().find(|p| p.names.contains(name))?;
        person.linked.as_deref()
    }

    pub(super) fn are_one(&self, name: &Name, other: &Name) -> bool {
        name == other || self.linked(name).is_some() && self.linked(name) == self.linked(other)
    }
}

impl Hall {
    /// The seats and places of each live booking of a person, under any name.
    fn had_by(&self, name: &Name, now: Instant) -> BTreeMap<&str, i32> {
        let is_own = |b: &&Booking| b.is_live(now) && self.terms.are_one(&b.customer, name);
        let own = self.bookings.values().filter(is_own);
        own.map(|b| (&*b.id, b.has.count())).collect()
    }

    /// That a person would have more than the show lets one have.
    pub(super) fn too_many(&self, name: &Name, more: i32, now: Instant) -> Option<Rejection> {
        let limit = self.terms.places_max?;
        let taken: i32 = self.had_by(name, now).values().sum();
        (taken + more > limit).then_some(Rejection::TooManyPlaces {
            limit,
            taken,
            left: (limit - taken).max(0),
        })
    }
}

/// Whether a person can have been counted with this many. Their bookings are not locked: each is
/// counted as it was at some moment of the call, while others return theirs.
pub(super) fn was_counted(asked: &Reserve, taken: i32, met: &[(&Moment, Vec<Instant>)]) -> bool {
    let Some(name) = &asked.customer else {
        return false;
    };
    let seen = met.iter().flat_map(|(moment, times)| {
        let seen_at = |at: &Instant| moment.hall.had_by(name, *at);
        times.iter().map(seen_at)
    });
    let seen: Vec<_> = seen.collect();
    let ids: BTreeSet<&str> = seen.iter().flat_map(BTreeMap::keys).copied().collect();
    let (mut least, mut most) = (0, 0);
    for id in ids {
        let counts = seen.iter().map(|had| had.get(id).copied().unwrap_or(0));
        least += counts.clone().min().unwrap_or(0);
        most += counts.max().unwrap_or(0);
    }
    (least..=most).contains(&taken)
}
