//! Chooses seats in a hall that is half sold at random, prints how long it took, and draws what was
//! chosen:
//!
//!     cargo run --release -p booking-svc --example choose -- deploy/examples/arena.json out.svg

#[path = "choose/drawing.rs"]
mod drawing;
#[path = "choose/hall.rs"]
mod hall;

use std::io::Write;
use std::time::{Duration, Instant};
use std::{fs, io};

use anyhow::{Context as _, Result};
use booking_svc::domain::Withdrawn;
use booking_svc::domain::choose::{Hall, Seating, Wish, choose};
use clap::Parser;
use model::{PriceList, ShowSeats};

/// How often each party is chosen for, each time in a hall sold otherwise.
const RUNS: u64 = 300;

/// What to choose in.
#[derive(Parser)]
struct Args {
    /// A show in the form of the catalog's CreateShow, in JSON.
    show: std::path::PathBuf,
    /// Where the drawing goes.
    drawing: std::path::PathBuf,
    /// Which seats are sold follows from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many of a hundred seats are sold.
    #[arg(long, default_value_t = 50)]
    sold: u64,
    /// The sizes of the parties.
    #[arg(long, value_delimiter = ',', default_value = "1,2,3,4,5,6,7,8,20,100")]
    parties: Vec<u8>,
    /// How many of each party need an accessible seat.
    #[arg(long, default_value_t = 0)]
    accessible: u8,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let mut out = io::stdout().lock();
    let json = fs::read_to_string(&args.show).with_context(|| args.show.display().to_string())?;
    let show: hall::Show = serde_json::from_str(&json).context("the show")?;
    let prices = PriceList::new(show.prices()?, &show.layout);
    let prices = prices.map_err(|problems| anyhow::anyhow!("prices: {problems:?}"))?;
    let seats = ShowSeats::new(show.layout);

    let began = Instant::now();
    let hall = Hall::of(&seats, &prices, &Withdrawn::default());
    writeln!(
        out,
        "{} seats, {} % sold at random with seed {}; the hall took {} µs to prepare, and {} KiB",
        seats.ordinal_count(),
        args.sold,
        args.seed,
        began.elapsed().as_micros(),
        hall.weight() / 1024,
    )?;

    let mut free = hall::sold_at_random(seats.ordinal_count(), args.sold, args.seed);
    let mut drawing = drawing::Drawing::of(seats.layout(), &free);
    for count in &args.parties {
        let wish = Wish {
            count: (*count).try_into().context("a party of nobody")?,
            accessible: args.accessible,
            section: None,
            tiers: Vec::new(),
            price_max: None,
            seating: Seating::Best,
        };
        let times = times(&hall, seats.ordinal_count(), &args, &wish);
        write!(
            out,
            "party of {count:>3}: median {:>5} µs, p99 {:>5} µs, longest {:>5} µs",
            times[times.len() / 2].as_micros(),
            times[times.len() * 99 / 100].as_micros(),
            times[times.len() - 1].as_micros(),
        )?;
        match choose(&hall, &free, &wish) {
            Ok(chosen) => {
                writeln!(out, "; {}", drawing::in_words(&seats, &chosen))?;
                chosen.iter().for_each(|ordinal| free.remove(*ordinal));
                drawing.add(*count, &chosen);
            }
            Err(refused) => writeln!(out, "; {refused}")?,
        }
    }
    fs::write(&args.drawing, drawing.to_svg()).with_context(|| args.drawing.display().to_string())
}

/// How long choosing took, ascending.
fn times(hall: &Hall, seats: u32, args: &Args, wish: &Wish) -> Vec<Duration> {
    let mut times = Vec::new();
    for run in 0..RUNS {
        let free = hall::sold_at_random(seats, args.sold, args.seed + run);
        let began = Instant::now();
        let chosen = choose(hall, &free, wish);
        times.push(began.elapsed());
        std::hint::black_box(chosen.is_ok());
    }
    times.sort_unstable();
    times
}
