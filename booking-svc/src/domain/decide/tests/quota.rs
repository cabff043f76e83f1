//! A customer's live bookings of a show have no more places than the show allows.

use super::world::{World, confirm};
use super::*;
use crate::domain::booking::Customer;
use crate::domain::customer::CustomerId;
use crate::domain::order::Reservation;

/// A world whose show allows a customer this many places.
fn limited_to(places: u16) -> World {
    let mut world = World::new();
    Arc::make_mut(&mut world.sale).terms.places_per_customer_max = Some(places);
    world
}

/// A reserve for the customer that [`World::with_booking`] makes bookings for.
fn reserve(world: &World, request_id: u128, ordinals: &[u32]) -> Order {
    changed(world.reserve(request_id, ordinals), |wanted| {
        wanted.customer = Customer::Id("before".to_owned());
    })
}

fn changed(mut order: Order, change: impl FnOnce(&mut Reservation)) -> Order {
    if let Command::Reserve(wanted) = &mut order.command {
        change(wanted);
    }
    order
}

fn rejection(limit: u16, taken: usize) -> Outcome {
    Err(refused(Rejection::CustomerHasTooMany { limit, taken }))
}

#[test]
fn only_a_customers_own_bookings_count_for_the_quota() {
    let mut world = limited_to(3);
    world.with_booking(&[0], 60, false);
    world.with_booking(&[1], -30, true);
    let orders = [
        reserve(&world, 1, &[2, 3]),
        world.reserve(2, &[2, 3]),
        reserve(&world, 3, &[4]),
        reserve(&world, 4, &[5]),
    ];
    let outcomes = world.decide(&orders);
    assert_eq!(outcomes[0], rejection(3, 2));
    assert!(outcomes[1].is_ok() && outcomes[2].is_ok(), "{outcomes:?}");
    assert_eq!(outcomes[3], rejection(3, 3), "what the batch gave counts");
}

#[test]
fn one_customer_is_counted_under_every_name() {
    let mut world = limited_to(2);
    let linked = Some(CustomerId::generate());
    let by = |customer: Customer, order| {
        changed(order, |wanted| {
            wanted.customer = customer;
            wanted.linked_customer = linked;
        })
    };
    let orders = [
        by(
            Customer::Email("ann@example.org".into()),
            world.reserve(1, &[0]),
        ),
        by(Customer::Id("ann".into()), world.reserve(2, &[1])),
        by(
            Customer::Email("a@example.org".into()),
            world.reserve(3, &[2]),
        ),
        changed(world.reserve(4, &[3, 4]), |wanted| {
            wanted.customer = Customer::Id("ann".into());
        }),
    ];
    let outcomes = world.decide(&orders);
    assert!(outcomes[0].is_ok() && outcomes[1].is_ok(), "{outcomes:?}");
    assert_eq!(outcomes[2], rejection(2, 2));
    assert!(outcomes[3].is_ok(), "the caller's own id is another one");
}

#[test]
fn places_freed_in_the_same_batch_can_be_reserved() {
    let mut world = limited_to(2);
    let booking_id = world.with_booking(&[0, 1], 60, false);
    let (version, sale) = (None, world.on_sale());
    let labels = vec!["A-1".to_owned()];
    let release = Command::Release {
        booking_id,
        version,
        sale: Arc::clone(&sale),
        labels: labels.clone(),
        places: Vec::new(),
    };
    let swap = Command::Swap {
        booking_id,
        version,
        sale,
        labels,
        ordinals: vec![5],
        around: None,
    };
    let cancel = Command::Cancel {
        booking_id,
        version,
    };
    let orders = [
        world.order(1, swap),
        reserve(&world, 2, &[0]),
        world.order(3, confirm(booking_id)),
        world.order(4, release),
    ];
    let outcomes = world.decide(&orders);
    assert!(outcomes[0].is_ok(), "a swap takes no more places");
    assert_eq!(outcomes[1], rejection(2, 2));
    assert!(matches!(
        outcomes[3],
        Err(NotGranted::Rejected(Rejection::NotInBooking(..)))
    ));
    let orders = [
        world.order(5, cancel),
        reserve(&world, 6, &[0, 1]),
        reserve(&world, 7, &[2]),
    ];
    let outcomes = world.decide(&orders);
    assert!(outcomes[1].is_ok(), "{outcomes:?}");
    assert_eq!(outcomes[2], rejection(2, 2));
}

#[test]
fn an_expired_hold_counts_until_it_is_failed() {
    let mut world = limited_to(3);
    let small = world.with_booking(&[0], -1, false);
    let large = world.with_booking(&[1, 2], -1, false);
    let fits = reserve(&world, 1, &[3]);
    let outcomes = world.decide(std::slice::from_ref(&fits));
    let Err(NotGranted::Lapsed(lapsed)) = &outcomes[0] else {
        panic!("{outcomes:?}");
    };
    // Not all of the holds need to be expired for that.
    assert_eq!(lapsed.len(), 1);
    let booking_id = lapsed[0];
    assert!([small, large].contains(&booking_id));
    let expire = world.order(2, Command::Expire { booking_id });
    let outcomes = world.decide(&[expire, fits]);
    assert!(outcomes[1].is_ok(), "{outcomes:?}");

    // It would be too much without them.
    let outcomes = world.decide(&[reserve(&world, 3, &[0, 1, 4])]);
    assert_eq!(outcomes, [rejection(3, 1)]);
}

#[test]
fn all_the_ended_holds_in_the_way_are_written_at_once() {
    let mut world = limited_to(3);
    let mut ended = [0, 1, 2].map(|seat| world.with_booking(&[seat], -1, false));
    ended.sort_unstable();
    let outcomes = world.decide(&[reserve(&world, 1, &[3, 4, 5])]);
    assert_eq!(outcomes, [Err(NotGranted::Lapsed(ended.to_vec()))]);
}

#[test]
fn a_lowered_limit_keeps_existing_bookings() {
    let mut world = limited_to(1);
    world.with_booking(&[0, 1, 2], -30, true);
    let outcomes = world.decide(&[reserve(&world, 1, &[3])]);
    assert_eq!(outcomes, [rejection(1, 3)]);
}
