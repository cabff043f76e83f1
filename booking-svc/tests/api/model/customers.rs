//! Customers who do whatever comes to their mind, all at once, and write down what they saw.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::try_join_all;
use proto::booking::v1::Booking as Told;
use proto::expiry::v1::RunOnceRequest;
use proto::expiry::v1::expiry_service_client::ExpiryServiceClient;
use system_tests::errors::describe;
use system_tests::system::get;
use tokio_postgres::Client;
use tonic::Status;
use tonic::transport::Channel;
use uuid::Uuid;

use super::ask::{Ask, Refusal};
use super::dice::Dice;
use super::hall::all_labels;
use super::history::{Call, History, Look, Move, now};
use crate::stage::{Bookings, move_hold};

/// How many there are.
pub(super) const CUSTOMERS: usize = 8;
/// What each of them does, one thing after another.
const STEPS: usize = 5;
/// How many of the newest bookings and calls are disputed.
const RECENT: usize = 8;
/// The longest hold there is, in seconds: too long for one that is extended.
const HOLD_SECONDS_MAX: usize = 1_800;

/// How they reach the system.
#[derive(Debug, Clone)]
pub(super) struct Doors {
    /// Of each replica.
    pub(super) bookings: Vec<Bookings>,
    pub(super) worker: ExpiryServiceClient<Channel>,
    pub(super) owner: Arc<Client>,
}

/// What they know of each other's doings.
#[derive(Debug, Default)]
struct Known {
    /// Every booking that somebody was told of, as of then.
    bookings: Vec<Told>,
    /// Every call that was sent under an id.
    sent: Vec<(Uuid, Ask)>,
    history: History,
}

#[derive(Debug)]
struct Shared(Mutex<Known>);

impl Shared {
    fn with<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Lets them at a show; what they saw, or what the system did that it never may. The show may
/// be cancelled while they are at it, by `cancel`.
pub(super) async fn run(
    doors: &Doors,
    show_id: &str,
    seed: u64,
    cancel: Option<impl AsyncFn()>,
) -> (History, Result<(), String>) {
    let history = History {
        show_id: show_id.to_owned(),
        ..History::default()
    };
    let known = Known {
        history,
        ..Known::default()
    };
    let shared = Shared(Mutex::new(known));
    let cancel = cancel.as_ref();
    let customers = (0..CUSTOMERS).map(|number| {
        let mut customer = Customer {
            name: format!("customer-{number}"),
            show_id,
            client: doors.bookings[number % doors.bookings.len()].clone(),
            doors,
            dice: Dice::new(seed, number),
            shared: &shared,
        };
        async move {
            for step in 0..STEPS {
                match cancel {
                    Some(cancel) if (number, step) == (0, STEPS - 2) => cancel().await,
                    _ => customer.act().await?,
                }
            }
            Ok(())
        }
    });
    let acted = try_join_all(customers).await.map(drop);
    (
        shared.with(|known| std::mem::take(&mut known.history)),
        acted,
    )
}

struct Customer<'a> {
    name: String,
    show_id: &'a str,
    client: Bookings,
    doors: &'a Doors,
    dice: Dice,
    shared: &'a Shared,
}

impl Customer<'_> {
    async fn act(&mut self) -> Result<(), String> {
        match self.dice.below(100) {
            0..82 => {
                let ask = self.make_up();
                let request_id = self.dice.percent(75).then(|| self.dice.uuid());
                self.call(ask, request_id).await
            }
            82..90 => self.repeat().await,
            90..95 => self.let_lapse().await,
            95..97 => self.look().await,
            _ => self.sweep().await,
        }
    }

    /// A call that was sent before, perhaps this moment, or another under its id.
    async fn repeat(&mut self) -> Result<(), String> {
        let sent = self.shared.with(|known| known.sent.clone());
        let Some((id, ask)) = self.dice.pick_recent(&sent, RECENT) else {
            return self.look().await;
        };
        let ask = if self.dice.percent(70) {
            ask
        } else {
            self.make_up()
        };
        self.call(ask, Some(id)).await
    }

    async fn call(&mut self, ask: Ask, request_id: Option<Uuid>) -> Result<(), String> {
        if let Some(id) = request_id {
            self.shared.with(|known| known.sent.push((id, ask.clone())));
        }
        let began = now();
        let outcome = ask.send(&mut self.client, self.show_id, request_id).await;
        let ended = now() + 1;
        let outcome =
            match outcome {
                Ok(told) => Ok(told),
                Err(status) => Err(Refusal::read(&status)
                    .ok_or_else(|| format!("{ask:?}: {}", describe(&status)))?),
            };
        let call = Call {
            ask,
            request_id,
            began,
            ended,
            outcome,
        };
        self.shared.with(|known| {
            known.bookings.extend(call.outcome.clone());
            known.history.calls.push(call);
        });
        Ok(())
    }

    async fn look(&mut self) -> Result<(), String> {
        let Some(booking) = self.a_booking() else {
            return Ok(());
        };
        let began = now();
        let seen = get(&mut self.client, &booking.booking_id).await;
        let seen = seen.map_err(told)?;
        let ended = now() + 1;
        let look = Look { began, ended, seen };
        self.shared.with(|known| known.history.looks.push(look));
        Ok(())
    }

    /// Has a hold end about now, before, during or after the next calls, or somewhat later.
    async fn let_lapse(&mut self) -> Result<(), String> {
        let Some(booking) = self.a_booking() else {
            return Ok(());
        };
        let within = *self.dice.pick(&[16, 1_000]);
        let millis = i32::try_from(self.dice.below(within)).expect("it is small");
        let from_now = f64::from(millis - 4) / 1_000.0;
        let moved = move_hold(&self.doors.owner, &booking.booking_id, from_now).await;
        let ended = now() + 1;
        if let Some(moved) = moved {
            let moved = Move {
                booking: booking.booking_id,
                version: moved.version,
                created: moved.created_at,
                expires: moved.expires_at,
                at: moved.at,
                ended,
            };
            self.shared.with(|known| known.history.moves.push(moved));
        }
        Ok(())
    }

    async fn sweep(&mut self) -> Result<(), String> {
        let mut worker = self.doors.worker.clone();
        let swept = worker.run_once(RunOnceRequest {}).await;
        swept.map(drop).map_err(told)
    }

    /// One that somebody was told of; mostly one that was alive then.
    fn a_booking(&mut self) -> Option<Told> {
        let mut bookings = self.shared.with(|known| known.bookings.clone());
        if self.dice.percent(80) {
            bookings.retain(|told| told.cancel_time.is_none() && told.fail_time.is_none());
        }
        self.dice.pick_recent(&bookings, RECENT)
    }

    /// Something to ask for.
    fn make_up(&mut self) -> Ask {
        let verb = self.dice.below(100);
        let booking = self.a_booking();
        let (Some(booking), 35..) = (booking, verb) else {
            return self.make_up_reserve();
        };
        let etag = self.make_up_etag(&booking);
        let own: Vec<String> = booking
            .lines
            .into_iter()
            .map(|line| line.seat_label)
            .collect();
        let booking = booking.booking_id;
        match verb {
            35..57 => Ask::Confirm {
                booking,
                etag,
                reference: self.make_up_reference(),
            },
            57..68 => Ask::Cancel {
                booking,
                etag,
                labels: [].into(),
            },
            68..78 => Ask::Cancel {
                booking,
                etag,
                labels: self.some_of(&own, 2),
            },
            78..87 => Ask::Extend {
                booking,
                etag,
                hold_seconds: self.make_up_hold(),
            },
            _ => {
                let from = self.some_of(&own, 2);
                let to = self.labels(from.len());
                Ask::Swap {
                    booking,
                    etag,
                    from,
                    to,
                }
            }
        }
    }

    fn make_up_reserve(&mut self) -> Ask {
        let count = 1 + self.dice.below(3);
        let confirm = self.dice.percent(25);
        Ask::Reserve {
            labels: self.labels(count),
            customer: self.name.clone(),
            hold_seconds: self.dice.percent(50).then(|| self.make_up_hold()),
            confirm,
            reference: if confirm {
                self.make_up_reference()
            } else {
                String::new()
            },
        }
    }

    fn make_up_etag(&mut self, booking: &Told) -> String {
        match self.dice.below(10) {
            0..6 => String::new(),
            6..9 => booking.etag.clone(),
            _ => format!("v{}", 1 + self.dice.below(4)),
        }
    }

    fn make_up_reference(&mut self) -> String {
        let number = self.dice.below(6);
        if number < 4 {
            String::new()
        } else {
            format!("paid-{number}")
        }
    }

    fn make_up_hold(&mut self) -> i64 {
        let seconds = match self.dice.below(10) {
            0..5 => 10 + self.dice.below(10),
            5..8 => 10 + self.dice.below(HOLD_SECONDS_MAX - 9),
            _ => HOLD_SECONDS_MAX,
        };
        i64::try_from(seconds).expect("it is small")
    }

    /// Some of a booking's own, and now and then another.
    fn some_of(&mut self, own: &[String], most: usize) -> BTreeSet<String> {
        if self.dice.percent(10) {
            return self.labels(1);
        }
        let count = 1 + self.dice.below(most);
        self.dice.some(own, count).into_iter().collect()
    }

    /// So many of the hall, and now and then one that it does not have.
    fn labels(&mut self, count: usize) -> BTreeSet<String> {
        let mut labels = self.dice.some(&all_labels(), count);
        if self.dice.percent(2) {
            labels[0] = "Z-9".to_owned();
        }
        labels.into_iter().collect()
    }
}

fn told(status: Status) -> String {
    describe(&status)
}
