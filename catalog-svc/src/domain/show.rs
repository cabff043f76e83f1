//! A show as it stands, and what its state allows.

use std::fmt;
use std::str::FromStr;

use model::{SeatLayout, ShowId};
use time::OffsetDateTime;

use super::refusal::Refusal;

/// A show with its layout.
#[derive(Debug, Clone, PartialEq)]
pub struct Show {
    /// Everything but the layout.
    pub info: ShowInfo,
    /// Its seats and their prices.
    pub layout: SeatLayout,
}

/// A show without its layout, which may be a thousand times larger than the rest.
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
    /// Where it takes place; may be empty.
    pub venue: String,
    /// How many seats its layout has.
    pub seat_count: u32,
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
    /// [`Refusal::Etag`] if it was written since.
    pub fn check_etag(&self, expected: Option<&str>) -> Result<(), Refusal> {
        match expected {
            Some(expected) if expected != self.etag() => Err(Refusal::Etag {
                id: self.id,
                now: self.etag(),
            }),
            _ => Ok(()),
        }
    }

    /// Whether it is in the state that a verb asks for.
    ///
    /// # Errors
    ///
    /// [`Refusal::State`] if it is in another one.
    pub fn check_state(&self, wanted: ShowState) -> Result<(), Refusal> {
        if self.state == wanted {
            Ok(())
        } else {
            Err(Refusal::State {
                id: self.id,
                is: self.state,
                wanted,
            })
        }
    }
}

/// A name that is none of those an enumeration has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not one of the names known here")]
pub struct UnknownName(String);

/// An enumeration whose values have names in the database.
macro_rules! named {
    ($(#[$doc:meta])* $kind:ident { $($(#[$value_doc:meta])* $value:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $kind { $($(#[$value_doc])* $value,)* }

        impl $kind {
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
    ShowType {
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
    /// Where a show is in its life.
    ShowState {
        /// Its seats can be reserved until it starts.
        OnSale = "ON_SALE",
        /// It does not take place.
        Cancelled = "CANCELLED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_values() {
        for kind in [
            ShowType::Movie,
            ShowType::Concert,
            ShowType::Bus,
            ShowType::Appointment,
            ShowType::Other,
        ] {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        for state in [ShowState::OnSale, ShowState::Cancelled] {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert!("movie".parse::<ShowType>().is_err());
    }
}
