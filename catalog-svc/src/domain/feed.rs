//! The feed of revisions.

use model::ShowId;

use super::show::Show;

/// What a revision wrote.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A show as it stands now.
    Show(Box<Show>),
    /// A show was deleted.
    Deleted {
        /// The show.
        id: ShowId,
        /// The revision that deleted it.
        revision: i64,
    },
}

impl Entry {
    /// The revision of the entry.
    #[must_use]
    pub fn revision(&self) -> i64 {
        match self {
            Self::Show(show) => show.info.revision,
            Self::Deleted { revision, .. } => *revision,
        }
    }
}

/// The next entries of the feed, and the newest revision at the moment they were read.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// In the order of their revisions. Empty: there is nothing up to `newest` any more.
    pub entries: Vec<Entry>,
    /// Whoever has everything up to the last entry of an empty page has everything up to here.
    pub newest: i64,
}
