//! The answer to a COMMIT is lost, or that to a statement which commits by itself. The outcome is
//! resolved by the order's id, whether the caller sent one or not, and the order is not done twice.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use proto::booking::v1::{BookingState, ConfirmBookingRequest, ReserveSeatsRequest};
use test_harness::errors::{assert_error, describe, has_retry_info};
use test_harness::process::Process;
use test_harness::system::{booking_client_of, cancel, confirm, reservation, reserve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::Code;
use uuid::Uuid;

use crate::stage::{Bookings, Stage, assert_quiet};

/// A proxy to the database that can lose answers.
pub(crate) struct Line {
    address: SocketAddr,
    faults: Arc<Faults>,
}

#[derive(Default)]
struct Faults {
    /// How many more answers to a COMMIT are lost, or to a write that is one, each with its
    /// connection.
    lost: AtomicUsize,
    /// How many of the answers that were lost were to such a write.
    lost_alone: AtomicUsize,
    /// Whether only those with the next transaction sent behind the COMMIT.
    with_next: AtomicBool,
    /// Whether there is no way at all.
    down: AtomicBool,
}

impl Line {
    /// A line to a server.
    async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let faults = Arc::<Faults>::default();
        let of_line = Arc::clone(&faults);
        // It ends with the test's runtime.
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if of_line.down.load(Ordering::SeqCst) {
                    continue;
                }
                let far = TcpStream::connect(&server).await.expect("the server");
                tokio::spawn(carry(near, far, Arc::clone(&of_line)));
            }
        });
        Self { address, faults }
    }

    pub(crate) fn lose(&self, answers: usize) {
        self.faults.lost.store(answers, Ordering::SeqCst);
    }

    pub(crate) fn still_to_lose(&self) -> usize {
        self.faults.lost.load(Ordering::SeqCst)
    }
}

/// How long an answer waits for the next transaction to be sent.
const NEXT_MAX: Duration = Duration::from_millis(500);

/// A text that only a commit worker's connection prepares.
const WRITE: &[u8] = b"booking.new_transition[]";
/// How an answer of one row ends, if no transaction is open behind it.
const ONE_ROW: &[u8] = b"SELECT 1\0Z\0\0\0\x05I";

/// Carries both ways until one side goes, or an answer is lost.
async fn carry(near: TcpStream, far: TcpStream, faults: Arc<Faults>) {
    let (mut from_near, mut to_near) = near.into_split();
    let (mut from_far, mut to_far) = far.into_split();
    let (begun, mut seen) = watch::channel(0);
    let is_lane = AtomicBool::new(false);
    let forth = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = from_near.read(&mut buffer).await?;
            if length == 0 {
                return Ok(());
            }
            if places(&buffer[..length], WRITE).next().is_some() {
                is_lane.store(true, Ordering::SeqCst);
            }
            to_far.write_all(&buffer[..length]).await?;
            let begins = places(&buffer[..length], b"BEGIN").count();
            begun.send_modify(|begun| *begun += begins);
        }
    };
    let back = async {
        let mut buffer = vec![0; 64 * 1024];
        let mut ended = 0;
        loop {
            let length = from_far.read(&mut buffer).await?;
            if length == 0 {
                return Ok(());
            }
            let (bytes, mut carried) = (&buffer[..length], 0);
            let rollbacks = places(bytes, b"ROLLBACK\0").count();
            let commits = places(bytes, b"COMMIT\0").map(|place| (place, true));
            let alone = is_lane.load(Ordering::SeqCst);
            let alone = places(bytes, ONE_ROW)
                .filter(|place| alone && ends_in_a_time(&bytes[..place - 5]))
                .map(|place| (place, false));
            for (place, has_begun) in commits.chain(alone) {
                ended += usize::from(has_begun);
                // The answer is 'C', four bytes of length, and the text.
                to_near.write_all(&bytes[carried..place - 5]).await?;
                carried = place - 5;
                let next = has_begun.then_some(ended);
                if faults.lose_one(&mut seen, next).await {
                    return Ok(());
                }
            }
            ended += rollbacks;
            to_near.write_all(&buffer[carried..length]).await?;
        }
    };
    // Both connections close when this returns.
    let _: std::io::Result<()> = tokio::select! {
        done = forth => done,
        done = back => done,
    };
}

/// Whether a row's last value is of eight bytes, as that of a write is.
fn ends_in_a_time(row: &[u8]) -> bool {
    let length = row
        .len()
        .checked_sub(12)
        .map(|place| &row[place..place + 4]);
    length == Some(&8_i32.to_be_bytes())
}

fn places(bytes: &[u8], text: &'static [u8]) -> impl Iterator<Item = usize> {
    let windows = bytes.windows(text.len()).enumerate();
    windows.filter_map(move |(place, window)| (window == text).then_some(place))
}

impl Faults {
    /// Whether to lose the answer to the `nth` COMMIT, or to the write of a transaction without
    /// one.
    async fn lose_one(&self, begun: &mut watch::Receiver<usize>, ended: Option<usize>) -> bool {
        let order = Ordering::SeqCst;
        if self.lost.load(order) == 0 {
            return false;
        }
        if self.with_next.load(order) {
            let Some(ended) = ended else { return false };
            let next = begun.wait_for(|begun| *begun > ended);
            if !matches!(timeout(NEXT_MAX, next).await, Ok(Ok(_))) {
                return false;
            }
        }
        let lose = |left: usize| left.checked_sub(1);
        let lost = self.lost.fetch_update(order, order, lose).is_ok();
        self.lost_alone
            .fetch_add(usize::from(lost && ended.is_none()), order);
        lost
    }
}

/// A booking-svc behind such a proxy.
pub(crate) async fn behind_a_line(stage: &Stage) -> (Process, Bookings, Line) {
    let direct = stage.system.database.url("booking_svc");
    let config: tokio_postgres::Config = direct.parse().expect("a URL");
    let host = match config.get_hosts().first() {
        Some(tokio_postgres::config::Host::Tcp(host)) => host.clone(),
        other => panic!("{other:?} is reached in another way"),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let line = Line::to(format!("{host}:{port}")).await;
    let (before, after) = direct.split_once('@').expect("it names a role");
    let (_, database) = after.split_once('/').expect("it names a database");
    let url = format!("{before}@{}/{database}", line.address);
    let catalog = stage.system.catalog.internal_url();
    // One commit worker, so that the proxy's faults hit the one that has the order.
    let arguments = [
        "--database-url",
        &url,
        "--catalog-url",
        &catalog,
        "--commit-workers",
        "1",
    ];
    let process = Process::start("booking-svc", &arguments).await;
    let client = booking_client_of(&process);
    (process, client, line)
}

const BOOKINGS: &str = "SELECT count(*) FROM booking.bookings";
const STEPS: &str = "SELECT count(*) FROM booking.transitions";

#[tokio::test]
async fn each_command_is_answered_and_done_once_without_a_request_id() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(6).await;
    let (mut process, mut client, line) = behind_a_line(&stage).await;
    // So that the sale is known, and nothing else commits.
    reserve(&mut client, &show, &["A-6"], "bob")
        .await
        .expect("a free seat");
    let lapsed = stage.reserve(&show, &["A-1", "A-2", "A-3"]).await;
    stage.lapse(&lapsed.booking_id).await;

    line.lose(1);
    let held = reserve(&mut client, &show, &["A-1", "A-4"], "ann").await;
    let held = held.unwrap_or_else(|status| panic!("{}", describe(&status)));
    assert_eq!((line.still_to_lose(), held.lines.len()), (0, 2));
    assert_eq!(stage.get(&held.booking_id).await, held);
    assert_eq!(stage.count(BOOKINGS).await, 3);

    line.lose(1);
    let confirmed = confirm(&mut client, &held.booking_id).await;
    let confirmed = confirmed.unwrap_or_else(|status| panic!("{}", describe(&status)));
    assert_eq!(confirmed.state(), BookingState::Confirmed);
    assert_eq!(stage.get(&held.booking_id).await, confirmed);

    line.lose(1);
    let cancelled = cancel(&mut client, &held.booking_id).await;
    let cancelled = cancelled.unwrap_or_else(|status| panic!("{}", describe(&status)));
    assert_eq!(cancelled.state(), BookingState::Cancelled);
    assert_eq!(stage.get(&held.booking_id).await, cancelled);
    assert_eq!(line.still_to_lose(), 0);
    // Two reserves, a lapse, and three of the one that we followed.
    assert_eq!(stage.count(STEPS).await, 6);
    assert_quiet(&mut process);
    stage.assert_sound().await;
}

/// A booking-svc behind a proxy that knows the show, of which it has sold the third seat.
async fn knowing(stage: &Stage, show: &str) -> (Process, Bookings, Line) {
    let (process, mut client, line) = behind_a_line(stage).await;
    reserve(&mut client, show, &["A-3"], "bob")
        .await
        .expect("a free seat");
    (process, client, line)
}

fn under_an_id(show: &str, seat: &str) -> ReserveSeatsRequest {
    ReserveSeatsRequest {
        request_id: Uuid::new_v4().to_string(),
        ..reservation(show, &[seat], "ann")
    }
}

/// Under a caller's request id a lone order takes the optimistic path, in a statement that commits by itself.
#[tokio::test]
async fn an_order_that_commits_by_itself_is_answered_and_done_once() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let (mut process, mut client, line) = knowing(&stage, &show).await;
    let order = under_an_id(&show, "A-1");
    line.lose(1);
    let held = client.reserve_seats(order).await;
    let held = held.unwrap_or_else(|status| panic!("{}", describe(&status)));
    let held = held.into_inner().booking.expect("set");
    assert_eq!(line.still_to_lose(), 0);
    assert_eq!(stage.get(&held.booking_id).await, held);
    assert_eq!(stage.count(STEPS).await, 2);

    let second = client
        .reserve_seats(under_an_id(&show, "A-2"))
        .await
        .expect("a free seat");
    let confirmation = ConfirmBookingRequest {
        booking_id: second.into_inner().booking.expect("set").booking_id,
        request_id: Uuid::new_v4().to_string(),
        ..Default::default()
    };
    line.lose(1);
    let confirmed = client.confirm_booking(confirmation).await;
    let confirmed = confirmed.unwrap_or_else(|status| panic!("{}", describe(&status)));
    let confirmed = confirmed.into_inner().booking.expect("set");
    assert_eq!(line.still_to_lose(), 0);
    assert_eq!(confirmed.state(), BookingState::Confirmed);
    assert_eq!(stage.get(&confirmed.booking_id).await, confirmed);
    assert_eq!(stage.count(STEPS).await, 4);
    assert_eq!(line.faults.lost_alone.load(Ordering::SeqCst), 2);
    assert_quiet(&mut process);
    stage.assert_sound().await;
}

/// More orders than one transaction decides.
const ORDERS: i32 = 600;

/// Sends orders at once and loses some of their COMMITs; returns how many losses were left over.
async fn many_at_once(losses: usize, with_next: bool) -> usize {
    let mut stage = Stage::start().await;
    let show = stage.a_show(ORDERS + 1).await;
    let (mut process, mut client, line) = behind_a_line(&stage).await;
    reserve(&mut client, &show, &[&format!("A-{}", ORDERS + 1)], "bob")
        .await
        .expect("a free seat");
    line.faults.with_next.store(with_next, Ordering::SeqCst);
    line.lose(losses);
    // More than one connection can have in progress.
    let clients = [(); 4].map(|()| booking_client_of(&process));
    let orders = (1..=ORDERS).zip(clients.iter().cycle()).map(|(n, client)| {
        let (mut client, show) = (client.clone(), show.clone());
        async move { reserve(&mut client, &show, &[&format!("A-{n}")], "ann").await }
    });
    for outcome in join_all(orders).await {
        let held = outcome.unwrap_or_else(|status| panic!("{}", describe(&status)));
        assert_eq!(stage.get(&held.booking_id).await, held);
    }
    let still_to_lose = line.still_to_lose();
    line.lose(0);
    assert_eq!(stage.count(BOOKINGS).await, i64::from(ORDERS) + 1);
    assert_eq!(stage.count(STEPS).await, i64::from(ORDERS) + 1);
    assert_quiet(&mut process);
    stage.assert_sound().await;
    still_to_lose
}

#[tokio::test]
async fn of_many_at_once_each_is_done_once() {
    assert!(many_at_once(4, false).await < 4);
}

#[tokio::test]
async fn so_is_each_of_two_transactions_that_one_loss_meets() {
    assert_eq!(many_at_once(1, true).await, 0);
}

#[tokio::test]
async fn an_outcome_that_cannot_be_found_out_is_safe_to_ask_for_again() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let (mut process, mut client, line) = knowing(&stage, &show).await;
    let order = under_an_id(&show, "A-1");
    line.lose(1);
    line.faults.down.store(true, Ordering::SeqCst);
    let status = client.reserve_seats(order.clone()).await;
    let status = status.expect_err("there is no way to the database");
    assert_error(&status, Code::Unavailable, "DATABASE_UNAVAILABLE");
    assert!(has_retry_info(&status));
    assert_eq!(stage.count(BOOKINGS).await, 2, "it was done all the same");
    line.faults.down.store(false, Ordering::SeqCst);
    let again = client.reserve_seats(order).await;
    let again = again.unwrap_or_else(|status| panic!("{}", describe(&status)));
    let held = again.into_inner().booking.expect("set");
    assert_eq!(stage.get(&held.booking_id).await, held);
    assert_eq!(stage.count(BOOKINGS).await, 2);
    assert_quiet(&mut process);
    stage.assert_sound().await;
}
