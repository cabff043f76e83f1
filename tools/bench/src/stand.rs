//! The system under benchmark: a durable private cluster, the services as release
//! binaries, and shows to sell.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail};
use dev_postgres::{Cluster, ClusterOptions, Source, find_binaries};
use proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use proto::catalog::v1::create_show_request::Seats;
use proto::catalog::v1::{CreateShowRequest, ShowType};
use proto::money::v1::Money;
use service_kit::postgres::{Database, DatabaseUrl};
use tokio::process::{Child, Command};
use tokio_postgres::Client;
use tonic::transport::{Channel, Endpoint};

use crate::cpu::{self, Cpu};
use crate::wire::Wire;

/// There in every cluster.
const DATABASE: &str = "postgres";
/// Every client of the benchmark has its own connection, from one address.
const CONNECTIONS_MAX: &str = "2000";
const READY_DEADLINE: Duration = Duration::from_secs(60);
const CREATES_AT_ONCE: usize = 8;
/// Shows are spread over this many places.
const VENUES: u32 = 200;

/// Durable as in production; sized so that the work is measured, not the checkpoints.
/// The server's buffers are a quarter of the memory, as PostgreSQL's manual advises.
const SETTINGS: [(&str, &str); 5] = [
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
    ("max_wal_size", "8GB"),
    ("checkpoint_timeout", "15min"),
];

pub(crate) struct Stand {
    folder: PathBuf,
    binaries: PathBuf,
    /// Which the services work on.
    database: String,
    commit_workers: Option<u16>,
    services: Services,
    cluster: Cluster,
}

struct Services {
    booking: Service,
    catalog: Service,
}

struct Service {
    child: Child,
    address: SocketAddr,
}

impl Stand {
    /// Starts PostgreSQL, catalog-svc and booking-svc; `commit_workers` if it is not the default, `more`
    /// settings of the server.
    pub(crate) async fn start(
        source: Source,
        commit_workers: Option<u16>,
        more: &[(&str, &str)],
    ) -> Result<Self> {
        let profile = profile()?;
        let target = profile.parent().unwrap_or(&profile).to_owned();
        let binaries = find_binaries(source, &target.join("postgres")).await?;
        let binaries_folder = binaries.folder().to_owned();
        let folder = target.join("bench");
        std::fs::create_dir_all(&folder)?;
        let mut options = ClusterOptions::durable(binaries, folder.join("cluster"));
        options.fresh = true;
        let buffers = format!("{}MB", cpu::memory_mib() / 4);
        options.settings = [("shared_buffers", &*buffers)]
            .iter()
            .chain(&SETTINGS)
            .chain(more)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let cluster = Cluster::start(options).await?;
        migrate(&cluster, DATABASE).await?;
        let services = Services::start(&folder, &cluster, DATABASE, commit_workers).await?;
        Ok(Self {
            folder,
            binaries: binaries_folder,
            database: DATABASE.to_owned(),
            commit_workers,
            services,
            cluster,
        })
    }

    /// Has the services work on another database of the cluster, which is made if it is not there.
    pub(crate) async fn move_to(&mut self, database: &str) -> Result<()> {
        let owner = self.owner().await?;
        let there = "SELECT FROM pg_database WHERE datname = $1";
        if owner.query_opt(there, &[&database]).await?.is_none() {
            let create = format!("CREATE DATABASE {database}");
            owner.batch_execute(&create).await?;
        }
        migrate(&self.cluster, database).await?;
        database.clone_into(&mut self.database);
        self.restart_services().await
    }

    /// Where reports go.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn binaries_folder(&self) -> &Path {
        &self.binaries
    }

    pub(crate) fn owner_url(&self) -> String {
        self.cluster.url("postgres", &self.database)
    }

    pub(crate) fn worker_url(&self) -> String {
        self.cluster.url("expiry_worker", &self.database)
    }

    pub(crate) fn postgres_version(&self) -> String {
        self.cluster.version().to_string()
    }

    /// A connection as a superuser, to prepare and to check.
    pub(crate) async fn owner(&self) -> Result<Client> {
        let url = DatabaseUrl::parse(&self.owner_url()).map_err(anyhow::Error::msg)?;
        Ok(Database::new(&url, "bench").connect().await?)
    }

    pub(crate) fn booking_endpoint(&self) -> Result<Endpoint> {
        Ok(Endpoint::from_shared(self.services.booking.url())?.tcp_nodelay(true))
    }

    /// This many connections for load on booking-svc.
    pub(crate) async fn wires(&self, count: u32) -> Result<Vec<Wire>> {
        let opening = (0..count).map(|_| Wire::open(self.services.booking.address));
        futures_util::future::try_join_all(opening).await
    }

    pub(crate) fn catalog_endpoint(&self) -> Result<Endpoint> {
        Ok(Endpoint::from_shared(self.services.catalog.url())?.tcp_nodelay(true))
    }

    /// CPU that booking-svc, PostgreSQL and this program have used so far.
    pub(crate) fn cpu(&self) -> Cpu {
        Cpu {
            service_s: self
                .services
                .booking
                .child
                .id()
                .map_or(0.0, cpu::of_process),
            database_s: self.cluster.postmaster_pid().map_or(0.0, cpu::of_tree),
            client_s: cpu::of_process(std::process::id()),
        }
    }

    /// Resident memory of booking-svc and of catalog-svc, in MiB.
    pub(crate) fn resident_mib(&self) -> (f64, f64) {
        let of = |service: &Service| service.child.id().map_or(0.0, cpu::resident_mib);
        (of(&self.services.booking), of(&self.services.catalog))
    }

    /// Creates shows of this many seats through the catalog; returns their ids, once all are on sale.
    pub(crate) async fn create_shows(&self, shows: u32, seats: u32) -> Result<Vec<String>> {
        let channel = self.catalog_endpoint()?.connect().await?;
        let one = |number: u32| {
            let mut client = CatalogServiceClient::new(channel.clone());
            async move { Ok::<_, anyhow::Error>(client.create_show(a_show(number, seats)).await?) }
        };
        let mut ids = Vec::new();
        let numbers: Vec<u32> = (0..shows).collect();
        for some in numbers.chunks(CREATES_AT_ONCE) {
            let created = futures_util::future::try_join_all(some.iter().map(|n| one(*n))).await?;
            let shows = created
                .into_iter()
                .filter_map(|response| response.into_inner().show);
            ids.extend(shows.map(|show| show.show_id));
        }
        let owner = self.owner().await?;
        let began = Instant::now();
        let query = "SELECT count(*) FROM booking.sales";
        while owner.query_one(query, &[]).await?.get::<_, i64>(0) < i64::from(shows) {
            if began.elapsed() > READY_DEADLINE {
                bail!("the feed has not brought all shows");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(ids)
    }

    /// Deletes every booking, as if none had ever been made.
    pub(crate) async fn reset(&mut self) -> Result<()> {
        // Without the checks of foreign keys: the inserted rows are valid, and there are many.
        self.owner()
            .await?
            .batch_execute(
                "SET session_replication_role = replica;
                 TRUNCATE booking.transitions, booking.bookings, booking.show_seats;
                 INSERT INTO booking.show_seats (show_id, ordinal)
                 SELECT show_id, generate_series(0, seat_count - 1) FROM booking.sales;
                 UPDATE booking.show_areas SET taken = 0",
            )
            .await?;
        self.restart_services().await?;
        self.quiesce().await
    }

    /// Restarts the services: their caches no longer match the data.
    pub(crate) async fn restart_services(&mut self) -> Result<()> {
        self.services.booking.child.kill().await?;
        self.services.catalog.child.kill().await?;
        let (cluster, database) = (&self.cluster, &self.database);
        self.services =
            Services::start(&self.folder, cluster, database, self.commit_workers).await?;
        Ok(())
    }

    /// Finishes work that the next round would pay for.
    pub(crate) async fn quiesce(&self) -> Result<()> {
        let owner = self.owner().await?;
        owner.batch_execute("VACUUM (ANALYZE)").await?;
        owner.batch_execute("CHECKPOINT").await?;
        cpu::settle().await;
        Ok(())
    }

    /// Checks in the database that no seat was sold twice and nothing was half done.
    pub(crate) async fn check(&self) -> Result<()> {
        let broken = self
            .owner()
            .await?
            .query(include_str!("invariants.sql"), &[])
            .await?;
        if broken.is_empty() {
            return Ok(());
        }
        let broken: Vec<String> = broken.iter().map(|row| row.get(0)).collect();
        bail!("the database is not as it must be: {}", broken.join("; "))
    }

    /// Starts one of the other services on the same database.
    pub(crate) async fn start_worker(&self) -> Result<Worker> {
        let url = self.worker_url();
        let service = Service::start(&self.folder, "expiry-worker", &url, &[]).await?;
        Ok(Worker(service))
    }
}

/// An expiry-worker; ends when it is dropped.
pub(crate) struct Worker(Service);

impl Worker {
    pub(crate) fn cpu_s(&self) -> f64 {
        self.0.child.id().map_or(0.0, cpu::of_process)
    }

    pub(crate) fn resident_mib(&self) -> f64 {
        self.0.child.id().map_or(0.0, cpu::resident_mib)
    }
}

async fn migrate(cluster: &Cluster, database: &str) -> Result<()> {
    migrations::up(
        &migrations::database(&cluster.url("postgres", database))?,
        &migrations::Passwords::unchanged(),
        READY_DEADLINE,
    )
    .await?;
    Ok(())
}

impl Services {
    async fn start(
        logs: &Path,
        cluster: &Cluster,
        database: &str,
        commit_workers: Option<u16>,
    ) -> Result<Self> {
        let url = cluster.url("catalog_svc", database);
        let internal = free_address()?.to_string();
        let listen = ["--internal-listen".to_owned(), internal.clone()];
        let catalog = Service::start(logs, "catalog-svc", &url, &listen).await?;
        let mut more = vec!["--catalog-url".to_owned(), format!("http://{internal}")];
        if let Some(commit_workers) = commit_workers {
            more.extend(["--commit-workers".to_owned(), commit_workers.to_string()]);
        }
        let url = cluster.url("booking_svc", database);
        let booking = Service::start(logs, "booking-svc", &url, &more).await?;
        Ok(Self { booking, catalog })
    }
}

/// The folder of the binaries of this build.
fn profile() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.parent().context("this program lies in no folder")?;
    Ok(folder.to_owned())
}

impl Service {
    async fn start(logs: &Path, name: &str, url: &str, more: &[String]) -> Result<Self> {
        let address = free_address()?;
        let log = std::fs::File::create(logs.join(format!("{name}.log")))?;
        let child = Command::new(profile()?.join(name))
            .args(["--listen", &address.to_string(), "--database-url", url])
            .args(["--connections-per-peer-max", CONNECTIONS_MAX])
            .args(more)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {name}: build the workspace in this profile first"))?;
        let began = Instant::now();
        while let Err(why) = service_kit::health::ask(address, "", Duration::from_secs(1)).await {
            if began.elapsed() > READY_DEADLINE {
                bail!("{name} does not serve: {why}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(Self { child, address })
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn a_show(number: u32, seats: u32) -> CreateShowRequest {
    let types = [
        ShowType::Movie,
        ShowType::Concert,
        ShowType::Bus,
        ShowType::Appointment,
        ShowType::Other,
    ];
    CreateShowRequest {
        name: format!("Show {number}"),
        show_type: types[number as usize % types.len()].into(),
        start_time: Some(show_starts_at(number).into()),
        venue: venue(number),
        seats: Some(Seats::TotalSeats(i32::try_from(seats).unwrap_or(i32::MAX))),
        seat_price: Some(Money {
            minor_units: 1_250,
            currency_code: "EUR".to_owned(),
        }),
        ..Default::default()
    }
}

/// When a show starts: next year, a minute after the one before.
pub(crate) fn show_starts_at(number: u32) -> SystemTime {
    let next_year = SystemTime::now() + Duration::from_secs(365 * 24 * 60 * 60);
    next_year + Duration::from_secs(60) * number
}

/// Where a show takes place.
pub(crate) fn venue(number: u32) -> String {
    format!("Hall {}", number % VENUES)
}

/// A channel for each of `count` connections.
pub(crate) async fn connect(endpoint: &Endpoint, count: u32) -> Result<Vec<Channel>> {
    let connecting = (0..count).map(|_| endpoint.connect());
    Ok(futures_util::future::try_join_all(connecting).await?)
}
