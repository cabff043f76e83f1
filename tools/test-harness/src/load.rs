//! Customers who buy at random, retry every call until it is answered, and remember every answer.
//!
//! A customer repeats a call with the same request id until it is answered, as the contract asks.
//! So each knows the state that each of their bookings must be in, whatever was killed in between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use proto::booking::v1::booking_service_client::BookingServiceClient;
use proto::booking::v1::{
    Booking, BookingState, CancelBookingRequest, ConfirmBookingRequest, ReserveSeatsRequest,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tonic::transport::Channel;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::errors::{describe, reason};
use crate::eventually;
use crate::system::{System, get, reservation};

/// How long a customer retries while a service is down, before the test fails.
const PATIENCE: Duration = Duration::from_secs(40);
/// Between two tries of the same call.
const PAUSE: Duration = Duration::from_millis(20);
/// The shortest hold there is.
const SHORT_HOLD: Duration = Duration::from_secs(10);
/// How long a test may wait for customers to get on.
const PROGRESS_MAX: Duration = Duration::from_secs(40);

/// Errors after which a call is repeated, or fails, without a fault. Errors
/// made by the client's own side, such as for a broken connection, have no reason.
const EXPECTED: [&str; 8] = [
    "",
    "SEATS_UNAVAILABLE",
    "DATABASE_UNAVAILABLE",
    "CATALOG_UNAVAILABLE",
    "OVERLOADED",
    "SHUTTING_DOWN",
    "CONTENTION",
    "DEADLINE_EXCEEDED",
];

/// Customers at work.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    customers: JoinSet<Memory>,
}

#[derive(Debug)]
struct Shared {
    show_id: String,
    seats: usize,
    stop: AtomicBool,
    /// Bookings that have ended.
    settled: AtomicUsize,
}

/// The last answer about each booking, by its id.
#[derive(Debug, Default)]
pub struct Memory(BTreeMap<String, Booking>);

/// A customer's plan for a hold.
#[derive(Debug, Clone, Copy)]
enum Plan {
    Confirm,
    ConfirmThenCancel,
    Cancel,
    Forget,
}

impl Load {
    /// Lets `customers` buy seats of a show that has `seats` of them, "A-1" and so on.
    #[must_use]
    pub fn start(system: &System, show_id: &str, seats: usize, customers: usize) -> Self {
        let shared = Arc::new(Shared {
            show_id: show_id.to_owned(),
            seats,
            stop: AtomicBool::new(false),
            settled: AtomicUsize::new(0),
        });
        let mut load = Self {
            shared,
            customers: JoinSet::new(),
        };
        for number in 0..customers {
            let customer = Customer {
                name: format!("customer-{number}"),
                client: system.booking_client(),
                shared: Arc::clone(&load.shared),
                memory: Memory::default(),
            };
            load.customers.spawn(customer.buy());
        }
        load
    }

    /// Waits until this many more bookings have ended.
    ///
    /// # Panics
    ///
    /// If customers make no progress, or one of them saw a violation.
    pub async fn progress(&mut self, by: usize) {
        let settled = || self.shared.settled.load(Ordering::Relaxed);
        let goal = settled() + by;
        let customers = &mut self.customers;
        eventually(PROGRESS_MAX, &format!("{by} more bookings"), async || {
            // Customers run until they are stopped, unless something is wrong.
            assert!(customers.try_join_next().is_none_or(|gone| gone.is_ok()));
            settled() >= goal
        })
        .await;
    }

    /// Lets all customers finish their current booking, and returns their records.
    ///
    /// # Panics
    ///
    /// If one of them saw a violation.
    pub async fn stop(self) -> Memory {
        self.shared.stop.store(true, Ordering::Relaxed);
        let memories = self.customers.join_all().await;
        Memory(memories.into_iter().flat_map(|memory| memory.0).collect())
    }
}

struct Customer {
    name: String,
    client: BookingServiceClient<Channel>,
    shared: Arc<Shared>,
    memory: Memory,
}

impl Customer {
    async fn buy(mut self) -> Memory {
        while !self.shared.stop.load(Ordering::Relaxed) {
            let plan = match random(10) {
                0..=4 => Plan::Confirm,
                5..=7 => Plan::ConfirmThenCancel,
                8 => Plan::Cancel,
                _ => Plan::Forget,
            };
            let Some(id) = self.reserve(plan).await else {
                continue;
            };
            if matches!(plan, Plan::Confirm | Plan::ConfirmThenCancel) {
                self.confirm(&id).await;
            }
            if matches!(plan, Plan::Cancel | Plan::ConfirmThenCancel) {
                self.cancel(&id).await;
            }
            self.shared.settled.fetch_add(1, Ordering::Relaxed);
        }
        self.memory
    }

    /// Two seats, if they are free.
    async fn reserve(&mut self, plan: Plan) -> Option<String> {
        let first = random(self.shared.seats);
        let second = (first + 1 + random(self.shared.seats - 1)) % self.shared.seats;
        let labels = [first, second].map(|seat| format!("A-{}", seat + 1));
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let request = ReserveSeatsRequest {
            hold_duration: matches!(plan, Plan::Forget)
                .then(|| SHORT_HOLD.try_into().expect("ten seconds")),
            request_id: Uuid::new_v4().to_string(),
            ..reservation(&self.shared.show_id, &labels, &self.name)
        };
        let client = self.client.clone();
        let answer = until_answered("reserve", || {
            let (mut client, request) = (client.clone(), request.clone());
            async move {
                let answer = client.reserve_seats(request).await;
                answer.map(|response| response.into_inner().booking)
            }
        });
        self.remember(answer.await?)
    }

    async fn confirm(&mut self, id: &str) {
        let request = ConfirmBookingRequest {
            booking_id: id.to_owned(),
            request_id: Uuid::new_v4().to_string(),
            ..Default::default()
        };
        let client = self.client.clone();
        let answer = until_answered("confirm", || {
            let (mut client, request) = (client.clone(), request.clone());
            async move {
                let answer = client.confirm_booking(request).await;
                answer.map(|response| response.into_inner().booking)
            }
        });
        self.remember(answer.await.expect("only seats can be unavailable"));
    }

    async fn cancel(&mut self, id: &str) {
        let request = CancelBookingRequest {
            booking_id: id.to_owned(),
            request_id: Uuid::new_v4().to_string(),
            ..Default::default()
        };
        let client = self.client.clone();
        let answer = until_answered("cancel", || {
            let (mut client, request) = (client.clone(), request.clone());
            async move {
                let answer = client.cancel_booking(request).await;
                answer.map(|response| response.into_inner().booking)
            }
        });
        self.remember(answer.await.expect("only seats can be unavailable"));
    }

    fn remember(&mut self, booking: Option<Booking>) -> Option<String> {
        let booking = booking.expect("every answer has the booking");
        let id = booking.booking_id.clone();
        self.memory.0.insert(id.clone(), booking);
        Some(id)
    }
}

/// The answer, or none if the seats are taken.
async fn until_answered<T, F>(what: &str, call: impl Fn() -> F) -> Option<T>
where
    F: Future<Output = Result<T, Status>>,
{
    let start = Instant::now();
    loop {
        let status = match call().await {
            Ok(answer) => return Some(answer),
            Err(status) => status,
        };
        let reason = reason(&status);
        let expected = EXPECTED.contains(&reason.as_str()) && status.code() != Code::Unimplemented;
        assert!(expected, "{what}: {}", describe(&status));
        if reason == "SEATS_UNAVAILABLE" {
            return None;
        }
        let waited = start.elapsed();
        assert!(
            waited < PATIENCE,
            "{what}, for {waited:?}: {}",
            describe(&status)
        );
        sleep(PAUSE).await;
    }
}

impl Memory {
    /// Asserts that every booking is as its customer's last answer said, or expired if that was a
    /// hold; by SQL and by the API. Waits for the workers to finish.
    ///
    /// # Panics
    ///
    /// If one is not.
    pub async fn assert_kept(&self, system: &System) {
        let mut confirmed = 0;
        let mut client = system.booking_client();
        for (id, answered) in &self.0 {
            let forgotten = answered.state() == BookingState::Pending;
            let expected = if forgotten {
                BookingState::Failed
            } else {
                answered.state()
            };
            let deadline = SHORT_HOLD + Duration::from_secs(5);
            let mut found = get(&mut client, id)
                .await
                .expect("a booking from an answer");
            if forgotten {
                eventually(deadline, &format!("{id} has expired"), async || {
                    found = get(&mut client, id)
                        .await
                        .expect("a booking from an answer");
                    found.state() == BookingState::Failed
                })
                .await;
            }
            assert_eq!(
                found.state(),
                expected,
                "answered {answered:?}, found {found:?}"
            );
            assert_eq!(found.lines, answered.lines, "the lines of {id}");
            assert_eq!(found.confirm_time, answered.confirm_time, "{id}");
            confirmed += usize::from(expected == BookingState::Confirmed);
        }
        assert!(
            confirmed > 0,
            "nobody bought anything: {} bookings",
            self.0.len()
        );
        self.assert_stored(system).await;
    }

    async fn assert_stored(&self, system: &System) {
        let stored = "SELECT state::text FROM booking.bookings WHERE booking_id = $1";
        let owner = system.database.owner().await;
        for (id, answered) in &self.0 {
            let expected = match answered.state() {
                // Reads show it as expired at once; the worker has a moment.
                BookingState::Pending => "FAILED",
                state => state.as_str_name().trim_start_matches("BOOKING_STATE_"),
            };
            let id: Uuid = id.parse().expect("an id is a UUID");
            eventually(
                Duration::from_secs(5),
                &format!("{id} is {expected}"),
                async || {
                    let row = owner.query_one(stored, &[&id]).await.expect("a booking");
                    row.get::<_, &str>(0) == expected
                },
            )
            .await;
        }
    }
}

/// 0 to below `end`.
fn random(end: usize) -> usize {
    let [a, b, c, d, ..] = *Uuid::new_v4().as_bytes();
    u32::from_be_bytes([a, b, c, d]) as usize % end
}
