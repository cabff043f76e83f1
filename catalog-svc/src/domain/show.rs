//! A show, and what its state allows.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use model::{PriceDescription, ShowId};
use time::OffsetDateTime;

use super::layout::{Layout, LayoutId};
use super::new_show::Organiser;
use super::proposal::{Change, Proposal};
use super::rejection::Rejection;
use super::rules::{SaleRules, TimeZone};

/// A show with its layout and prices.
#[derive(Debug, Clone, PartialEq)]
pub struct Show {
    /// Everything else.
    pub info: ShowInfo,
    /// Its layout.
    pub layout: Arc<Layout>,
    /// Its prices.
    pub prices: PriceDescription,
    /// The change that is proposed, or the last one if it was refused.
    pub proposal: Option<Proposal>,
}

impl Show {
    /// Its layout, and the one that is proposed for it.
    pub fn layouts(&self) -> impl Iterator<Item = &Layout> {
        let proposed = match self.proposal.as_ref().map(|proposal| &proposal.change) {
            Some(Change::Layout {
                under: Some((layout, _)),
                ..
            }) => Some(layout),
            _ => None,
        };
        std::iter::once(&self.layout)
            .chain(proposed)
            .map(AsRef::as_ref)
    }
}

/// A show without its layout and prices, which may be a thousand times larger than the rest.
#[derive(Debug, Clone, PartialEq)]
pub struct ShowInfo {
    /// Its id.
    pub id: ShowId,
    /// The revision that wrote it as it stands here.
    pub revision: i64,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub show_type: ShowType,
    /// Where it is in its life.
    pub state: ShowState,
    /// When it starts.
    pub start_at: OffsetDateTime,
    /// When it ends, if that is known.
    pub end_at: Option<OffsetDateTime>,
    /// The time zone of its place.
    pub time_zone: TimeZone,
    /// When its sale opens automatically, if it does.
    pub sales_open_at: Option<OffsetDateTime>,
    /// When its sale closes automatically, if not at the start.
    pub sales_close_at: Option<OffsetDateTime>,
    /// Where it takes place; may be empty.
    pub venue: String,
    /// Who organises it; empty if nobody is named.
    pub organiser: Organiser,
    /// Its layout.
    pub layout_id: LayoutId,
    /// How many seats that has.
    pub seat_count: u32,
    /// How many places its areas have.
    pub place_count: u32,
    /// The rules of its sale.
    pub rules: SaleRules,
    /// Whether booking-svc may ever have seen that the show is or will be on sale. Until then no
    /// change can hurt a booking.
    pub offered: bool,
    /// The revision and the state of the proposal that it has.
    pub proposal: Option<(i64, ProposalState)>,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// When it was last written.
    pub updated_at: OffsetDateTime,
    /// When it was cancelled, if it was.
    pub cancelled_at: Option<OffsetDateTime>,
}

impl ShowInfo {
    /// Its etag: another one after each write, and opaque to callers.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("{:x}", self.revision)
    }

    /// Whether a caller who saw it under `etag` has seen its newest state.
    ///
    /// # Errors
    ///
    /// [`Rejection::Etag`] if it was written since.
    pub fn check_etag(&self, expected: Option<&str>) -> Result<(), Rejection> {
        match expected {
            Some(expected) if expected != self.etag() => Err(Rejection::Etag {
                id: self.id,
                now: self.etag(),
            }),
            _ => Ok(()),
        }
    }
}

/// A name that is none of those an enumeration has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a known name")]
pub struct UnknownName(String);

/// An enumeration whose values have names in the database.
macro_rules! named {
    ($(#[$doc:meta])* $kind:ident[$count:literal] { $($(#[$value_doc:meta])* $value:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $kind { $($(#[$value_doc])* $value,)* }

        impl $kind {
            /// All of them, in this order.
            pub const ALL: [Self; $count] = [$(Self::$value),*];

            /// Its name, as the database and error metadata write it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$value => $name,)* }
            }
        }

        impl FromStr for $kind {
            type Err = UnknownName;

            fn from_str(name: &str) -> Result<Self, UnknownName> {
                match name {
                    $($name => Ok(Self::$value),)*
                    other => Err(UnknownName(other.to_owned())),
                }
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

named! {
    /// What kind of show it is. It changes no rule.
    ShowType[5] {
        /// A film.
        Movie = "MOVIE",
        /// A concert.
        Concert = "CONCERT",
        /// A bus trip.
        Bus = "BUS",
        /// Slots of a doctor, an office, a workshop.
        Appointment = "APPOINTMENT",
        /// Anything else.
        Other = "OTHER",
    }
}

named! {
    /// Where a show is in its life, in the order of a life.
    ShowState[5] {
        /// It is not on sale yet.
        Draft = "DRAFT",
        /// Its seats can be reserved until its sale closes, or it starts.
        OnSale = "ON_SALE",
        /// It is off sale for a while.
        Paused = "PAUSED",
        /// It is off sale for good.
        Closed = "CLOSED",
        /// It does not take place.
        Cancelled = "CANCELLED",
    }
}

named! {
    /// What to do with a choice of seats that leaves an orphan.
    OrphanRule[3] {
        /// Nothing.
        Off = "OFF",
        /// Accept it, and list the orphans in the booking.
        Warn = "WARN",
        /// It is refused, unless there is no other way.
        Strict = "STRICT",
    }
}

named! {
    /// Where a proposal is that a show has now.
    ProposalState[2] {
        /// The booking service has not answered.
        Pending = "PENDING",
        /// The booking service has refused it.
        Refused = "REFUSED",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use time::macros::datetime;

    use super::*;

    /// A show on sale that starts on the second of January 2030 at 20:00.
    pub(crate) fn show() -> ShowInfo {
        let now = datetime!(2030-01-01 12:00 UTC);
        ShowInfo {
            id: ShowId::generate(),
            revision: 7,
            name: "Hamlet".to_owned(),
            show_type: ShowType::Other,
            state: ShowState::OnSale,
            start_at: datetime!(2030-01-02 20:00 UTC),
            end_at: Some(datetime!(2030-01-02 23:00 UTC)),
            time_zone: TimeZone::default(),
            sales_open_at: None,
            sales_close_at: None,
            venue: "Globe".to_owned(),
            organiser: Organiser::default(),
            layout_id: LayoutId::generate(),
            seat_count: 1,
            place_count: 0,
            rules: SaleRules {
                hold: None,
                seats_per_booking: None,
                places_per_customer: None,
                orphan_rule: OrphanRule::Off,
            },
            offered: true,
            proposal: None,
            created_at: now,
            updated_at: now,
            cancelled_at: None,
        }
    }

    #[test]
    fn names_lead_back_to_their_values() {
        for kind in ShowType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        for state in ShowState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert!("movie".parse::<ShowType>().is_err());
    }
}
