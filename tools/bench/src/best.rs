//! `best`: best available for parties of one to six, until the arena is full.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use futures_util::future::try_join_all;
use proto::booking::v1::{ReserveSeatsRequest, SeatChoice};
use proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use proto::catalog::v1::create_show_request::Seats;
use proto::catalog::v1::series::Series as Kind;
use proto::catalog::v1::{
    CreateShowRequest, NameList, NumberSeries, RowBlock, SeatLayout, Section, Series, ShowType,
};
use proto::money::v1::Money;
use tonic_types::StatusExt as _;

use crate::load::{self, Random};
use crate::pgbench::{Pgbench, Script};
use crate::report::Report;
use crate::stand::{Stand, show_starts_at};
use crate::stats::{Latency, Spread, micros, ratio};
use crate::wire::Wire;

const SECTIONS: u32 = 20;
const ROWS: u32 = 25;
const SEATS_PER_ROW: u32 = 40;
const SEATS: u32 = SECTIONS * ROWS * SEATS_PER_ROW;
const PARTY_MAX: u32 = 6;
/// How many parties fill the arena, as they are 3.5 on average.
const PARTIES: u32 = SEATS * 2 / 7;
const UNMET: &str = "FailedPrecondition CHOICE_UNAVAILABLE";
/// Sixteen picks in a row were lost to others: retried, as the error asks.
const CONTENTION: &str = "Aborted CONTENTION";

/// How to run it.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct BestArgs {
    /// How many clients
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=2_000))]
    pub(crate) clients: u32,

    /// How many arenas are filled, one after another
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) rounds: u16,
}

/// The results of clients.
#[derive(Default)]
struct Seen {
    parties: u64,
    seats: u64,
    calls: Vec<u64>,
    errors: BTreeMap<String, u64>,
}

pub(crate) async fn run(stand: &Stand, args: BestArgs, report: &mut Report) -> Result<()> {
    let pgbench = Pgbench::list_shows(stand)?;
    let wires = stand.wires(8).await?;
    let (mut ours, mut theirs, mut rounds) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=args.rounds {
        let show = an_arena(stand, round).await?;
        stand.quiesce().await?;
        let began = Instant::now();
        let clients = (0..args.clients).map(|number| {
            let wire = wires[number as usize % wires.len()].clone();
            let task = tokio::spawn(fill(wire, show.clone(), number));
            async move { task.await? }
        });
        let seen = try_join_all(clients)
            .await?
            .into_iter()
            .fold(Seen::default(), Seen::and);
        let elapsed = began.elapsed();
        ensure!(
            seen.seats == u64::from(SEATS),
            "{} of {SEATS} seats are taken",
            seen.seats
        );
        stand.check().await?;
        let per_second = ratio(seen.parties, elapsed);

        pgbench.prepare_arena(stand, SEATS).await?;
        let usual_clients = args.clients.min(64);
        let each = PARTIES / usual_clients;
        let usual = pgbench
            .run_through(stand, Script::Best, usual_clients, each)
            .await?;
        let latency = Latency::of(seen.calls);
        report.line(format!(
            "round {round}: full in {:.2} s, {per_second:.0} parties/s; calls p50 {} p99 {} max {} us; \
             errors {:?}; pgbench: {:.0} parties/s",
            elapsed.as_secs_f64(),
            latency.p50_us,
            latency.p99_us,
            latency.max_us,
            seen.errors,
            usual.per_second,
        ));
        rounds.push(serde_json::json!({
            "seconds": elapsed.as_secs_f64(), "parties_per_second": per_second, "calls": latency,
            "errors": seen.errors, "pgbench_parties_per_second": usual.per_second,
        }));
        ours.push(per_second);
        theirs.push(usual.per_second);
    }
    let ratios = Spread::of(std::iter::zip(&ours, &theirs).map(|(ours, theirs)| ours / theirs));
    report.line(format!(
        "ratio to pgbench, {} clients: {:.2} (median; {:.2} to {:.2})",
        args.clients, ratios.median, ratios.min, ratios.max
    ));
    report.bar("ours".to_owned(), Spread::of(ours));
    report.bar("pgbench".to_owned(), Spread::of(theirs));
    report.figures("best", &rounds);
    Ok(())
}

/// Takes the best seats for one party after another until none is left.
async fn fill(wire: Wire, show: String, number: u32) -> Result<Seen> {
    let mut random = Random::new();
    let mut seen = Seen::default();
    let mut largest = PARTY_MAX;
    while largest > 0 {
        let count = 1 + random.below(largest as usize);
        let choice = SeatChoice {
            count: i32::try_from(count)?,
            ..Default::default()
        };
        let request = ReserveSeatsRequest {
            choices: vec![choice],
            ..load::reservation(&show, &[], number)
        };
        let began = Instant::now();
        let reserved = wire.reserve_seats(&request).await;
        seen.calls.push(micros(began.elapsed()));
        match reserved {
            Ok(_) => {
                seen.parties += 1;
                seen.seats += count as u64;
            }
            Err(status) => {
                let name = load::name(&status);
                match &*name {
                    UNMET => {
                        let info = status.get_details_error_info();
                        let mut metadata = info.map(|info| info.metadata).unwrap_or_default();
                        let largest_party = metadata.remove("largest_party").unwrap_or_default();
                        largest = largest_party.parse::<u32>()?.min(PARTY_MAX);
                    }
                    CONTENTION => {}
                    _ => bail!("an error that may not be: {name}: {}", status.message()),
                }
                *seen.errors.entry(name).or_default() += 1;
            }
        }
    }
    Ok(seen)
}

impl Seen {
    fn and(mut self, other: Self) -> Self {
        self.parties += other.parties;
        self.seats += other.seats;
        self.calls.extend(other.calls);
        for (name, count) in other.errors {
            *self.errors.entry(name).or_default() += count;
        }
        self
    }
}

/// Creates a show of twenty sections one behind the other; returns its id.
async fn an_arena(stand: &Stand, round: u16) -> Result<String> {
    let numbers = |last: u32| -> Result<Series> {
        Ok(Series {
            series: Some(Kind::Numbers(NumberSeries {
                first: 1,
                last: i32::try_from(last)?,
                ..Default::default()
            })),
        })
    };
    let section = |section: u32| -> Result<Section> {
        let names = (1..=ROWS).map(|row| format!("{section}.{row}")).collect();
        let rows = RowBlock {
            names: Some(Series {
                series: Some(Kind::List(NameList { names })),
            }),
            runs: vec![numbers(SEATS_PER_ROW)?],
            ..Default::default()
        };
        Ok(Section {
            name: format!("Section {section}"),
            rows: vec![rows],
            ..Default::default()
        })
    };
    let layout = SeatLayout {
        name: "Arena".to_owned(),
        sections: (1..=SECTIONS).map(section).collect::<Result<_>>()?,
        ..Default::default()
    };
    let request = CreateShowRequest {
        name: format!("Arena {round}"),
        show_type: ShowType::Concert.into(),
        start_time: Some(show_starts_at(round.into()).into()),
        seats: Some(Seats::Layout(layout)),
        seat_price: Some(Money {
            minor_units: 1_250,
            currency_code: "EUR".to_owned(),
        }),
        // No hold ends before the arena is full.
        hold_duration: Some(Duration::from_secs(1_800).try_into()?),
        ..Default::default()
    };
    let channel = stand.catalog_endpoint()?.connect().await?;
    let created = CatalogServiceClient::new(channel)
        .create_show(request)
        .await?;
    Ok(created.into_inner().show.unwrap_or_default().show_id)
}
