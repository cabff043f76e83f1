//! The load: clients that each reserve two adjacent seats and confirm them, again and again, over gRPC.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use proto::booking::v1::reserve_seats_request::Customer;
use proto::booking::v1::{ConfirmBookingRequest, ReserveSeatsRequest};
use tonic::Status;
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::stats::{Latency, micros};
use crate::wire::Wire;

/// Pairs of adjacent seats, each given out once, in random order.
#[derive(Debug, Clone)]
pub(crate) struct Pairs {
    shows: Arc<Vec<String>>,
    order: Arc<Vec<(u32, u32)>>,
    next: Arc<AtomicUsize>,
}

impl Pairs {
    pub(crate) fn shuffled(shows: &[String], seats: u32) -> Self {
        Self::shuffled_from(shows, 1, seats)
    }

    /// Of the seats from the number `first`, which is odd, to `last`.
    pub(crate) fn shuffled_from(shows: &[String], first: u32, last: u32) -> Self {
        let count = u32::try_from(shows.len()).unwrap_or(u32::MAX);
        let seats = || (first..last).step_by(2);
        let pairs = (0..count).flat_map(|show| seats().map(move |seat| (show, seat)));
        let mut order: Vec<_> = pairs.collect();
        let mut random = Random::new();
        for last in (1..order.len()).rev() {
            order.swap(last, random.below(last + 1));
        }
        Self {
            shows: Arc::new(shows.to_vec()),
            order: Arc::new(order),
            next: Arc::default(),
        }
    }

    /// Whether at least half of them are left.
    pub(crate) fn are_half_left(&self) -> bool {
        2 * self.next.load(Ordering::Relaxed) <= self.order.len()
    }

    /// Whether none is left.
    pub(crate) fn are_gone(&self) -> bool {
        self.next.load(Ordering::Relaxed) >= self.order.len()
    }

    /// The next pair: its show, and the number of its first seat.
    pub(crate) fn take(&self) -> Option<(&str, u32)> {
        let (show, seat) = *self.order.get(self.next.fetch_add(1, Ordering::Relaxed))?;
        Some((&self.shows[show as usize], seat))
    }
}

/// Random numbers, good enough to choose seats by.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        Self(Uuid::new_v4().as_u64_pair().0 | 1)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (end.max(1) as u64)).unwrap_or_default()
    }
}

/// The results of a round's clients.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) cycles: u64,
    pub(crate) elapsed: Duration,
    pub(crate) reserve: Latency,
    pub(crate) confirm: Latency,
    /// How often each error came, by code and reason.
    pub(crate) errors: BTreeMap<String, u64>,
}

impl Seen {
    pub(crate) fn per_second(&self) -> f64 {
        crate::stats::ratio(self.cycles, self.elapsed)
    }
}

#[derive(Default)]
struct Tally {
    cycles: u64,
    reserve: Vec<u64>,
    confirm: Vec<u64>,
    errors: BTreeMap<String, u64>,
}

/// Has `clients` clients reserve and confirm over `wires` for a while, or until every pair
/// is sold.
pub(crate) async fn cycles(
    wires: &[Wire],
    clients: u32,
    length: Duration,
    pairs: &Pairs,
) -> Result<Seen> {
    let began = Instant::now();
    let total = Arc::new(Mutex::new(Tally::default()));
    let mut tasks = Vec::new();
    for number in 0..clients {
        let wire = wires[number as usize % wires.len()].clone();
        let (pairs, total) = (pairs.clone(), Arc::clone(&total));
        tasks.push(tokio::spawn(async move {
            let tally = client(wire, number, began + length, &pairs).await;
            total
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .add(tally);
        }));
    }
    for task in tasks {
        task.await?;
    }
    let elapsed = began.elapsed();
    let total = std::mem::take(&mut *total.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Seen {
        cycles: total.cycles,
        elapsed,
        reserve: Latency::of(total.reserve),
        confirm: Latency::of(total.confirm),
        errors: total.errors,
    })
}

async fn client(wire: Wire, number: u32, end: Instant, pairs: &Pairs) -> Tally {
    let mut tally = Tally::default();
    while Instant::now() < end {
        let Some((show, seat)) = pairs.take() else {
            break;
        };
        let request = reservation(show, &[seat, seat + 1], number);
        let began = Instant::now();
        let booking_id = match wire.reserve_seats(&request).await {
            Ok(booking_id) => booking_id,
            Err(status) => {
                tally.error(&status);
                continue;
            }
        };
        tally.reserve.push(micros(began.elapsed()));
        let request_id = Uuid::now_v7().to_string();
        let began = Instant::now();
        let request = ConfirmBookingRequest {
            booking_id,
            request_id,
            ..Default::default()
        };
        match wire.confirm_booking(&request).await {
            Ok(()) => tally.cycles += 1,
            Err(status) => tally.error(&status),
        }
        tally.confirm.push(micros(began.elapsed()));
    }
    tally
}

/// The request that reserves seats by their numbers.
pub(crate) fn reservation(show: &str, seats: &[u32], customer: u32) -> ReserveSeatsRequest {
    ReserveSeatsRequest {
        show_id: show.to_owned(),
        seat_labels: seats.iter().map(ToString::to_string).collect(),
        customer: Some(Customer::CustomerId(format!("customer-{customer}"))),
        request_id: Uuid::now_v7().to_string(),
        ..Default::default()
    }
}

/// An error's code and reason.
pub(crate) fn name(status: &Status) -> String {
    let reason = status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default();
    format!("{:?} {reason}", status.code())
}

impl Tally {
    fn error(&mut self, status: &Status) {
        *self.errors.entry(name(status)).or_default() += 1;
    }

    fn add(&mut self, other: Self) {
        self.cycles += other.cycles;
        self.reserve.extend(other.reserve);
        self.confirm.extend(other.confirm);
        for (name, count) in other.errors {
            *self.errors.entry(name).or_default() += count;
        }
    }
}
