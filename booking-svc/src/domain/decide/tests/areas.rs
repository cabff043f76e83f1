//! Places in areas.

use super::world::{World, places};
use super::*;

/// A hall of seats with a floor of ten places and a pit of four.
fn hall() -> World {
    let mut world = World::new();
    world.with_areas(&[("Floor", 10), ("Pit", 4)]);
    world
}

fn taken(world: &World) -> (u32, u32) {
    let of = |area: &str| world.areas[&(world.sale.show_id, area.into())].taken;
    (of("Floor"), of("Pit"))
}

fn full(world: &World, areas: &[(&str, u32)]) -> Outcome {
    let areas = areas.iter().map(|&(area, left)| (area.to_owned(), left));
    let rejection = Rejection::AreasFull(world.sale.show_id, areas.collect());
    Err(NotGranted::Rejected(rejection))
}

fn release(world: &World, id: BookingId, labels: &[&str], given: &[(&str, u32)]) -> Command {
    Command::Release {
        booking_id: id,
        version: None,
        sale: world.on_sale(),
        labels: labels.iter().map(|&label| label.to_owned()).collect(),
        places: places(given),
    }
}

#[test]
fn an_area_sells_its_places_and_names_the_number_left() {
    let mut world = hall();
    let outcomes = world.decide(&[
        world.reserve_places(1, &[], &[("Floor", 4)]),
        world.reserve_places(2, &[], &[("Floor", 4)]),
        world.reserve_places(3, &[], &[("Floor", 4)]),
        world.reserve_places(4, &[], &[("Floor", 2)]),
        world.reserve_places(5, &[], &[("Floor", 1), ("Pit", 5)]),
    ]);
    let granted: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(granted, [true, true, false, true, false]);
    assert_eq!(outcomes[2], full(&world, &[("Floor", 2)]));
    assert_eq!(outcomes[4], full(&world, &[("Floor", 0), ("Pit", 4)]));
    assert_eq!(taken(&world), (10, 0));
    let booking = outcomes[0].as_ref().expect("granted");
    assert_eq!((booking.total, booking.places[0].price), (5_000, 1_250));
}

#[test]
fn seats_and_places_are_reserved_all_or_none() {
    let mut world = hall();
    world.with_booking(&[0], 60, false);
    let outcomes = world.decide(&[
        world.reserve_places(1, &[0, 1], &[("Floor", 4)]),
        world.reserve_places(2, &[1], &[("Floor", 11)]),
        world.reserve_places(3, &[1], &[("Floor", 10), ("Pit", 1)]),
    ]);
    let granted: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(granted, [false, false, true], "{outcomes:?}");
    assert_eq!(taken(&world), (10, 1));
    let booking = outcomes[2].as_ref().expect("granted");
    assert_eq!(booking.total, 12 * 1_250);
}

#[test]
fn a_show_limits_seats_and_places_together() {
    let mut world = hall();
    Arc::make_mut(&mut world.sale).terms.seats_per_booking_max = Some(3);
    let outcomes = world.decide(&[
        world.reserve_places(1, &[0, 1], &[("Floor", 2)]),
        world.reserve_places(2, &[0, 1], &[("Floor", 1)]),
    ]);
    let rejection = NotGranted::Rejected(Rejection::TooManyPlaces(3));
    assert_eq!(outcomes[0], Err(rejection));
    assert!(outcomes[1].is_ok(), "{outcomes:?}");
}

#[test]
fn orders_of_a_batch_wait_for_the_ends_of_different_holds() {
    let mut world = hall();
    let sold = world.with_booking(&[], 0, true);
    world.give_places(sold, &[("Floor", 6)]);
    let [first, second] = [-2, -1].map(|ended| world.with_booking(&[], ended, false));
    world.give_places(first, &[("Floor", 2)]);
    world.give_places(second, &[("Floor", 2), ("Pit", 4)]);
    let orders = [
        world.reserve_places(1, &[], &[("Floor", 1)]),
        world.reserve_places(2, &[], &[("Floor", 1)]),
        world.reserve_places(3, &[], &[("Floor", 1), ("Pit", 4)]),
        world.reserve_places(4, &[], &[("Floor", 2)]),
    ];
    let outcomes = world.decide(&orders);
    assert_eq!(outcomes[0], Err(NotGranted::Lapsed(vec![first])));
    // Both have room in the places of the first.
    assert_eq!(outcomes[1], Err(NotGranted::Lapsed(vec![])));
    assert_eq!(outcomes[2], Err(NotGranted::Lapsed(vec![second])));
    assert_eq!(outcomes[3], full(&world, &[("Floor", 1)]));
    assert_eq!(taken(&world), (10, 4), "nothing has changed");

    let ends = [(5, first), (6, second)];
    let mut again: Vec<_> = ends
        .map(|(request_id, booking_id)| world.order(request_id, Command::Expire { booking_id }))
        .into();
    again.extend_from_slice(&orders[..3]);
    let outcomes = world.decide(&again);
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(taken(&world), (9, 4));
}

#[test]
fn only_the_holds_whose_places_are_wanted_are_ended_and_each_makes_room_once() {
    let mut world = hall();
    let sold = world.with_booking(&[], 0, true);
    world.give_places(sold, &[("Pit", 1)]);
    let [of_the_pit, of_both] = [-2, -1].map(|ended| world.with_booking(&[], ended, false));
    world.give_places(of_the_pit, &[("Pit", 1)]);
    world.give_places(of_both, &[("Floor", 10), ("Pit", 2)]);
    let outcomes = world.decide(&[
        world.reserve_places(1, &[], &[("Floor", 10), ("Pit", 4)]),
        world.reserve_places(2, &[], &[("Floor", 1)]),
    ]);
    assert_eq!(outcomes[0], full(&world, &[("Pit", 3)]));
    assert_eq!(outcomes[1], Err(NotGranted::Lapsed(vec![of_both])));

    // Holds that this batch has ended itself free no more places.
    let booking_id = of_both;
    let outcomes = world.decide(&[
        world.order(3, Command::Expire { booking_id }),
        world.reserve_places(4, &[], &[("Floor", 10)]),
        world.reserve_places(5, &[], &[("Floor", 1)]),
    ]);
    assert!(outcomes[1].is_ok(), "{outcomes:?}");
    assert_eq!(outcomes[2], full(&world, &[("Floor", 0)]));
}

#[test]
fn given_back_is_written_though_as_many_places_were_taken() {
    let mut world = hall();
    let booking_id = world.with_booking(&[], 60, false);
    world.give_places(booking_id, &[("Floor", 3)]);
    let version = None;
    let cancel = Command::Cancel {
        booking_id,
        version,
    };
    let orders = [
        world.order(1, cancel),
        world.reserve_places(2, &[], &[("Floor", 3)]),
    ];
    let decision = decide(&orders, world.locked(&orders));
    assert!(decision.outcomes.iter().all(Result::is_ok));
    let [area] = &decision.writes.areas[..] else {
        panic!("{:?}", decision.writes.areas);
    };
    assert_eq!((area.from, area.to, area.gives_back), (3, 3, true));

    let orders = [world.reserve_places(3, &[], &[("Floor", 1)])];
    let decision = decide(&orders, world.locked(&orders));
    assert!(!decision.writes.areas[0].gives_back);
}

#[test]
fn no_order_is_rejected_while_more_expired_holds_may_exist() {
    let mut world = hall();
    world.with_areas(&[("Floor", 10), ("Pit", 300)]);
    let ended = u32::try_from(ENDED_HOLDS_MAX).expect("small");
    for _ in 0..ended {
        let hold = world.with_booking(&[], -2, false);
        world.give_places(hold, &[("Pit", 1)]);
    }
    let last = world.with_booking(&[], -1, false);
    world.give_places(last, &[("Floor", 10)]);
    let wanted = world.reserve_places(1, &[], &[("Floor", 5)]);
    let outcomes = world.decide(&[
        wanted.clone(),
        world.reserve_places(2, &[], &[("Floor", 11)]),
    ]);
    let Err(NotGranted::Lapsed(first)) = &outcomes[0] else {
        panic!("not to come again: {outcomes:?}");
    };
    assert_eq!(first.len(), ENDED_HOLDS_MAX);
    assert!(
        matches!(outcomes[1], Err(NotGranted::Rejected(_))),
        "more than it ever has"
    );
    let expiries = first
        .iter()
        .zip(10..)
        .map(|(&booking_id, request_id)| world.order(request_id, Command::Expire { booking_id }));
    let expiries: Vec<_> = expiries.collect();
    world.decide(&expiries);
    let outcomes = world.decide(&[wanted]);
    assert_eq!(outcomes, [Err(NotGranted::Lapsed(vec![last]))]);
}

#[test]
fn every_end_of_a_booking_gives_its_places_back_once() {
    let mut world = hall();
    let held = world.with_booking(&[0], 60, false);
    let sold = world.with_booking(&[1], 0, true);
    let ended = world.with_booking(&[2], 0, false);
    for id in [held, sold, ended] {
        world.give_places(id, &[("Floor", 2), ("Pit", 1)]);
    }
    let cancel = |booking_id| Command::Cancel {
        booking_id,
        version: None,
    };
    let expire = |booking_id| Command::Expire { booking_id };
    let orders = [
        world.order(1, cancel(held)),
        world.order(2, cancel(held)),
        world.order(1, cancel(held)),
        world.order(3, expire(held)),
        world.order(4, cancel(sold)),
        world.order(5, cancel(sold)),
        world.order(6, cancel(ended)),
        world.order(7, expire(ended)),
        world.order(8, expire(ended)),
    ];
    world.decide(&orders);
    assert_eq!(taken(&world), (0, 0));
    let before = world.with_booking(&[3], 60, true);
    world.give_places(before, &[("Floor", 2)]);
    world.state = SaleState::Cancelled;
    let void = |booking_id| Command::Void { booking_id };
    let orders = [world.order(9, void(before)), world.order(10, void(before))];
    world.decide(&orders);
    assert_eq!(taken(&world), (0, 0));
}

#[test]
fn some_places_are_released_and_the_rest_is_kept() {
    let mut world = hall();
    let sold = world.with_booking(&[0], 60, true);
    world.give_places(sold, &[("Floor", 3), ("Pit", 1)]);
    let refused = |world: &World, areas: &[(&str, u32)]| {
        let areas = areas.iter().map(|&(area, has)| (area.to_owned(), has));
        let rejection = Rejection::PlacesNotInBooking(sold, areas.collect());
        assert_eq!(taken(world), (3, 1));
        Err(NotGranted::Rejected(rejection))
    };
    let too_many = release(&world, sold, &["A-1"], &[("Floor", 4), ("Stage", 1)]);
    let outcomes = world.decide(&[world.order(1, too_many)]);
    assert_eq!(outcomes, [refused(&world, &[("Floor", 3), ("Stage", 0)])]);

    let some = release(&world, sold, &[], &[("Floor", 2), ("Pit", 1)]);
    let outcomes = world.decide(&[world.order(2, some)]);
    let booking = outcomes[0].as_ref().expect("its own");
    assert_eq!((booking.total, booking.refund_due), (2, Some(3)));
    assert_eq!(booking.state, BookingState::Confirmed);
    assert_eq!(taken(&world), (1, 0));

    // A seat that it keeps keeps the booking; the last of all ends it.
    let place = release(&world, sold, &[], &[("Floor", 1)]);
    let seat = release(&world, sold, &["A-1"], &[]);
    let outcomes = world.decide(&[world.order(3, place), world.order(4, seat)]);
    let states = outcomes.iter().map(|o| o.as_ref().map(|b| b.state).ok());
    let states: Vec<_> = states.collect();
    let wanted = [BookingState::Confirmed, BookingState::Cancelled];
    assert_eq!(states, wanted.map(Some));
    assert_eq!(taken(&world), (0, 0));
    let copy = release(&world, sold, &[], &[("Floor", 2), ("Pit", 1)]);
    let copies = world.decide(&[world.order(2, copy)]);
    let copy = copies[0].as_ref().expect("a copy");
    assert_eq!((copy.places.len(), copy.places[0].quantity), (1, 1));
}

#[test]
fn a_swap_and_an_extension_leave_the_places_alone() {
    let mut world = hall();
    let held = world.with_booking(&[0], 60, false);
    world.give_places(held, &[("Floor", 3)]);
    let swap = Command::Swap {
        booking_id: held,
        version: None,
        sale: world.on_sale(),
        labels: vec!["A-1".to_owned()],
        ordinals: vec![1],
        around: None,
    };
    let extend = Command::Extend {
        booking_id: held,
        version: None,
        hold: std::time::Duration::from_secs(600),
        lifetime_max: std::time::Duration::from_secs(1_800),
    };
    let outcomes = world.decide(&[world.order(1, swap), world.order(2, extend)]);
    for outcome in outcomes {
        let booking = outcome.expect("a live hold");
        assert_eq!((booking.places[0].quantity, booking.total), (3, 1_253));
    }
    assert_eq!(taken(&world), (3, 0));
}

#[test]
fn a_counter_that_contradicts_the_bookings_is_a_fault() {
    let mut world = hall();
    let held = world.with_booking(&[0], 60, false);
    world.give_places(held, &[("Floor", 3)]);
    let cancel = Command::Cancel {
        booking_id: held,
        version: None,
    };
    let orders = [world.order(1, cancel)];
    let mut locked = world.locked(&orders);
    for row in locked.areas.values_mut() {
        row.taken = 2;
    }
    let decision = decide(&orders, locked);
    assert!(matches!(
        decision.outcomes[0],
        Err(NotGranted::Fault("an area's counter is not the sum"))
    ));
    assert!(decision.writes.seats.is_empty() && decision.writes.areas.is_empty());
}
