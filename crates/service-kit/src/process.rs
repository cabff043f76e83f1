//! What the `main` of every service does: run the health check; or log, listen and serve until a
//! signal to stop.

use std::future::Future;
use std::io::ErrorKind;
use std::num::NonZeroU16;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio_util::task::AbortOnDropHandle;

use crate::args::{Command, HealthArgs, HostPort, LogArgs, ServerArgs, exit_with};
use crate::supervise::LostTask;
use crate::tls::{ServerTlsArgs, check_exposure};
use crate::{Shutdown, health, metrics, telemetry};

/// The exit code of a process that could not start or continue.
const EXIT_FAILED: i32 = 1;
/// The exit code of a process that lost a task by a bug or a panic: `EX_SOFTWARE` of sysexits.h.
const EXIT_LOST_TASK: i32 = 70;
/// How long the end waits for threads that block, as on a disk or a name server that hangs.
const THREADS_END_MAX: Duration = Duration::from_secs(1);

/// The settings of a service's process.
#[derive(Debug)]
pub struct Process {
    /// The binary's name.
    pub name: &'static str,
    /// What to do; without it, serve.
    pub command: Option<Command>,
    /// Where it serves.
    pub listen: HostPort,
    /// How it serves.
    pub server: ServerArgs,
    /// How it logs.
    pub log: LogArgs,
}

impl Process {
    /// Runs the process. `serve` is called unless there is a command; it is handed the
    /// shutdown that the process's signals cause. An error ends the process with one line on
    /// standard error and exit code 1, or 70 if a task was lost.
    pub fn run<S, F>(self, serve: S)
    where
        S: FnOnce(Shutdown) -> F,
        F: Future<Output = anyhow::Result<()>>,
    {
        let name = self.name;
        without_huge_pages();
        let running = on_threads(self.server.threads, self.do_it(serve));
        if let Err(error) = running.unwrap_or_else(|error| Err(error.into())) {
            let code = if error.is::<LostTask>() {
                EXIT_LOST_TASK
            } else {
                EXIT_FAILED
            };
            exit_with(code, &format!("{name}: {error:#}"));
        }
    }

    async fn do_it<S, F>(self, serve: S) -> anyhow::Result<()>
    where
        S: FnOnce(Shutdown) -> F,
        F: Future<Output = anyhow::Result<()>>,
    {
        if let Some(Command::Health(args)) = self.command {
            return ask(&args, &self.listen, &self.server.tls).await;
        }
        telemetry::init(&self.log)?;
        // Until the very end: what goes on while the process stops is to be seen too.
        let _metrics = serve_metrics(self.name, &self.server).await?;
        let (delay, grace) = (self.server.shutdown_delay, self.server.shutdown_grace);
        serve(Shutdown::on_signals(delay, grace)?).await
    }
}

/// Serves the metrics if somebody wants them, until the handle is dropped.
async fn serve_metrics(
    name: &'static str,
    args: &ServerArgs,
) -> anyhow::Result<Option<AbortOnDropHandle<()>>> {
    let Some(address) = &args.metrics_listen else {
        return Ok(None);
    };
    let listener = listen(address, args).await.context("--metrics-listen")?;
    metrics::turn_on(name);
    tracing::info!(address = %listener.local_addr()?, "serving metrics");
    let serving = tokio::spawn(metrics::server::serve(listener));
    Ok(Some(AbortOnDropHandle::new(serving)))
}

/// Asks for health at each address that the instance may have, until one serves.
async fn ask(args: &HealthArgs, listen: &HostPort, own: &ServerTlsArgs) -> anyhow::Result<()> {
    let tls = args.tls.client(own)?;
    let host = args.address(listen);
    let addresses = host.addresses().await;
    let addresses = addresses.with_context(|| format!("cannot look up {host}"))?;
    let mut last = anyhow!("{host} has no address");
    for address in addresses {
        match health::ask_by(tls.as_ref(), address, &args.service, args.timeout).await {
            Ok(()) => return Ok(()),
            Err(why) => last = anyhow::Error::msg(why),
        }
    }
    Err(last)
}

/// An allocator with huge pages keeps each whole for a few small blocks: a
/// thousand buffers took 2 GB instead of 29 MB. Set for the process, because an environment
/// variable is easily forgotten.
fn without_huge_pages() {
    #[cfg(target_os = "linux")]
    // A kernel that does not know them has none to turn off.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// Listens at the first address of `host` that is to be had, if calls there are protected as they
/// must be ([`check_exposure`]).
///
/// # Errors
///
/// If none is, or they are not; the error names the host.
pub async fn listen(host: &HostPort, args: &ServerArgs) -> std::io::Result<TcpListener> {
    let listening = async {
        let listener = TcpListener::bind(&*host.addresses().await?).await?;
        let ip = listener.local_addr()?.ip();
        check_exposure(ip, args.tls.tls_cert.is_some(), args.tls.insecure)
            .map_err(|why| std::io::Error::new(ErrorKind::PermissionDenied, why))?;
        Ok(listener)
    };
    listening.await.map_err(|error: std::io::Error| {
        std::io::Error::new(error.kind(), format!("cannot listen on {host}: {error}"))
    })
}

/// Runs `work` on `threads` threads; by default on half of the cores that the process may
/// use, at least one. Too many threads wake each other up: on two cores
/// shared with PostgreSQL, one thread took a fifth less CPU for a booking than two.
fn on_threads<F: Future>(threads: Option<NonZeroU16>, work: F) -> std::io::Result<F::Output> {
    let threads = match threads {
        Some(threads) => threads.get().into(),
        None => (available_parallelism()?.get() / 2).max(1),
    };
    // One thread does not need the multi-thread scheduler, which runs the last woken task first: each
    // answer would go out on its connection alone, and not with all others that are ready.
    let mut runtime = if threads == 1 {
        Builder::new_current_thread()
    } else {
        Builder::new_multi_thread()
    };
    let runtime = runtime.worker_threads(threads).enable_all().build()?;
    let output = runtime.block_on(work);
    runtime.shutdown_timeout(THREADS_END_MAX);
    Ok(output)
}
