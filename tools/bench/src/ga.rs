//! `ga`: all clients at once for places in one area, until it is sold out, compared with pgbench on
//! a plain counter.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use proto::booking::v1::{PlaceRequest, ReserveSeatsRequest};
use proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use proto::catalog::v1::create_show_request::Seats;
use proto::catalog::v1::{Area, CreateShowRequest, SeatLayout, ShowType};
use proto::money::v1::Money;
use serde::Serialize;
use tonic::Status;
use tonic_types::StatusExt as _;

use crate::cpu::Cpu;
use crate::load::{self, Random};
use crate::pgbench::{Pgbench, Script};
use crate::report::Report;
use crate::stand::Stand;
use crate::stats::{Latency, Spread, micros};
use crate::wire::Wire;

const PLACES: u32 = 50_000;
/// The most places of an order; the least is 1.
const QUANTITY_MAX: u32 = 4;
const AREA: &str = "Floor";
const FULL: &str = "FailedPrecondition AREA_FULL";
const PGBENCH_CLIENTS: [u32; 3] = [4, 16, 64];
const PGBENCH_SCRIPTS: [(&str, Script); 2] = [
    ("a", Script::CounterTransaction),
    ("b", Script::CounterStatement),
];

/// How to run it.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct GaArgs {
    /// How many clients
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub(crate) clients: u32,

    /// Over how many connections the clients are spread
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) connections: u32,

    /// How many shows are sold out, one after another
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) rounds: u16,

    /// How long each run of pgbench takes, in seconds
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=600))]
    pub(crate) seconds: u16,
}

#[derive(Default)]
struct Seen {
    /// Orders, and their places.
    granted: u32,
    places: u32,
    calls: Vec<u64>,
    errors: BTreeMap<String, u64>,
}

/// One round.
#[derive(Debug, Clone, Serialize)]
struct Round {
    seconds: f64,
    per_second: f64,
    calls: Latency,
    errors: BTreeMap<String, u64>,
    /// CPU for an order.
    cpu: Cpu,
    /// The best that pgbench did in the same round, and how.
    pgbench: f64,
    pgbench_script: String,
}

pub(crate) async fn run(stand: &Stand, args: GaArgs, report: &mut Report) -> Result<()> {
    let pgbench = Pgbench::list_shows(stand)?;
    let mut rounds = Vec::new();
    for number in 1..=args.rounds {
        let show = create_show(stand).await?;
        stand.quiesce().await?;
        let before = stand.cpu();
        let (elapsed, seen) = sell_out(stand, args, &show).await?;
        let cpu = stand.cpu().since(before).each(seen.granted.into());
        ensure!(
            seen.places == PLACES,
            "{} places were sold of {PLACES}",
            seen.places
        );
        stand.check().await?;
        let (script, theirs) = best_of_pgbench(&pgbench, stand, args.seconds).await?;
        let round = Round {
            seconds: elapsed.as_secs_f64(),
            per_second: f64::from(seen.granted) / elapsed.as_secs_f64(),
            calls: Latency::of(seen.calls),
            errors: seen.errors,
            cpu,
            pgbench: theirs,
            pgbench_script: script,
        };
        report.line(format!(
            "round {number}: {} orders, sold out in {:.2} s: {:.0} orders/s; calls p50 {} p99 {} \
             max {} us; CPU us an order: service {:.1}, database {:.1}, client {:.1}; errors {:?}; \
             pgbench {}: {:.0} orders/s",
            seen.granted,
            round.seconds,
            round.per_second,
            round.calls.p50_us,
            round.calls.p99_us,
            round.calls.max_us,
            round.cpu.service_s * 1e6,
            round.cpu.database_s * 1e6,
            round.cpu.client_s * 1e6,
            round.errors,
            round.pgbench_script,
            round.pgbench,
        ));
        rounds.push(round);
    }
    let ours = Spread::of(rounds.iter().map(|round| round.per_second));
    let theirs = Spread::of(rounds.iter().map(|round| round.pgbench));
    // Ours against theirs in the same round, so that a machine that slows down slows both.
    let ratio = Spread::of(rounds.iter().map(|round| round.per_second / round.pgbench));
    report.line(String::new());
    for (name, spread) in [("ours", ours), ("pgbench, at its best", theirs)] {
        report.line(format!(
            "{name}: {:.0} orders/s (median; {:.0} to {:.0})",
            spread.median, spread.min, spread.max
        ));
        report.bar(name.to_owned(), spread);
    }
    report.ratio("to pgbench, ga", ratio);
    report.figures("ga", &rounds);
    Ok(())
}

/// A show of one area; its id.
async fn create_show(stand: &Stand) -> Result<String> {
    let area = Area {
        name: AREA.to_owned(),
        capacity: i32::try_from(PLACES)?,
        ..Default::default()
    };
    let layout = SeatLayout {
        name: AREA.to_owned(),
        areas: vec![area],
        ..Default::default()
    };
    let tomorrow = SystemTime::now() + Duration::from_secs(24 * 60 * 60);
    let request = CreateShowRequest {
        name: "Open air".to_owned(),
        show_type: ShowType::Concert.into(),
        start_time: Some(tomorrow.into()),
        seats: Some(Seats::Layout(layout)),
        seat_price: Some(Money {
            minor_units: 1_250,
            currency_code: "EUR".to_owned(),
        }),
        ..Default::default()
    };
    let mut catalog = CatalogServiceClient::new(stand.catalog_endpoint()?.connect().await?);
    let created = catalog.create_show(request).await?.into_inner().show;
    Ok(created.context("the answer has no show")?.show_id)
}

async fn sell_out(stand: &Stand, args: GaArgs, show: &str) -> Result<(Duration, Seen)> {
    let wires = stand.wires(args.connections).await?;
    let total = Arc::new(Mutex::new(Seen::default()));
    let began = Instant::now();
    let clients: Vec<_> = (0..args.clients)
        .map(|number| {
            let wire = wires[number as usize % wires.len()].clone();
            let (show, total) = (show.to_owned(), Arc::clone(&total));
            tokio::spawn(async move {
                let seen = buy(wire, number, show).await?;
                total
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .add(seen);
                anyhow::Ok(())
            })
        })
        .collect();
    for client in clients {
        client.await??;
    }
    let elapsed = began.elapsed();
    let seen = std::mem::take(&mut *total.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((elapsed, seen))
}

/// Takes places until there are none.
async fn buy(wire: Wire, number: u32, show: String) -> Result<Seen> {
    let mut random = Random::new();
    let mut seen = Seen::default();
    let mut left = PLACES;
    while left > 0 {
        let wish = u32::try_from(random.below(QUANTITY_MAX as usize))? + 1;
        let quantity = wish.min(left);
        let request = ReserveSeatsRequest {
            places: vec![PlaceRequest {
                area: AREA.to_owned(),
                quantity: i32::try_from(quantity)?,
            }],
            ..load::reservation(&show, &[], number)
        };
        let began = Instant::now();
        let outcome = wire.reserve_seats(&request).await;
        seen.calls.push(micros(began.elapsed()));
        match outcome {
            Ok(_) => {
                seen.granted += 1;
                seen.places += quantity;
            }
            Err(status) => {
                left = left_after(&status)?;
                *seen.errors.entry(load::name(&status)).or_default() += 1;
            }
        }
    }
    Ok(seen)
}

/// The number of places left, from the error.
fn left_after(status: &Status) -> Result<u32> {
    let name = load::name(status);
    if name != FULL {
        bail!("an error that may not be: {name}: {}", status.message());
    }
    let info = status.get_details_error_info();
    let mut metadata = info.map(|info| info.metadata).unwrap_or_default();
    let left = metadata
        .remove("left")
        .context("the error does not say how many places are left")?;
    Ok(left.parse()?)
}

/// The best rate of pgbench on a counter that is never full, and its script.
async fn best_of_pgbench(pgbench: &Pgbench, stand: &Stand, seconds: u16) -> Result<(String, f64)> {
    let length = Duration::from_secs(seconds.into());
    let mut best = (String::new(), 0.0);
    for (name, script) in PGBENCH_SCRIPTS {
        for clients in PGBENCH_CLIENTS {
            pgbench.prepare(stand, 1, 1).await?;
            let measured = pgbench.run(stand, script, clients, length, (1, 1)).await?;
            if measured.per_second > best.1 {
                best = (format!("({name}), {clients} clients"), measured.per_second);
            }
        }
    }
    Ok(best)
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.granted += other.granted;
        self.places += other.places;
        self.calls.extend(other.calls);
        for (name, count) in other.errors {
            *self.errors.entry(name).or_default() += count;
        }
    }
}
