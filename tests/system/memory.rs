//! The memory that a stranger can make a service hold: a bounded number of bytes, which are freed
//! again, while others are served.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use h2::client::{Builder, ResponseFuture};
use h2::{RecvStream, SendStream};
use http::{HeaderName, HeaderValue};
use prost::Message as _;
use proto::catalog::v1::create_show_request::Seats;
use proto::catalog::v1::{
    CreateShowRequest, GetShowRequest, RowBlock, SeatLayout, Section, WatchShowsRequest,
};
use service_kit::health;
use test_harness::process::Process;
use test_harness::raw::{Raw, prefix};
use test_harness::system::{System, catalog_client_of, names, show, start_catalog};
use test_harness::{errors, eventually, postgres};
use tonic::Code;

const LIST_SEATS: &str = "/ticketing.booking.v1.BookingService/ListSeats";
const CREATE_SHOW: &str = "/ticketing.catalog.v1.CatalogService/CreateShow";
const GET_SHOW: &str = "/ticketing.catalog.v1.CatalogService/GetShow";
const WATCH_SHOWS: &str = "/ticketing.catalog.v1.CatalogService/WatchShows";
const LIST_PAYMENTS: &str = "/ticketing.payment.v1.PaymentProvider/ListPayments";
const CHECK: &str = "/grpc.health.v1.Health/Check";
const REFLECT: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const MIB: u64 = 1024 * 1024;
/// The most growth that a stranger may cause.
const GROWTH_MAX: u64 = 64 * MIB;
/// The most of it that may be left afterwards, kept by the allocator.
const LEFT_MAX: u64 = 32 * MIB;
const SOON: Duration = Duration::from_secs(10);
/// The services' own time limits are at most 20 s here.
const LATER: Duration = Duration::from_secs(40);

/// A process's memory before a stranger came.
struct Before<'a> {
    process: &'a Process,
    memory: u64,
}

impl<'a> Before<'a> {
    fn of(process: &'a Process) -> Self {
        process.forget_peak();
        let memory = process.memory();
        Self { process, memory }
    }

    fn assert_bounded(&self) {
        let growth = self.process.peak_memory().saturating_sub(self.memory);
        assert!(growth < GROWTH_MAX, "it grew by {} MiB", growth / MIB);
    }

    /// Freed memory is returned while the process is active, if only for a probe.
    async fn assert_comes_back(&self) {
        eventually(LATER, "memory comes back", async || {
            let asked = health::ask(self.process.address(), "liveness", SOON).await;
            assert_eq!(asked, Ok(()));
            self.process.memory().saturating_sub(self.memory) < LEFT_MAX
        })
        .await;
    }
}

/// Calls with incomplete bodies.
struct Unfinished {
    _client: Raw,
    calls: Vec<(ResponseFuture, SendStream<Bytes>)>,
}

impl Unfinished {
    /// Begins `calls` calls, each with this much of its body.
    async fn begin(process: &Process, path: &str, calls: usize, body: &Bytes) -> Self {
        Self::begin_with(process, path, calls, body, 0).await
    }

    /// The same with more headers.
    async fn begin_with(
        process: &Process,
        path: &str,
        calls: usize,
        body: &Bytes,
        headers: usize,
    ) -> Self {
        // It does not wait for the server's settings.
        let mut builder = Builder::new();
        builder.initial_max_send_streams(calls);
        let client = Raw::connect_with(process.address(), &builder).await;
        let client = client.expect("a connection");
        let mut begun = Vec::new();
        for _ in 0..calls {
            let mut head = client.head(path);
            for header in 0..headers {
                let name = HeaderName::try_from(format!("x{header}")).expect("a name");
                head.headers_mut()
                    .insert(name, HeaderValue::from_static(""));
            }
            let (answer, mut sending) = client.begin(head).await.expect("a stream");
            sending.send_data(body.clone(), false).expect("a body");
            begun.push((answer, sending));
        }
        Self {
            _client: client,
            calls: begun,
        }
    }

    /// Waits until all of them have been answered, and returns the statuses.
    async fn statuses(self) -> Vec<tonic::Status> {
        let mut statuses = Vec::new();
        for (answer, _sending) in self.calls {
            let answer = answer.await.expect("an answer");
            let status = tonic::Status::from_header_map(answer.headers());
            statuses.push(status.expect("a status"));
        }
        statuses
    }
}

fn begun(claimed: u32, bytes: usize) -> Bytes {
    let mut body = prefix(claimed).to_vec();
    body.resize(5 + bytes, 0);
    body.into()
}

#[tokio::test]
async fn bodies_that_do_not_end_are_bounded_and_given_up() {
    let system = System::start(0).await;
    let show = system.a_show(10).await;
    system.seats(&show).await;
    let before = Before::of(&system.booking);
    let body = begun(64 * 1024, 64 * 1024 - 1);
    let mut strangers = Vec::new();
    for _ in 0..10 {
        strangers.push(Unfinished::begin(&system.booking, LIST_SEATS, 125, &body).await);
    }
    let mut late = 0;
    for stranger in strangers {
        // Others are served while they wait.
        assert_eq!(system.seats(&show).await.len(), 10);
        for status in stranger.statuses().await {
            match errors::reason(&status).as_str() {
                "OVERLOADED" => {}
                "DEADLINE_EXCEEDED" => late += 1,
                other => panic!("{other}: {status:?}"),
            }
        }
    }
    assert!(late > 50, "calls within the limits are waited for: {late}");
    before.assert_bounded();
    before.assert_comes_back().await;
}

#[tokio::test]
async fn large_bodies_are_bounded_and_a_claim_of_too_much_is_refused_at_once() {
    let database = postgres::database().await;
    let catalog = start_catalog(&database).await;
    let mut honest = catalog_client_of(&catalog);
    honest.create_show(show(10)).await.expect("a show");
    let before = Before::of(&catalog);
    let body = begun(4 * 1024 * 1024, 3 * 1024 * 1024);
    let mut strangers = Vec::new();
    for _ in 0..4 {
        strangers.push(Unfinished::begin(&catalog, CREATE_SHOW, 25, &body).await);
    }
    let claims = begun(4 * 1024 * 1024, 1);
    let claims = Unfinished::begin(&catalog, GET_SHOW, 125, &claims).await;
    for status in claims.statuses().await {
        errors::assert_error(&status, Code::InvalidArgument, "MESSAGE_TOO_LARGE");
    }
    honest.create_show(show(10)).await.expect("a show");
    for stranger in strangers {
        for status in stranger.statuses().await {
            let reason = errors::reason(&status);
            assert!(
                ["OVERLOADED", "DEADLINE_EXCEEDED"].contains(&&*reason),
                "{status:?}"
            );
        }
        honest.create_show(show(10)).await.expect("a show");
    }
    before.assert_bounded();
    before.assert_comes_back().await;
}

#[tokio::test]
async fn large_answers_that_nobody_reads_are_bounded_and_given_up() {
    let database = postgres::database().await;
    let catalog = start_catalog(&database).await;
    let (large, small) = shows(&catalog).await;
    let before = Before::of(&catalog);
    let stranger = Raw::connect(catalog.address()).await.expect("a connection");
    let mut unread = FuturesUnordered::new();
    for _ in 0..125 {
        unread.push(stranger.ask(GET_SHOW, &large).await.expect("a stream"));
    }
    // Three of them are on their way, whichever read the show first, and no more can be.
    let mut begun = Vec::new();
    for _ in 0..3 {
        let answer = unread.next().await.expect("one of them");
        begun.push(answer.expect("an answer").into_body());
    }
    let mut honest = catalog_client_of(&catalog);
    for _ in 0..3 {
        for show in [&small, &large] {
            let request = GetShowRequest::decode(&show[..]).expect("a request");
            honest.get_show(request).await.expect("a show");
        }
    }
    for answer in begun {
        assert!(is_reset(answer).await, "it was reset");
    }
    before.assert_bounded();
    drop((stranger, unread));
    before.assert_comes_back().await;
}

#[tokio::test]
async fn watchers_that_do_not_read_are_bounded_and_given_up() {
    let database = postgres::database().await;
    let catalog = start_catalog(&database).await;
    let (_large, _small) = shows(&catalog).await;
    let before = Before::of(&catalog);
    let stranger = Raw::connect(catalog.address()).await.expect("a connection");
    let mut streams = Vec::new();
    for _ in 0..99 {
        let stream = stranger.ask(WATCH_SHOWS, b"").await.expect("a stream");
        streams.push(stream.await.expect("a stream").into_body());
    }
    let request = WatchShowsRequest::default();
    let watching = catalog_client_of(&catalog).watch_shows(request).await;
    let mut honest = watching.expect("a stream").into_inner();
    for revision in [1, 2] {
        let entry = honest.message().await.expect("an entry");
        assert_eq!(entry.expect("an entry").revision, revision);
    }
    assert!(is_reset(streams.swap_remove(0)).await, "it was reset");
    before.assert_bounded();
    drop((stranger, streams));
    before.assert_comes_back().await;
}

#[tokio::test]
async fn small_answers_that_nobody_reads_end_their_connection() {
    let sim = Process::start("payment-sim", &[]).await;
    let before = Before::of(&sim);
    let mut builder = Builder::new();
    builder.initial_window_size(0);
    let mut strangers = Vec::new();
    for _ in 0..20 {
        let stranger = Raw::connect_with(sim.address(), &builder).await;
        let stranger = stranger.expect("a connection");
        let mut unread = Vec::new();
        for _ in 0..125 {
            unread.push(stranger.ask(LIST_PAYMENTS, b"").await.expect("a stream"));
        }
        strangers.push((stranger, unread));
    }
    for _ in 0..5 {
        let honest = Raw::connect(sim.address()).await.expect("a connection");
        let answer = honest.call(LIST_PAYMENTS, b"").await.expect("an answer");
        assert_eq!(answer.grpc.map(|status| status.code()), Some(Code::Ok));
    }
    eventually(LATER, "they are cut off", async || {
        strangers.iter().all(|(stranger, _)| stranger.has_ended())
    })
    .await;
    before.assert_bounded();
    before.assert_comes_back().await;
}

#[tokio::test]
async fn streams_are_bounded_though_each_has_next_to_nothing() {
    unfinished_calls_are_bounded(70, 125, 0).await;
}

#[tokio::test]
async fn connections_are_bounded_for_every_kind_of_use() {
    // 250 are cut off, the others kept, with as many as their connections allow.
    for streams in [60, 250] {
        unfinished_calls_are_bounded(250, streams, 0).await;
    }
}

#[tokio::test]
async fn headers_are_bounded() {
    unfinished_calls_are_bounded(70, 125, 200).await;
}

/// Many calls on each connection, with many headers and one byte of their bodies.
async fn unfinished_calls_are_bounded(connections: usize, calls: usize, headers: usize) {
    // More connections than the default allows: it is the streams that are bounded here.
    let sim = Process::start("payment-sim", &["--connections-per-peer-max", "1000"]).await;
    let before = Before::of(&sim);
    let body = begun(64 * 1024, 1);
    let mut strangers = Vec::new();
    for _ in 0..connections {
        let stranger = Unfinished::begin_with(&sim, LIST_PAYMENTS, calls, &body, headers);
        strangers.push(stranger.await);
    }
    let honest = Raw::connect(sim.address()).await.expect("a connection");
    let answer = honest.call(LIST_PAYMENTS, b"").await.expect("an answer");
    assert_eq!(answer.grpc.map(|status| status.code()), Some(Code::Ok));
    before.assert_bounded();
    drop(strangers);
    before.assert_comes_back().await;
}

#[tokio::test]
async fn questions_to_health_and_reflection_are_bounded() {
    let sim = Process::start("payment-sim", &[]).await;
    let before = Before::of(&sim);
    let mut strangers = Vec::new();
    let asked = begun(4 * 1024, 4 * 1024 - 1);
    for _ in 0..30 {
        strangers.push(Unfinished::begin(&sim, CHECK, 125, &asked).await);
        strangers.push(Unfinished::begin(&sim, REFLECT, 125, &asked).await);
    }
    for service in ["", "liveness"] {
        let asked = health::ask(sim.address(), service, SOON).await;
        assert_eq!(asked, Ok(()), "{service:?}");
    }
    let claims = begun(4 * 1024 * 1024, 1);
    // The strangers have most of the streams: a new connection has eight.
    let claims = Unfinished::begin(&sim, CHECK, 8, &claims).await;
    for status in claims.statuses().await {
        assert_eq!(errors::reason(&status), "MESSAGE_TOO_LARGE", "{status:?}");
    }
    before.assert_bounded();
    drop(strangers);
    before.assert_comes_back().await;
}

/// Whether a stream that is not read is reset, in the end.
async fn is_reset(mut stream: RecvStream) -> bool {
    let ended = async {
        // Received data is dropped, and the window stays closed.
        while let Some(data) = stream.data().await {
            if data.is_err() {
                return true;
            }
        }
        false
    };
    tokio::time::timeout(LATER, ended).await.unwrap_or(false)
}

/// A large show and a small one: the requests for them.
async fn shows(catalog: &Process) -> (Vec<u8>, Vec<u8>) {
    let mut client = catalog_client_of(catalog);
    let mut asks = Vec::new();
    for request in [hall(), show(10)] {
        let created = client.create_show(request).await.expect("a show");
        let show_id = created.into_inner().show.expect("a show").show_id;
        asks.push(
            GetShowRequest {
                show_id,
                ..Default::default()
            }
            .encode_to_vec(),
        );
    }
    let small = asks.pop().expect("a small one");
    (asks.pop().expect("a large one"), small)
}

/// A show whose 90,000 seats are named one by one: more than a megabyte.
fn hall() -> CreateShowRequest {
    let rows = (0..90).map(|row| RowBlock {
        names: Some(names([format!("{row}")])),
        runs: vec![names((0..1_000).map(|seat| format!("{row:04}-{seat:05}")))],
        label_format: "{seat}".to_owned(),
    });
    let section = Section {
        name: "Arena".to_owned(),
        rows: rows.collect(),
        ..Default::default()
    };
    let layout = SeatLayout {
        name: "An arena".to_owned(),
        sections: vec![section],
        ..Default::default()
    };
    CreateShowRequest {
        seats: Some(Seats::Layout(layout)),
        ..show(1)
    }
}
