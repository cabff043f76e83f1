//! `cycle`: reserve two adjacent random seats and confirm them, compared with pgbench doing the
//! same, in alternating rounds.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::cpu;
use crate::load::{self, Pairs};
use crate::pgbench::{Pgbench, Script};
use crate::report::Report;
use crate::stand::Stand;
use crate::stats::{Latency, Spread};

const SHOWS: u32 = 1_000;
const SEATS: u32 = 1_000;
const CLIENTS: [u32; 2] = [64, 256];
const PGBENCH_CLIENTS: [u32; 2] = [16, 64];

/// How to run it.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct CycleArgs {
    /// How many rounds of everything
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) rounds: u16,

    /// How long each measurement takes, in seconds
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=600))]
    pub(crate) seconds: u16,

    /// Over how many connections the clients are spread
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) connections: u32,

    /// Leave pgbench out
    #[arg(long)]
    pub(crate) without_pgbench: bool,
}

/// One measurement of ours.
#[derive(Debug, Clone, Serialize)]
struct Ours {
    clients: u32,
    per_second: f64,
    reserve: Latency,
    confirm: Latency,
    /// CPU microseconds a cycle.
    service_us: f64,
    database_us: f64,
    client_us: f64,
    resident_mib: f64,
    load_before: f64,
}

/// One measurement of pgbench's.
#[derive(Debug, Clone, Serialize)]
struct Theirs {
    script: &'static str,
    clients: u32,
    per_second: f64,
}

pub(crate) async fn run(stand: &mut Stand, args: CycleArgs, report: &mut Report) -> Result<()> {
    let length = Duration::from_secs(args.seconds.into());
    report.line(format!("creating {SHOWS} shows of {SEATS} seats"));
    let shows = stand.create_shows(SHOWS, SEATS).await?;
    let pgbench = if args.without_pgbench {
        None
    } else {
        Some(Pgbench::list_shows(stand)?)
    };
    if let Some(pgbench) = &pgbench {
        pgbench.prepare(stand, SHOWS, SEATS).await?;
    }
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for round in 1..=args.rounds {
        for clients in CLIENTS {
            stand.reset().await?;
            let measured = measure(stand, &shows, clients, length, args.connections).await?;
            report.line(format!(
                "round {round}: {clients} clients: {:.0} cycles/s; CPU us a cycle: service {:.1}, \
                 database {:.1}, client {:.1}; reserve p50 {} p99 {} p999 {} us",
                measured.per_second,
                measured.service_us,
                measured.database_us,
                measured.client_us,
                measured.reserve.p50_us,
                measured.reserve.p99_us,
                measured.reserve.p999_us,
            ));
            ours.push(measured);
        }
        let Some(pgbench) = &pgbench else { continue };
        for (name, script) in [("a", Script::Transaction), ("b", Script::Statement)] {
            for clients in PGBENCH_CLIENTS {
                stand.quiesce().await?;
                let measured = pgbench
                    .run(stand, script, clients, length, (SHOWS, SEATS))
                    .await?;
                report.line(format!(
                    "round {round}: pgbench ({name}), {clients} clients: {:.0} cycles/s",
                    measured.per_second
                ));
                theirs.push(Theirs {
                    script: name,
                    clients,
                    per_second: measured.per_second,
                });
            }
        }
    }
    stand.check().await?;
    summarize(&ours, &theirs, report);
    report.figures(
        "cycle",
        &serde_json::json!({ "ours": ours, "pgbench": theirs }),
    );
    Ok(())
}

async fn measure(
    stand: &Stand,
    shows: &[String],
    clients: u32,
    length: Duration,
    connections: u32,
) -> Result<Ours> {
    let pairs = Pairs::shuffled(shows, SEATS);
    let wires = stand.wires(connections.min(clients)).await?;
    // Connections, plans and caches as they are after a moment of work.
    load::cycles(&wires, clients, Duration::from_secs(1), &pairs).await?;
    let load_before = cpu::load_average();
    let before = stand.cpu();
    let seen = load::cycles(&wires, clients, length, &pairs).await?;
    // The number of cycles behind the rate.
    let cycles = seen.per_second() * seen.elapsed.as_secs_f64();
    let used = stand.cpu().since(before).each(cycles);
    ensure!(
        seen.errors.is_empty(),
        "unexpected errors: {:?}",
        seen.errors
    );
    Ok(Ours {
        clients,
        per_second: seen.per_second(),
        reserve: seen.reserve,
        confirm: seen.confirm,
        service_us: used.service_s * 1e6,
        database_us: used.database_s * 1e6,
        client_us: used.client_s * 1e6,
        resident_mib: stand.resident_mib().0,
        load_before,
    })
}

fn summarize(ours: &[Ours], theirs: &[Theirs], report: &mut Report) {
    let of = |clients: u32| {
        Spread::of(
            ours.iter()
                .filter(|o| o.clients == clients)
                .map(|o| o.per_second),
        )
    };
    let best = |script: &str| {
        let spreads = PGBENCH_CLIENTS.map(|clients| {
            let rounds = theirs
                .iter()
                .filter(|t| t.script == script && t.clients == clients);
            Spread::of(rounds.map(|t| t.per_second))
        });
        spreads
            .into_iter()
            .max_by(|a, b| a.median.total_cmp(&b.median))
    };
    report.line(String::new());
    for clients in CLIENTS {
        let spread = of(clients);
        report.line(format!(
            "ours, {clients} clients: {:.0} cycles/s (median; {:.0} to {:.0})",
            spread.median, spread.min, spread.max
        ));
        report.bar(format!("{clients} clients"), spread);
        let rounds: Vec<&Ours> = ours.iter().filter(|o| o.clients == clients).collect();
        let median = |figure: fn(&Ours) -> f64| Spread::of(rounds.iter().map(|o| figure(o))).median;
        let cpu = [
            median(|o| o.service_us),
            median(|o| o.database_us),
            median(|o| o.client_us),
        ];
        let sum: f64 = cpu.iter().sum();
        report.line(format!(
            "  CPU a cycle: service {:.1} us, database {:.1} us, load generator {:.1} us ({:.0} % of all); booking-svc {:.0} MiB",
            cpu[0], cpu[1], cpu[2], 100.0 * cpu[2] / sum, median(|o| o.resident_mib),
        ));
    }
    if theirs.is_empty() {
        return;
    }
    for script in ["a", "b"] {
        let Some(spread) = best(script) else { continue };
        report.line(format!(
            "pgbench ({script}), the better of 16 and 64 clients: {:.0} cycles/s (median; {:.0} to {:.0})",
            spread.median, spread.min, spread.max
        ));
        report.bar(format!("pgbench ({script})"), spread);
    }
    for script in ["a", "b"] {
        for clients in CLIENTS {
            let ratio = ratio_by_round(ours, theirs, script, clients);
            report.ratio(&format!("to pgbench ({script}), {clients} clients"), ratio);
        }
    }
}

/// Ours against theirs in the same round, so that a machine that slows down slows both.
fn ratio_by_round(ours: &[Ours], theirs: &[Theirs], script: &str, clients: u32) -> Spread {
    let of = |pgbench_clients: u32| {
        theirs
            .iter()
            .filter(move |t| t.script == script && t.clients == pgbench_clients)
            .map(|t| t.per_second)
    };
    let [few, many] = PGBENCH_CLIENTS;
    let best = of(few).zip(of(many)).map(|(few, many)| few.max(many));
    let ours = ours.iter().filter(|o| o.clients == clients);
    Spread::of(ours.zip(best).map(|(ours, best)| ours.per_second / best))
}
