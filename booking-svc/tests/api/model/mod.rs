//! Random customers against the real services, checked against a model that is so
//! simple that it is obviously right.
//!
//! Eight customers reserve, sell, confirm, cancel, give back, extend and swap seats of one small
//! show at random, through two replicas; they repeat each other's calls, let holds lapse and
//! have the worker sweep. Then each entry of the log must be legal for the model when its turn
//! comes, and every reply must be what the model says.
//!
//! `TICKETING_MODEL_RUNS` sets the number of shows, `TICKETING_MODEL_SEED` the seed of the first;
//! each further show has the next seed. A seed repeats what the customers try, not which of them
//! comes first.

pub(crate) mod ask;
mod booking;
mod choice;
mod customers;
mod dice;
mod end;
mod hall;
mod history;
mod ideas;
mod justify;
mod payments;
mod people;
mod rejection;
mod replay;
mod seen;
pub(crate) mod show;

use std::io::Write as _;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;
use std::{env, io};

use futures_util::future::join_all;
use proto::expiry::v1::RunOnceRequest;
use test_harness::errors::describe;
use test_harness::system::System;
use test_harness::{eventually, invariants, machine, postgres};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;
use uuid::Uuid;

use self::customers::Doors;
use self::dice::Dice;
use self::end::End;
use self::history::History;
use self::replay::replay;
use self::seen::Seen;
use self::show::Terms;
use crate::payments::till::{SETTLED_MAX, Till};
use crate::stage::{Stage, assert_faultless};

/// The default number of runs.
pub(crate) const RUNS: u64 = 200;
/// How many runs have a database of their own: the worker's sweeps read over all of them.
const RUNS_PER_DATABASE: u64 = 100;
/// The most times that a run is repeated because the wall clock was set back during it: that clock
/// orders the events.
const RERUNS_MAX: u32 = 2;
/// How many shows are open at once.
const AT_ONCE: u64 = 8;
/// The longest that a run may take on a busy machine.
const RUN_MAX: Duration = Duration::from_secs(60);
/// A connection may be waited for on a busy machine: that it is refused is tested elsewhere.
const PATIENT: [&str; 2] = ["--database-wait-max", "20s"];
/// How soon a cancelled show must be fully cancelled.
const FULLY_CANCELLED_MAX: Duration = Duration::from_secs(20);

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
        seen.join(unless_set_back(seed + from..seed + until).await);
        from = until;
    }
    println!("{:?}", seen.kinds);
    seen.assert_enough(runs);
}

/// The runs of some seeds, in a database of their own; in another one if they failed while the wall
/// clock was set back.
async fn unless_set_back(seeds: Range<u64>) -> Seen {
    let mut reruns = 0;
    loop {
        let began = machine::watch();
        let running = async { spawn_local(in_one_database(seeds.clone())).await };
        let error = match LocalSet::new().run_until(running).await {
            Ok(seen) => return seen,
            Err(error) => error,
        };
        if reruns == RERUNS_MAX || !machine::stepped_back(began) {
            resume_unwind(error.into_panic());
        }
        reruns += 1;
        // Nothing can be done about a standard error that is closed.
        let _ = writeln!(
            io::stderr(),
            "seeds {seeds:?} once more: the wall clock was set back"
        );
    }
}

async fn in_one_database(seeds: Range<u64>) -> Seen {
    let system = System::start_with(postgres::database().await, 1, &PATIENT).await;
    let stage = Stage::of(system).await;
    history::note_order(&stage.owner).await;
    let brisk = ["--payment-timeout", payments::TIMEOUT];
    let mut till = Till::on(stage, &[brisk, PATIENT].concat()).await;
    let stage = &till.stage;
    let doors = Doors {
        bookings: [stage.client(), till.client.clone()],
        people: people::of(stage).await.into(),
        worker: stage.system.worker_client(0),
        owner: Arc::new(stage.system.database.owner().await),
    };
    let workers = (0..AT_ONCE).map(|worker| {
        let (doors, seeds) = (&doors, seeds.clone());
        async move {
            let mut seen = Seen::default();
            for seed in seeds.filter(|seed| seed % AT_ONCE == worker) {
                seen.add(&run(stage, doors, seed).await);
            }
            seen
        }
    });
    let mut here = Seen::default();
    for of_worker in join_all(workers).await {
        here.join(of_worker);
    }
    payments::assert_balanced(&till, &here.money).await;
    for process in [
        &mut till.booking,
        &mut till.stage.system.booking,
        &mut till.stage.system.workers[0],
    ] {
        assert_faultless(process);
    }
    invariants::assert_hold(&till.stage.system.database).await;
    here
}

/// One show from its creation to the last check.
async fn run(stage: &Stage, doors: &Doors, seed: u64) -> History {
    let limit = Dice::new(seed, usize::MAX - 1).below(8);
    let places_max = (limit > 3).then(|| i32::try_from(limit).expect("it is small"));
    let request = show::described(places_max);
    let created = stage.system.catalog_client().create_show(request).await;
    let created = created.expect("a show").into_inner().show;
    let terms = Arc::new(Terms {
        show_id: created.expect("set").show_id,
        people: Arc::clone(&doors.people),
        places_max,
    });
    let cancelled = Dice::new(seed, usize::MAX).percent(15);
    let cancel = cancelled.then_some(async || stage.cancel_show(&terms.show_id).await);
    let acting = customers::run(doors, &terms, seed, cancel);
    let Ok((mut history, acted)) = timeout(RUN_MAX, acting).await else {
        panic!("seed {seed}: not within {RUN_MAX:?}");
    };
    let checked = match acted {
        Ok(()) => check(stage, doors, &mut history, cancelled).await,
        Err(error) => Err(error),
    };
    if let Err(error) = checked {
        let failure = format!("TICKETING_MODEL_SEED={seed} TICKETING_MODEL_RUNS=1: {error}");
        // Printed at once, in case the test never ends.
        let _ = writeln!(io::stderr(), "{failure}");
        panic!("{failure}\n{history}");
    }
    history
}

async fn check(
    stage: &Stage,
    doors: &Doors,
    history: &mut History,
    cancelled: bool,
) -> Result<(), String> {
    let show = history.terms.show_id.clone();
    if cancelled {
        let mark_fully_cancelled = format!(
            "SELECT count(*) FROM booking.sales WHERE show_id = '{show}' AND fully_cancelled_at IS NULL"
        );
        eventually(
            FULLY_CANCELLED_MAX,
            "the show is fully cancelled",
            async || stage.count(&mark_fully_cancelled).await == 0,
        )
        .await;
    }
    let under_way = format!(
        "SELECT count(*) FROM booking.payments WHERE show_id = '{show}' AND settled_at IS NULL"
    );
    eventually(SETTLED_MAX, "all payments are settled", async || {
        stage.count(&under_way).await == 0
    })
    .await;
    let swept = doors.worker.clone().run_once(RunOnceRequest {}).await;
    swept.map_err(|status| describe(&status))?;
    let end = End::of(stage, &show).await;
    history.read_log(&doors.owner).await;
    let moments = replay(history)?;
    justify::justify(history, &moments)?;
    end.agrees_with(&moments)?;
    let last = moments.last().expect("there is a first");
    history.money = last.hall.money();
    let show_id = show.parse().expect("a show's id");
    match &*invariants::broken(&doors.owner, Some(show_id)).await {
        [] => Ok(()),
        broken => Err(format!("{broken:#?}")),
    }
}
