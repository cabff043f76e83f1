//! What is known of a client's connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::server::{Charge, ConnectionBytes, Part, Rooms};

/// What an open stream costs: HTTP/2's record of it, its task, and its headers.
pub(crate) const STREAM_BYTES: usize = 4 * 1024;

/// A connection of a client; every call knows its own.
#[derive(Debug)]
pub struct Connection {
    peer: SocketAddr,
    /// How many streams were ever begun, up to an overflow.
    begun: AtomicU32,
    /// Its streams of health and reflection.
    beside: AtomicU32,
    bytes: ConnectionBytes,
}

impl Connection {
    pub(crate) fn new(peer: SocketAddr, bytes: ConnectionBytes) -> Self {
        Self {
            peer,
            begun: AtomicU32::new(0),
            beside: AtomicU32::new(0),
            bytes,
        }
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
