//! Customers who act at random, concurrently, and record the replies.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::try_join_all;
use proto::booking::v1::Booking as BookingReply;
use proto::expiry::v1::RunOnceRequest;
use proto::expiry::v1::expiry_service_client::ExpiryServiceClient;
use test_harness::errors::describe;
use test_harness::system::get;
use tokio_postgres::Client;
use tonic::Status;
use tonic::transport::Channel;
use uuid::Uuid;

use super::ask::Ask;
use super::history::{Call, History, Look, Move, now};
use super::ideas::Ideas;
use super::people::Person;
use super::rejection::Rejection;
use super::show::Terms;
use crate::stage::{Bookings, move_hold};

/// How many there are.
pub(super) const CUSTOMERS: usize = 8;
/// The number of calls of each customer, one after another.
const STEPS: usize = 5;
/// How many of the newest bookings and calls are disputed.
const RECENT: usize = 8;

/// How they reach the system.
#[derive(Debug, Clone)]
pub(super) struct Doors {
    /// Of a replica that takes no money, and of one that sells nothing without.
    pub(super) bookings: [Bookings; 2],
    pub(super) people: Arc<[Person]>,
    pub(super) worker: ExpiryServiceClient<Channel>,
    pub(super) owner: Arc<Client>,
}

/// The state that the customers share.
#[derive(Debug)]
struct Known {
    /// Every booking of every reply, as the reply showed it.
    bookings: Vec<BookingReply>,
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

/// Runs the customers at a show; returns their records, or a violation that the system committed.
/// The show may be cancelled meanwhile, by `cancel`.
pub(super) async fn run(
    doors: &Doors,
    terms: &Arc<Terms>,
    seed: u64,
    cancel: Option<impl AsyncFn()>,
) -> (History, Result<(), String>) {
    let known = Known {
        bookings: Vec::new(),
        sent: Vec::new(),
        history: History::of(terms),
    };
    let shared = Shared(Mutex::new(known));
    let cancel = cancel.as_ref();
    let customers = (0..CUSTOMERS).map(|number| {
        // Each person uses both replicas.
        let pays = (number + number / doors.people.len()) % 2 == 1;
        let mut customer = Customer {
            show_id: &terms.show_id,
            client: doors.bookings[usize::from(pays)].clone(),
            pays,
            doors,
            ideas: Ideas::of(number, pays, seed, terms),
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
        shared.with(|known| std::mem::replace(&mut known.history, History::of(terms))),
        acted,
    )
}

struct Customer<'a> {
    show_id: &'a str,
    client: Bookings,
    pays: bool,
    doors: &'a Doors,
    ideas: Ideas,
    shared: &'a Shared,
}

impl Customer<'_> {
    async fn act(&mut self) -> Result<(), String> {
        match self.ideas.dice.below(100) {
            0..80 => {
                let ask = self.make_up();
                let request_id = self.ideas.request_id(&ask);
                self.call(ask, request_id).await
            }
            80..88 => self.repeat().await,
            88..95 => self.let_lapse().await,
            95..97 => self.look().await,
            _ => self.sweep().await,
        }
    }

    /// A call that was sent before, perhaps this moment, or another under its id.
    async fn repeat(&mut self) -> Result<(), String> {
        let sent = self.shared.with(|known| known.sent.clone());
        let Some((id, ask)) = self.ideas.dice.pick_recent(&sent, RECENT) else {
            return self.look().await;
        };
        let ask = if self.ideas.dice.percent(70) {
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
        let outcome = match outcome {
            Ok(reply) => Ok(reply),
            Err(status) => Err(Rejection::read(&status)
                .ok_or_else(|| format!("{ask:?}: {}", describe(&status)))?),
        };
        let call = Call {
            ask,
            request_id,
            pays: self.pays,
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
        let seen = seen.map_err(described)?;
        let ended = now() + 1;
        let look = Look { began, ended, seen };
        self.shared.with(|known| known.history.looks.push(look));
        Ok(())
    }

    /// Moves the end of a hold to about now, before, during or after the next calls, or somewhat later;
    /// and mostly calls at once for what that decides.
    async fn let_lapse(&mut self) -> Result<(), String> {
        let paid = self.one_being_paid();
        let is_paid = paid.is_some();
        let Some(booking) = paid.or_else(|| self.a_booking()) else {
            return Ok(());
        };
        let within = *self.ideas.dice.pick(&[16, 64, 1_000]);
        let millis = i32::try_from(self.ideas.dice.below(within)).expect("it is small");
        let from_now = f64::from(millis - 4) / 1_000.0;
        let moved = move_hold(&self.doors.owner, &booking.booking_id, from_now).await;
        let ended = now() + 1;
        let Some(moved) = moved else { return Ok(()) };
        let moved = Move {
            booking: booking.booking_id.clone(),
            version: moved.version,
            created: moved.created_at,
            expires: moved.expires_at,
            at: moved.at,
            ended,
        };
        self.shared.with(|known| known.history.moves.push(moved));
        if self.ideas.dice.percent(if is_paid { 60 } else { 20 }) {
            return Ok(());
        }
        let ask = self.ideas.at_the_end_of(&booking);
        let request_id = self.ideas.request_id(&ask);
        self.call(ask, request_id).await
    }

    async fn sweep(&mut self) -> Result<(), String> {
        let mut worker = self.doors.worker.clone();
        let swept = worker.run_once(RunOnceRequest {}).await;
        swept.map(drop).map_err(described)
    }

    /// One from any reply.
    fn a_booking(&mut self) -> Option<BookingReply> {
        let bookings = self.shared.with(|known| known.bookings.clone());
        self.ideas.a_booking(bookings, RECENT)
    }

    /// Mostly one that is being paid, if there is one.
    fn one_being_paid(&mut self) -> Option<BookingReply> {
        let waited_for = self.shared.with(|known| {
            let answered = |id| known.history.calls.iter().any(|c| c.request_id == Some(id));
            let sent = known.sent.iter();
            let waited_for = sent.filter(|(id, ask)| ask.token().is_some() && !answered(*id));
            let reply = waited_for.filter_map(|(_, ask)| {
                let (id, _) = ask.booking()?;
                known.bookings.iter().rfind(|reply| reply.booking_id == id)
            });
            reply.cloned().collect::<Vec<_>>()
        });
        let is_wanted = self.ideas.dice.percent(70);
        let picked = self.ideas.dice.pick_recent(&waited_for, RECENT);
        picked.filter(|_| is_wanted)
    }

    /// Something to ask for.
    fn make_up(&mut self) -> Ask {
        let booking = self.a_booking();
        self.ideas.make_up(booking)
    }
}

fn described(status: Status) -> String {
    describe(&status)
}
