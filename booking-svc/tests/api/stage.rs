//! The system of one test, with access to its database and control of its clock, which
//! no client has.

use std::fmt::Debug;
use std::time::Duration;

use futures_util::future::join_all;
use model::BookingId;
use proto::booking::v1::booking_service_client::BookingServiceClient;
use proto::booking::v1::{Booking, ReserveSeatsRequest, SeatStatus};
use proto::catalog::v1::CreateShowRequest;
use service_kit::proto_convert;
use test_harness::errors::{assert_error, describe};
use test_harness::postgres;
use test_harness::process::Process;
use test_harness::system::{self, System, booking_client_of};
use test_harness::{eventually, invariants};
use tokio_postgres::Client;
use tonic::transport::Channel;
use tonic::{Code, Status};

/// How long the feed may take on a busy machine.
const FEED_MAX: Duration = Duration::from_secs(10);
/// The most lines that a service logs at its start, with a margin.
const LOG_LINES_MAX: usize = 25;

/// Every table of the schema, as one text. The feed's cursor is not of the calls' making.
const DIGEST: &str = "
    SELECT concat_ws(' ',
        (SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM booking.sales AS t),
        (SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM booking.bookings AS t),
        (SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM booking.show_seats AS t),
        (SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM booking.show_areas AS t),
        (SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM booking.transitions AS t),
        (SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM booking.payments AS t),
        (SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM booking.refunds AS t),
        (SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM booking.customers AS t),
        (SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM booking.customer_requests AS t))";

/// Moves a hold as a whole, so that it ends some seconds after this began to wait for its row.
const MOVE_HOLD: &str = "
    UPDATE booking.bookings AS b
    SET created_at = b.created_at - (b.expires_at - asked.at) + make_interval(secs => $3),
        expires_at = asked.at + make_interval(secs => $3),
        places_held_until = CASE
            WHEN b.places_held_until IS NOT NULL THEN asked.at + make_interval(secs => $3)
        END
    FROM (SELECT clock_timestamp() AS at OFFSET 0) AS asked
    WHERE b.show_id = $1 AND b.booking_id = $2 AND b.state = 'PENDING'
    RETURNING b.version, (extract(epoch FROM b.created_at) * 1000000)::bigint,
        (extract(epoch FROM b.expires_at) * 1000000)::bigint,
        (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// A type short enough to write.
pub(crate) type Bookings = BookingServiceClient<Channel>;

/// Makes booking-svc wait for a lock until a test releases it, instead of continuing with other orders.
pub(crate) const WAITS_FOR_LOCKS: [&str; 2] = ["--lock-wait-max", "5s"];

/// Makes booking-svc sell its last copy, however long the catalog is silent.
pub(crate) const SELLS_STALE: [&str; 2] = ["--stale-catalog", "sell"];

/// The services without an expiry-worker, and a connection as their database's owner.
pub(crate) struct Stage {
    /// The services.
    pub(crate) system: System,
    /// The owner's connection.
    pub(crate) owner: Client,
    client: Bookings,
}

impl Stage {
    /// Starts the services.
    pub(crate) async fn start() -> Self {
        Self::of(System::start(0).await).await
    }

    /// The same, with a booking-svc that waits for locks.
    pub(crate) async fn that_waits_for_locks() -> Self {
        Self::with(&WAITS_FOR_LOCKS).await
    }

    /// The same, with further arguments for booking-svc.
    pub(crate) async fn with(arguments: &[&str]) -> Self {
        let database = postgres::database().await;
        Self::of(System::start_with(database, 0, arguments).await).await
    }

    /// The same, with a booking-svc that keeps selling without the catalog.
    pub(crate) async fn that_sells_stale() -> Self {
        let database = postgres::database().await;
        Self::of(System::start_with(database, 0, &SELLS_STALE).await).await
    }

    /// The same with expiry-workers.
    pub(crate) async fn with_workers(workers: usize) -> Self {
        Self::of(System::start(workers).await).await
    }

    /// The same with services that have been started.
    pub(crate) async fn of(system: System) -> Self {
        let owner = system.database.owner().await;
        let client = system.booking_client();
        Self {
            system,
            owner,
            client,
        }
    }

    /// A client; all of a test's share a connection.
    pub(crate) fn client(&self) -> Bookings {
        self.client.clone()
    }

    /// A show as [`System::a_show`] makes it, known to booking-svc when this returns.
    pub(crate) async fn a_show(&self, seats: i32) -> String {
        let show = self.system.a_show(seats).await;
        self.follow_feed().await;
        show
    }

    /// Creates a show, which booking-svc knows when this returns.
    pub(crate) async fn create(&self, show: CreateShowRequest) -> String {
        let created = self.system.catalog_client().create_show(show).await;
        let show = created.expect("a show").into_inner().show;
        self.follow_feed().await;
        show.expect("the answer has the show").show_id
    }

    /// Cancels a show in the catalog, and does not wait for booking-svc.
    pub(crate) async fn cancel_show(&self, show: &str) {
        self.system.cancel_show(show).await;
    }

    /// Waits until booking-svc has applied the whole feed.
    pub(crate) async fn follow_feed(&self) {
        let behind = "SELECT count(*) FROM booking.feed_cursor AS here, catalog.feed AS there \
             WHERE here.revision < there.revision";
        eventually(FEED_MAX, "the feed is applied", async || {
            self.count(behind).await == 0
        })
        .await;
    }

    /// Waits until booking-svc's background tasks have nothing to do: the feed is applied, cancelled
    /// shows are fully cancelled, and the catalog has its answers.
    pub(crate) async fn settle(&self) {
        self.follow_feed().await;
        let left = "SELECT (SELECT count(*) FROM booking.answers) + (SELECT count(*) \
             FROM booking.sales WHERE state = 'CANCELLED' AND fully_cancelled_at IS NULL)";
        eventually(FEED_MAX, "booking-svc is idle", async || {
            self.count(left).await == 0
        })
        .await;
    }

    /// The count of a query, on the owner's connection.
    pub(crate) async fn count(&self, query: &str) -> i64 {
        let row = self.owner.query_one(query, &[]).await;
        row.unwrap_or_else(|error| panic!("{query}: {error}"))
            .get(0)
    }

    /// Runs statements as the owner.
    pub(crate) async fn run(&self, statements: &str) {
        let done = self.owner.batch_execute(statements).await;
        done.unwrap_or_else(|error| panic!("{statements}: {error}"));
    }

    /// All that booking-svc has stored.
    pub(crate) async fn digest(&self) -> String {
        let row = self.owner.query_one(DIGEST, &[]).await;
        row.expect("a digest").get(0)
    }

    /// Asserts that a call is refused with this error and changes nothing.
    pub(crate) async fn refused<T: Debug>(
        &self,
        call: impl Future<Output = Result<T, Status>>,
        code: Code,
        reason: &str,
    ) -> Status {
        let before = self.digest().await;
        let status = match call.await {
            Err(status) => status,
            Ok(answer) => panic!("not refused with {code:?} {reason}, but answered: {answer:?}"),
        };
        assert_error(&status, code, reason);
        assert_eq!(self.digest().await, before, "{}", describe(&status));
        status
    }

    /// Reserves seats for "ann".
    pub(crate) async fn reserve(&self, show: &str, labels: &[&str]) -> Booking {
        let reserved = system::reserve(&mut self.client(), show, labels, "ann").await;
        reserved.unwrap_or_else(|status| panic!("reserve {labels:?}: {}", describe(&status)))
    }

    /// Reserves and confirms.
    pub(crate) async fn buy(&self, show: &str, labels: &[&str]) -> Booking {
        let held = self.reserve(show, labels).await;
        let confirmed = system::confirm(&mut self.client(), &held.booking_id).await;
        confirmed.unwrap_or_else(|status| panic!("confirm: {}", describe(&status)))
    }

    /// A booking as it stands.
    pub(crate) async fn get(&self, booking: &str) -> Booking {
        let found = system::get(&mut self.client(), booking).await;
        found.unwrap_or_else(|status| panic!("get {booking}: {}", describe(&status)))
    }

    /// Moves a hold's end into the past, without a worker to fail it: so far that no clock that
    /// is set back a little makes it live again.
    pub(crate) async fn lapse(&self, booking: &str) {
        end_hold(&self.owner, booking, -1.0).await;
    }

    /// Moves a hold so that it ends that long from now.
    pub(crate) async fn end_hold(&self, booking: &str, from_now: Duration) {
        end_hold(&self.owner, booking, from_now.as_secs_f64()).await;
    }

    /// Moves a hold so that it ended a day ago.
    pub(crate) async fn lapse_a_day_ago(&self, booking: &str) {
        end_hold(&self.owner, booking, -86_400.0).await;
    }

    /// The labels of a show's seats that have a status.
    pub(crate) async fn labels(&self, show: &str, status: SeatStatus) -> Vec<String> {
        let seats = self.system.seats(show).await.into_iter();
        seats
            .filter(|seat| seat.status() == status)
            .map(|seat| seat.label)
            .collect()
    }

    /// Another booking-svc on the same database.
    pub(crate) async fn another(&self) -> (Process, Bookings) {
        let process = system::start_booking(&self.system.database, &self.system.catalog).await;
        let client = booking_client_of(&process);
        (process, client)
    }

    /// The same with further arguments.
    pub(crate) async fn another_with(&self, arguments: &[&str]) -> (Process, Bookings) {
        let database = self.system.database.url("booking_svc");
        let catalog = self.system.catalog.internal_url();
        let mut all = vec!["--database-url", &database, "--catalog-url", &catalog];
        all.extend(arguments);
        let process = Process::start("booking-svc", &all).await;
        let client = booking_client_of(&process);
        (process, client)
    }

    /// Asserts that the data is sound, and that the service runs and has logged no error.
    pub(crate) async fn assert_sound(&mut self) {
        invariants::assert_hold(&self.system.database).await;
        assert_quiet(&mut self.system.booking);
    }
}

/// Moves a hold so that it ends some seconds from now, by the owner's connection.
pub(crate) async fn end_hold(owner: &Client, booking: &str, from_now: f64) {
    let moved = move_hold(owner, booking, from_now).await;
    assert!(moved.is_some(), "{booking} is not PENDING");
}

/// A hold that was moved, its times in microseconds since 1970.
pub(crate) struct Moved {
    /// The booking's version.
    pub(crate) version: i32,
    /// When it seems to have been made.
    pub(crate) created_at: i64,
    /// When it ends.
    pub(crate) expires_at: i64,
    /// When it was moved, with the row locked.
    pub(crate) at: i64,
}

/// The same, unless the booking is not PENDING any more.
pub(crate) async fn move_hold(owner: &Client, booking: &str, from_now: f64) -> Option<Moved> {
    let id: BookingId = booking.parse().expect("a booking's id");
    let (show_id, booking_id) = (id.show().uuid(), id.uuid());
    let moved = owner
        .query_opt(MOVE_HOLD, &[&show_id, &booking_id, &from_now])
        .await;
    let row = moved.expect("a hold can be moved")?;
    Some(Moved {
        version: row.get(0),
        created_at: row.get(1),
        expires_at: row.get(2),
        at: row.get(3),
    })
}

/// Asserts that a service runs, has met no fault, and has not filled its log. Each failed call
/// has a line, so that its log id is found.
pub(crate) fn assert_quiet(process: &mut Process) {
    assert_faultless(process);
    let log = process.log();
    let of_calls = |line: &&str| line.contains("service_kit::outcome");
    let lines = log.lines().filter(|line| !of_calls(line)).count();
    assert!(lines <= LOG_LINES_MAX, "{lines} lines in the log:\n{log}");
}

/// Asserts that a service runs and has met no fault.
pub(crate) fn assert_faultless(process: &mut Process) {
    assert_eq!(process.ended(), None);
    let log = process.log();
    for sign in ["panicked", " ERROR "] {
        assert!(!log.contains(sign), "{sign:?} in the log:\n{log}");
    }
}

/// Sends the same reserve by each client at once.
pub(crate) async fn all_reserve(
    clients: &[Bookings],
    request: &ReserveSeatsRequest,
) -> Vec<Result<Booking, Status>> {
    let calls = clients.iter().map(|client| {
        let (mut client, request) = (client.clone(), request.clone());
        async move {
            let response = client.reserve_seats(request).await?.into_inner();
            Ok(response.booking.expect("the answer has the booking"))
        }
    });
    join_all(calls).await
}

/// A time of the contract as error metadata writes it.
pub(crate) fn text_of(time: Option<&prost_types::Timestamp>) -> String {
    let instant = time.map(proto_convert::instant).expect("the time is set");
    proto_convert::rfc3339(instant.expect("the service sends valid times"))
}
