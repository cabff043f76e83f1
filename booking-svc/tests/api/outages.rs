//! The database stalls, cuts connections off, or has none to spare.

use std::cell::Cell;
use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use proto::booking::v1::ReserveSeatsRequest;
use proto::booking::v1::{Booking, BookingState, ConfirmBookingRequest, GetBookingRequest};
use test_harness::errors::{describe, reason};
use test_harness::system::{get, reservation, reserve};
use test_harness::{eventually, invariants};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::stage::{Bookings, Stage, assert_quiet};

/// As long as the longest wait for a lock that the roles allow.
const STALL: Duration = Duration::from_secs(3);

/// Whether a call may fail like this while the database is down.
fn may_fail(status: &Status) -> bool {
    matches!(
        (status.code(), &*reason(status)),
        (Code::Unavailable, "DATABASE_UNAVAILABLE") | (Code::Aborted, "CONTENTION")
    )
}

/// Runs statements in a transaction that is left open for the stall, while many wait.
async fn stall(statements: &str) {
    let mut stage = Stage::start().await;
    let show = stage.a_show(500).await;
    let elsewhere = stage.a_show(5).await;
    let held = stage.reserve(&show, &["A-500"]).await;
    let holder = stage.system.database.owner().await;
    let statements = format!(
        "BEGIN; {}",
        statements.replace(":show", &format!("'{show}'"))
    );
    holder.batch_execute(&statements).await.expect("a lock");
    let began = Instant::now();
    let writes = (1..=200).map(|n| {
        let (mut client, show) = (stage.client(), show.clone());
        async move {
            let outcome = reserve(&mut client, &show, &[&format!("A-{n}")], "ann").await;
            outcome.map(drop)
        }
    });
    let reads = (1..=100).map(|_| {
        let (mut client, id) = (stage.client(), held.booking_id.clone());
        async move { get(&mut client, &id).await.map(drop) }
    });
    let releasing = async {
        // The stall itself, not a wait for something to happen.
        tokio::time::sleep(STALL.saturating_sub(began.elapsed())).await;
        holder.batch_execute("ROLLBACK").await.expect("ours");
    };
    let (written, read, ()) = futures_util::join!(join_all(writes), join_all(reads), releasing);
    for status in written.iter().chain(&read).filter_map(|o| o.as_ref().err()) {
        assert!(may_fail(status), "{}", describe(status));
    }
    let kept = "SELECT count(*) FROM booking.bookings WHERE customer_id = 'ann'";
    let acknowledged = written.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(
        usize::try_from(stage.count(kept).await - 1),
        Ok(acknowledged)
    );

    // At once, and as often as in the first round.
    for n in 201..=230 {
        stage.reserve(&show, &[&format!("A-{n}")]).await;
    }
    stage.buy(&elsewhere, &["A-1"]).await;
    assert_eq!(stage.get(&held.booking_id).await, held);
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_stall_on_the_rows_of_a_show_passes() {
    stall("SELECT FROM booking.show_seats WHERE show_id = :show FOR UPDATE").await;
}

#[tokio::test]
async fn a_stall_on_the_sale_of_a_show_passes() {
    stall("SELECT FROM booking.sales WHERE show_id = :show FOR UPDATE").await;
}

#[tokio::test]
async fn a_stall_on_whole_tables_passes() {
    stall("LOCK TABLE booking.bookings, booking.show_seats, booking.sales").await;
}

/// Stopped processes of the server, which continue when this is dropped, or earlier.
struct Stopped(Vec<String>);

impl Stopped {
    /// Stops the server processes of the service's connections.
    async fn of(stage: &Stage) -> Self {
        let ids = "SELECT pid::text FROM pg_stat_activity
             WHERE datname = current_database() AND usename = 'booking_svc'";
        let rows = stage.owner.query(ids, &[]).await.expect("their ids");
        let stopped = Self(rows.iter().map(|row| row.get(0)).collect());
        assert!(
            stopped.0.len() >= 2,
            "a commit worker's and a reader's at least"
        );
        stopped.signal("-STOP");
        stopped
    }

    fn signal(&self, signal: &str) {
        let done = Command::new("kill").arg(signal).args(&self.0).status();
        assert!(done.is_ok_and(|status| status.success()), "kill {signal}");
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.signal("-CONT");
    }
}

#[tokio::test]
async fn a_server_that_stands_still_is_waited_for() {
    if std::env::var_os("DATABASE_URL").is_some() {
        // Its processes are not ours to stop, or run elsewhere.
        return;
    }
    let mut stage = Stage::start().await;
    let show = stage.a_show(200).await;
    let held = stage.reserve(&show, &["A-200"]).await;
    stage.get(&held.booking_id).await;
    let stopped = Stopped::of(&stage).await;
    let writes = (1..=100).map(|n| {
        let (mut client, show) = (stage.client(), show.clone());
        async move {
            let label = format!("A-{n}");
            reserve(&mut client, &show, &[&label], "ann")
                .await
                .map(drop)
        }
    });
    let reads = (1..=50).map(|_| {
        let (mut client, id) = (stage.client(), held.booking_id.clone());
        async move { get(&mut client, &id).await.map(drop) }
    });
    let going_on = async {
        // The stall itself, not a wait for something to happen.
        tokio::time::sleep(STALL).await;
        drop(stopped);
    };
    let (written, read, ()) = futures_util::join!(join_all(writes), join_all(reads), going_on);
    for status in written.iter().chain(&read).filter_map(|o| o.as_ref().err()) {
        assert!(may_fail(status), "{}", describe(status));
    }
    let kept = "SELECT count(*) FROM booking.bookings";
    let acknowledged = written.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(
        usize::try_from(stage.count(kept).await - 1),
        Ok(acknowledged)
    );
    for n in 101..=110 {
        stage.reserve(&show, &[&format!("A-{n}")]).await;
    }
    assert_eq!(stage.get(&held.booking_id).await, held);
    stage.assert_sound().await;
}

/// Sends a call again, as its request id allows, until it is answered.
async fn insist<M, T>(
    mut call: impl AsyncFnMut(M) -> Result<T, Status>,
    message: M,
    tries: &mut u32,
) -> T
where
    M: Clone,
{
    loop {
        *tries += 1;
        assert!(*tries < 2_000, "no end of tries");
        match call(message.clone()).await {
            Ok(answer) => return answer,
            Err(status) if may_fail(&status) => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(status) => panic!("{}", describe(&status)),
        }
    }
}

/// One client's purchases, one after another; returns the bookings and the number of calls.
async fn buy_on(
    client: Bookings,
    show: String,
    labels: impl Iterator<Item = String>,
) -> (Vec<Booking>, u32) {
    let mut bought = Vec::new();
    let mut tries = 0;
    for label in labels {
        let order = ReserveSeatsRequest {
            request_id: Uuid::new_v4().to_string(),
            ..reservation(&show, &[&label], "ann")
        };
        let reserve = async |order| {
            let response = client.clone().reserve_seats(order).await?.into_inner();
            Ok(response.booking.expect("set"))
        };
        let held = insist(reserve, order, &mut tries).await;
        let order = ConfirmBookingRequest {
            booking_id: held.booking_id.clone(),
            request_id: Uuid::new_v4().to_string(),
            etag: held.etag,
            ..Default::default()
        };
        let confirm = async |order| {
            let response = client.clone().confirm_booking(order).await?.into_inner();
            Ok(response.booking.expect("set"))
        };
        let confirmed = insist(confirm, order, &mut tries).await;
        assert_eq!(confirmed.state(), BookingState::Confirmed);
        assert_eq!(confirmed.lines, held.lines);
        bought.push(confirmed);
    }
    (bought, tries)
}

#[tokio::test]
async fn connections_cut_in_mid_load_lose_nothing_and_do_nothing_twice() {
    const CLIENTS: usize = 50;
    const EACH: usize = 20;
    const CUTS: i64 = 10;
    let mut stage = Stage::start().await;
    let show = stage.a_show(20_000).await;
    let cuts = Cell::new(0);
    let (mut process, other) = stage.another().await;
    let load = (0..CLIENTS).map(|n| {
        let client = if n % 2 == 0 {
            stage.client()
        } else {
            other.clone()
        };
        // A fast machine is asked for more, until enough was cut.
        let labels = (n + 1..=20_000).step_by(CLIENTS).enumerate();
        let labels = labels.take_while(|(bought, _)| *bought < EACH || cuts.get() < CUTS);
        buy_on(client, show.clone(), labels.map(|(_, k)| format!("A-{k}")))
    });
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE datname = current_database() AND usename = 'booking_svc' AND state <> 'idle'";
    let cutting = async {
        loop {
            cuts.set(cuts.get() + stage.count(cut).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let outcomes = tokio::select! {
        outcomes = join_all(load) => outcomes,
        () = cutting => unreachable!("it has no end"),
    };
    let mut tries = 0;
    let mut bought = Vec::new();
    for (of_one, tries_of_one) in outcomes {
        bought.extend(of_one);
        tries += tries_of_one;
    }
    let cuts = cuts.get();
    assert!(
        cuts >= CUTS,
        "only {cuts} connections were cut in mid-work ({tries} tries)"
    );

    let counts = "SELECT count(*) FROM booking.bookings";
    let all = i64::try_from(bought.len()).expect("small");
    assert!(bought.len() >= CLIENTS * EACH);
    assert_eq!(stage.count(counts).await, all, "one booking for each order");
    let steps = "SELECT count(*) FROM booking.transitions";
    assert_eq!(stage.count(steps).await, 2 * all, "each done once");
    for booking in bought {
        assert_eq!(stage.get(&booking.booking_id).await, booking);
    }
    invariants::assert_hold(&stage.system.database).await;
    for process in [&mut process, &mut stage.system.booking] {
        assert_eq!(process.ended(), None);
        let log = process.log();
        assert!(
            !log.contains("panicked") && !log.contains(" ERROR "),
            "{log}"
        );
    }
}

#[tokio::test]
async fn the_only_connection_is_always_given_back() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(5).await;
    let held = stage.reserve(&show, &["A-1"]).await;
    let (mut process, client) = stage
        .another_with(&[
            "--database-connections-max",
            "1",
            "--database-wait-max",
            "20s",
        ])
        .await;
    let nobody = model::BookingId::generate(show.parse().expect("an id")).to_string();
    let unknown = model::ShowId::generate().to_string();
    let read = |n: usize| {
        let (mut client, held, nobody) = (client.clone(), held.clone(), nobody.clone());
        let (show, unknown) = (show.clone(), unknown.clone());
        async move {
            let code = match n % 5 {
                0 => {
                    let found = get(&mut client, &held.booking_id).await;
                    assert_eq!(found.expect("the booking exists"), held);
                    return;
                }
                1 => get(&mut client, &nobody).await.map(drop),
                2 => {
                    let request = GetBookingRequest::default();
                    client.get_booking(request).await.map(drop)
                }
                3 => reserve(&mut client, &unknown, &["A-1"], "ann")
                    .await
                    .map(drop),
                _ => reserve(&mut client, &show, &["A-1"], "ann").await.map(drop),
            };
            let code = code.expect_err("none of them can succeed").code();
            let wanted = match n % 5 {
                2 => Code::InvalidArgument,
                4 => Code::FailedPrecondition,
                _ => Code::NotFound,
            };
            assert_eq!(code, wanted);
        }
    };
    for n in 0..50 {
        read(n).await;
    }
    join_all((0..50).map(read)).await;
    // Calls that are cancelled in progress return their connection too.
    for n in 0..50 {
        let gone = tokio::time::timeout(Duration::from_micros(n * 100), read(0)).await;
        drop(gone);
    }
    let holder = stage.system.database.owner().await;
    let lock = "BEGIN; LOCK TABLE booking.bookings";
    holder.batch_execute(lock).await.expect("ours");
    let mut asking: Vec<_> = (0..5).map(|_| tokio::spawn(read(0))).collect();
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
         AND datname = current_database() AND usename = 'booking_svc'";
    eventually(Duration::from_secs(5), "a read waits", async || {
        stage.count(waiting).await == 1
    })
    .await;
    for call in &mut asking {
        call.abort();
    }
    holder.batch_execute("ROLLBACK").await.expect("ours");
    join_all((0..10).map(read)).await;
    assert_quiet(&mut process);
    stage.assert_sound().await;
}
