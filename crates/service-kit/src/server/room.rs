//! Rooms for large answers, which are waited for before an answer is made: a thousand calls for a
//! large show must not hold a thousand copies of it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::api_error::ApiError;
use crate::connection::Connection;

/// What rooms are counted in.
const UNIT_BYTES: usize = 1024;
/// The most that one connection has of them, in units: for a stream of large messages, and one of
/// the largest answers that a client takes by default beside it.
const OWN_UNITS_MAX: usize = 12 * 1024;

/// The rooms that a connection may have; dropped, a room is free again.
#[derive(Debug, Clone)]
pub struct Rooms {
    own: Arc<Semaphore>,
    all: Arc<Semaphore>,
    all_units_max: usize,
}

/// A room for one answer. It goes into the extensions of the response, in an [`Arc`], and is kept
/// until the answer has been read.
#[derive(Debug)]
pub struct Room {
    bytes: usize,
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Room {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Rooms {
    /// Rooms of so many bytes for all connections; each has its own part of them.
    pub(super) fn new(bytes_max: usize) -> Self {
        let all_units_max = bytes_max / UNIT_BYTES;
        Self {
            own: Arc::new(Semaphore::new(OWN_UNITS_MAX)),
            all: Arc::new(Semaphore::new(all_units_max)),
            all_units_max,
        }
    }

    /// The bytes that are taken of all rooms, and the most.
    pub(super) fn held_of_max(&self) -> (usize, usize) {
        let taken = self.all_units_max - self.all.available_permits();
        (taken * UNIT_BYTES, self.all_units_max * UNIT_BYTES)
    }

    /// The part of another connection.
    pub(crate) fn of_another(&self) -> Self {
        Self {
            own: Arc::new(Semaphore::new(OWN_UNITS_MAX)),
            ..self.clone()
        }
    }

    /// The rooms of a request that came through the layer; others have as many as they want.
    #[must_use]
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        match Connection::of(request) {
            Some(connection) => connection.rooms().clone(),
            None => Self::new(Semaphore::MAX_PERMITS),
        }
    }

    /// A room of so many bytes, if there is one now.
    #[must_use]
    pub fn try_take(&self, bytes: usize) -> Option<Room> {
        let (own, all) = self.units(bytes);
        Some(Room {
            bytes,
            _own: Arc::clone(&self.own).try_acquire_many_owned(own).ok()?,
            _all: Arc::clone(&self.all).try_acquire_many_owned(all).ok()?,
        })
    }

    /// A room of so many bytes. Who came first gets it first: within the connection, then among
    /// those that come first in theirs.
    ///
    /// # Errors
    ///
    /// If there is none until the deadline.
    pub async fn take(&self, bytes: usize, deadline: Instant) -> Result<Room, ApiError> {
        let (own, all) = self.units(bytes);
        let taking = async {
            let own = Arc::clone(&self.own).acquire_many_owned(own).await.ok()?;
            let all = Arc::clone(&self.all).acquire_many_owned(all).await.ok()?;
            Some(Room {
                bytes,
                _own: own,
                _all: all,
            })
        };
        let taken = timeout_at(deadline, taking).await.ok().flatten();
        taken.ok_or_else(|| {
            ApiError::overloaded("there are too many bytes of answers that were not read")
                .as_callers_doing()
        })
    }

    /// What is larger than all of it takes all of it.
    fn units(&self, bytes: usize) -> (u32, u32) {
        let units = bytes.div_ceil(UNIT_BYTES);
        let at_most = |max: usize| u32::try_from(units.min(max)).unwrap_or(u32::MAX);
        (at_most(OWN_UNITS_MAX), at_most(self.all_units_max))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MIB: usize = 1024 * 1024;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_has_its_part_and_who_waits_gets_what_is_given_back() {
        let one = Rooms::new(24 * MIB);
        let first = one.try_take(4 * MIB).expect("a room");
        let _second = one.try_take(8 * MIB).expect("a room");
        assert!(one.try_take(1).is_none());
        let other = one.of_another();
        assert!(other.try_take(12 * MIB).is_some());
        assert!(one.take(1, soon()).await.is_err());
        let deadline = soon();
        let (room, ()) = futures_util::join!(one.take(4 * MIB, deadline), async { drop(first) });
        assert!(room.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn all_have_as_much_as_there_is_and_what_is_larger_takes_all_of_it() {
        let one = Rooms::new(4 * MIB);
        let room = one.try_take(20 * MIB).expect("a room");
        let other = one.of_another();
        assert!(other.try_take(1).is_none());
        drop(room);
        assert!(other.try_take(4 * MIB).is_some());
    }
}
