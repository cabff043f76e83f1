//! Seats that were picked, and orphans that a choice by label leaves.

use std::sync::Arc;

use uuid::Uuid;

use super::world::{NOW, World};
use crate::domain::choose::{Hall, Unmet};
use crate::domain::decide::{NotGranted, Outcome};
use crate::domain::order::{Command, Order};
use crate::domain::rejection::{Rejection, Taken};
use crate::domain::{OrphanRule, Picks, Surroundings};

const NONE: [u32; 0] = [];

impl World {
    fn under(rule: OrphanRule) -> Self {
        let mut world = Self::new();
        Arc::make_mut(&mut world.sale).terms.orphan_rule = rule;
        world
    }

    fn around(&self, ordinals: &[u32]) -> Option<Surroundings> {
        let sale = &self.sale;
        let hall = Hall::of(&sale.seats, &sale.prices, &sale.withdrawn);
        Some(Surroundings::of(Arc::new(hall), ordinals))
    }

    /// An order of which some ordinals were picked, the others named.
    fn picking(&self, request_id: u128, ordinals: &[u32], picked: &[u32]) -> Order {
        let mut order = self.reserve(request_id, ordinals);
        if let Command::Reserve(wanted) = &mut order.command {
            wanted.picks.ordinals = picked.to_vec();
            wanted.around = self.around(ordinals);
        }
        order
    }
}

fn orphans(outcome: &Outcome) -> &[u32] {
    &outcome.as_ref().expect("it is granted").orphans
}

#[test]
fn taken_picks_are_no_rejection_but_taken_named_seats_are() {
    let mut world = World::new();
    world.with_booking(&[0, 1], 60, false);
    world.with_booking(&[5], -1, false);
    let outcomes = world.decide(&[
        world.picking(1, &[1, 2], &[1, 2]),
        world.picking(2, &[0, 1, 5], &[1, 5]),
    ]);
    assert_eq!(outcomes[0], Err(NotGranted::PicksTaken(vec![1])));
    let taken = vec![("A-1".to_owned(), Taken::Held)];
    let rejection = Rejection::SeatsUnavailable(world.sale.show_id, taken);
    assert_eq!(outcomes[1], Err(NotGranted::Rejected(rejection)));
}

#[test]
fn a_choice_that_cannot_be_met_is_refused_unless_the_show_is_not_on_sale() {
    let mut world = World::new();
    let unmet = Unmet {
        wish: 2,
        largest_party: 3,
    };
    let mut order = world.reserve(1, &[]);
    if let Command::Reserve(wanted) = &mut order.command {
        wanted.picks = Picks {
            ordinals: Vec::new(),
            unmet: Some(unmet),
        };
    }
    let outcomes = world.decide(std::slice::from_ref(&order));
    let rejection = Rejection::ChoiceUnavailable(world.sale.show_id, unmet);
    assert_eq!(outcomes, [Err(NotGranted::Rejected(rejection))]);

    if let Command::Reserve(wanted) = &mut order.command {
        Arc::make_mut(&mut wanted.sale).terms.start_at = NOW;
    }
    // The first rejection is stored under its id.
    order.request_id = Uuid::from_u128(2);
    let outcomes = world.decide(&[order]);
    let started = Rejection::ShowStarted(world.sale.show_id, NOW);
    assert_eq!(outcomes, [Err(NotGranted::Rejected(started))]);
}

#[test]
fn strict_rejects_avoidable_orphans_and_warn_marks_them() {
    let mut world = World::under(OrphanRule::Strict);
    let avoidable = Rejection::OrphanSeats(world.sale.show_id, vec!["A-1".to_owned()]);
    let outcomes = world.decide(&[
        world.picking(1, &[1, 2], &[]),
        world.picking(2, &[4, 5], &[]),
        // Three of the four that are left: one remains in any case.
        world.picking(3, &[1, 2, 3], &[]),
    ]);
    assert_eq!(outcomes[0], Err(NotGranted::Rejected(avoidable)));
    assert_eq!(orphans(&outcomes[1]), NONE);
    assert_eq!(orphans(&outcomes[2]), [0]);

    let mut world = World::under(OrphanRule::Warn);
    let outcomes = world.decide(&[
        world.picking(1, &[1, 2], &[]),
        world.picking(2, &[4], &[]),
        world.reserve(3, &[0]),
    ]);
    assert_eq!(orphans(&outcomes[0]), [0]);
    assert_eq!(orphans(&outcomes[1]), [3, 5]);
    assert_eq!(orphans(&outcomes[2]), NONE);
}

#[test]
fn two_neighbours_in_one_batch_see_each_other() {
    let mut world = World::under(OrphanRule::Strict);
    let outcomes = world.decide(&[
        world.picking(1, &[0, 1], &[]),
        world.picking(2, &[3, 4, 5], &[]),
    ]);
    assert!(outcomes[0].is_ok());
    // Of four, three can only leave one.
    assert_eq!(orphans(&outcomes[1]), [2]);

    let mut world = World::under(OrphanRule::Strict);
    let outcomes = world.decide(&[
        world.picking(1, &[0, 1], &[]),
        world.picking(2, &[3, 4], &[]),
    ]);
    let both = vec!["A-3".to_owned(), "A-6".to_owned()];
    let avoidable = Rejection::OrphanSeats(world.sale.show_id, both);
    assert_eq!(outcomes[1], Err(NotGranted::Rejected(avoidable)));
}

#[test]
fn a_hold_that_has_ended_and_a_seat_given_back_are_company() {
    let mut world = World::under(OrphanRule::Strict);
    world.with_booking(&[0], -1, false);
    world.with_booking(&[5], 60, false);
    let outcomes = world.decide(&[world.picking(1, &[2, 3, 4], &[])]);
    assert_eq!(orphans(&outcomes[0]), NONE);

    let mut world = World::under(OrphanRule::Strict);
    let held = world.with_booking(&[5], 60, false);
    let mut swap = world.order(
        2,
        Command::Swap {
            booking_id: held,
            version: None,
            sale: Arc::clone(&world.sale),
            labels: vec!["A-6".to_owned()],
            ordinals: vec![4],
            around: None,
        },
    );
    // A-6 would be left isolated.
    let around = world.around(&[4]);
    if let Command::Swap { around: place, .. } = &mut swap.command {
        *place = around;
    }
    let avoidable = Rejection::OrphanSeats(world.sale.show_id, vec!["A-6".to_owned()]);
    let before = world.seats.clone();
    let outcomes = world.decide(&[swap]);
    assert_eq!(outcomes, [Err(NotGranted::Rejected(avoidable))]);
    assert_eq!(world.seats, before);
}
