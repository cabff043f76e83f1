//! What a benchmark runs against: a durable private cluster, the services as release
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
use tokio::process::{Child, Command};
use tokio_postgres::Client;
use tonic::transport::{Channel, Endpoint};

use crate::cpu::{self, Cpu};
use crate::wire::Wire;

const DATABASE: &str = "postgres";
const READY_DEADLINE: Duration = Duration::from_secs(60);
const CREATES_AT_ONCE: usize = 8;
/// Shows are spread over so many places.
const VENUES: u32 = 200;

/// Durable as in production; sized so that what is measured is the work, not the checkpoints.
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
    booking: Service,
    booking_arguments: Vec<String>,
    catalog: Service,
    cluster: Cluster,
}

struct Service {
    child: Child,
    address: SocketAddr,
}

impl Stand {
    /// Starts PostgreSQL, catalog-svc and booking-svc; `lanes` if it is not the default.
    pub(crate) async fn start(source: Source, lanes: Option<u16>) -> Result<Self> {
        let profile = std::env::current_exe()?;
        let profile = profile
            .parent()
            .context("this program lies in no folder")?
            .to_owned();
        let target = profile.parent().unwrap_or(&profile).to_owned();
        let binaries = find_binaries(source, &target.join("postgres")).await?;
        let binaries_folder = binaries.folder().to_owned();
        let folder = target.join("bench");
        std::fs::create_dir_all(&folder)?;
        let mut options = ClusterOptions::durable(binaries, folder.join("cluster"));
        options.fresh = true;
        let buffers = ("shared_buffers", format!("{}MB", cpu::memory_mib() / 4));
        let settings = SETTINGS.map(|(name, value)| (name, value.to_owned()));
        options.settings = settings
            .into_iter()
            .chain([buffers])
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let cluster = Cluster::start(options).await?;
        migrate(&cluster).await?;

        let catalog_url = cluster.url("catalog_svc", DATABASE);
        let catalog = Service::start(&profile, &folder, "catalog-svc", &catalog_url, &[]).await?;
        let mut more = vec!["--catalog-url".to_owned(), catalog.url()];
        if let Some(lanes) = lanes {
            more.extend(["--lanes".to_owned(), lanes.to_string()]);
        }
        let booking_url = cluster.url("booking_svc", DATABASE);
        let booking = Service::start(&profile, &folder, "booking-svc", &booking_url, &more).await?;
        Ok(Self {
            folder,
            binaries: binaries_folder,
            booking,
            booking_arguments: more,
            catalog,
            cluster,
        })
    }

    /// Where reports go.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn binaries_folder(&self) -> &Path {
        &self.binaries
    }

    pub(crate) fn owner_url(&self) -> String {
        self.cluster.url("postgres", DATABASE)
    }

    pub(crate) fn worker_url(&self) -> String {
        self.cluster.url("expiry_worker", DATABASE)
    }

    pub(crate) fn postgres_version(&self) -> String {
        self.cluster.version().to_string()
    }

    /// A connection as a superuser, to prepare and to check.
    pub(crate) async fn owner(&self) -> Result<Client> {
        let config = self.owner_url().parse::<tokio_postgres::Config>()?;
        Ok(service_kit::postgres::connect(&config).await?)
    }

    pub(crate) fn booking_endpoint(&self) -> Result<Endpoint> {
        Ok(Endpoint::from_shared(self.booking.url())?.tcp_nodelay(true))
    }

    /// So many connections for load on booking-svc.
    pub(crate) async fn wires(&self, count: u32) -> Result<Vec<Wire>> {
        let opening = (0..count).map(|_| Wire::open(self.booking.address));
        futures_util::future::try_join_all(opening).await
    }

    pub(crate) fn catalog_endpoint(&self) -> Result<Endpoint> {
        Ok(Endpoint::from_shared(self.catalog.url())?.tcp_nodelay(true))
    }

    /// CPU that booking-svc, PostgreSQL and this program have used so far.
    pub(crate) fn cpu(&self) -> Cpu {
        Cpu {
            service_s: self.booking.child.id().map_or(0.0, cpu::of_process),
            database_s: self.cluster.postmaster_pid().map_or(0.0, cpu::of_tree),
            client_s: cpu::of_process(std::process::id()),
        }
    }

    /// Resident memory of booking-svc and of catalog-svc, in MiB.
    pub(crate) fn resident_mib(&self) -> (f64, f64) {
        let of = |service: &Service| service.child.id().map_or(0.0, cpu::resident_mib);
        (of(&self.booking), of(&self.catalog))
    }

    /// Creates shows of so many seats through the catalog; their ids, once all are on sale.
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

    /// Forgets every booking, as if none had ever been made.
    pub(crate) async fn reset(&mut self) -> Result<()> {
        // Without the checks of foreign keys: what is inserted is right, and there is much.
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
        self.restart_booking().await?;
        self.quiesce().await
    }

    /// Has booking-svc begin anew: what it remembers is not so any more.
    pub(crate) async fn restart_booking(&mut self) -> Result<()> {
        self.booking.child.kill().await?;
        let profile = std::env::current_exe()?;
        let profile = profile.parent().context("this program lies in no folder")?;
        let url = self.cluster.url("booking_svc", DATABASE);
        let more = &self.booking_arguments;
        self.booking = Service::start(profile, &self.folder, "booking-svc", &url, more).await?;
        Ok(())
    }

    /// Leaves no work behind that the next round would pay for.
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
        let profile = std::env::current_exe()?;
        let profile = profile.parent().context("this program lies in no folder")?;
        let service = Service::start(
            profile,
            &self.folder,
            "expiry-worker",
            &self.worker_url(),
            &[],
        )
        .await?;
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

async fn migrate(cluster: &Cluster) -> Result<()> {
    migrations::up(
        &cluster.url("postgres", DATABASE),
        &migrations::Passwords::unchanged(),
        READY_DEADLINE,
    )
    .await?;
    Ok(())
}

impl Service {
    async fn start(
        profile: &Path,
        logs: &Path,
        name: &str,
        url: &str,
        more: &[String],
    ) -> Result<Self> {
        let address = free_address()?;
        let log = std::fs::File::create(logs.join(format!("{name}.log")))?;
        let child = Command::new(profile.join(name))
            .args(["--listen", &address.to_string(), "--database-url", url])
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
