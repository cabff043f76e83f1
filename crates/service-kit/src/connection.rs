//! What is known of a client's connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::server::{Charge, ConnectionBytes, Part, Rooms};

/// What a connection costs: HTTP/2's buffers and tables.
const CONNECTION_BYTES: usize = 16 * 1024;
/// What each stream that may be open at once can cost. Its HTTP/2 record stays until the
/// connection ends, and there is an answer that nobody reads or a call that waits for the database.
const KEPT_BYTES: usize = 8 * 1024;
/// What an open stream costs before its request is looked at: its task, and its headers.
pub(crate) const STREAM_BYTES: usize = 3 * 1024;
/// The streams at once of a connection: the first of these that there is room for. A client with
/// more calls waits, or opens another connection.
const STREAMS_MAX: [u32; 5] = [128, 64, 32, 16, STREAMS_MIN];
/// The streams at once of a connection whatever others have.
const STREAMS_MIN: u32 = 8;

/// A connection of a client; every call knows its own.
#[derive(Debug)]
pub struct Connection {
    peer: SocketAddr,
    /// How many streams were ever begun, up to an overflow.
    begun: AtomicU32,
    /// Its streams of health and reflection.
    beside: AtomicU32,
    streams_max: u32,
    /// What it costs without an open stream, until it ends.
    _kept: Charge,
    bytes: ConnectionBytes,
}

impl Connection {
    pub(crate) fn new(peer: SocketAddr, bytes: ConnectionBytes) -> Self {
        let (streams_max, kept) = keep(&bytes.kept);
        Self {
            peer,
            begun: AtomicU32::new(0),
            beside: AtomicU32::new(0),
            streams_max,
            _kept: kept,
            bytes,
        }
    }

    /// How many streams it may have open at once.
    pub(crate) fn streams_max(&self) -> u32 {
        self.streams_max
    }

    /// The address at the other end: a client's, or a proxy's.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// What it has sent of calls that are not whole.
    pub(crate) fn requests(&self) -> &Arc<Part> {
        &self.bytes.requests
    }

    /// The same of questions to health.
    pub(crate) fn questions(&self) -> &Arc<Part> {
        &self.bytes.questions
    }

    /// What it has not read of answers that need no room.
    pub(crate) fn answers(&self) -> &Arc<Part> {
        &self.bytes.answers
    }

    /// Its rooms for large answers.
    pub(crate) fn rooms(&self) -> &Rooms {
        &self.bytes.rooms
    }

    /// Begins a stream, which is open until its charge is dropped. None if there are too many.
    pub(crate) fn begin_stream(&self) -> Option<Charge> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.bytes.streams.charge(STREAM_BYTES)
    }

    /// How many streams were ever begun, up to an overflow: it changes with each.
    pub(crate) fn begun(&self) -> u32 {
        self.begun.load(Ordering::Relaxed)
    }

    /// How many streams are open.
    pub(crate) fn open(&self) -> usize {
        self.bytes.streams.held() / STREAM_BYTES
    }

    /// Begins a stream of health or reflection, and returns how many there were before.
    pub(crate) fn begin_beside(&self) -> u32 {
        self.beside.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn end_beside(&self) {
        self.beside.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Charges what a connection costs, with as many streams at once as there is room for.
fn keep(part: &Arc<Part>) -> (u32, Charge) {
    let bytes = |streams: u32| CONNECTION_BYTES + streams as usize * KEPT_BYTES;
    let room = |streams| part.charge(bytes(streams)).map(|kept| (streams, kept));
    let most = STREAMS_MAX.into_iter().find_map(room);
    most.unwrap_or_else(|| (STREAMS_MIN, part.charge_anyway(bytes(STREAMS_MIN))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Budget;

    #[test]
    fn a_connection_has_as_many_streams_as_there_is_room_for() {
        let budget = Budget::new(8_000 * 1024);
        let mut kept = Vec::new();
        let mut most = || {
            let part = Part::new(&budget, 0..=usize::MAX, Arc::default());
            let (streams_max, charge) = keep(&part);
            kept.push(charge);
            streams_max
        };
        let given: Vec<u32> = (0..40).map(|_| most()).collect();
        assert!(given.is_sorted_by(|a, b| a >= b), "{given:?}");
        assert_eq!(given[..5], [128, 128, 128, 128, 128], "{given:?}");
        for streams_max in STREAMS_MAX {
            assert!(given.contains(&streams_max), "{given:?}");
        }
        assert_eq!(most(), STREAMS_MIN, "there is always room for these");
        kept.clear();
        let part = Part::new(&budget, 0..=usize::MAX, Arc::default());
        assert_eq!(keep(&part).0, 128);
    }
}
