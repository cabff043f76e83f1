//! `growth`: the cycle with tables of several sizes, each in a separate database, in turn.
//!
//! After a checkpoint each page that is touched goes to the log whole, once, which takes the larger
//! tables a while: the rate meanwhile is printed, and the cycle measured when it is over.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use proto::booking::v1::ListSeatsRequest;
use proto::booking::v1::booking_service_client::BookingServiceClient;
use serde_json::json;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use crate::load::{self, Pairs, Seen};
use crate::report::Report;
use crate::stand::{Stand, connect};
use crate::stats::{self, Spread};

/// Rows that are inserted in the transaction that has emptied their table are not logged: the
/// disk writes them once. The writes of a cycle are logged as usual, and as durable.
pub(crate) const SETTINGS: [(&str, &str); 2] = [("wal_level", "minimal"), ("max_wal_senders", "0")];

const SEATS_PER_SHOW: u32 = 1_000;
const CLIENTS: u32 = 64;
const SHOWS_AT_ONCE: i64 = 100;
/// A cycle updates two seats and a booking.
const UPDATES_PER_CYCLE: u64 = 3;
const UPDATES: u64 = 1_000_000;
/// How many shows are read at once.
const LOOKS_AT_ONCE: usize = 32;
/// The interval of checks whether pages still go to the log whole.
const SLICE: Duration = Duration::from_secs(2);
/// This many full page images per cycle count as few: one in twenty pages that it touches.
const FEW_WHOLE_PAGES: f64 = 0.3;
const SETTLED_WITHIN: Duration = Duration::from_secs(120);

/// How to run it.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct GrowthArgs {
    /// How many rounds at each size
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) rounds: u16,

    /// How long each takes, in seconds
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=600))]
    pub(crate) seconds: u16,

    /// The largest size, as a power of ten: 5, 6 or 7
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(5..=7))]
    pub(crate) up_to: u32,
}

/// A database with this many seats and bookings, and its figures.
struct Size {
    power: u32,
    shows: Vec<String>,
    pairs: Pairs,
    rates: Vec<f64>,
    rates_at_first: Vec<f64>,
}

pub(crate) async fn run(stand: &mut Stand, args: GrowthArgs, report: &mut Report) -> Result<()> {
    let length = Duration::from_secs(args.seconds.into());
    let mut sizes = Vec::new();
    // The largest first: it would drive the others out of memory.
    for power in (5..=args.up_to).rev() {
        sizes.push(Size::make(stand, power).await?);
    }
    sizes.reverse();
    for round in 1..=args.rounds {
        for size in &mut sizes {
            let line = size.round(stand, length).await?;
            report.line(format!("round {round}, {line}"));
        }
    }
    for size in &sizes {
        let name = size.name();
        let rate = Spread::of(size.rates.iter().copied());
        let rate_at_first = Spread::of(size.rates_at_first.iter().copied());
        report.bar(name.clone(), rate);
        report.figures(&name, &rate);
        report.figures(&format!("{name}, right after a checkpoint"), &rate_at_first);
    }
    for size in sizes.iter().skip(1) {
        let name = size.name();
        report.ratio(
            &format!("of {name} to 10^5 seats and bookings"),
            ratio_by_round(&size.rates, &sizes[0].rates),
        );
        report.ratio(
            &format!("of {name} to 10^5 seats and bookings, right after a checkpoint"),
            ratio_by_round(&size.rates_at_first, &sizes[0].rates_at_first),
        );
    }
    if let Some(largest) = sizes.last_mut() {
        worn(stand, length, largest, report).await?;
    }
    for size in &sizes {
        stand.move_to(&size.database()).await?;
        stand.check().await?;
    }
    Ok(())
}

fn ratio_by_round(these: &[f64], smallest: &[f64]) -> Spread {
    Spread::of(these.iter().zip(smallest).map(|(this, least)| this / least))
}

impl Size {
    async fn make(stand: &mut Stand, power: u32) -> Result<Self> {
        stand.move_to(&format!("growth_{power}")).await?;
        let model = stand.create_shows(1, SEATS_PER_SHOW).await?.remove(0);
        grow(stand, &model, 10_i64.pow(power) / i64::from(SEATS_PER_SHOW)).await?;
        let shows = show_ids(stand).await?;
        Ok(Self {
            power,
            pairs: Pairs::shuffled(&shows, SEATS_PER_SHOW),
            shows,
            rates: Vec::new(),
            rates_at_first: Vec::new(),
        })
    }

    fn name(&self) -> String {
        format!("10^{}", self.power)
    }

    fn database(&self) -> String {
        format!("growth_{}", self.power)
    }

    /// Measures the cycle here; returns a line of figures.
    async fn round(&mut self, stand: &mut Stand, length: Duration) -> Result<String> {
        stand.move_to(&self.database()).await?;
        // The smallest hall sells out before its round is over; it is all sold, then.
        if !self.pairs.are_half_left() {
            self.pairs = free_pairs(stand, &self.shows).await?;
        }
        stand.quiesce().await?;
        look_at(stand, &self.shows).await?;
        let settling = settle(stand, &self.pairs).await?;
        let seen = cycles(stand, length, &self.pairs).await?;
        self.rates.push(seen.per_second());
        self.rates_at_first.push(settling.at_first);
        Ok(format!(
            "{} seats and bookings: {:.0} cycles/s; reserve p99 {} us, confirm p99 {} us; \
             right after the checkpoint {:.0} with {:.1} whole pages each, after {} s {:.1}",
            self.name(),
            seen.per_second(),
            seen.reserve.p99_us,
            seen.confirm.p99_us,
            settling.at_first,
            settling.pages_at_first,
            settling.took.as_secs(),
            settling.pages_at_last
        ))
    }
}

/// How the cycle fared until few pages went to the log whole.
struct Settling {
    at_first: f64,
    pages_at_first: f64,
    took: Duration,
    pages_at_last: f64,
}

/// Runs the cycle until the pages that it touches are in the log since the last checkpoint.
async fn settle(stand: &Stand, pairs: &Pairs) -> Result<Settling> {
    let owner = stand.owner().await?;
    let began = Instant::now();
    let mut settling: Option<Settling> = None;
    loop {
        let before = whole_pages(&owner).await?;
        let seen = cycles(stand, SLICE, pairs).await?;
        ensure!(
            !pairs.are_gone(),
            "all was sold while pages went to the log whole"
        );
        let pages = (whole_pages(&owner).await? - before) / stats::of_whole(seen.cycles.max(1));
        let so_far = Settling {
            took: began.elapsed(),
            pages_at_last: pages,
            ..settling.unwrap_or(Settling {
                at_first: seen.per_second(),
                pages_at_first: pages,
                took: Duration::ZERO,
                pages_at_last: pages,
            })
        };
        if pages < FEW_WHOLE_PAGES || so_far.took > SETTLED_WITHIN {
            return Ok(so_far);
        }
        settling = Some(so_far);
    }
}

/// How many pages have gone to the log whole so far.
async fn whole_pages(owner: &Client) -> Result<f64> {
    let row = owner
        .query_one("SELECT wal_fpi::float8 FROM pg_stat_wal", &[])
        .await?;
    Ok(row.get(0))
}

/// The cycle after a million updates that no VACUUM by hand came after.
async fn worn(
    stand: &mut Stand,
    length: Duration,
    size: &mut Size,
    report: &mut Report,
) -> Result<()> {
    let mut updates = 0;
    while updates < UPDATES {
        if size.pairs.are_gone() {
            size.pairs = free_pairs(stand, &size.shows).await?;
        }
        updates += cycles(stand, length, &size.pairs).await?.cycles * UPDATES_PER_CYCLE;
    }
    if !size.pairs.are_half_left() {
        size.pairs = free_pairs(stand, &size.shows).await?;
    }
    look_at(stand, &size.shows).await?;
    let seen = cycles(stand, length, &size.pairs).await?;
    let fresh = Spread::of(size.rates.iter().copied()).median;
    report.line(format!(
        "after {updates} updates without a vacuum by hand: {:.0} cycles/s ({:.2} of before); reserve p99 {} us",
        seen.per_second(), seen.per_second() / fresh, seen.reserve.p99_us
    ));
    report.figures(
        "worn",
        &json!({ "updates": updates, "per_second": seen.per_second() }),
    );
    Ok(())
}

/// Makes this many shows like `model`, in the same place.
async fn grow(stand: &Stand, model: &String, mut shows: i64) -> Result<()> {
    let mut owner = stand.owner().await?;
    let making = owner.transaction().await?;
    making
        .batch_execute(
            "SET LOCAL session_replication_role = replica;
             TRUNCATE booking.transitions, booking.bookings, booking.show_seats",
        )
        .await?;
    while shows > 0 {
        let portion = shows.min(SHOWS_AT_ONCE);
        let wanted: [&(dyn ToSql + Sync); 2] = [&portion, model];
        making.execute(include_str!("grow.sql"), &wanted).await?;
        shows -= portion;
    }
    let wanted: [&(dyn ToSql + Sync); 1] = [model];
    let forget = "DELETE FROM booking.sales WHERE show_id = $1::text::uuid";
    making.execute(forget, &wanted).await?;
    making.commit().await?;
    Ok(())
}

async fn show_ids(stand: &Stand) -> Result<Vec<String>> {
    let rows = stand
        .owner()
        .await?
        .query("SELECT show_id::text FROM booking.sales", &[])
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Frees every seat, so that all pairs can be sold again.
async fn free_pairs(stand: &mut Stand, shows: &[String]) -> Result<Pairs> {
    stand
        .owner()
        .await?
        .batch_execute(
            "SET session_replication_role = replica;
             UPDATE booking.show_seats SET booking_id = NULL WHERE booking_id IS NOT NULL;
             UPDATE booking.bookings SET state = 'CANCELLED', cancelled_at = clock_timestamp(), version = version + 1
             WHERE state IN ('PENDING', 'CONFIRMED');
             INSERT INTO booking.transitions (
                 show_id, booking_id, version, verb, from_state, to_state, made_at, actor, request_id, fingerprint)
             SELECT show_id, booking_id, version, 'CANCEL', 'CONFIRMED', 'CANCELLED', cancelled_at, 'bench', gen_random_uuid(), 0
             FROM booking.bookings AS b WHERE state = 'CANCELLED' AND NOT EXISTS (
                 SELECT FROM booking.transitions AS t WHERE t.show_id = b.show_id AND t.booking_id = b.booking_id AND t.version = b.version)",
        )
        .await?;
    stand.restart_services().await?;
    Ok(Pairs::shuffled(shows, SEATS_PER_SHOW))
}

/// Makes booking-svc cache every show, as it does after a while.
async fn look_at(stand: &Stand, shows: &[String]) -> Result<()> {
    let channels = connect(&stand.booking_endpoint()?, 1).await?;
    let channel = channels.first().context("one connection")?;
    let look = |show: &String| {
        let request = ListSeatsRequest {
            show_id: show.clone(),
            page_size: 1,
            ..Default::default()
        };
        let mut client = BookingServiceClient::new(channel.clone());
        async move { client.list_seats(request).await }
    };
    for some in shows.chunks(LOOKS_AT_ONCE) {
        try_join_all(some.iter().map(look)).await?;
    }
    Ok(())
}

async fn cycles(stand: &Stand, length: Duration, pairs: &Pairs) -> Result<Seen> {
    let wires = stand.wires(8).await?;
    let seen = load::cycles(&wires, CLIENTS, length, pairs).await?;
    ensure!(
        seen.errors.is_empty(),
        "unexpected errors: {:?}",
        seen.errors
    );
    Ok(seen)
}
