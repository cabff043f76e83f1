//! Makes up requests of customers.

use std::collections::BTreeSet;

use proto::booking::v1::{Booking as BookingReply, Seating};
use uuid::Uuid;

use super::ask::{Ask, Paid, Reserve};
use super::choice::Choice;
use super::dice::Dice;
use super::payments::TOKENS;
use super::people::Person;
use super::show::{CAPACITY, Lot, Terms, all_labels, row_of};

/// The longest hold there is, in seconds: too long for one that is extended.
const HOLD_SECONDS_MAX: usize = 1_800;

/// A customer's mind.
#[derive(Debug)]
pub(super) struct Ideas {
    person: Person,
    pays: bool,
    pub(super) dice: Dice,
}

impl Ideas {
    /// The mind of one customer of a run.
    pub(super) fn of(number: usize, pays: bool, seed: u64, terms: &Terms) -> Self {
        Self {
            person: terms.people[number % terms.people.len()].clone(),
            pays,
            dice: Dice::new(seed, number),
        }
    }

    /// A request id, mostly; a call that pays always has one.
    pub(super) fn request_id(&mut self, ask: &Ask) -> Option<Uuid> {
        let needs_one = ask.token().is_some();
        (needs_one || self.dice.percent(75)).then(|| self.dice.uuid())
    }

    /// One of these; mostly one that was live in its reply.
    pub(super) fn a_booking(
        &mut self,
        mut replies: Vec<BookingReply>,
        recent: usize,
    ) -> Option<BookingReply> {
        if self.dice.percent(80) {
            replies.retain(|reply| reply.cancel_time.is_none() && reply.fail_time.is_none());
        }
        self.dice.pick_recent(&replies, recent)
    }

    /// Something to ask for, perhaps of this booking.
    pub(super) fn make_up(&mut self, booking: Option<BookingReply>) -> Ask {
        let verb = self.dice.below(100);
        let (Some(booking), 35..) = (booking, verb) else {
            return Ask::Reserve(self.reserve());
        };
        let etag = self.etag(&booking);
        let own = Lot::of(&booking);
        let booking = booking.booking_id;
        match verb {
            35..57 => Ask::Confirm {
                booking,
                etag,
                paid: self.paid(),
            },
            57..67 => Ask::Cancel {
                booking,
                etag,
                given: Lot::default(),
            },
            67..76 => Ask::Cancel {
                booking,
                etag,
                given: self.a_part_of(&own),
            },
            76..83 => Ask::Extend {
                booking,
                etag,
                hold_seconds: self.hold(),
            },
            _ if own.seats.is_empty() => Ask::Cancel {
                booking,
                etag,
                given: self.a_part_of(&own),
            },
            _ => {
                let from = self.some_of(&own.seats, 2);
                let to = if self.dice.percent(30) {
                    self.dear_ones(from.len())
                } else {
                    self.labels(from.len())
                };
                Ask::Swap {
                    booking,
                    etag,
                    from,
                    to,
                }
            }
        }
    }

    /// A request whose outcome depends on whether a hold has ended.
    pub(super) fn at_the_end_of(&mut self, booking: &BookingReply) -> Ask {
        if self.dice.percent(30) {
            return Ask::Confirm {
                booking: booking.booking_id.clone(),
                etag: String::new(),
                paid: self.paid(),
            };
        }
        Ask::Reserve(Reserve {
            wanted: Lot::of(booking),
            choices: Vec::new(),
            ..self.reserve()
        })
    }

    fn reserve(&mut self) -> Reserve {
        let confirm = self.dice.percent(if self.pays { 3 } else { 25 });
        let choices = if self.dice.percent(25) {
            (0..1 + self.dice.below(2)).map(|_| self.choice()).collect()
        } else {
            Vec::new()
        };
        let only_chosen = !choices.is_empty() && self.dice.percent(60);
        Reserve {
            wanted: if only_chosen {
                Lot::default()
            } else {
                self.lot()
            },
            choices,
            customer: Some(self.dice.pick(&self.person.names).clone()),
            hold_seconds: self.dice.percent(50).then(|| self.hold()),
            confirm,
            reference: if confirm {
                self.reference()
            } else {
                String::new()
            },
        }
    }

    /// Seats, places, or both.
    fn lot(&mut self) -> Lot {
        let kind = self.dice.below(10);
        let count = 1 + self.dice.below(3);
        Lot {
            seats: if kind < 7 {
                self.labels(count)
            } else {
                BTreeSet::new()
            },
            places: if kind < 5 { 0 } else { self.places() },
        }
    }

    fn choice(&mut self) -> Choice {
        let seatings = [Seating::Best, Seating::Together, Seating::Any];
        let sections = [None, None, Some("Stalls"), Some("Balcony")];
        let tiers = [None, None, Some("Front"), Some("Back")];
        Choice {
            count: 1 + self.dice.below(3),
            seating: *self.dice.pick(&seatings),
            section: *self.dice.pick(&sections),
            tier: *self.dice.pick(&tiers),
            price_max: self.dice.percent(10).then_some(1_500),
        }
    }

    /// A few places, and now and then more than there are.
    fn places(&mut self) -> i32 {
        if self.dice.percent(3) {
            return CAPACITY + 1;
        }
        1 + i32::try_from(self.dice.below(3)).expect("it is small")
    }

    fn etag(&mut self, booking: &BookingReply) -> String {
        match self.dice.below(10) {
            0..6 => String::new(),
            6..9 => booking.etag.clone(),
            _ => format!("v{}", 1 + self.dice.below(4)),
        }
    }

    /// As one does there, and now and then not.
    fn paid(&mut self) -> Paid {
        if self.dice.percent(5) == self.pays {
            return Paid::Elsewhere(self.reference());
        }
        let all = TOKENS.len();
        let few = if self.dice.percent(90) { all - 2 } else { all };
        Paid::Here(self.dice.pick::<&str>(&TOKENS[..few]))
    }

    fn reference(&mut self) -> String {
        let number = self.dice.below(6);
        if number < 4 {
            String::new()
        } else {
            format!("paid-{number}")
        }
    }

    fn hold(&mut self) -> i64 {
        let seconds = match self.dice.below(10) {
            0..5 => 10 + self.dice.below(10),
            5..8 => 10 + self.dice.below(HOLD_SECONDS_MAX - 9),
            _ => HOLD_SECONDS_MAX,
        };
        i64::try_from(seconds).expect("it is small")
    }

    /// Some seats or places or both of a booking, and now and then others.
    fn a_part_of(&mut self, own: &Lot) -> Lot {
        let with_places = own.places > 0 && self.dice.percent(60);
        let with_seats = !with_places || !own.seats.is_empty() && self.dice.percent(30);
        Lot {
            seats: if with_seats {
                self.some_of(&own.seats, 2)
            } else {
                BTreeSet::new()
            },
            places: if with_places { self.places() } else { 0 },
        }
    }

    /// Some of a booking's own, and now and then another.
    fn some_of(&mut self, own: &BTreeSet<String>, most: usize) -> BTreeSet<String> {
        if own.is_empty() || self.dice.percent(10) {
            return self.labels(1);
        }
        let count = 1 + self.dice.below(most);
        let own: Vec<_> = own.iter().cloned().collect();
        self.dice.some(&own, count).into_iter().collect()
    }

    /// `count` of the most expensive ones.
    fn dear_ones(&mut self, count: usize) -> BTreeSet<String> {
        let mut labels = all_labels();
        labels.retain(|label| row_of(label).is_some_and(|row| row.tier == "Front"));
        self.dice.some(&labels, count).into_iter().collect()
    }

    /// `count` labels of the hall, and now and then one that it does not have.
    fn labels(&mut self, count: usize) -> BTreeSet<String> {
        let mut labels = self.dice.some(&all_labels(), count);
        if self.dice.percent(2) {
            labels[0] = "Z-9".to_owned();
        }
        labels.into_iter().collect()
    }
}
