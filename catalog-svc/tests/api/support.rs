//! A running service and requests for it.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use catalog_svc::config::{Cli, Config};
use clap::Parser as _;
use prost_types::Timestamp;
use proto::catalog::v1 as pb;
use proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use proto::money::v1::Money;
use service_kit::Shutdown;
use system_tests::eventually;
use system_tests::postgres::{self, TestDatabase};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic::{Response, Status};
use uuid::Uuid;

pub(crate) type Client = CatalogServiceClient<Channel>;

/// More than anything here takes, and less than a person waits.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// The largest answer that our clients take.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A running service.
pub(crate) struct Service {
    pub(crate) client: Client,
    pub(crate) address: SocketAddr,
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
        let listener = TcpListener::bind(config.listen).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shutdown = Shutdown::default();
        let running = tokio::spawn(catalog_svc::run(config, listener, shutdown.clone()));
        let client = client(address);
        Self {
            client,
            address,
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
        drop(self.client);
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

/// What a service is told by a test.
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

/// A client with a connection of its own.
pub(crate) fn client(address: SocketAddr) -> Client {
    let endpoint = Channel::from_shared(format!("http://{address}")).expect("a URL");
    CatalogServiceClient::new(endpoint.connect_lazy()).max_decoding_message_size(ANSWER_BYTES_MAX)
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
        sections: Vec::new(),
        total_seats: 40,
        seat_price: Some(eur(1250)),
        request_id: String::new(),
    }
}

pub(crate) fn section(name: &str, price: Money, rows: Vec<pb::SeatRow>) -> pb::Section {
    pb::Section {
        name: name.to_owned(),
        price: Some(price),
        rows,
    }
}

pub(crate) fn counted(name: &str, seat_count: i32) -> pb::SeatRow {
    pb::SeatRow {
        name: name.to_owned(),
        seat_count,
        seat_labels: Vec::new(),
    }
}

pub(crate) fn labelled(name: &str, labels: impl IntoIterator<Item = impl ToString>) -> pb::SeatRow {
    let seat_labels = labels.into_iter().map(|label| label.to_string()).collect();
    pb::SeatRow {
        name: name.to_owned(),
        seat_count: 0,
        seat_labels,
    }
}

/// The request with these sections instead of the short form.
pub(crate) fn with_sections(sections: Vec<pb::Section>) -> pb::CreateShowRequest {
    pb::CreateShowRequest {
        sections,
        total_seats: 0,
        seat_price: None,
        ..hamlet()
    }
}

/// A layout of 100,000 labels, about 1 MB of them.
pub(crate) fn arena() -> Vec<pb::Section> {
    let rows = (0..100).map(|row| {
        let labels = (0..1_000).map(|seat| format!("{row:03}-{seat:05}"));
        labelled(&format!("{row}"), labels)
    });
    vec![section("Arena", eur(9_900), rows.collect())]
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

pub(crate) async fn delete(client: &Client, id: &str) {
    let request = pb::DeleteShowRequest {
        show_id: id.to_owned(),
        ..Default::default()
    };
    client
        .clone()
        .delete_show(request)
        .await
        .expect("a deleted show");
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

/// What a database holds: shows, requests, and the feed's revision. To see that nothing changed.
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

/// Waits until so many of the service's sessions wait for a lock.
pub(crate) async fn eventually_blocked(database: &TestDatabase, sessions: i64) {
    let query = "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND usename = 'catalog_svc'
                   AND wait_event_type = 'Lock'";
    // Inside of a transaction every look would be the first one again.
    let owner = database.owner().await;
    eventually(SOON, "sessions wait for a lock", async || {
        let row = owner.query_one(query, &[]).await.expect("a count");
        row.get::<_, i64>(0) == sessions
    })
    .await;
}
