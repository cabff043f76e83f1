//! Random customers against the real services, and what came of it against a model that is so
//! simple that it is obviously right.
//!
//! Eight customers reserve, sell, confirm, cancel, give back, extend and swap seats of one small
//! show at random, through two replicas; they repeat each other's calls, let holds lapse and
//! have the worker sweep. Then each entry of the log must be legal for the model when its turn
//! comes, and all that anybody was told must be what the model says.
//!
//! `TICKETING_MODEL_RUNS` says how many shows, `TICKETING_MODEL_SEED` with which seed the first
//! of them; the next has the next one. A seed repeats what the customers try, not who of them
//! comes first.

pub(crate) mod ask;
mod booking;
mod customers;
mod dice;
mod hall;
mod history;
mod justify;
mod replay;

use std::collections::BTreeMap;
use std::env;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use proto::booking::v1::{Booking as Told, BookingState, ListBookingsRequest, Seat, SeatStatus};
use proto::catalog::v1::create_show_request::Seats;
use proto::catalog::v1::{CreateShowRequest, PriceTier, RowName};
use proto::expiry::v1::RunOnceRequest;
use proto::money::v1::Money;
use system_tests::errors::describe;
use system_tests::{eventually, invariants, system};
use tokio::time::timeout;
use uuid::Uuid;

use self::booking::Booking;
use self::customers::Doors;
use self::dice::Dice;
use self::hall::{Instant, ROWS, SEATS_PER_ROW, SECTION};
use self::history::{History, now};
use self::replay::{Moment, replay};
use crate::stage::{Stage, assert_faultless};

/// How many runs there are if nobody says.
const RUNS: u64 = 200;
/// How many runs have a database of their own: the worker's sweeps read over all of them.
const RUNS_PER_DATABASE: u64 = 250;
/// How many shows are open at once.
const AT_ONCE: u64 = 8;
/// The longest that a run may take on a busy machine.
const RUN_MAX: Duration = Duration::from_secs(60);
/// How soon a cancelled show must be wound up.
const WIND_UP_MAX: Duration = Duration::from_secs(20);

#[tokio::test]
#[allow(
    clippy::print_stdout,
    reason = "the seed must be known if the machine dies"
)]
async fn random_customers_against_the_model() {
    let setting = |name: &str| {
        let value = env::var(name).ok()?;
        Some(
            value
                .parse::<u64>()
                .unwrap_or_else(|_| panic!("{name} is no number: {value}")),
        )
    };
    let runs = setting("TICKETING_MODEL_RUNS").unwrap_or(RUNS);
    let random = || Uuid::new_v4().as_u64_pair().0 >> 32;
    let seed = setting("TICKETING_MODEL_SEED").unwrap_or_else(random);
    println!("TICKETING_MODEL_SEED={seed} TICKETING_MODEL_RUNS={runs}");
    let mut seen = Seen::default();
    let mut from = 0;
    while from < runs {
        let until = runs.min(from + RUNS_PER_DATABASE);
        in_one_database(seed + from..seed + until, &mut seen).await;
        from = until;
    }
    println!("{seen:?}");
    seen.assert_enough(runs);
}

async fn in_one_database(seeds: Range<u64>, seen: &mut Seen) {
    let mut stage = Stage::with_workers(1).await;
    history::note_order(&stage.owner).await;
    let (mut process, other) = stage.another().await;
    let doors = Doors {
        bookings: vec![stage.client(), other],
        worker: stage.system.worker_client(0),
        owner: Arc::new(stage.system.database.owner().await),
    };
    let workers = (0..AT_ONCE).map(|worker| {
        let (stage, doors, seeds) = (&stage, &doors, seeds.clone());
        async move {
            let mut seen = Seen::default();
            for seed in seeds.filter(|seed| seed % AT_ONCE == worker) {
                seen.add(&run(stage, doors, seed).await);
            }
            seen
        }
    });
    for of_worker in join_all(workers).await {
        seen.join(of_worker);
    }
    for process in [
        &mut process,
        &mut stage.system.booking,
        &mut stage.system.workers[0],
    ] {
        assert_faultless(process);
    }
    invariants::assert_hold(&stage.system.database).await;
}

/// One show from its creation to the last check.
async fn run(stage: &Stage, doors: &Doors, seed: u64) -> History {
    let created = stage.system.catalog_client().create_show(a_hall()).await;
    let show = created
        .expect("a show")
        .into_inner()
        .show
        .expect("set")
        .show_id;
    let cancelled = Dice::new(seed, usize::MAX).percent(15);
    let cancel = cancelled.then_some(async || stage.cancel_show(&show).await);
    let acting = customers::run(doors, &show, seed, cancel);
    let Ok((mut history, acted)) = timeout(RUN_MAX, acting).await else {
        panic!("seed {seed}: not within {RUN_MAX:?}");
    };
    let checked = match acted {
        Ok(()) => check(stage, doors, &mut history, cancelled).await,
        Err(error) => Err(error),
    };
    if let Err(error) = checked {
        panic!("TICKETING_MODEL_SEED={seed} TICKETING_MODEL_RUNS=1: {error}\n{history}");
    }
    history
}

async fn check(
    stage: &Stage,
    doors: &Doors,
    history: &mut History,
    cancelled: bool,
) -> Result<(), String> {
    let show = history.show_id.clone();
    if cancelled {
        let wound_up = format!(
            "SELECT count(*) FROM booking.sales WHERE show_id = '{show}' AND wound_up_at IS NULL"
        );
        eventually(WIND_UP_MAX, "the show is wound up", async || {
            stage.count(&wound_up).await == 0
        })
        .await;
    }
    let swept = doors.worker.clone().run_once(RunOnceRequest {}).await;
    swept.map_err(|status| describe(&status))?;
    let end = End::of(stage, &show).await;
    history.read_log(&doors.owner).await;
    let moments = replay(history)?;
    justify::justify(history, &moments)?;
    end.agrees_with(&moments)?;
    let show_id = show.parse().expect("a show's id");
    match &*invariants::broken(&doors.owner, Some(show_id)).await {
        [] => Ok(()),
        broken => Err(format!("{broken:#?}")),
    }
}

/// The show as the services show it in the end, when only holds still lapse.
struct End {
    began: Instant,
    ended: Instant,
    bookings: Vec<Told>,
    seats: Vec<Seat>,
}

impl End {
    async fn of(stage: &Stage, show_id: &str) -> Self {
        let began = now();
        let bookings = all_bookings(stage, show_id).await;
        let seats = stage.system.seats(show_id).await;
        let ended = now() + 1;
        Self {
            began,
            ended,
            bookings,
            seats,
        }
    }

    fn agrees_with(&self, moments: &[Moment]) -> Result<(), String> {
        let (began, ended) = (self.began, self.ended);
        let last = &moments.last().expect("there is a first").hall;
        let ids: Vec<_> = self.bookings.iter().map(|told| &told.booking_id).collect();
        let expected: Vec<_> = last.bookings.keys().collect();
        if ids != expected {
            return Err(format!("{ids:?}, where the model has {expected:?}"));
        }
        let wrong = |told: &&Told| !justify::was_so(told, began, ended, moments);
        if let Some(told) = self.bookings.iter().find(wrong) {
            let expected = &last.bookings[&told.booking_id];
            return Err(format!("{told:?}, where the model has {expected:?}"));
        }
        let labels: Vec<_> = self.seats.iter().map(|seat| seat.label.clone()).collect();
        if labels != hall::all_labels() {
            return Err(format!("the hall has {labels:?}"));
        }
        for seat in &self.seats {
            let met = justify::met(began, ended, moments);
            let expected = met.iter().flat_map(|(Moment { hall, .. }, times)| {
                times.iter().map(|at| status(hall.owner(&seat.label, *at)))
            });
            let expected: Vec<_> = expected.collect();
            if !expected.contains(&seat.status()) {
                return Err(format!("{seat:?}, where the model has {expected:?}"));
            }
        }
        Ok(())
    }
}

fn status(owner: Option<&Booking>) -> SeatStatus {
    match owner.map(|owner| owner.state) {
        None => SeatStatus::Available,
        Some(BookingState::Pending) => SeatStatus::Held,
        Some(_) => SeatStatus::Booked,
    }
}

async fn all_bookings(stage: &Stage, show_id: &str) -> Vec<Told> {
    let request = ListBookingsRequest {
        show_id: show_id.to_owned(),
        page_size: 1_000,
        ..Default::default()
    };
    let page = stage.client().list_bookings(request).await;
    let page = page.expect("a page").into_inner();
    assert_eq!(page.next_page_token, "", "it has few bookings");
    page.bookings
}

fn a_hall() -> CreateShowRequest {
    let mut layout = system::layout(SEATS_PER_ROW);
    layout.sections[0].rows[0].names = Some(system::names(ROWS.map(|(name, ..)| name)));
    let tier = |name: &str, price, rows: Vec<&str>| PriceTier {
        name: name.to_owned(),
        price: Some(Money {
            minor_units: price,
            currency_code: "EUR".to_owned(),
        }),
        rows: rows
            .into_iter()
            .map(|row| RowName {
                section: SECTION.to_owned(),
                row: row.to_owned(),
            })
            .collect(),
        ..Default::default()
    };
    let (front, back) = (ROWS[0], ROWS[1]);
    CreateShowRequest {
        seats: Some(Seats::Layout(layout)),
        seat_price: None,
        price_tiers: vec![
            tier(front.1, front.2, vec![front.0]),
            tier(back.1, back.2, vec![]),
        ],
        ..system::show(1)
    }
}

/// What happened in all runs, by kind: a check that never sees something proves nothing of it.
#[derive(Debug, Default)]
struct Seen(BTreeMap<String, usize>);

impl Seen {
    fn add(&mut self, history: &History) {
        let mut count = |kind: String| *self.0.entry(kind).or_default() += 1;
        for entry in &history.log {
            count(entry.verb.clone());
        }
        for call in &history.calls {
            match &call.outcome {
                Ok(_) => count("granted".to_owned()),
                Err(refusal) => {
                    let name = format!("{refusal:?}");
                    let end = name
                        .find(|c: char| !c.is_alphanumeric())
                        .unwrap_or(name.len());
                    count(name[..end].to_owned());
                }
            }
        }
        let copies = history
            .calls
            .iter()
            .filter(|call| call.outcome.is_ok())
            .count()
            - history
                .log
                .iter()
                .filter(|entry| !matches!(&*entry.verb, "EXPIRE" | "VOID"))
                .count();
        *self.0.entry("copies".to_owned()).or_default() += copies;
    }

    fn join(&mut self, other: Self) {
        for (kind, count) in other.0 {
            *self.0.entry(kind).or_default() += count;
        }
    }

    /// Many runs meet everything.
    fn assert_enough(&self, runs: u64) {
        const KINDS: [&str; 20] = [
            "RESERVE",
            "SELL",
            "CONFIRM",
            "CANCEL",
            "RELEASE",
            "EXTEND",
            "SWAP",
            "EXPIRE",
            "VOID",
            "copies",
            "RequestIdReused",
            "UnknownSeats",
            "ShowNotOnSale",
            "SeatsUnavailable",
            "HoldExpired",
            "BookingState",
            "EtagMismatch",
            "NotInBooking",
            "LifetimeExceeded",
            "SwapCostsMore",
        ];
        let missed: Vec<_> = KINDS
            .iter()
            .filter(|kind| !self.0.contains_key(**kind))
            .collect();
        assert!(
            runs < RUNS || missed.is_empty(),
            "never seen: {missed:?} of {self:?}"
        );
    }
}
