//! A batch decides exactly as its orders would one after another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::BookingId;
use proptest::prelude::*;

use super::world::{SEATS, World, confirm, places};
use crate::domain::booking::Customer;
use crate::domain::decide::Outcome;
use crate::domain::order::{Command, Order};
use crate::domain::sale::SaleState;

/// An outcome without the ids and versions of bookings that differ from run to run.
fn shape(outcome: &Outcome) -> String {
    match outcome {
        Ok(booking) => {
            format!(
                "{:?} {:?} {:?} v{} {:?} {:?} {:?}",
                booking.customer,
                booking.state,
                (&booking.seats, &booking.places),
                booking.version,
                booking.failure_reason,
                booking.cancel_reason,
                booking.refund_due
            ) + &format!(
                " {} {:?} {}",
                booking.total, booking.released, booking.expires_at
            )
        }
        Err(why) => format!("{why:?}"),
    }
}

#[derive(Debug, Clone)]
enum Wish {
    Reserve(Vec<u32>),
    Confirm(usize),
    Cancel(usize),
    Expire(usize),
    Void(usize),
    Sell(Vec<u32>),
    Extend(usize, u64),
    Release(usize, u32),
    Swap(usize, u32, u32),
    Places(Vec<u32>, u32, u32),
    ReleasePlaces(usize, Vec<u32>, u32),
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        3 => prop::collection::btree_set(0..SEATS, 1..4)
            .prop_map(|seats| Wish::Reserve(seats.into_iter().collect())),
        1 => (0..4_usize).prop_map(Wish::Confirm),
        1 => (0..4_usize).prop_map(Wish::Cancel),
        1 => (0..4_usize).prop_map(Wish::Expire),
        1 => (0..4_usize).prop_map(Wish::Void),
        1 => (0..SEATS).prop_map(|seat| Wish::Sell(vec![seat])),
        1 => (0..4_usize, 10..3_600_u64).prop_map(|(i, hold)| Wish::Extend(i, hold)),
        1 => (0..4_usize, 0..SEATS).prop_map(|(i, seat)| Wish::Release(i, seat)),
        3 => (prop::collection::btree_set(0..SEATS, 0..2), 0..4_u32, 0..4_u32)
            .prop_map(|(seats, floor, pit)| Wish::Places(seats.into_iter().collect(), floor, pit)),
        1 => (0..4_usize, prop::collection::vec(0..SEATS, 0..2), 1..4_u32)
            .prop_map(|(i, seats, floor)| Wish::ReleasePlaces(i, seats, floor)),
        2 => (0..4_usize, 0..SEATS, 0..SEATS).prop_map(|(i, from, to)| Wish::Swap(i, from, to)),
    ]
}

/// A reserve for one of two customers, one of whom already has bookings.
fn reserve(world: &World, request_id: u128, ordinals: &[u32]) -> Order {
    let mut order = world.reserve(request_id, ordinals);
    if let Command::Reserve(wanted) = &mut order.command {
        let name = if request_id.is_multiple_of(2) {
            "before"
        } else {
            "other"
        };
        wanted.customer = Customer::Id(name.to_owned());
    }
    order
}

/// A generated request as an order; `there` are the bookings that it counts.
fn order(world: &World, there: &[BookingId], request_id: u128, wish: Wish) -> Order {
    let label = |ordinal: u32| vec![format!("A-{}", ordinal + 1)];
    let version = None;
    let command = match wish {
        Wish::Reserve(seats) => return reserve(world, request_id, &seats),
        Wish::Places(seats, floor, pit) => {
            let wanted = [("Floor", floor), ("Pit", pit)];
            let wanted: Vec<_> = wanted.into_iter().filter(|(_, n)| *n > 0).collect();
            return world.reserve_places(request_id, &seats, &wanted);
        }
        Wish::ReleasePlaces(i, seats, floor) => Command::Release {
            booking_id: there[i],
            version,
            sale: world.on_sale(),
            labels: seats.into_iter().flat_map(label).collect(),
            places: places(&[("Floor", floor)]),
        },
        Wish::Sell(seats) => {
            let mut order = reserve(world, request_id, &seats);
            if let Command::Reserve(wanted) = &mut order.command {
                wanted.sell = true;
            }
            order.fingerprint += 1 << 40;
            return order;
        }
        Wish::Confirm(i) => confirm(there[i]),
        Wish::Cancel(i) => Command::Cancel {
            booking_id: there[i],
            version,
        },
        Wish::Expire(i) => Command::Expire {
            booking_id: there[i],
        },
        Wish::Void(i) => Command::Void {
            booking_id: there[i],
        },
        Wish::Extend(i, hold) => Command::Extend {
            booking_id: there[i],
            version,
            hold: Duration::from_secs(hold),
            lifetime_max: Duration::from_secs(1_800),
        },
        Wish::Release(i, seat) => Command::Release {
            booking_id: there[i],
            version,
            sale: world.on_sale(),
            labels: label(seat),
            places: Vec::new(),
        },
        Wish::Swap(i, from, to) => Command::Swap {
            booking_id: there[i],
            version,
            sale: world.on_sale(),
            labels: label(from),
            ordinals: vec![to],
            around: None,
        },
    };
    world.order(request_id, command)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_batch_decides_as_its_orders_one_after_another(
        wishes in prop::collection::vec((wish(), 0..8_u128), 1..10),
        limit in prop::option::of(3..7_u16),
        state in prop::sample::select(vec![SaleState::OnSale, SaleState::Cancelled]),
    ) {
        let mut before = World::new();
        before.state = state;
        Arc::make_mut(&mut before.sale).terms.places_per_customer_max = limit;
        let there = [
            before.with_booking(&[0], 60, false),
            before.with_booking(&[1, 2], -1, false),
            before.with_booking(&[3], -30, true),
            BookingId::generate(before.sale.show_id),
        ];
        // The expired one has no places: in a batch others would wait for different ends.
        before.with_areas(&[("Floor", 6), ("Pit", 4)]);
        before.give_places(there[0], &[("Floor", 2)]);
        before.give_places(there[2], &[("Floor", 1), ("Pit", 3)]);
        let orders: Vec<_> = wishes
            .into_iter()
            .map(|(wish, request_id)| order(&before, &there, request_id, wish))
            .collect();

        let mut together = before.clone();
        let batch = together.decide(&orders);
        let mut apart = before;
        let singly: Vec<_> = orders
            .iter()
            .map(|order| apart.decide(std::slice::from_ref(order)).remove(0))
            .collect();

        prop_assert_eq!(
            batch.iter().map(shape).collect::<Vec<_>>(),
            singly.iter().map(shape).collect::<Vec<_>>()
        );
        let owners = |world: &World| -> BTreeMap<u32, String> {
            let owner = |id: &BookingId| format!("{:?}", world.bookings[id].customer);
            let owned = world.seats.iter();
            owned.filter_map(|((_, o), id)| id.as_ref().map(|id| (*o, owner(id)))).collect()
        };
        prop_assert_eq!(owners(&together), owners(&apart));
        prop_assert_eq!(together.areas, apart.areas);
    }
}
