//! The real binaries as processes.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;
use std::{env, io, thread};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use service_kit::args::ServiceUrl;
use service_kit::health;
use service_kit::tls::{Channels, ClientTls};
use tempfile::NamedTempFile;
use tokio::sync::OnceCell;
use tonic::transport::Channel;
use uuid::Uuid;

use crate::lifeline::{Ending, Lifeline};
use crate::wait::eventually_some;
use crate::{eventually, target};

/// A debug build on a busy machine.
const SERVING_MAX: Duration = Duration::from_secs(30);
const HEALTH_TIMEOUT: Duration = Duration::from_secs(1);
const KILLED_MAX: Duration = Duration::from_secs(10);
/// The lines of a process's log that are shown when a test fails.
const TAIL_LINES_MAX: usize = 80;
/// Below the ports that systems use for outgoing connections, so that a port is still free when a
/// process returns to it.
const PORTS: std::ops::Range<u16> = 10_000..32_000;
/// Names the task of a debug build that panics at SIGUSR2.
const PANIC_TASK_VARIABLE: &str = "TICKETING_DEBUG_PANIC_TASK";

const BINARIES: [&str; 5] = [
    "catalog-svc",
    "booking-svc",
    "expiry-worker",
    "migrate",
    "payment-sim",
];

/// A binary of the workspace, built if need be.
///
/// # Panics
///
/// If the workspace does not build.
pub async fn binary(name: &str) -> PathBuf {
    static FOLDER: OnceCell<Result<PathBuf, String>> = OnceCell::const_new();
    let built = FOLDER.get_or_init(|| async {
        let building = tokio::task::spawn_blocking(build).await;
        building.unwrap_or_else(|panic| Err(panic.to_string()))
    });
    match built.await {
        Ok(folder) => folder.join(name),
        Err(error) => panic!("the binaries could not be built: {error}"),
    }
}

/// Cargo builds a package's binaries only for that package's own tests, so we have to make sure
/// ourselves that those of the others exist and are up to date. It waits for a build that is
/// running; `cargo test` does not hold its lock while tests run.
fn build() -> Result<PathBuf, String> {
    let folder = target::profile_folder();
    let name = folder.file_name().and_then(|name| name.to_str());
    let profile = match name {
        Some("debug") => "dev",
        Some(name) => name,
        None => return Err(format!("{} is not a folder of cargo", folder.display())),
    };
    let output = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["build", "--quiet", "--workspace"])
        .args(BINARIES.iter().flat_map(|binary| ["--bin", binary]))
        .args(["--profile", profile, "--target-dir"])
        .arg(target::folder())
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("run cargo: {error}"))?;
    if output.status.success() {
        Ok(folder)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Runs a binary to its end, with nothing of our environment that it would listen to.
///
/// # Panics
///
/// If it cannot be started.
pub async fn run(name: &str, arguments: &[&str]) -> Output {
    let mut command = command(binary(name).await);
    command.args(arguments);
    let running = tokio::task::spawn_blocking(move || command.output());
    let output = running.await.expect("no panic");
    output.unwrap_or_else(|error| panic!("run {name}: {error}"))
}

fn command(binary: PathBuf) -> Command {
    let mut command = Command::new(binary);
    without_our_settings(&mut command);
    command
}

/// Hides from a program the variables of our environment that it would read, and our standard input.
pub(crate) fn without_our_settings(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let bytes = name.as_encoded_bytes();
        if bytes.starts_with(b"TICKETING_") || bytes == b"DATABASE_URL" {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
}

/// A service's process, on one port for as long as this value lives. Killed when dropped, and
/// when the test process ends; its log is shown when the test fails.
#[derive(Debug)]
pub struct Process {
    name: String,
    binary: PathBuf,
    arguments: Vec<OsString>,
    /// The task that [`Self::lose_task`] makes panic.
    task_to_lose: Option<String>,
    address: SocketAddr,
    /// Where it serves other services, if it is a catalog-svc.
    internal: Option<SocketAddr>,
    /// How it is asked for health, if it serves by TLS.
    tls: Option<ClientTls>,
    /// None if nobody reads it.
    log: Option<NamedTempFile>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    _lifeline: Lifeline,
}

impl Process {
    /// Starts a service with these arguments and `--listen`, and waits until it serves.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub async fn start(name: &str, arguments: &[&str]) -> Self {
        let mut process = Self::new(name, arguments).await;
        process.start_again().await;
        process
    }

    /// The same for a service that will lose a task, see [`Self::lose_task`]. Only debug builds
    /// can.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub async fn start_to_lose(task: &str, name: &str, arguments: &[&str]) -> Self {
        let mut process = Self::new(name, arguments).await;
        process.task_to_lose = Some(task.to_owned());
        process.start_again().await;
        process
    }

    /// The same, with a standard output and error without a reader: each write fails.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub async fn start_unread(name: &str, arguments: &[&str]) -> Self {
        let mut process = Self::new(name, arguments).await;
        process.log = None;
        process.start_again().await;
        process
    }

    /// The same for a service that serves by TLS, as its arguments say; the client asks it for
    /// health.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub async fn start_by_tls(name: &str, arguments: &[&str], client: ClientTls) -> Self {
        let mut process = Self::new(name, arguments).await;
        process.tls = Some(client);
        process.start_again().await;
        process
    }

    async fn new(name: &str, arguments: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            binary: binary(name).await,
            arguments: arguments.iter().map(OsString::from).collect(),
            task_to_lose: None,
            address: free_address(),
            internal: (name == "catalog-svc").then(free_address),
            tls: None,
            log: Some(NamedTempFile::new().expect("a file for the log")),
            running: None,
        }
    }

    /// Starts it again with the same arguments, on the same port, and waits until it serves.
    ///
    /// # Panics
    ///
    /// If it runs already, or does not serve.
    pub async fn start_again(&mut self) {
        self.spawn();
        let (name, address, tls) = (self.name.clone(), self.address, self.tls.clone());
        eventually(SERVING_MAX, &format!("{name} serves"), async || {
            let ended = self.ended();
            assert!(ended.is_none(), "{name} ended: {ended:?}");
            let asked = health::ask_by(tls.as_ref(), address, "", HEALTH_TIMEOUT).await;
            asked.is_ok()
        })
        .await;
    }

    fn spawn(&mut self) {
        assert!(self.running.is_none(), "{} runs already", self.name);
        let task = self.task_to_lose.iter();
        let mut command = command(self.binary.clone());
        if let Some(internal) = self.internal {
            command.args(["--internal-listen", &internal.to_string()]);
        }
        let child = command
            .args(&self.arguments)
            .envs(task.map(|task| (PANIC_TASK_VARIABLE, task)))
            .args(["--listen", &self.address.to_string()])
            .stdout(self.output())
            .stderr(self.output())
            // Ctrl-C in a terminal is for the tests, which end and take it with them.
            .process_group(0)
            .spawn();
        let child = child.unwrap_or_else(|error| panic!("start {}: {error}", self.name));
        let lifeline = Lifeline::tie(child.id(), Ending::Kill).expect("sh runs");
        self.running = Some(Running {
            child,
            _lifeline: lifeline,
        });
    }

    fn output(&self) -> Stdio {
        match &self.log {
            Some(log) => {
                let file = File::options().append(true).open(log.path());
                file.expect("the log that we made").into()
            }
            None => {
                let (_, writer) = io::pipe().expect("a pipe");
                writer.into()
            }
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as a client takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme(), self.address)
    }

    fn scheme(&self) -> &'static str {
        match self.tls {
            None => "http",
            Some(_) => "https",
        }
    }

    /// A channel to it on a connection of its own, which comes back after the service does.
    ///
    /// # Panics
    ///
    /// If the name that the client asks for is none.
    #[must_use]
    pub fn channel(&self, call_max: Duration) -> Channel {
        let url: ServiceUrl = self.url().parse().expect("an address makes a URL");
        let connector = self.tls.as_ref().map(|tls| tls.connector(url.host()));
        let connector = connector.map(|connector| connector.expect("a name"));
        Channels::new(url.endpoint().timeout(call_max), connector).current()
    }

    /// Where it serves other services, as these take it.
    ///
    /// # Panics
    ///
    /// If it is no catalog-svc.
    #[must_use]
    pub fn internal_url(&self) -> String {
        let internal = self
            .internal
            .expect("catalog-svc alone has an internal service");
        format!("{}://{internal}", self.scheme())
    }

    /// Its process id.
    ///
    /// # Panics
    ///
    /// If it does not run.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.running().child.id()
    }

    /// How it ended, if it has.
    ///
    /// # Panics
    ///
    /// If the system does not know.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let running = self.running.as_mut()?;
        let status = running.child.try_wait().expect("our own child")?;
        self.running = None;
        Some(status)
    }

    /// Asks it to stop, by SIGTERM, and returns at once.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn terminate(&self) {
        let child = &self.running().child;
        // It is ours and not waited for, so its id is not another's.
        kill_process(Pid::from_child(child), Signal::TERM).expect("our own child");
    }

    /// Has it read its certificates again, by SIGHUP, and returns at once.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn read_again(&self) {
        let child = &self.running().child;
        kill_process(Pid::from_child(child), Signal::HUP).expect("our own child");
    }

    /// Stops it where it is, by SIGSTOP, until [`Self::go_on`].
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn freeze(&self) {
        let child = &self.running().child;
        kill_process(Pid::from_child(child), Signal::STOP).expect("our own child");
    }

    /// Makes the task panic that it was started to lose.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn lose_task(&self) {
        let child = &self.running().child;
        kill_process(Pid::from_child(child), Signal::USR2).expect("our own child");
    }

    /// Resumes it, by SIGCONT.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn go_on(&self) {
        let child = &self.running().child;
        kill_process(Pid::from_child(child), Signal::CONT).expect("our own child");
    }

    /// The memory that it has now, in bytes.
    ///
    /// # Panics
    ///
    /// If it does not run, or not on Linux.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.status_bytes("VmRSS:")
    }

    /// The most that it had since [`Self::forget_peak`].
    ///
    /// # Panics
    ///
    /// If it does not run, or not on Linux.
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        self.status_bytes("VmHWM:")
    }

    /// Resets the peak of its memory.
    ///
    /// # Panics
    ///
    /// If it does not run, or not on Linux.
    pub fn forget_peak(&self) {
        let path = format!("/proc/{}/clear_refs", self.id());
        std::fs::write(path, "5").expect("a process of Linux, and ours");
    }

    fn status_bytes(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.id());
        let status = std::fs::read_to_string(path).expect("a process of Linux");
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kib = kib.and_then(|kib| kib.parse::<u64>().ok());
        kib.expect("a size in KiB") * 1024
    }

    /// The time of processors that it has used.
    ///
    /// # Panics
    ///
    /// If it does not run, or not on Linux.
    #[must_use]
    pub fn processor_time(&self) -> Duration {
        let path = format!("/proc/{}/stat", self.id());
        let stat = std::fs::read_to_string(path).expect("a process of Linux");
        // Behind the name, which may have spaces: user and system time are the 12th and 13th.
        let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.map(|tick| tick.parse::<u64>().expect("ticks")).sum();
        // They are hundredths of a second on every Linux there is.
        Duration::from_millis(ticks * 10)
    }

    /// Limits its file descriptors to `most`; returns the previous limit.
    ///
    /// # Panics
    ///
    /// If it does not run, or not on Linux.
    pub fn limit_descriptors(&self, most: u64) -> u64 {
        let child = Pid::from_child(&self.running().child);
        let limit = Rlimit {
            current: Some(most),
            // It has ours.
            maximum: getrlimit(Resource::Nofile).maximum,
        };
        let before = prlimit(Some(child), Resource::Nofile, limit).expect("our own child");
        before.current.unwrap_or(u64::MAX)
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// If it does not come in time.
    pub async fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        eventually_some(deadline, &what, async || self.ended()).await
    }

    /// Kills it, by SIGKILL, and waits until it is gone.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub async fn kill9(&mut self) {
        let running = self.running.as_mut().expect("the process runs");
        running.child.kill().expect("our own child");
        self.wait(KILLED_MAX).await;
    }

    /// Its log since it was first started.
    ///
    /// # Panics
    ///
    /// If that cannot be read.
    #[must_use]
    pub fn log(&self) -> String {
        let Some(log) = &self.log else {
            return String::new();
        };
        let text = std::fs::read(log.path()).expect("the log");
        String::from_utf8_lossy(&text).into_owned()
    }

    fn running(&self) -> &Running {
        let running = self.running.as_ref();
        running.unwrap_or_else(|| panic!("{} does not run", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            // It can only fail to be killed if it has ended.
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(TAIL_LINES_MAX)..].join("\n");
            // Nothing can be done about a standard error that is closed.
            let _ = writeln!(io::stderr(), "--- log of {}:\n{tail}\n---", self.name);
        }
    }
}

/// An address of this machine at which nobody listens now.
#[must_use]
pub fn free_address() -> SocketAddr {
    loop {
        let [high, low, ..] = *Uuid::new_v4().as_bytes();
        let port = PORTS.start + u16::from_be_bytes([high, low]) % (PORTS.end - PORTS.start);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
