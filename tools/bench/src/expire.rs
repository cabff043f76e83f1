//! `expire`: how fast stale holds are failed, and how much that slows sales.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use serde_json::json;

use crate::load::{self, Pairs};
use crate::report::Report;
use crate::stand::Stand;
use crate::stats::{self, Spread};

const SHOWS: u32 = 1_000;
const SEATS: u32 = 1_000;
/// A hundred a show: 100,000 in all, on the first two hundred seats.
const HOLDS_PER_SHOW: i64 = 100;
const HOLDS: u64 = 100_000;
const DEADLINE: Duration = Duration::from_secs(120);
const CLIENTS: u32 = 64;
const ROUNDS: u32 = 3;
const LOAD_LENGTH: Duration = Duration::from_secs(8);

pub(crate) async fn run(stand: &mut Stand, report: &mut Report) -> Result<()> {
    let shows = stand.create_shows(SHOWS, SEATS).await?;
    for workers in [1, 2] {
        let mut rates = Vec::new();
        for _ in 0..ROUNDS {
            make_holds(stand).await?;
            rates.push(drain(stand, workers).await?);
            stand.check().await?;
        }
        let rate = Spread::of(rates);
        report.line(format!(
            "{workers} worker(s): {:.0} bookings/s drained (median; {:.0} to {:.0})",
            rate.median, rate.min, rate.max
        ));
        report.figures(&format!("workers_{workers}"), &rate);
        report.bar(format!("{workers} worker(s)"), rate);
    }
    beside_load(stand, &shows, report).await
}

async fn make_holds(stand: &mut Stand) -> Result<()> {
    stand.reset().await?;
    let owner = stand.owner().await?;
    owner
        .batch_execute("SET session_replication_role = replica")
        .await?;
    owner
        .execute(include_str!("holds.sql"), &[&HOLDS_PER_SHOW])
        .await?;
    stand.quiesce().await?;
    ensure!(pending(&owner).await? == HOLDS, "not all holds were made");
    Ok(())
}

async fn pending(owner: &tokio_postgres::Client) -> Result<u64> {
    let query = "SELECT count(*) FROM booking.bookings WHERE state = 'PENDING' AND customer_id = 'customer'";
    Ok(u64::try_from(
        owner.query_one(query, &[]).await?.get::<_, i64>(0),
    )?)
}

/// The bookings per second that this many workers fail, from the first to the last.
async fn drain(stand: &Stand, workers: u32) -> Result<f64> {
    let owner = stand.owner().await?;
    let mut running = Vec::new();
    for _ in 0..workers {
        running.push(stand.start_worker().await?);
    }
    let began = Instant::now();
    let left_at_start = pending(&owner).await?;
    wait_until_drained(&owner).await?;
    Ok(stats::ratio(left_at_start, began.elapsed()))
}

async fn wait_until_drained(owner: &tokio_postgres::Client) -> Result<()> {
    let began = Instant::now();
    // By the index of holds, and seldom: the query must not be what is measured.
    let query = "SELECT EXISTS (SELECT FROM booking.bookings
        WHERE state = 'PENDING' AND expires_at < now())";
    while owner.query_one(query, &[]).await?.get(0) {
        if began.elapsed() > DEADLINE {
            bail!("the holds were not drained in {DEADLINE:?}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// A `cycle` load without and with 100,000 holds being drained at the same time.
async fn beside_load(stand: &mut Stand, shows: &[String], report: &mut Report) -> Result<()> {
    let mut kept = Vec::new();
    for _ in 0..ROUNDS {
        let mut rates = [0.0; 2];
        for (place, with_worker) in [false, true].into_iter().enumerate() {
            make_holds(stand).await?;
            // Seats that no stale hold has.
            let pairs = Pairs::shuffled_from(shows, 201, SEATS);
            let wires = stand.wires(8).await?;
            load::cycles(&wires, CLIENTS, Duration::from_secs(1), &pairs).await?;
            let worker = if with_worker {
                Some(stand.start_worker().await?)
            } else {
                None
            };
            let seen = load::cycles(&wires, CLIENTS, LOAD_LENGTH, &pairs).await?;
            ensure!(
                seen.errors.is_empty(),
                "unexpected errors: {:?}",
                seen.errors
            );
            rates[place] = seen.per_second();
            drop(worker);
        }
        report.line(format!(
            "cycle load, {CLIENTS} clients: {:.0}/s alone, {:.0}/s beside the draining worker ({:.2})",
            rates[0], rates[1], rates[1] / rates[0]
        ));
        kept.push(rates[1] / rates[0]);
    }
    let kept = Spread::of(kept);
    report.line(format!(
        "a cycle load keeps {:.2} of its rate beside a draining worker ({:.2} to {:.2})",
        kept.median, kept.min, kept.max
    ));
    report.figures("beside_load", &json!(kept));
    Ok(())
}
