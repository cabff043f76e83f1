//! `stampede`: all clients at once for one show, until it is sold out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use proto::booking::v1::ConfirmBookingRequest;
use uuid::Uuid;

use crate::load::{self, Random};
use crate::pgbench::{Pgbench, Script};
use crate::report::Report;
use crate::stand::Stand;
use crate::stats::{Latency, Spread, micros};
use crate::wire::Wire;

const SEATS: u32 = 10_000;
const TAKEN: &str = "FailedPrecondition SEATS_UNAVAILABLE";
/// The tables for pgbench: those of `cycle`.
const USUAL: (u32, u32) = (1_000, 1_000);

/// How to run it.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct StampedeArgs {
    /// How many clients
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub(crate) clients: u32,

    /// Over how many connections the clients are spread
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) connections: u32,

    /// How many shows are sold out, one after another
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) rounds: u16,
}

/// The hall as all clients see it: the pairs of seats that are not known to be taken.
struct Hall {
    show: String,
    free: Mutex<Vec<u32>>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    sold: u32,
    calls: Vec<u64>,
    errors: BTreeMap<String, u64>,
}

pub(crate) async fn run(stand: &Stand, args: StampedeArgs, report: &mut Report) -> Result<()> {
    let pgbench = Pgbench::list_shows(stand)?;
    pgbench.prepare(stand, USUAL.0, USUAL.1).await?;
    let mut sold_out = Vec::new();
    let mut beside = Vec::new();
    let mut rounds = Vec::new();
    for round in 1..=args.rounds {
        let show = stand.create_shows(1, SEATS).await?.remove(0);
        stand.quiesce().await?;
        let wires = stand.wires(args.connections).await?;
        let hall = Arc::new(Hall {
            show,
            free: Mutex::new((0..SEATS / 2).collect()),
            seen: Mutex::default(),
        });
        let began = Instant::now();
        let clients: Vec<_> = (0..args.clients)
            .map(|number| {
                let wire = wires[number as usize % wires.len()].clone();
                tokio::spawn(buy(wire, number, Arc::clone(&hall)))
            })
            .collect();
        for client in clients {
            client.await??;
        }
        let elapsed = began.elapsed();
        let seen = std::mem::take(&mut *hall.seen.lock().unwrap_or_else(PoisonError::into_inner));
        ensure!(
            seen.sold == SEATS / 2,
            "{} pairs were sold of {}",
            seen.sold,
            SEATS / 2
        );
        stand.check().await?;
        let latency = Latency::of(seen.calls);
        let usual = pgbench
            .run(
                stand,
                Script::Transaction,
                16,
                Duration::from_secs(5),
                USUAL,
            )
            .await?;
        let usual_s = f64::from(SEATS / 2) / usual.per_second;
        report.line(format!(
            "round {round}: sold out in {:.2} s; calls p50 {} p99 {} max {} us; errors {:?}; \
             pgbench (a) would sell as many without contention in {usual_s:.2} s",
            elapsed.as_secs_f64(),
            latency.p50_us,
            latency.p99_us,
            latency.max_us,
            seen.errors,
        ));
        sold_out.push(elapsed.as_secs_f64());
        beside.push(usual_s);
        rounds.push(serde_json::json!({
            "seconds": elapsed.as_secs_f64(), "calls": latency, "errors": seen.errors,
            "pgbench_seconds": usual_s,
        }));
    }
    let (ours, theirs) = (Spread::of(sold_out), Spread::of(beside));
    report.line(format!(
        "sold out in {:.2} s (median; {:.2} to {:.2}); ratio to pgbench (a): {:.2}",
        ours.median,
        ours.min,
        ours.max,
        theirs.median / ours.median
    ));
    report.figures("stampede", &rounds);
    Ok(())
}

/// Takes pairs until there is none.
async fn buy(wire: Wire, number: u32, hall: Arc<Hall>) -> Result<()> {
    let mut random = Random::new();
    while let Some(pair) = hall.choose(&mut random) {
        let request = load::reservation(&hall.show, &[pair * 2 + 1, pair * 2 + 2], number);
        let began = Instant::now();
        let reserved = wire.reserve_seats(&request).await;
        hall.saw(began.elapsed());
        let booking_id = match reserved {
            Ok(booking_id) => booking_id,
            Err(status) => {
                let name = load::name(&status);
                ensure!(
                    name == TAKEN,
                    "an error that may not be: {name}: {}",
                    status.message()
                );
                hall.taken(pair, Some(name));
                continue;
            }
        };
        hall.taken(pair, None);
        let began = Instant::now();
        let request = ConfirmBookingRequest {
            booking_id,
            request_id: Uuid::now_v7().to_string(),
            ..Default::default()
        };
        wire.confirm_booking(&request).await?;
        hall.saw(began.elapsed());
    }
    Ok(())
}

impl Hall {
    /// A pair that is not known to be taken; several clients may choose the same.
    fn choose(&self, random: &mut Random) -> Option<u32> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.get(random.below(free.len())).copied()
    }

    fn taken(&self, pair: u32, error: Option<String>) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = free.iter().position(|other| *other == pair) {
            free.swap_remove(place);
        }
        drop(free);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            Some(error) => *seen.errors.entry(error).or_default() += 1,
            None => seen.sold += 1,
        }
    }

    fn saw(&self, took: Duration) {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .calls
            .push(micros(took));
    }
}
