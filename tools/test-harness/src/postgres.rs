//! A separate database for each test.
//!
//! One private cluster per test process, made when the first test needs it, with a template
//! that is migrated once; each test's database is a copy of it. A static is never dropped at the
//! end of a process: the cluster detects that its owner is gone, and stops.
//!
//! With `DATABASE_URL` set (a superuser's) the databases are made on that server instead, each
//! migrated by itself and dropped with its value, so that nothing is left there; but the
//! service roles, which belong to the whole server, get a password.
//!
//! With `TICKETING_POSTGRES_TLS=1` private clusters take connections over TLS alone, and the URLs
//! of their databases ask for `sslmode=verify-full`.

pub mod certificates;
mod standby;
mod tls;

use std::cell::Cell;
use std::time::Duration;
use std::{env, fs, thread};

use anyhow::{Context as _, Result, anyhow};
use dev_postgres::{Cluster, ClusterOptions, ServerTls, Source, external_url, find_binaries};
use migrations::Passwords;
use rustix::process::{Pid, Signal, kill_process};
use service_kit::postgres::{Database, DatabaseUrl};
use tokio::sync::{Mutex, OnceCell};
use tokio_postgres::{Client, SimpleQueryMessage};
use url::Url;
use uuid::Uuid;

pub use self::standby::Standby;
pub use self::tls::TlsServer;
use self::tls::with_root;
use crate::postgres::certificates::Authority;
use crate::target;

/// The owner of every database, a superuser.
pub const OWNER: &str = "postgres";

const MIGRATE_WAIT: Duration = Duration::from_secs(30);
/// The password of the service roles on a developer's own server.
const EXTERNAL_PASSWORD: &str = "ticketing-test";

/// A new database with the newest schema, empty.
///
/// # Panics
///
/// If no PostgreSQL is available, with the places that were tried.
pub async fn database() -> TestDatabase {
    server().await.database().await
}

/// A new database without any schema, for tests of the migrations themselves.
///
/// # Panics
///
/// If no PostgreSQL is available, with the places that were tried.
pub async fn empty_database() -> TestDatabase {
    or_panic(server().await.create(None).await)
}

async fn server() -> &'static Server {
    static SERVER: OnceCell<Result<(Server, Option<Cluster>), String>> = OnceCell::const_new();
    let server = SERVER
        .get_or_init(async || {
            let started = match external_url() {
                Some(url) => Server::external(&url).map(|server| (server, None)),
                None => start_as_asked(&[])
                    .await
                    .map(|(server, own)| (server, Some(own))),
            };
            // Share the error, so that not every test waits for its own failure.
            started.map_err(|error| format!("{error:#}"))
        })
        .await;
    match server {
        Ok((server, _)) => server,
        Err(error) => panic!("{error}"),
    }
}

/// A server of one test's own, to be crashed and started again. Always a private cluster.
#[derive(Debug)]
pub struct OwnServer {
    server: Server,
    cluster: Cluster,
    is_frozen: Cell<bool>,
}

impl OwnServer {
    /// Starts a cluster.
    ///
    /// # Panics
    ///
    /// If no PostgreSQL is available, with the places that were tried.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with these server settings, by name and value.
    ///
    /// # Panics
    ///
    /// If no PostgreSQL is available, with the places that were tried.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::of(or_panic(start_as_asked(settings).await))
    }

    /// One that has no TLS, whatever the environment asks for.
    ///
    /// # Panics
    ///
    /// If there is no PostgreSQL to be had, with what was tried.
    pub async fn start_plain() -> Self {
        Self::of(or_panic(start_private(&[], None).await))
    }

    fn of((server, cluster): (Server, Cluster)) -> Self {
        Self {
            server,
            cluster,
            is_frozen: Cell::new(false),
        }
    }

    /// A new database with the newest schema, and nothing in it.
    ///
    /// # Panics
    ///
    /// If it cannot be made.
    pub async fn database(&self) -> TestDatabase {
        self.server.database().await
    }

    /// A new database without any schema.
    ///
    /// # Panics
    ///
    /// If it cannot be made.
    pub async fn empty_database(&self) -> TestDatabase {
        or_panic(self.server.create(None).await)
    }

    /// Stops all of its processes where they are, by SIGSTOP, until [`Self::go_on`]: connections
    /// are still accepted, and nothing is answered.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn freeze(&self) {
        self.is_frozen.set(true);
        self.signal(Signal::STOP);
    }

    /// Resumes it, by SIGCONT.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
        self.is_frozen.set(false);
    }

    /// Has it read its settings and certificates again, by SIGHUP.
    fn reload(&self) {
        let first = self.cluster.postmaster_pid().expect("it runs");
        let first = i32::try_from(first).ok().and_then(Pid::from_raw);
        kill_process(first.expect("a process id"), Signal::HUP).expect("it runs");
    }

    fn signal(&self, signal: Signal) {
        let first = self.cluster.postmaster_pid().expect("it runs");
        // The first process makes the others, so it must be stopped before they are counted.
        for pid in std::iter::once(first).chain(children(first)) {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            // A process that has ended meanwhile needs no signal.
            let _ = kill_process(pid.expect("a process id"), signal);
        }
    }

    /// Kills the server's first process as `kill -9` does. Acknowledged data is kept:
    /// the kernel has it.
    ///
    /// # Panics
    ///
    /// If the process does not go.
    pub async fn crash(&mut self) {
        or_panic(self.cluster.crash().await);
    }

    /// Starts it again on the same port, with PostgreSQL's recovery after a crash.
    ///
    /// # Panics
    ///
    /// If it does not come up.
    pub async fn restart(&mut self) {
        or_panic(self.cluster.restart().await);
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        // Processes that are stopped would outlive the first one, which is killed.
        if self.is_frozen.get() {
            self.go_on();
        }
    }
}

/// The processes that a process has begun.
fn children(parent: u32) -> Vec<u32> {
    let tasks = fs::read_dir("/proc").expect("Linux");
    let pids = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let is_child = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status"));
        let line = format!("PPid:\t{parent}");
        status.is_ok_and(|status| status.lines().any(|found| found == line))
    };
    pids.filter(is_child).collect()
}

/// A database of one test's own.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    address: Address,
    /// A private cluster goes as a whole.
    to_be_dropped: bool,
}

impl TestDatabase {
    /// Its URL for a role: "catalog_svc", "booking_svc", "expiry_worker" or [`OWNER`].
    #[must_use]
    pub fn url(&self, role: &str) -> String {
        self.address.url(role, &self.name)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A copy of it as it is now, as a backup that is restored elsewhere. Whoever is connected to
    /// this one is cut off.
    ///
    /// # Panics
    ///
    /// If it cannot be made.
    pub async fn copy(&self) -> Self {
        let copy = Self {
            name: format!("ticketing_test_{}", Uuid::new_v4().simple()),
            address: self.address.clone(),
            to_be_dropped: self.to_be_dropped,
        };
        let server = self.address.owner.as_str();
        let cut_off = format!(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{}'",
            self.name
        );
        or_panic(execute(server, &cut_off).await);
        let create = format!("CREATE DATABASE {} TEMPLATE {}", copy.name, self.name);
        or_panic(execute(server, &create).await);
        copy
    }

    /// A connection as a role; its task ends when the client is dropped.
    ///
    /// # Panics
    ///
    /// If it cannot be made.
    pub async fn client(&self, role: &str) -> Client {
        or_panic(connect(&self.url(role)).await)
    }

    /// A connection as the owner, to read what the services wrote.
    ///
    /// # Panics
    ///
    /// If it cannot be made.
    pub async fn owner(&self) -> Client {
        self.client(OWNER).await
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if !self.to_be_dropped {
            return;
        }
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let url = self.address.owner.to_string();
        // A drop cannot await, and the test's own runtime may be ending.
        let dropping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(execute(&url, &statement))
        });
        if !matches!(dropping.join(), Ok(Ok(()))) && !thread::panicking() {
            panic!("the database {} could not be dropped", self.name);
        }
    }
}

/// A server to make databases on.
#[derive(Debug)]
struct Server {
    address: Address,
    /// The template of new databases; a developer's own server has none.
    template: Option<String>,
    /// A template is copied by one at a time.
    creating: Mutex<()>,
}

impl Server {
    fn external(url: &str) -> Result<Self> {
        let address = Address {
            owner: url.parse().context("DATABASE_URL is not a URL")?,
            service_password: Some(EXTERNAL_PASSWORD),
        };
        Ok(Self {
            address,
            template: None,
            creating: Mutex::default(),
        })
    }

    async fn database(&self) -> TestDatabase {
        or_panic(
            async {
                let database = self.create(self.template.as_deref()).await?;
                if self.template.is_none() {
                    self.migrate(&database).await?;
                }
                anyhow::Ok(database)
            }
            .await,
        )
    }

    async fn create(&self, template: Option<&str>) -> Result<TestDatabase> {
        let database = TestDatabase {
            name: format!("ticketing_test_{}", Uuid::new_v4().simple()),
            address: self.address.clone(),
            to_be_dropped: self.template.is_none(),
        };
        let template = template.unwrap_or("template0");
        let statement = format!("CREATE DATABASE {} TEMPLATE {template}", database.name);
        let _turn = self.creating.lock().await;
        execute(self.address.owner.as_str(), &statement).await?;
        Ok(database)
    }

    async fn migrate(&self, database: &TestDatabase) -> Result<()> {
        let password = self.address.service_password;
        let passwords = password.map_or_else(Passwords::unchanged, Passwords::all);
        migrations::up(
            &migrations::database(&database.url(OWNER))?,
            &passwords,
            MIGRATE_WAIT,
        )
        .await?;
        Ok(())
    }
}

/// A private cluster as the environment asks for it.
async fn start_as_asked(settings: &[(&str, &str)]) -> Result<(Server, Cluster)> {
    if !tls::is_asked_for() {
        return start_private(settings, None).await;
    }
    let authority = Authority::new("Ticketing's tests");
    let tls = (tls::server_of(&authority), &authority);
    start_private(settings, Some(tls)).await
}

/// A private cluster with a migrated template in it. With TLS it takes no other connections, and
/// its URLs verify it by the CA.
async fn start_private(
    settings: &[(&str, &str)],
    tls: Option<(ServerTls, &Authority)>,
) -> Result<(Server, Cluster)> {
    let binaries = find_binaries(Source::from_env()?, &target::folder().join("postgres")).await?;
    let folder = format!("ticketing-test-{}", Uuid::new_v4().simple());
    let mut options = ClusterOptions::ephemeral(binaries, env::temp_dir().join(folder));
    // An acknowledged commit must survive the server's crash here too; without fsync it costs
    // next to nothing.
    let ours = [("synchronous_commit", "on"), ("max_connections", "500")];
    let all = ours.iter().chain(settings);
    options.settings = all
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    options.tls = tls.as_ref().map(|(tls, _)| tls.clone());
    let cluster = Cluster::start(options).await?;
    let mut owner: Url = cluster.url(OWNER, "postgres").parse()?;
    if let Some((_, authority)) = &tls {
        // It goes with the cluster.
        let root = cluster.data_dir().join("ca.pem");
        fs::write(&root, authority.pem())?;
        owner = with_root(&owner, &root);
    }
    let mut server = Server {
        address: Address {
            owner,
            service_password: None,
        },
        // Until there is one, nothing but it can be made.
        template: Some("template0".to_owned()),
        creating: Mutex::default(),
    };
    let template = server.create(None).await?;
    server.migrate(&template).await?;
    server.template = Some(template.name.clone());
    Ok((server, cluster))
}

/// How a server is reached, by any role and for any database.
#[derive(Debug, Clone)]
struct Address {
    /// The owner's URL of the database to administer from.
    owner: Url,
    /// The password of the service roles.
    service_password: Option<&'static str>,
}

impl Address {
    fn url(&self, role: &str, database: &str) -> String {
        let mut url = self.owner.clone();
        url.set_path(database);
        if role != OWNER {
            // Only a URL that cannot have a user refuses one.
            let set = url
                .set_username(role)
                .and_then(|()| url.set_password(self.service_password));
            set.expect("a database's URL has a host");
        }
        url.into()
    }
}

async fn execute(url: &str, statement: &str) -> Result<()> {
    let done = connect(url).await?.batch_execute(statement).await;
    done.with_context(|| statement.to_owned())
}

async fn connect(url: &str) -> Result<Client> {
    let url = DatabaseUrl::parse(url).map_err(|why| anyhow!("the URL {why}"))?;
    let connecting = Database::new(&url, "test").connect().await;
    connecting.context("connect to the test's PostgreSQL")
}

fn or_panic<T>(outcome: Result<T>) -> T {
    match outcome {
        Ok(value) => value,
        Err(error) => panic!("{error:#}"),
    }
}

/// A database's URL with one parameter more.
#[must_use]
pub fn with_parameter(url: &str, parameter: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{parameter}")
}

/// The plan that a connection would use for a statement that it has prepared.
pub async fn plan(client: &Client, name: &str, statement: &str) -> String {
    let prepare = format!("PREPARE {name} AS {statement}");
    client.batch_execute(&prepare).await.expect(name);
    let parameters = (1..=50)
        .rev()
        .find(|n| statement.contains(&format!("${n}")))
        .unwrap_or(0);
    let execute = match parameters {
        0 => name.to_owned(),
        n => format!("{name} ({})", vec!["NULL"; n].join(", ")),
    };
    let explain = format!("EXPLAIN EXECUTE {execute}");
    let lines = client.simple_query(&explain).await.expect(name);
    let lines = lines.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_database_is_new_and_each_role_has_its_own_rights() {
        let (one, other) = futures_util::join!(database(), database());
        let insert = "INSERT INTO catalog.requests VALUES (gen_random_uuid(), 1, '{}')";
        let service = one.client("catalog_svc").await;
        service.batch_execute(insert).await.expect("its own row");
        let refused = one.client("booking_svc").await.batch_execute(insert).await;
        let error = refused.expect_err("another service's schema");
        let code = error.as_db_error().map(|error| error.code().code());
        assert_eq!(code, Some("42501"), "{error}");
        for (database, rows) in [(&one, 1), (&other, 0)] {
            let query = "SELECT count(*) FROM catalog.requests";
            let row = database.owner().await.query_one(query, &[]).await;
            assert_eq!(row.expect("a count").get::<_, i64>(0), rows);
        }
    }

    #[tokio::test]
    async fn a_crash_keeps_acknowledged_data() {
        let mut server = OwnServer::start().await;
        let database = server.database().await;
        let write = "CREATE TABLE kept AS SELECT 7 AS n";
        database
            .owner()
            .await
            .batch_execute(write)
            .await
            .expect("a table");
        server.crash().await;
        assert!(connect(&database.url(OWNER)).await.is_err());
        server.restart().await;
        let row = database
            .owner()
            .await
            .query_one("SELECT n FROM kept", &[])
            .await;
        assert_eq!(row.expect("a row").get::<_, i32>(0), 7);
    }
}
