//! `growth`: the cycle while the tables grow.
//!
//! After a checkpoint each page that is touched goes to the log whole, once, which takes the larger
//! tables a while: what is had meanwhile is told, and the cycle measured when it is over.

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

const SEATS_PER_SHOW: u32 = 1_000;
const CLIENTS: u32 = 64;
/// Shows are made in portions, so that no transaction is without measure.
const SHOWS_AT_ONCE: i64 = 100;
/// A cycle updates two seats and a booking.
const UPDATES_PER_CYCLE: u64 = 3;
const UPDATES: u64 = 1_000_000;
/// How many shows are looked at at once.
const LOOKS_AT_ONCE: usize = 32;
/// It is seen after each so long whether pages still go to the log whole.
const SLICE: Duration = Duration::from_secs(2);
/// So many of them for a cycle, and fewer, are no more than new pages are.
const FEW_WHOLE_PAGES: f64 = 1.0;
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

pub(crate) async fn run(stand: &mut Stand, args: GrowthArgs, report: &mut Report) -> Result<()> {
    let length = Duration::from_secs(args.seconds.into());
    let (mut medians, mut medians_at_first) = (Vec::new(), Vec::new());
    let model = stand.create_shows(1, SEATS_PER_SHOW).await?.remove(0);
    let mut made = 1;
    for power in 5..=args.up_to {
        let shows = 10_i64.pow(power) / i64::from(SEATS_PER_SHOW);
        grow(stand, &model, shows - made).await?;
        made = shows;
        let ids = show_ids(stand).await?;
        let (mut rates, mut rates_at_first) = (Vec::new(), Vec::new());
        for round in 1..=args.rounds {
            // The smallest hall sells out before the round is over; it is all sold, then.
            let pairs = free_pairs(stand, &ids).await?;
            stand.quiesce().await?;
            look_at(stand, &ids).await?;
            let settling = settle(stand, &pairs).await?;
            let seen = cycles(stand, length, &pairs).await?;
            report.line(format!(
                "10^{power} seats and bookings, round {round}: {:.0} cycles/s; reserve p99 {} us, confirm p99 {} us; \
                 right after the checkpoint {:.0} with {:.1} whole pages each, after {} s {:.1}",
                seen.per_second(), seen.reserve.p99_us, seen.confirm.p99_us,
                settling.at_first, settling.pages_at_first, settling.took.as_secs(), settling.pages_at_last
            ));
            rates.push(seen.per_second());
            rates_at_first.push(settling.at_first);
        }
        let rate = Spread::of(rates);
        let rate_at_first = Spread::of(rates_at_first);
        report.bar(format!("10^{power}"), rate);
        report.figures(&format!("10^{power}"), &rate);
        report.figures(
            &format!("10^{power}, right after a checkpoint"),
            &rate_at_first,
        );
        medians.push(rate.median);
        medians_at_first.push(rate_at_first.median);
    }
    for (which, medians) in [
        ("", &medians),
        (", right after a checkpoint", &medians_at_first),
    ] {
        if let (Some(first), Some(last)) = (medians.first(), medians.last()) {
            report.line(format!(
                "ratio of 10^{} to 10^5 seats and bookings{which}: {:.2}",
                args.up_to,
                last / first
            ));
        }
    }
    if let Some(last) = medians.last() {
        worn(stand, length, *last, report).await?;
    }
    stand.check().await
}

/// How the cycle fared until few pages went to the log whole.
struct Settling {
    at_first: f64,
    pages_at_first: f64,
    took: Duration,
    pages_at_last: f64,
}

/// Has the cycle go on until what it touches is in the log since the last checkpoint.
async fn settle(stand: &Stand, pairs: &Pairs) -> Result<Settling> {
    let owner = stand.owner().await?;
    let began = Instant::now();
    let mut settling: Option<Settling> = None;
    loop {
        let before = whole_pages(&owner).await?;
        let seen = cycles(stand, SLICE, pairs).await?;
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
async fn worn(stand: &mut Stand, length: Duration, fresh: f64, report: &mut Report) -> Result<()> {
    let ids = show_ids(stand).await?;
    let pairs = free_pairs(stand, &ids).await?;
    look_at(stand, &ids).await?;
    let mut updates = 0;
    while updates < UPDATES {
        updates += cycles(stand, length, &pairs).await?.cycles * UPDATES_PER_CYCLE;
    }
    let seen = cycles(stand, length, &pairs).await?;
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

async fn grow(stand: &Stand, model: &String, mut shows: i64) -> Result<()> {
    let owner = stand.owner().await?;
    owner
        .batch_execute("SET session_replication_role = replica")
        .await?;
    while shows > 0 {
        let portion = shows.min(SHOWS_AT_ONCE);
        let wanted: [&(dyn ToSql + Sync); 2] = [&portion, model];
        owner.execute(include_str!("grow.sql"), &wanted).await?;
        shows -= portion;
    }
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
    stand.restart_booking().await?;
    Ok(Pairs::shuffled(shows, SEATS_PER_SHOW))
}

/// Has booking-svc know every show, as it does after a while.
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
        "errors where none may be: {:?}",
        seen.errors
    );
    Ok(seen)
}
