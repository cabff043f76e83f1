//! The ledger with its journal, for concurrent callers: decide, write, apply, in one turn
//! each.

use std::io;
use std::path::Path;
use std::sync::Arc;

use time::OffsetDateTime;
use tokio::sync::{Mutex, watch};
use tokio::task::{JoinError, spawn_blocking};
use uuid::Uuid;

use crate::journal::{Journal, JournalError};
use crate::ledger::{Ledger, LedgerEvent, Millis, Payment, Refusal};

/// The ledger and its journal. Clones share them.
#[derive(Debug, Clone)]
pub struct LedgerStore {
    open: Arc<Mutex<Open>>,
    /// Why the store cannot be used any more, once a change failed halfway.
    broken: watch::Sender<Option<String>>,
}

#[derive(Debug)]
struct Open {
    ledger: Ledger,
    journal: Option<Journal>,
}

/// A payment after a mutation.
#[derive(Debug, Clone)]
pub struct Done {
    /// The payment.
    pub payment: Payment,
    /// Whether this call changed it.
    pub is_first: bool,
}

/// Why a mutation was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    /// It is refused.
    #[error("refused: {0:?}")]
    Refused(Refusal),
    /// It could not be written down.
    #[error("cannot write the state file: {0}")]
    Journal(io::Error),
    /// An event that was decided on cannot be applied.
    #[error("an event does not follow: {0}")]
    Inconsistent(&'static str),
    /// The thread that wrote has panicked.
    #[error(transparent)]
    Panicked(#[from] JoinError),
}

impl LedgerStore {
    /// A store with the events of the file; without a file, an empty one in memory.
    ///
    /// # Errors
    ///
    /// If the file cannot be used.
    pub fn open(path: Option<&Path>, payments_max: u32) -> Result<Self, JournalError> {
        let mut ledger = Ledger::new(payments_max as usize);
        let journal = path.map(|path| Journal::open(path, |event| ledger.apply(event)));
        let journal = journal.transpose()?;
        Ok(Self {
            open: Arc::new(Mutex::new(Open { ledger, journal })),
            broken: watch::Sender::new(None),
        })
    }

    /// Waits until the store cannot be used any more; returns why.
    pub async fn broken(self) -> String {
        let mut broken = self.broken.subscribe();
        let why = broken.wait_for(Option::is_some).await;
        // The sender is ours.
        why.ok().and_then(|why| why.clone()).unwrap_or_default()
    }

    /// Carries out what `decide` decides on, even if the caller leaves.
    ///
    /// # Errors
    ///
    /// Why it was not carried out.
    pub async fn change(
        &self,
        key: Uuid,
        decide: impl FnOnce(&Ledger, Millis) -> Result<Option<LedgerEvent>, Refusal> + Send + 'static,
    ) -> Result<Done, BooksError> {
        let mut open = Arc::clone(&self.open).lock_owned().await;
        let broken = self.broken.clone();
        // The disk makes it wait.
        spawn_blocking(move || {
            let event = decide(&open.ledger, now()).map_err(BooksError::Refused)?;
            if let Some(event) = &event {
                let panicked = "a change of the ledger panicked".to_owned();
                let mut halfway = Halfway(broken, Some(panicked));
                let carried_out = open.carry_out(event);
                halfway.1 = carried_out.as_ref().err().map(ToString::to_string);
                drop(halfway);
                carried_out?;
            }
            let payment = open.ledger.get(key).cloned();
            Ok(Done {
                payment: payment.ok_or(BooksError::Inconsistent("its payment does not exist"))?,
                is_first: event.is_some(),
            })
        })
        .await?
    }

    /// A payment by its key.
    pub async fn get(&self, key: Uuid) -> Option<Payment> {
        self.open.lock().await.ledger.get(key).cloned()
    }

    /// Up to `count` payments from a place on, and whether there are more.
    pub async fn list(&self, place: usize, count: usize) -> (Vec<Payment>, bool) {
        let open = self.open.lock().await;
        let rest = open.ledger.from_place(place);
        let page = &rest[..count.min(rest.len())];
        (page.to_vec(), page.len() < rest.len())
    }
}

impl Open {
    /// Writes an event down and applies it.
    fn carry_out(&mut self, event: &LedgerEvent) -> Result<(), BooksError> {
        if let Some(journal) = &mut self.journal {
            journal.append(event).map_err(BooksError::Journal)?;
        }
        self.ledger.apply(event).map_err(BooksError::Inconsistent)
    }
}

/// A change that has begun. Unless it is finished when this is dropped, the store is
/// broken: it is unknown how much of the change is done.
struct Halfway(watch::Sender<Option<String>>, Option<String>);

impl Drop for Halfway {
    fn drop(&mut self) {
        if let Some(why) = self.1.take() {
            self.0.send_replace(Some(why));
        }
    }
}

/// The instant, by this machine's clock.
#[must_use]
pub fn now() -> Millis {
    let millis = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    Millis::try_from(millis).unwrap_or(Millis::MAX)
}
