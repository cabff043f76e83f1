//! The database in memory: all rows, as if all were locked.

mod areas;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use model::{
    LayoutDescription, PriceDescription, PriceList, RowBlock, SeatLayout, Section, Series,
    ShowSeats,
};
use time::macros::datetime;

use crate::domain::booking::Customer;
use crate::domain::decide::*;
use crate::domain::order::Reservation;
use crate::domain::{OrphanRule, Picks, Requester, Sale, Terms, Withdrawn};

pub(super) use self::areas::places;

pub(super) const NOW: OffsetDateTime = datetime!(2030-01-01 12:00 UTC);
pub(super) const SEATS: u32 = 6;

#[derive(Clone)]
pub(super) struct World {
    pub(super) sale: Arc<Sale>,
    pub(super) state: SaleState,
    pub(super) bookings: HashMap<BookingId, Booking>,
    pub(super) seats: HashMap<(ShowId, u32), Option<BookingId>>,
    pub(super) areas: HashMap<AreaKey, AreaRow>,
    pub(super) replays: HashMap<(ShowId, Uuid), Replay>,
}

impl World {
    pub(super) fn new() -> Self {
        let labels: Vec<_> = (1..=SEATS).map(|n| format!("A-{n}")).collect();
        let labels: Vec<_> = labels.iter().map(String::as_str).collect();
        let layout = row_of(&labels, &[]);
        let currency = "EUR".parse().expect("a currency");
        let prices = PriceDescription::single(currency, 1250);
        let show_id = ShowId::generate();
        let sale = Sale {
            show_id,
            revision: 1,
            terms: Terms {
                state: SaleState::OnSale,
                start_at: NOW + Duration::from_secs(3600),
                sales_open_at: None,
                sales_close_at: None,
                hold: None,
                seats_per_booking_max: None,
                places_per_customer_max: None,
                orphan_rule: OrphanRule::Off,
            },
            prices: PriceList::new(prices, &layout).expect("prices"),
            seats: ShowSeats::new(layout),
            withdrawn: Withdrawn::default(),
        };
        Self {
            sale: Arc::new(sale),
            state: SaleState::OnSale,
            bookings: HashMap::new(),
            seats: (0..SEATS)
                .map(|ordinal| ((show_id, ordinal), None))
                .collect(),
            areas: HashMap::new(),
            replays: HashMap::new(),
        }
    }

    /// A booking that is there before the batch.
    pub(super) fn with_booking(
        &mut self,
        ordinals: &[u32],
        expires_in: i64,
        confirmed: bool,
    ) -> BookingId {
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
                linked_customer: None,
                seats: ordinals
                    .iter()
                    .map(|&ordinal| HeldSeat {
                        ordinal,
                        price: 1,
                        tier: "Early".into(),
                    })
                    .collect(),
                places: Vec::new(),
                total: 1,
                released: None,
                refund_due: None,
                payment_reference: None,
                payment: None,
                currency: self.sale.prices.currency(),
                created_at: expires_at - Duration::from_secs(120),
                expires_at,
                confirmed_at: confirmed.then(|| expires_at - Duration::from_secs(60)),
                cancelled_at: None,
                failed_at: None,
                orphans: Vec::new(),
            },
        );
        for &ordinal in ordinals {
            self.seats.insert((self.sale.show_id, ordinal), Some(id));
        }
        id
    }

    /// The rows that the lock statements would return for `orders`.
    pub(super) fn locked(&self, orders: &[Order]) -> Locked {
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
            areas: self.areas.clone(),
            ended: HashMap::from([(self.sale.show_id, self.ended_holds())]),
            quota: self.quota(orders),
            replays: self.replays.clone(),
        }
    }

    /// The bookings of the quota holders that the orders add places to.
    fn quota(&self, orders: &[Order]) -> HashMap<(ShowId, QuotaHolder), Vec<Booking>> {
        let holders = orders
            .iter()
            .filter_map(|order| order.command.quota_holder());
        let have = |holder: &QuotaHolder| {
            let all = self.bookings.values();
            all.filter(|b| b.holder() == *holder && is_live(b))
                .cloned()
                .collect()
        };
        holders
            .map(|holder| ((self.sale.show_id, holder.clone()), have(&holder)))
            .collect()
    }

    /// Applies writes as the write statements would, with their checks.
    pub(super) fn apply(&mut self, writes: Writes) {
        for booking in writes.inserted {
            let id = booking.booking_id;
            assert!(
                self.bookings.insert(id, booking).is_none(),
                "inserted twice"
            );
        }
        for (booking, prior_version) in writes.updated.into_iter().chain(writes.rewritten) {
            let id = booking.booking_id;
            let before = self
                .bookings
                .insert(id, booking)
                .expect("an update has a row");
            assert_eq!(before.version, prior_version, "the prior state is stated");
        }
        for seat in writes.seats {
            let owner = self.seats.insert((seat.show_id, seat.ordinal), seat.to);
            assert_eq!(owner, Some(seat.from), "the prior owner is stated");
        }
        for area in writes.areas {
            let row = self.areas.get_mut(&(area.show_id, area.area));
            let row = row.expect("an area of the show");
            assert_eq!(row.taken, area.from, "the prior count is stated");
            row.taken = area.to;
        }
        for refused in writes.rejections {
            let replay = Replay {
                fingerprint: refused.fingerprint,
                result: Err(refused.rejection),
            };
            let key = (refused.show_id, refused.request_id);
            assert!(
                self.replays.insert(key, replay).is_none(),
                "an id has one outcome"
            );
        }
        let log = writes.transitions;
        for (place, transition) in log.iter().enumerate() {
            let booking = self.bookings[&transition.booking_id].clone();
            let later = log[place + 1..].iter();
            let replaced = later
                .filter(|later| later.booking_id == transition.booking_id)
                .find_map(|later| later.prior.clone());
            let result = booking.as_of(transition.version, transition.to, replaced);
            let key = (self.sale.show_id, transition.request_id);
            let replay = Replay {
                fingerprint: transition.fingerprint,
                result: Ok(result),
            };
            assert!(
                self.replays.insert(key, replay).is_none(),
                "a request id is unique"
            );
        }
        self.check();
    }

    /// Every owner is a live booking that lists the seat, and the other way round; an area's count
    /// is the sum over the live bookings.
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
        for ((_, area), row) in &self.areas {
            let live = self.bookings.values().filter(|booking| {
                matches!(
                    booking.state,
                    BookingState::Pending | BookingState::Confirmed
                )
            });
            let lines = live.flat_map(|booking| &booking.places);
            let sold = lines.filter(|line| line.area == *area);
            let sold: u32 = sold.map(|line| line.quantity).sum();
            assert_eq!(row.taken, sold, "{area}");
            assert!(row.taken <= row.capacity, "{area} is oversold");
        }
    }

    pub(super) fn decide(&mut self, orders: &[Order]) -> Vec<Outcome> {
        let Decision { outcomes, writes } = decide(orders, self.locked(orders));
        self.apply(writes);
        outcomes
    }

    pub(super) fn order(&self, request_id: u128, command: Command) -> Order {
        // The command's text is as good a hash of it as any.
        let fingerprint = match &command {
            Command::Reserve(Reservation {
                ordinals, places, ..
            }) => bits(ordinals) + areas::hash_of(places),
            Command::Confirm { booking_id, .. } => booking_hash(*booking_id, 1),
            Command::Cancel { booking_id, .. } => booking_hash(*booking_id, 2),
            Command::Expire { booking_id } => booking_hash(*booking_id, 3),
            Command::Void { booking_id } => booking_hash(*booking_id, 4),
            Command::Extend { booking_id, .. } => booking_hash(*booking_id, 5),
            Command::Release { booking_id, .. } => booking_hash(*booking_id, 6),
            Command::Swap {
                booking_id,
                ordinals,
                ..
            } => booking_hash(*booking_id, 7) + bits(ordinals),
            Command::Pay { booking_id, .. } => booking_hash(*booking_id, 8),
            Command::Settle(settlement) => booking_hash(settlement.booking_id, 9),
        };
        Order {
            show_id: self.sale.show_id,
            request_id: Uuid::from_u128(request_id),
            repeatable: true,
            fingerprint,
            requester: Requester::unnamed(),
            command,
        }
    }

    /// The sale, as a command looks it up.
    pub(super) fn on_sale(&self) -> Arc<Sale> {
        let mut sale = Arc::clone(&self.sale);
        Arc::make_mut(&mut sale).terms.state = self.state;
        sale
    }

    pub(super) fn reserve(&self, request_id: u128, ordinals: &[u32]) -> Order {
        let command = Command::Reserve(Reservation {
            sale: self.on_sale(),
            ordinals: ordinals.to_vec(),
            places: Vec::new(),
            picks: Picks::default(),
            around: None,
            customer: Customer::Id(format!("customer {request_id}")),
            linked_customer: None,
            hold: Duration::from_secs(120),
            sell: false,
            payment_reference: None,
        });
        self.order(request_id, command)
    }
}

pub(super) fn is_live(booking: &Booking) -> bool {
    matches!(
        booking.state,
        BookingState::Pending | BookingState::Confirmed
    )
}

fn bits(ordinals: &[u32]) -> i64 {
    ordinals.iter().map(|&ordinal| 1 << ordinal).sum()
}

/// A layout of one row of seats with these labels, some of them blocked.
pub(super) fn row_of(labels: &[&str], blocked: &[&str]) -> SeatLayout {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).into()).collect();
    let rows = RowBlock {
        names: None,
        runs: vec![Series::List(texts(labels))],
        label_format: None,
    };
    let section = Section {
        name: "Stalls".into(),
        deck: "".into(),
        origin: None,
        rows: vec![rows],
    };
    let description = LayoutDescription {
        sections: vec![section],
        blocked_seats: texts(blocked),
        ..LayoutDescription::default()
    };
    SeatLayout::new(description).expect("a layout")
}

/// Confirms a booking of any version.
pub(super) fn confirm(booking_id: BookingId) -> Command {
    Command::Confirm {
        booking_id,
        version: None,
        payment_reference: None,
    }
}

fn booking_hash(id: BookingId, verb: i64) -> i64 {
    let low = i64::try_from(id.uuid().as_u128() & 0x7fff_ffff).expect("31 bits");
    low * 8_192 + verb * 64
}
