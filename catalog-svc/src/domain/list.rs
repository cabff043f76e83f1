//! Which shows a list has, and where a page of it begins.

use model::ShowId;
use time::OffsetDateTime;

use super::show::{ShowState, ShowType};

/// Filters of a list; unset ones exclude nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShowFilter {
    /// Only those of this kind.
    pub show_type: Option<ShowType>,
    /// Only those in this state.
    pub state: Option<ShowState>,
    /// Only those that start at this time or later.
    pub start_from: Option<OffsetDateTime>,
    /// Only those that start before this time.
    pub start_before: Option<OffsetDateTime>,
    /// Only those at exactly this venue.
    pub venue: Option<String>,
    /// Only those whose name has this text in it, both [`folded`](super::folded).
    pub name_contains: Option<String>,
}

/// The position after a show in the order of lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct After {
    /// When the show starts.
    pub start_at: OffsetDateTime,
    /// The show, among those that start at the same time.
    pub id: ShowId,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPage<T, P> {
    /// Its readable items.
    pub items: Vec<T>,
    /// The position after it, if there is more.
    pub next: Option<P>,
}
