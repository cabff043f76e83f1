//! `cargo xtask up`: the whole system from a clone, until Ctrl-C.
//!
//! What must always hold: nothing is started while a port is taken, and nothing that was
//! started outlives this process, however it ends.

mod database;
mod demo;
mod ports;
mod service;
mod tour;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use dev_postgres::Source;
use service_kit::args::LogArgs;
use service_kit::telemetry::{self, LogFormat};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use crate::build::{SERVICES, build};
use crate::dev_issuer::DevIssuer;
use crate::running::{Announced, Running};
use crate::say::say;
use crate::target;
use database::Database;
use ports::Ports;
use service::Service;

const PAYMENT_SIM: &str = "payment-sim";
/// Not run: this process migrates by itself. But you need it if you run the services by hand
/// afterwards.
const MIGRATE: &str = "migrate";
const LOOK: Duration = Duration::from_millis(100);

/// Bring the whole system up, show how to use it, and follow its logs until Ctrl-C
///
/// PostgreSQL is the server that DATABASE_URL names (a superuser's URL; the service roles get
/// passwords of this run), or a private cluster under target/ that keeps its data from run to
/// run.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Where PostgreSQL comes from: `auto` takes DATABASE_URL if it is set, else the
    /// programs of this machine, else a download; `system` and `download` take no other
    #[arg(
        long,
        env = "TICKETING_POSTGRES",
        default_value = "auto",
        value_name = "auto|system|download"
    )]
    postgres: Source,

    /// Throw away the private cluster's data of earlier runs
    #[arg(long)]
    fresh: bool,

    /// Build the services with optimisations
    #[arg(long)]
    release: bool,

    /// Have the services ask callers for tokens, by keys that are made under target/.
    /// `cargo xtask token` prints one
    #[arg(long)]
    auth: bool,

    #[command(flatten)]
    ports: Ports,
}

/// How it ended.
enum Ended {
    BySignal,
    ByService(&'static str, String),
}

/// Brings it up and stays until a signal, or until a service dies.
pub(crate) async fn up(args: UpArgs) -> Result<()> {
    let log = LogArgs {
        log: "warn,dev_postgres=info".to_owned(),
        log_format: LogFormat::Text,
    };
    telemetry::init(&log)?;
    let mut signals = Signals::listen()?;
    args.ports.check_free()?;

    // Until everything runs a signal drops what is half done, which ends it.
    let mut system = tokio::select! {
        system = System::start(&args) => system?,
        () = signals.next() => return Ok(()),
    };
    let ended = tokio::select! {
        ended = system.first_to_end() => ended?,
        () = signals.next() => Ended::BySignal,
    };
    say("stopping");
    tokio::select! {
        stopped = system.stop() => stopped?,
        () = signals.next() => say("stopping at once"),
    }
    match ended {
        Ended::BySignal => Ok(()),
        Ended::ByService(name, how) => {
            bail!("{name} ended by itself ({how}); all else was stopped")
        }
    }
}

/// The flags that have every service ask for tokens, and those by which booking-svc shows its own.
fn tokens(auth: bool) -> Result<(Vec<String>, Vec<String>)> {
    if !auth {
        return Ok((Vec::new(), Vec::new()));
    }
    let issuer = DevIssuer::find_or_create()?;
    issuer.write_own_token()?;
    let token = issuer.service_token()?;
    let flags = ["--catalog-token-file", "--payment-provider-token-file"];
    let shown = flags
        .into_iter()
        .flat_map(|flag| [flag.to_owned(), token.clone()]);
    Ok((issuer.flags()?, shown.collect()))
}

/// What runs. The services come first, so that they go before their database.
struct System {
    services: Vec<Service>,
    database: Database,
    announced: Option<Announced>,
}

impl System {
    async fn start(args: &UpArgs) -> Result<Self> {
        let found = database::find(args.postgres, args.fresh).await?;
        let binaries = [&SERVICES[..], &[PAYMENT_SIM, MIGRATE]].concat();
        let programs = build(&binaries, args.release).await?;
        let database = found.start(args.ports.postgres).await?;
        let mut system = Self {
            services: Vec::new(),
            database,
            announced: None,
        };
        let ledger = target()?.join("up-payments");
        if args.fresh && ledger.exists() {
            std::fs::remove_file(&ledger).with_context(|| ledger.display().to_string())?;
        }
        system.start_services(&programs, args, &ledger).await?;
        let demo_show = demo::find_or_create(&args.ports).await?;
        let (catalog_url, booking_url) = (args.ports.catalog_url(), args.ports.booking_url());
        system.announced = Some(Running::announce(catalog_url, booking_url)?);
        say(tour::text(args, &system.database, &demo_show));
        Ok(system)
    }

    async fn start_services(
        &mut self,
        programs: &Path,
        args: &UpArgs,
        ledger: &Path,
    ) -> Result<()> {
        let ports = &args.ports;
        let (auth, shown) = tokens(args.auth)?;
        let internal = ports.catalog_internal();
        let (catalog_url, payment_url) = (format!("http://{internal}"), ports.payment_url());
        let ledger = ledger
            .to_str()
            .context("the target folder's name is no text")?;
        for (name, role, port, more) in [
            (PAYMENT_SIM, None, ports.payment, vec!["--state", ledger]),
            (
                "catalog-svc",
                Some("catalog_svc"),
                ports.catalog,
                vec!["--internal-listen", &internal],
            ),
            (
                "booking-svc",
                Some("booking_svc"),
                ports.booking,
                vec![
                    "--catalog-url",
                    &catalog_url,
                    "--payment-provider",
                    &payment_url,
                    // So that a first try needs no payment.
                    "--confirm-unpaid",
                    "true",
                ]
                .into_iter()
                .chain(shown.iter().map(String::as_str))
                .collect(),
            ),
            ("expiry-worker", Some("expiry_worker"), ports.expiry, vec![]),
        ] {
            let url = role.map(|role| self.database.url(role)).transpose()?;
            let program = programs.join(name);
            let more: Vec<&str> = auth.iter().map(String::as_str).chain(more).collect();
            let mut service = Service::start(name, &program, port, url.as_deref(), &more)?;
            let served = service.serves().await;
            self.services.push(service);
            served.with_context(|| format!("{name} does not serve"))?;
        }
        Ok(())
    }

    async fn first_to_end(&mut self) -> Result<Ended> {
        loop {
            for service in &mut self.services {
                if let Some(status) = service.ended().await? {
                    return Ok(Ended::ByService(service.name(), status.to_string()));
                }
            }
            sleep(LOOK).await;
        }
    }

    /// A process that uses another ends before it.
    async fn stop(&mut self) -> Result<()> {
        self.announced = None;
        while let Some(service) = self.services.pop() {
            service.stop().await?;
        }
        self.database.stop().await
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
