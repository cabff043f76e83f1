//! The long-lived tasks of a process, which must not end before it does.
//!
//! Invariant: no task ends unseen. One that can be lost safely is restarted; without any other
//! the process ends, after it has said NOT_SERVING.

use std::any::Any;
use std::error::Error;
use std::future::Future;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::Shutdown;
use crate::background::Backoff;
use crate::health::Health;
use crate::metrics::{CounterBy, Page};

/// How long to wait before a lost task is first restarted.
const RESTART_MIN: Duration = Duration::from_millis(100);
/// The longest to wait.
const RESTART_MAX: Duration = Duration::from_secs(30);
/// After this long without a loss a task's restart delay starts again from the minimum.
const STEADY: Duration = Duration::from_secs(60);
/// How long a restartable task has to end after the soft stop. It is safe to cut off at any time;
/// it may wait for a database that hangs.
const RESTARTABLE_END_MAX: Duration = Duration::from_secs(1);
/// How long calls and tasks have to finish once the process ends because of a fault.
const FAULT_GRACE: Duration = Duration::from_secs(5);

static RESTARTS: CounterBy<1> = CounterBy::new();

/// Writes how often tasks were lost and begun again.
pub(crate) fn collect(page: &mut Page) {
    page.counter_by(
        "ticketing_task_restarts_total",
        "Background tasks that were lost and begun again: each is a fault of Ticketing",
        ["task"],
        &RESTARTS,
    );
}

/// Why the process ends: it lost a task that it cannot do without.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the task {name:?} was lost: {why}")]
pub struct LostTask {
    name: &'static str,
    why: String,
}

/// The tasks of a process. Dropping it aborts them.
#[derive(Debug)]
pub struct Supervisor {
    tasks: JoinSet<Result<(), LostTask>>,
    health: Health,
    shutdown: Shutdown,
}

impl Supervisor {
    /// No tasks yet.
    #[must_use]
    pub fn new(health: &Health, shutdown: &Shutdown) -> Self {
        Self {
            tasks: JoinSet::new(),
            health: health.clone(),
            shutdown: shutdown.clone(),
        }
    }

    /// Begins a task, and begins it again with backoff if it ends before the soft stop or
    /// panics. For tasks that keep nothing in memory that another run of them needs: one that
    /// does not end soon after the soft stop is dropped.
    pub fn restart<F>(&mut self, name: &'static str, begin: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        RESTARTS.add([name], 0);
        let stop = self.shutdown.soft.clone();
        self.tasks.spawn(async move {
            let mut backoff = Backoff::new(RESTART_MIN, RESTART_MAX);
            loop {
                let began = Instant::now();
                let ran = tokio::select! {
                    ran = run(name, begin()) => ran,
                    () = end_of(&stop) => {
                        tracing::debug!(task = name, "it does not end, and is dropped");
                        return Ok(());
                    }
                };
                let why = match ran {
                    Ok(()) if stop.is_cancelled() => return Ok(()),
                    Ok(()) => "it ended".to_owned(),
                    Err(why) => why,
                };
                RESTARTS.add([name], 1);
                tracing::error!(task = name, why, "lost a task; beginning it again");
                if began.elapsed() > STEADY {
                    backoff.reset();
                }
                if stop
                    .run_until_cancelled(sleep(backoff.next()))
                    .await
                    .is_none()
                {
                    return Ok(());
                }
            }
        });
    }

    /// Starts a task that the process cannot run without: if it ends before the soft stop, or
    /// fails or panics at any time, the process ends.
    pub fn essential(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), String>> + Send + 'static,
    ) {
        let stop = self.shutdown.soft.clone();
        self.tasks.spawn(async move {
            let why = match run(name, task).await {
                Ok(Ok(())) if stop.is_cancelled() => return Ok(()),
                Ok(Ok(())) => "it ended".to_owned(),
                Ok(Err(why)) | Err(why) => why,
            };
            Err(LostTask { name, why })
        });
    }

    /// Serves until the shutdown, and then until all tasks have ended or the grace is over. If
    /// `serving` fails by itself or an essential task is lost, that begins the shutdown.
    ///
    /// # Errors
    ///
    /// The fault that began the shutdown, if it was not requested.
    pub async fn run(
        mut self,
        serving: impl Future<Output = Result<(), Box<dyn Error + Send + Sync>>>,
    ) -> anyhow::Result<()> {
        let mut serving = std::pin::pin!(serving);
        let mut is_serving = true;
        let mut outcome = Ok(());
        while is_serving || !self.tasks.is_empty() {
            let failed = tokio::select! {
                // A server that ends with the grace reports that itself.
                biased;
                served = &mut serving, if is_serving => {
                    is_serving = false;
                    // However it stopped, the tasks must stop too.
                    self.shutdown.soft.cancel();
                    served.err().map(anyhow::Error::from_boxed)
                }
                Some(ended) = self.tasks.join_next() => lost(ended),
                () = self.shutdown.hard.cancelled() => break,
            };
            if let Some(error) = failed {
                tracing::error!(error = format!("{error:#}"), "the process ends");
                self.end().await;
                outcome = outcome.and(Err(error));
            }
        }
        outcome
    }

    /// Begins the shutdown because of a fault.
    async fn end(&self) {
        self.health.leave();
        self.shutdown.soft.cancel();
        let hard = self.shutdown.hard.clone();
        tokio::spawn(async move {
            sleep(FAULT_GRACE).await;
            hard.cancel();
        });
    }
}

/// When a restartable task must have ended.
async fn end_of(stop: &CancellationToken) {
    stop.cancelled().await;
    sleep(RESTARTABLE_END_MAX).await;
}

fn lost(ended: Result<Result<(), LostTask>, JoinError>) -> Option<anyhow::Error> {
    match ended {
        Ok(ended) => ended.err().map(Into::into),
        // It is awaited here only, and its own code does not panic.
        Err(error) => Some(error.into()),
    }
}

/// Runs a task; or why it panicked.
async fn run<T: Send + 'static>(
    name: &'static str,
    task: impl Future<Output = T> + Send + 'static,
) -> Result<T, String> {
    #[cfg(debug_assertions)]
    let task = crate::failpoint::in_task(name, task);
    let running = AbortOnDropHandle::new(tokio::spawn(task));
    running.await.map_err(|error| match error.try_into_panic() {
        Ok(panic) => format!("it panicked: {}", message(&*panic)),
        Err(error) => error.to_string(),
    })
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a message")
}

#[cfg(test)]
mod tests;
