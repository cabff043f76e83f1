//! A batch decides exactly as its orders would one after another; and each rule by itself.

use std::collections::HashSet;

use model::{SeatLayout, SeatRow, Seats, Section};
use proptest::prelude::*;
use time::macros::datetime;

use super::*;
use crate::domain::booking::Customer;

mod cancelled_show;

const NOW: OffsetDateTime = datetime!(2030-01-01 12:00 UTC);
const SEATS: u32 = 6;

/// What the database would hold: everything, as if everything were locked.
#[derive(Clone)]
struct World {
    sale: Arc<Sale>,
    state: SaleState,
    bookings: HashMap<BookingId, Booking>,
    seats: HashMap<(ShowId, u32), Option<BookingId>>,
    replays: HashMap<(ShowId, Uuid), Replay>,
}

impl World {
    fn new() -> Self {
        let rows = vec![SeatRow {
            name: "A".into(),
            seats: Seats::Count(SEATS),
        }];
        let section = Section {
            name: "Stalls".into(),
            price: 1250,
            rows,
        };
        let currency = "EUR".parse().expect("a currency");
        let show_id = ShowId::generate();
        let sale = Sale {
            show_id,
            revision: 1,
            state: SaleState::OnSale,
            start_at: NOW + Duration::from_secs(3600),
            layout: SeatLayout::new(currency, vec![section]).expect("a layout"),
        };
        Self {
            sale: Arc::new(sale),
            state: SaleState::OnSale,
            bookings: HashMap::new(),
            seats: (0..SEATS)
                .map(|ordinal| ((show_id, ordinal), None))
                .collect(),
            replays: HashMap::new(),
        }
    }

    /// A booking that is there before the batch.
    fn with_booking(&mut self, ordinals: &[u32], expires_in: i64, confirmed: bool) -> BookingId {
        let id = BookingId::generate(self.sale.show_id);
        let expires_at = NOW + time::Duration::seconds(expires_in);
        self.bookings.insert(
            id,
            Booking {
                booking_id: id,
                state: if confirmed {
                    BookingState::Confirmed
                } else {
                    BookingState::Pending
                },
                failure_reason: None,
                cancel_reason: None,
                version: if confirmed { 2 } else { 1 },
                customer: Customer::Id("before".to_owned()),
                seats: ordinals
                    .iter()
                    .map(|&ordinal| HeldSeat { ordinal, price: 1 })
                    .collect(),
                total: 1,
                refund_due: None,
                currency: self.sale.layout.currency(),
                created_at: expires_at - Duration::from_secs(120),
                expires_at,
                confirmed_at: confirmed.then(|| expires_at - Duration::from_secs(60)),
                cancelled_at: None,
                failed_at: None,
            },
        );
        for &ordinal in ordinals {
            self.seats.insert((self.sale.show_id, ordinal), Some(id));
        }
        id
    }

    /// What the lock statements would return for `orders`.
    fn locked(&self, orders: &[Order]) -> Locked {
        let named: HashSet<_> = orders
            .iter()
            .filter_map(|o| o.command.booking_id())
            .collect();
        let owners = self.bookings.values().map(|booking| {
            (
                booking.booking_id,
                Owner {
                    state: booking.state,
                    expires_at: booking.expires_at,
                },
            )
        });
        let row = SaleRow {
            revision: 1,
            state: self.state,
            start_at: self.sale.start_at,
        };
        Locked {
            now: Some(NOW),
            sales: HashMap::from([(self.sale.show_id, row)]),
            bookings: self
                .bookings
                .iter()
                .filter(|(id, _)| named.contains(id))
                .map(|(id, booking)| (*id, booking.clone()))
                .collect(),
            seats: self.seats.clone(),
            owners: owners.collect(),
            replays: self.replays.clone(),
        }
    }

    /// What the write statements would do, with the checks that they make.
    fn apply(&mut self, writes: Writes) {
        for booking in writes.inserted {
            let id = booking.booking_id;
            assert!(
                self.bookings.insert(id, booking).is_none(),
                "inserted twice"
            );
        }
        for (booking, prior_version) in writes.updated {
            let id = booking.booking_id;
            let before = self
                .bookings
                .insert(id, booking)
                .expect("updated, so it is there");
            assert_eq!(before.version, prior_version, "the prior state is stated");
        }
        for seat in writes.seats {
            let owner = self.seats.insert((seat.show_id, seat.ordinal), seat.to);
            assert_eq!(owner, Some(seat.from), "the prior owner is stated");
        }
        for transition in writes.transitions {
            let booking = self.bookings[&transition.booking_id].clone();
            let result = booking.as_of(transition.version, transition.to);
            let key = (self.sale.show_id, transition.request_id);
            let replay = Replay {
                fingerprint: transition.fingerprint,
                result,
            };
            assert!(
                self.replays.insert(key, replay).is_none(),
                "a request id is unique"
            );
        }
        self.check();
    }

    /// Every owner is a live booking that lists the seat, and the other way round.
    fn check(&self) {
        for (&(_, ordinal), owner) in &self.seats {
            let Some(owner) = owner else { continue };
            let booking = &self.bookings[owner];
            assert!(matches!(
                booking.state,
                BookingState::Pending | BookingState::Confirmed
            ));
            assert!(booking.seats.iter().any(|seat| seat.ordinal == ordinal));
        }
        for booking in self.bookings.values() {
            if matches!(
                booking.state,
                BookingState::Pending | BookingState::Confirmed
            ) {
                for seat in &booking.seats {
                    let owner = self.seats[&(self.sale.show_id, seat.ordinal)];
                    assert_eq!(owner, Some(booking.booking_id));
                }
            }
        }
    }

    fn decide(&mut self, orders: &[Order]) -> Vec<Outcome> {
        let Decision { outcomes, writes } = decide(orders, self.locked(orders));
        self.apply(writes);
        outcomes
    }

    fn order(&self, request_id: u128, command: Command) -> Order {
        // The command's text is as good a hash of it as any.
        let fingerprint = match &command {
            Command::Reserve { ordinals, .. } => ordinals.iter().map(|&o| 1 << o).sum(),
            Command::Confirm { booking_id, .. } => booking_hash(*booking_id, 1),
            Command::Cancel { booking_id, .. } => booking_hash(*booking_id, 2),
            Command::Expire { booking_id } => booking_hash(*booking_id, 3),
            Command::Void { booking_id } => booking_hash(*booking_id, 4),
        };
        Order {
            show_id: self.sale.show_id,
            request_id: Uuid::from_u128(request_id),
            repeatable: true,
            fingerprint,
            command,
        }
    }

    fn reserve(&self, request_id: u128, ordinals: &[u32]) -> Order {
        let command = Command::Reserve {
            sale: Arc::clone(&self.sale),
            ordinals: ordinals.to_vec(),
            customer: Customer::Id(format!("customer {request_id}")),
            hold: Duration::from_secs(120),
        };
        self.order(request_id, command)
    }
}

fn booking_hash(id: BookingId, verb: i64) -> i64 {
    let low = i64::try_from(id.uuid().as_u128() & 0x7fff_ffff).expect("31 bits");
    low * 8 + verb
}

/// An outcome without the ids and versions of bookings that differ from run to run.
fn shape(outcome: &Outcome) -> String {
    match outcome {
        Ok(booking) => format!(
            "{:?} {:?} {:?} v{} {:?} {:?} {:?}",
            booking.customer,
            booking.state,
            booking.seats,
            booking.version,
            booking.failure_reason,
            booking.cancel_reason,
            booking.refund_due
        ),
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
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        3 => prop::collection::btree_set(0..SEATS, 1..4)
            .prop_map(|seats| Wish::Reserve(seats.into_iter().collect())),
        1 => (0..4_usize).prop_map(Wish::Confirm),
        1 => (0..4_usize).prop_map(Wish::Cancel),
        1 => (0..4_usize).prop_map(Wish::Expire),
        1 => (0..4_usize).prop_map(Wish::Void),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_batch_decides_as_its_orders_one_after_another(
        wishes in prop::collection::vec((wish(), 0..8_u128), 1..10),
        state in prop::sample::select(vec![SaleState::OnSale, SaleState::Cancelled]),
    ) {
        let mut before = World::new();
        before.state = state;
        let there = [
            before.with_booking(&[0], 60, false),
            before.with_booking(&[1, 2], -1, false),
            before.with_booking(&[3], -30, true),
            BookingId::generate(before.sale.show_id),
        ];
        let orders: Vec<_> = wishes
            .into_iter()
            .map(|(wish, request_id)| match wish {
                Wish::Reserve(seats) => before.reserve(request_id, &seats),
                Wish::Confirm(i) => before.order(
                    request_id, Command::Confirm { booking_id: there[i], version: None }),
                Wish::Cancel(i) => before.order(
                    request_id, Command::Cancel { booking_id: there[i], version: None }),
                Wish::Expire(i) => before.order(request_id, Command::Expire { booking_id: there[i] }),
                Wish::Void(i) => before.order(request_id, Command::Void { booking_id: there[i] }),
            })
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
    }
}

#[test]
fn a_reserve_names_every_seat_that_is_taken() {
    let mut world = World::new();
    world.with_booking(&[0], 60, false);
    world.with_booking(&[2], -30, true);
    let outcomes = world.decide(&[world.reserve(1, &[0, 1, 2])]);
    let taken = vec![
        ("A-1".to_owned(), Taken::Held),
        ("A-3".to_owned(), Taken::Booked),
    ];
    let refusal = Refusal::SeatsUnavailable(world.sale.show_id, taken);
    assert_eq!(outcomes, [Err(NotGranted::Refused(refusal))]);
}

#[test]
fn a_hold_ends_exactly_when_it_expires() {
    let mut world = World::new();
    let lapsed = world.with_booking(&[0], 0, false);
    let live = world.with_booking(&[1], 1, false);
    let confirm = |booking_id| Command::Confirm {
        booking_id,
        version: None,
    };
    let orders = [
        world.order(1, confirm(lapsed)),
        world.order(2, confirm(live)),
    ];
    let outcomes = world.decide(&orders);
    assert_eq!(
        outcomes[0],
        Err(NotGranted::Refused(Refusal::HoldExpired(lapsed, NOW)))
    );
    assert!(outcomes[1].is_ok());
}

#[test]
fn the_seats_of_a_lapsed_hold_go_to_the_next_reserve_once_its_owner_is_locked() {
    let mut world = World::new();
    let lapsed = world.with_booking(&[0, 1], -1, false);
    let wanted = world.reserve(1, &[1, 2]);
    let outcomes = world.decide(std::slice::from_ref(&wanted));
    assert_eq!(outcomes, [Err(NotGranted::Lapsed(vec![lapsed]))]);

    let expire = world.order(2, Command::Expire { booking_id: lapsed });
    let outcomes = world.decide(&[expire, wanted]);
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let failed = &world.bookings[&lapsed];
    assert_eq!(
        (failed.state, failed.failed_at),
        (BookingState::Failed, Some(failed.expires_at))
    );
    assert_eq!(
        world.seats[&(world.sale.show_id, 0)],
        None,
        "its other seat is free too"
    );
}

#[test]
fn nothing_is_sold_of_a_show_that_is_cancelled_started_or_unknown() {
    let mut world = World::new();
    let held = world.with_booking(&[0], 60, false);
    world.state = SaleState::Cancelled;
    let confirm = Command::Confirm {
        booking_id: held,
        version: None,
    };
    let orders = [world.reserve(1, &[3]), world.order(2, confirm)];
    let not_on_sale = Refusal::ShowNotOnSale(world.sale.show_id, SaleState::Cancelled);
    for outcome in world.decide(&orders) {
        assert_eq!(outcome, Err(NotGranted::Refused(not_on_sale.clone())));
    }

    let mut world = World::new();
    Arc::make_mut(&mut world.sale).start_at = NOW;
    let outcomes = world.decide(&[world.reserve(1, &[3])]);
    let started = Refusal::ShowStarted(world.sale.show_id, NOW);
    assert_eq!(outcomes, [Err(NotGranted::Refused(started))]);

    let orders = [world.reserve(1, &[3])];
    let mut locked = world.locked(&orders);
    locked.sales.clear();
    let unknown = Refusal::ShowNotFound(world.sale.show_id);
    assert_eq!(
        decide(&orders, locked).outcomes,
        [Err(NotGranted::Refused(unknown))]
    );
}

#[test]
fn a_sale_that_changed_since_it_was_looked_up_is_looked_up_again() {
    let mut world = World::new();
    Arc::make_mut(&mut world.sale).revision = 0;
    let outcomes = world.decide(&[world.reserve(1, &[3])]);
    assert_eq!(outcomes, [Err(NotGranted::SaleChanged)]);
}

#[test]
fn a_repeated_request_gets_the_first_result_and_another_body_is_refused() {
    let mut world = World::new();
    let first = world
        .decide(&[world.reserve(1, &[0])])
        .remove(0)
        .expect("granted");
    let confirm = Command::Confirm {
        booking_id: first.booking_id,
        version: None,
    };
    let confirmed = world.decide(&[world.order(2, confirm)]);
    assert!(confirmed[0].is_ok());
    let repeated = world.decide(&[world.reserve(1, &[0]), world.reserve(1, &[4])]);
    assert_eq!(repeated[0], Ok(first), "as it was, not as it is");
    assert_eq!(
        repeated[1],
        Err(NotGranted::Refused(Refusal::RequestIdReused))
    );
}

#[test]
fn a_version_that_is_not_the_present_one_is_refused() {
    let mut world = World::new();
    let held = world.with_booking(&[0], 60, false);
    let cancel = |version| Command::Cancel {
        booking_id: held,
        version: Some(version),
    };
    let stale = world.decide(&[world.order(1, cancel(2))]);
    assert_eq!(
        stale,
        [Err(NotGranted::Refused(Refusal::VersionMismatch(held, 1)))]
    );
    assert!(world.decide(&[world.order(2, cancel(1))])[0].is_ok());
}

#[test]
fn every_pair_of_state_and_verb_is_decided_by_the_table() {
    use BookingState::{Cancelled, Confirmed, Failed, Pending};
    use Verb::{Cancel, Confirm, Expire, Reserve, Void};
    let allowed = [
        (None, Reserve, Pending),
        (Some(Pending), Confirm, Confirmed),
        (Some(Pending), Cancel, Cancelled),
        (Some(Confirmed), Cancel, Cancelled),
        (Some(Pending), Expire, Failed),
        (Some(Pending), Void, Failed),
        (Some(Confirmed), Void, Cancelled),
    ];
    for from in [
        None,
        Some(Pending),
        Some(Confirmed),
        Some(Cancelled),
        Some(Failed),
    ] {
        for verb in [Reserve, Confirm, Cancel, Expire, Void] {
            let wanted = allowed.iter().find(|(f, v, _)| (*f, *v) == (from, verb));
            assert_eq!(
                next_state(from, verb),
                wanted.map(|(_, _, to)| *to),
                "{from:?} {verb:?}"
            );
        }
    }
}
