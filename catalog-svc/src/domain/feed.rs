//! The feed of revisions.

use model::ShowId;
use uuid::Uuid;

use super::show::Show;

/// A place in the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedPosition {
    /// The revision.
    pub revision: i64,
    /// The timeline that handed it out.
    pub timeline: Uuid,
}

/// A place in the feed as a reader has stored it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The revision.
    pub revision: i64,
    /// Its timeline, if the reader knows it.
    pub timeline: Option<Uuid>,
}

/// The feed's identity and end at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feed {
    /// Which catalog it is of.
    pub installation: Uuid,
    /// Where it ends.
    pub newest: FeedPosition,
    /// Whether a reader's cursor is in its history.
    pub has_cursor: bool,
}

/// The change of a revision.
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
    /// A show was written, and its row cannot be read.
    Unreadable {
        /// The show.
        id: ShowId,
        /// The revision that wrote it.
        revision: i64,
    },
}

impl Entry {
    /// The revision of the entry.
    #[must_use]
    pub fn revision(&self) -> i64 {
        match self {
            Self::Show(show) => show.info.revision,
            Self::Deleted { revision, .. } | Self::Unreadable { revision, .. } => *revision,
        }
    }
}

/// The next entries of the feed, and the newest position at the moment they were read.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// In the order of their revisions.
    pub entries: Vec<Entry>,
    /// The revision up to which these entries are complete.
    pub up_to: i64,
    /// Where the feed ends.
    pub newest: FeedPosition,
}
