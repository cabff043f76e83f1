//! A customer that acts for itself changes what is its own. Others' bookings do not exist for it.

use super::world::{World, confirm};
use super::*;
use crate::domain::booking::Customer;
use crate::domain::customer::CustomerId;
use crate::domain::{Buyer, Requester};

/// An order of the customer with this id.
fn by(id: &str, mut order: Order) -> Order {
    order.requester = Arc::new(Requester {
        buyer: Some(Buyer::new(Some(id), None)),
        subject: None,
        actor: id.into(),
    });
    order
}

#[test]
fn anothers_booking_is_not_found_whatever_its_state() {
    let mut world = World::new();
    let held = world.with_booking(&[0], 60, false);
    let sold = world.with_booking(&[1], 60, true);
    let lapsed = world.with_booking(&[2], -30, false);
    for (number, id) in [held, sold, lapsed].into_iter().enumerate() {
        let order = world.order(number as u128, confirm(id));
        let outcomes = world.decide(&[by("another", order)]);
        assert_eq!(outcomes, [Err(refused(Rejection::BookingNotFound(id)))]);
    }
    let order = world.order(9, confirm(held));
    let outcomes = world.decide(&[by("before", order)]);
    assert!(outcomes[0].is_ok(), "{outcomes:?}");
}

#[test]
fn the_log_names_who_asked_and_the_service_for_its_own_work() {
    let mut world = World::new();
    let held = world.with_booking(&[0], 60, false);
    let ended = world.with_booking(&[1], -30, false);
    let orders = [
        by("before", world.order(1, confirm(held))),
        world.order(2, Command::Expire { booking_id: ended }),
    ];
    let writes = decide(&orders, world.locked(&orders)).writes;
    let log = writes.transitions.iter();
    let log: Vec<_> = log.map(|it| (it.booking_id, &*it.actor)).collect();
    assert_eq!(log, [(held, "before"), (ended, "booking-svc")]);
}

#[test]
fn a_copy_of_anothers_order_is_not_found() {
    let mut world = World::new();
    let held = world.with_booking(&[0], 60, false);
    let order = world.order(1, confirm(held));
    let orders = [
        by("before", order.clone()),
        by("another", order.clone()),
        by("before", order),
    ];
    let outcomes = world.decide(&orders);
    assert!(outcomes[0].is_ok() && outcomes[0] == outcomes[2]);
    assert_eq!(outcomes[1], Err(refused(Rejection::BookingNotFound(held))));
}

#[test]
fn a_booking_is_owned_by_id_by_address_or_by_the_customers_record() {
    let mut world = World::new();
    let id = world.with_booking(&[0], 60, false);
    let mut booking = world.bookings[&id].clone();
    let record = CustomerId::generate();
    let email = "ann@example.org".parse().expect("an address");
    let by_record = Buyer::new(Some(&record.to_string()), None);
    let by_email = Buyer::new(None, Some(&email));
    let by_nothing = Buyer::new(None, None);
    let owners = |booking: &Booking| {
        let buyers = [
            &Buyer::new(Some("ann"), None),
            &by_email,
            &by_record,
            &by_nothing,
        ];
        buyers.map(|buyer| buyer.owns(booking))
    };
    booking.customer = Customer::Id("ann".to_owned());
    assert_eq!(owners(&booking), [true, false, false, false]);
    booking.customer = Customer::Email("ann@example.org".to_owned());
    assert_eq!(owners(&booking), [false, true, false, false]);
    booking.linked_customer = Some(record);
    assert_eq!(owners(&booking), [false, true, true, false]);
    booking.linked_customer = Some(CustomerId::generate());
    assert_eq!(owners(&booking), [false, true, false, false]);
}
