//! A running service and requests for it.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use catalog_svc::Listeners;
use catalog_svc::config::{Cli, Config};
use clap::Parser as _;
use prost_types::Timestamp;
use proto::catalog::internal::v1 as internal;
use proto::catalog::internal::v1::catalog_feed_service_client::CatalogFeedServiceClient;
use proto::catalog::v1 as pb;
use proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use proto::catalog::v1::create_show_request::Seats;
use proto::catalog::v1::series::Series as Kind;
use proto::money::v1::Money;
use service_kit::{Shutdown, process};
use test_harness::postgres::{self, TestDatabase};
use test_harness::{eventually, eventually_some};
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic::{Response, Status};
use uuid::Uuid;

pub(crate) type Client = CatalogServiceClient<Channel>;
pub(crate) type FeedClient = CatalogFeedServiceClient<Channel>;

/// More than anything here takes, and less than a person waits.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A running service.
pub(crate) struct Service {
    pub(crate) client: Client,
    pub(crate) address: SocketAddr,
    /// As the booking service reaches it.
    pub(crate) feed: FeedClient,
    shutdown: Shutdown,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Service {
    /// Starts it on a new database.
    pub(crate) async fn start() -> (Self, TestDatabase) {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(configure: impl FnOnce(&mut Config)) -> (Self, TestDatabase) {
        let database = postgres::database().await;
        let service = Self::on(&database.url("catalog_svc"), configure).await;
        (service, database)
    }

    pub(crate) async fn on(url: &str, configure: impl FnOnce(&mut Config)) -> Self {
        let mut config = config(url);
        configure(&mut config);
        let listen = async || {
            process::listen(&config.listen, &config.server)
                .await
                .expect("a free port")
        };
        let listeners = Listeners {
            public: listen().await,
            internal: listen().await,
        };
        let address = listeners.public.local_addr().expect("an address");
        let feed = feed_client(listeners.internal.local_addr().expect("an address"));
        let shutdown = Shutdown::default();
        let running = tokio::spawn(catalog_svc::run(config, listeners, shutdown.clone()));
        let client = client(address);
        Self {
            client,
            address,
            feed,
            shutdown,
            running,
        }
    }

    /// Begins the soft stop.
    pub(crate) fn terminate(&self) {
        self.shutdown.soft.cancel();
    }

    /// Stops it, and returns how it ended.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.shutdown.soft.cancel();
        // Only our own client is left to hold it up.
        drop((self.client, self.feed));
        let ended = tokio::time::timeout(SOON, self.running).await;
        ended
            .expect("the service stops")
            .expect("the service does not panic")
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(self) -> anyhow::Result<()> {
        let ended = tokio::time::timeout(SOON, self.running).await;
        ended
            .expect("the service ends")
            .expect("the service does not panic")
    }
}

/// The settings of a service under test.
pub(crate) fn config(url: &str) -> Config {
    let line = [
        "catalog-svc",
        "--listen",
        "127.0.0.1:0",
        "--database-url",
        url,
    ];
    Cli::try_parse_from(line).expect("valid arguments").config
}

/// A client with its own connection.
pub(crate) fn client(address: SocketAddr) -> Client {
    let endpoint = Channel::from_shared(format!("http://{address}")).expect("a URL");
    // With the usual limit for answers, of 4 MiB.
    CatalogServiceClient::new(endpoint.connect_lazy())
}

/// A client of the internal service, with its own connection.
pub(crate) fn feed_client(address: SocketAddr) -> FeedClient {
    let endpoint = Channel::from_shared(format!("http://{address}")).expect("a URL");
    FeedClient::new(endpoint.connect_lazy())
}

pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

pub(crate) fn hours_ahead(hours: u64) -> Timestamp {
    (now() + Duration::from_secs(hours * 3_600)).into()
}

pub(crate) fn eur(minor_units: i64) -> Money {
    Money {
        minor_units,
        currency_code: "EUR".to_owned(),
    }
}

pub(crate) fn new_request_id() -> String {
    Uuid::new_v4().to_string()
}

/// A valid request: 40 seats for 12.50 EUR.
pub(crate) fn hamlet() -> pb::CreateShowRequest {
    pb::CreateShowRequest {
        name: "Hamlet".to_owned(),
        show_type: pb::ShowType::Other.into(),
        start_time: Some(hours_ahead(24)),
        end_time: None,
        venue: "Globe".to_owned(),
        seats: Some(Seats::TotalSeats(40)),
        seat_price: Some(eur(1250)),
        ..Default::default()
    }
}

/// The numbers from 1 to this one.
pub(crate) fn numbered(last: i32) -> pb::Series {
    let numbers = pb::NumberSeries {
        first: 1,
        last,
        step: 1,
        skip: Vec::new(),
    };
    pb::Series {
        series: Some(Kind::Numbers(numbers)),
    }
}

/// These names.
pub(crate) fn listed(names: impl IntoIterator<Item = impl ToString>) -> pb::Series {
    let names = names.into_iter().map(|name| name.to_string()).collect();
    pb::Series {
        series: Some(Kind::List(pb::NameList { names })),
    }
}

pub(crate) fn section(name: &str, rows: Vec<pb::RowBlock>) -> pb::Section {
    pb::Section {
        name: name.to_owned(),
        rows,
        ..Default::default()
    }
}

/// A row of `seat_count` seats; without a name if that is empty.
pub(crate) fn counted(name: &str, seat_count: i32) -> pb::RowBlock {
    pb::RowBlock {
        names: (!name.is_empty()).then(|| listed([name])),
        runs: vec![numbered(seat_count)],
        label_format: String::new(),
    }
}

/// A row of seats with these labels.
pub(crate) fn labelled(
    name: &str,
    labels: impl IntoIterator<Item = impl ToString>,
) -> pb::RowBlock {
    pb::RowBlock {
        runs: vec![listed(labels)],
        label_format: "{seat}".to_owned(),
        ..counted(name, 1)
    }
}

pub(crate) fn layout(sections: Vec<pb::Section>) -> pb::SeatLayout {
    pb::SeatLayout {
        name: "The Globe".to_owned(),
        sections,
        ..Default::default()
    }
}

/// A tier for these sections; for everything else if there are none.
pub(crate) fn tier(name: &str, price: Money, sections: &[&str]) -> pb::PriceTier {
    pb::PriceTier {
        name: name.to_owned(),
        price: Some(price),
        sections: sections.iter().map(ToString::to_string).collect(),
        ..Default::default()
    }
}

/// A request that creates its own layout.
pub(crate) fn with_layout(layout: pb::SeatLayout) -> pb::CreateShowRequest {
    pb::CreateShowRequest {
        seats: Some(Seats::Layout(layout)),
        ..hamlet()
    }
}

/// The request with these sections.
pub(crate) fn with_sections(sections: Vec<pb::Section>) -> pb::CreateShowRequest {
    with_layout(layout(sections))
}

/// A layout of 100,000 labels, about 1 MB of them.
pub(crate) fn arena() -> Vec<pb::Section> {
    let rows = (0..100).map(|row| {
        let labels = (0..1_000).map(|seat| format!("{row:03}-{seat:05}"));
        labelled(&format!("{row}"), labels)
    });
    vec![section("Arena", rows.collect())]
}

/// The sections of a show's layout.
pub(crate) fn sections(show: &pb::Show) -> &[pb::Section] {
    &show.layout.as_ref().expect("a layout").sections
}

pub(crate) async fn try_create(
    client: &Client,
    request: pb::CreateShowRequest,
) -> Result<Response<pb::CreateShowResponse>, Status> {
    client.clone().create_show(request).await
}

pub(crate) async fn create(client: &Client, request: pb::CreateShowRequest) -> pb::Show {
    let created = try_create(client, request).await.expect("a show");
    created.into_inner().show.expect("the show")
}

pub(crate) async fn try_get(client: &Client, id: &str) -> Result<pb::Show, Status> {
    try_get_since(client, id, 0).await
}

pub(crate) async fn try_get_since(
    client: &Client,
    id: &str,
    min_revision: i64,
) -> Result<pb::Show, Status> {
    let request = pb::GetShowRequest {
        show_id: id.to_owned(),
        min_revision,
    };
    let got = client.clone().get_show(request).await?;
    Ok(got.into_inner().show.expect("the show"))
}

pub(crate) async fn get(client: &Client, id: &str) -> pb::Show {
    try_get(client, id).await.expect("a show")
}

/// The show, at least as new as a revision.
pub(crate) async fn get_since(client: &Client, id: &str, min_revision: i64) -> pb::Show {
    let got = try_get_since(client, id, min_revision).await;
    got.expect("a show")
}

pub(crate) async fn cancel(client: &Client, id: &str) -> pb::Show {
    let request = pb::CancelShowRequest {
        show_id: id.to_owned(),
        ..Default::default()
    };
    let cancelled = client
        .clone()
        .cancel_show(request)
        .await
        .expect("a cancelled show");
    cancelled.into_inner().show.expect("the show")
}

pub(crate) async fn try_delete(client: &Client, id: &str) -> Result<(), Status> {
    let request = pb::DeleteShowRequest {
        show_id: id.to_owned(),
        ..Default::default()
    };
    client.clone().delete_show(request).await.map(drop)
}

/// Deletes a show, and answers for the booking service that it had no bookings.
pub(crate) async fn delete(service: &Service, id: &str) {
    let answering = async {
        let proposal = proposed(&service.client, id).await;
        answer(&service.feed, id, proposal.revision, Ok(())).await;
    };
    let (deleted, ()) = futures_util::join!(try_delete(&service.client, id), answering);
    deleted.expect("a deleted show");
}

/// The proposal of a show, once there is one that is pending.
pub(crate) async fn proposed(client: &Client, id: &str) -> pb::Proposal {
    eventually_some(SOON, "something is proposed", async || {
        let proposal = get(client, id).await.proposal?;
        (proposal.state() == pb::ProposalState::Pending).then_some(proposal)
    })
    .await
}

/// Answers a proposal as the booking service does: that it may be, or that there are bookings
/// of these seats.
pub(crate) async fn answer(
    feed: &FeedClient,
    id: &str,
    revision: i64,
    may_be: Result<(), &[&str]>,
) {
    let booked_seats = may_be.err().unwrap_or_default();
    let request = internal::AnswerProposalRequest {
        show_id: id.to_owned(),
        proposal_revision: revision,
        accepted: may_be.is_ok(),
        booked_seats: booked_seats.iter().map(ToString::to_string).collect(),
    };
    let answered = feed.clone().answer_proposal(request).await;
    answered.expect("an answer that is accepted");
}

/// A request that gives a show another name.
pub(crate) fn renaming(id: &str, name: &str) -> pb::UpdateShowRequest {
    let show = pb::Show {
        show_id: id.to_owned(),
        name: name.to_owned(),
        ..Default::default()
    };
    updating(show, &["name"])
}

pub(crate) fn updating(show: pb::Show, paths: &[&str]) -> pb::UpdateShowRequest {
    let paths = paths.iter().map(ToString::to_string).collect();
    pb::UpdateShowRequest {
        show: Some(show),
        update_mask: Some(prost_types::FieldMask { paths }),
        request_id: String::new(),
    }
}

pub(crate) async fn update(client: &Client, request: pb::UpdateShowRequest) -> pb::Show {
    let updated = client
        .clone()
        .update_show(request)
        .await
        .expect("an updated show");
    updated.into_inner().show.expect("the show")
}

/// What a database holds: shows, requests, and the feed's revision. To check that nothing changed.
pub(crate) async fn contents(database: &TestDatabase) -> (i64, i64, i64) {
    let query = "SELECT (SELECT count(*) FROM catalog.shows),
                        (SELECT count(*) FROM catalog.requests),
                        (SELECT revision FROM catalog.feed)";
    let row = database
        .owner()
        .await
        .query_one(query, &[])
        .await
        .expect("counts");
    (row.get(0), row.get(1), row.get(2))
}

/// Runs statements as the database's owner.
pub(crate) async fn execute(database: &TestDatabase, statements: &str) {
    database
        .owner()
        .await
        .batch_execute(statements)
        .await
        .expect("statements");
}

/// Renames a show as another instance does, but for the notification, as if that were lost;
/// returns the revision.
pub(crate) async fn rename_silently(database: &TestDatabase, id: &str, name: &str) -> i64 {
    let statement = format!(
        "WITH next AS (UPDATE catalog.feed SET revision = revision + 1 RETURNING revision)
         UPDATE catalog.shows SET name = '{name}', revision = next.revision
         FROM next WHERE show_id = '{id}' RETURNING shows.revision"
    );
    let row = database.owner().await.query_one(&statement, &[]).await;
    row.expect("a revision").get(0)
}

/// Waits until this many of the service's sessions wait for a lock.
pub(crate) async fn eventually_blocked(database: &TestDatabase, sessions: i64) {
    let query = "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND usename = 'catalog_svc'
                   AND wait_event_type = 'Lock'";
    // Inside of a transaction pg_stat_activity would not change.
    let owner = database.owner().await;
    eventually(SOON, "sessions wait for a lock", async || {
        let row = owner.query_one(query, &[]).await.expect("a count");
        row.get::<_, i64>(0) == sessions
    })
    .await;
}
