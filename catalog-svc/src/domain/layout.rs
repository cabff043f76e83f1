//! Layouts as the catalog keeps them.

use std::fmt;
use std::str::FromStr;

use model::{LayoutDescription, SeatLayout};
use time::OffsetDateTime;
use uuid::Uuid;

use super::new_show::ShowName;

/// The id of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayoutId(pub Uuid);

/// A text that is no id of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoLayoutId {
    /// Nothing.
    #[error("is empty")]
    Empty,
    /// Not a UUID.
    #[error("must be a UUID, the id of a layout")]
    NotAUuid,
}

impl LayoutId {
    /// A new one.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::new_v4())
    }
}

impl fmt::Display for LayoutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for LayoutId {
    type Err = NoLayoutId;

    fn from_str(text: &str) -> Result<Self, NoLayoutId> {
        if text.is_empty() {
            return Err(NoLayoutId::Empty);
        }
        Uuid::try_parse(text)
            .map(Self)
            .map_err(|_| NoLayoutId::NotAUuid)
    }
}

/// A layout that is to be created.
#[derive(Debug)]
pub struct NewLayout {
    /// Its name.
    pub name: ShowName,
    /// The layout that it is a new version of.
    pub derived_from: Option<LayoutId>,
    /// The layout itself.
    pub layout: SeatLayout,
}

/// A layout.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// Everything but the layout itself.
    pub info: LayoutInfo,
    /// Where its seats and areas are.
    pub description: LayoutDescription,
}

/// A layout without its sections and areas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutInfo {
    /// Its id.
    pub id: LayoutId,
    /// Its name.
    pub name: String,
    /// The layout that it is a new version of.
    pub derived_from: Option<LayoutId>,
    /// How many seats it has.
    pub seat_count: u32,
    /// How many places its areas have.
    pub place_count: u32,
    /// When it was created.
    pub created_at: OffsetDateTime,
}

/// Which layouts a list has, and where a page of it begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LayoutList {
    /// Only new versions of this one.
    pub derived_from: Option<LayoutId>,
    /// The name and the id of the layout that the page begins after.
    pub after: Option<(String, LayoutId)>,
    /// The most layouts of the page.
    pub size: u16,
}

/// Whether a show that goes from `old` to `new` loses a seat, or a place in an area.
#[must_use]
pub fn loses_room(old: &SeatLayout, new: &SeatLayout) -> bool {
    let areas_of = |layout: &SeatLayout| layout.description().areas.clone();
    let kept = areas_of(new);
    let loses_places = areas_of(old).iter().any(|area| {
        let keeps =
            |other: &model::Area| other.name == area.name && other.capacity >= area.capacity;
        !kept.iter().any(keeps)
    });
    let mut seats = (0..old.seat_count()).filter_map(|position| old.seat(position));
    loses_places || seats.any(|seat| new.position_of(&seat.label()).is_none())
}
