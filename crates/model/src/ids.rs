//! Ids that nest: a booking's id begins with the key of its show, so that one id is enough
//! to route, lock and shard.
//!
//! Both are UUIDs of RFC 9562 version 8. Of the 122 bits that are ours, the first 48 are the
//! show's key. In a show's id the other 74 are zero; in a booking's they are never all zero:
//! 42 bits of Unix milliseconds (until the year 2109), then 32 random bits, so that the
//! bookings of a show sort by the time they were made.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

const KEY_BITS: u32 = 48;
const KEY_MASK: u128 = ((1 << KEY_BITS) - 1) << (128 - KEY_BITS);
const VERSION_AND_VARIANT_MASK: u128 = 0xf000_c000_0000_0000_0000;
const VERSION_8_AND_VARIANT: u128 = 0x8000_8000_0000_0000_0000;
const TAIL_MASK: u128 = !(KEY_MASK | VERSION_AND_VARIANT_MASK);

/// The id of a show.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Uuid", into = "Uuid")]
pub struct ShowId(Uuid);

/// The id of a booking.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Uuid", into = "Uuid")]
pub struct BookingId(Uuid);

/// Why a text or a UUID is not an id of the expected kind. Its text is for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing.
    #[error("is empty")]
    Empty,
    /// Not a UUID at all.
    #[error("must be a UUID, such as \"0b5c1f6e-8a2d-8000-8000-000000000000\"")]
    NotAUuid,
    /// A UUID, but not one that this product gives to a show.
    #[error("is not the id of a show")]
    NotAShow,
    /// A UUID, but not one that this product gives to a booking.
    #[error("is not the id of a booking")]
    NotABooking,
}

impl ShowId {
    /// A new id with a random key.
    #[must_use]
    pub fn generate() -> Self {
        let key = Uuid::new_v4().as_u128() & KEY_MASK;
        Self(Uuid::from_u128(key | VERSION_8_AND_VARIANT))
    }

    /// The id in a request: any UUID. One that this product gives to no show parses too; its look-up
    /// then finds nothing.
    ///
    /// # Errors
    ///
    /// If the text is no UUID.
    pub fn asked_for(text: &str) -> Result<Self, IdError> {
        uuid(text).map(Self)
    }

    /// The id as a UUID.
    #[must_use]
    pub fn uuid(self) -> Uuid {
        self.0
    }
}

impl BookingId {
    /// A new id for a booking of `show`. Two of one process never collide within a show.
    #[must_use]
    pub fn generate(show: ShowId) -> Self {
        let show_bits = show.0.as_u128() & KEY_MASK;
        let tail = u128::from(next_millis()) << 32 | u128::from(next_low_bits());
        Self(Uuid::from_u128(
            show_bits | VERSION_8_AND_VARIANT | spread(tail),
        ))
    }

    /// The id in a request: any UUID. One that this product gives to no booking parses too; its
    /// look-up then finds nothing.
    ///
    /// # Errors
    ///
    /// If the text is no UUID.
    pub fn asked_for(text: &str) -> Result<Self, IdError> {
        uuid(text).map(Self)
    }

    /// The show that the booking belongs to.
    #[must_use]
    pub fn show(self) -> ShowId {
        ShowId(Uuid::from_u128(
            self.0.as_u128() & KEY_MASK | VERSION_8_AND_VARIANT,
        ))
    }

    /// The id as a UUID.
    #[must_use]
    pub fn uuid(self) -> Uuid {
        self.0
    }
}

/// Unix time in milliseconds, 42 bits.
fn next_millis() -> u64 {
    let since_epoch = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX) & ((1 << 42) - 1)
}

/// A counter from a random start: unique within the process for 2^32 ids, and as likely to
/// meet another process's as random bits are.
fn next_low_bits() -> u32 {
    static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| {
        let [a, b, c, d, ..] = *Uuid::new_v4().as_bytes();
        AtomicU32::new(u32::from_be_bytes([a, b, c, d]))
    });
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Places 74 bits around the version (4 bits) and the variant (2 bits).
fn spread(tail: u128) -> u128 {
    let above_variant = tail >> 62 & 0xfff;
    let below_variant = tail & ((1 << 62) - 1);
    above_variant << 64 | below_variant
}

impl TryFrom<Uuid> for ShowId {
    type Error = IdError;

    fn try_from(uuid: Uuid) -> Result<Self, IdError> {
        let bits = uuid.as_u128();
        if bits & VERSION_AND_VARIANT_MASK == VERSION_8_AND_VARIANT && bits & TAIL_MASK == 0 {
            Ok(Self(uuid))
        } else {
            Err(IdError::NotAShow)
        }
    }
}

impl TryFrom<Uuid> for BookingId {
    type Error = IdError;

    fn try_from(uuid: Uuid) -> Result<Self, IdError> {
        let bits = uuid.as_u128();
        if bits & VERSION_AND_VARIANT_MASK == VERSION_8_AND_VARIANT && bits & TAIL_MASK != 0 {
            Ok(Self(uuid))
        } else {
            Err(IdError::NotABooking)
        }
    }
}

impl From<ShowId> for Uuid {
    fn from(id: ShowId) -> Self {
        id.0
    }
}

impl From<BookingId> for Uuid {
    fn from(id: BookingId) -> Self {
        id.0
    }
}

fn uuid(text: &str) -> Result<Uuid, IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    Uuid::try_parse(text).map_err(|_| IdError::NotAUuid)
}

impl FromStr for ShowId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        uuid(text)?.try_into()
    }
}

impl FromStr for BookingId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        uuid(text)?.try_into()
    }
}

macro_rules! shown_as_uuid {
    ($($id:ty),*) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

shown_as_uuid!(ShowId, BookingId);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_booking_knows_its_show() {
        for _ in 0..1000 {
            let show = ShowId::generate();
            let booking = BookingId::generate(show);
            assert_eq!(booking.show(), show);
            assert_eq!(show.uuid().get_version_num(), 8);
            assert_eq!(booking.uuid().get_version_num(), 8);
            assert_eq!(booking.uuid().get_variant(), uuid::Variant::RFC4122);
        }
    }

    #[test]
    fn ids_survive_their_text() {
        let show = ShowId::generate();
        let booking = BookingId::generate(show);
        assert_eq!(show.to_string().parse(), Ok(show));
        assert_eq!(booking.to_string().parse(), Ok(booking));
    }

    #[test]
    fn the_kinds_do_not_mix() {
        let show = ShowId::generate();
        let booking = BookingId::generate(show);
        assert_eq!(ShowId::try_from(booking.uuid()), Err(IdError::NotAShow));
        assert_eq!(BookingId::try_from(show.uuid()), Err(IdError::NotABooking));
        assert_eq!(ShowId::try_from(Uuid::new_v4()), Err(IdError::NotAShow));
        assert_eq!("A-12".parse::<ShowId>(), Err(IdError::NotAUuid));
        assert_eq!("".parse::<BookingId>(), Err(IdError::Empty));
    }

    #[test]
    fn any_uuid_can_be_asked_for() {
        let (show, other) = (ShowId::generate(), Uuid::new_v4());
        assert_eq!(ShowId::asked_for(&show.to_string()), Ok(show));
        for id in [other, Uuid::nil(), Uuid::max()] {
            let text = id.to_string();
            assert_eq!(ShowId::asked_for(&text).map(ShowId::uuid), Ok(id));
            let booking = BookingId::asked_for(&text).expect("a UUID");
            assert_eq!(booking.uuid(), id);
            assert_eq!(ShowId::try_from(booking.show().uuid()), Ok(booking.show()));
        }
        assert_eq!(ShowId::asked_for("A-12"), Err(IdError::NotAUuid));
        assert_eq!(BookingId::asked_for("A-12"), Err(IdError::NotAUuid));
        assert_eq!(ShowId::asked_for(""), Err(IdError::Empty));
        assert_eq!(BookingId::asked_for(""), Err(IdError::Empty));
    }

    #[test]
    fn bookings_of_a_show_are_unique_and_sort_by_millisecond() {
        let show = ShowId::generate();
        let ids: Vec<_> = (0..10_000).map(|_| BookingId::generate(show)).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        let millis = |id: &BookingId| {
            let bits = id.uuid().as_u128();
            (bits >> 64 & 0xfff) << 30 | bits >> 32 & ((1 << 30) - 1)
        };
        assert!(
            ids.windows(2)
                .all(|pair| millis(&pair[0]) <= millis(&pair[1]))
        );
        assert!(
            ids.windows(2)
                .all(|pair| millis(&pair[0]) == millis(&pair[1]) || pair[0] < pair[1])
        );
    }
}
