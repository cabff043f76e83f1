//! What is known of a client's connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::server::{ConnectionBytes, Part, Rooms};

/// A connection of a client; every call knows its own.
///
/// It counts the streams that were begun and that have ended, each up to its overflow, and the
/// difference is what is open.
#[derive(Debug)]
pub struct Connection {
    peer: SocketAddr,
    begun: AtomicU32,
    ended: AtomicU32,
    /// Its streams of health and reflection.
    beside: AtomicU32,
    bytes: ConnectionBytes,
}

impl Connection {
    pub(crate) fn new(peer: SocketAddr, bytes: ConnectionBytes) -> Self {
        Self {
            peer,
            begun: AtomicU32::new(0),
            ended: AtomicU32::new(0),
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

    pub(crate) fn begin_stream(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end_stream(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// How many streams were ever begun, up to an overflow: it changes with each.
    pub(crate) fn begun(&self) -> u32 {
        self.begun.load(Ordering::Relaxed)
    }

    /// How many streams are open.
    pub(crate) fn open(&self) -> u32 {
        // In this order, so that a stream which ends meanwhile is not counted below zero.
        let ended = self.ended.load(Ordering::Acquire);
        self.begun.load(Ordering::Relaxed).wrapping_sub(ended)
    }

    /// Begins a stream of health or reflection, and returns how many there were before.
    pub(crate) fn begin_beside(&self) -> u32 {
        self.beside.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn end_beside(&self) {
        self.beside.fetch_sub(1, Ordering::Relaxed);
    }
}
