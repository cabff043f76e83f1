//! How many connections there may be: in all, and from one peer.
//!
//! What always holds: a connection that is served has a place, and gives it back when it is
//! dropped. A few places beyond the most are spare ones, for connections that ask for health: a
//! process that is full must not look dead.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::PeerBytes;

/// The places of connections that may ask for health and nothing else.
const SPARE_MAX: usize = 16;
/// From this share of the places on, connections without a call make room.
const CROWDED_TENTHS: usize = 9;
/// The descriptors that connections leave to everything else: the database's connections,
/// files, the spare places.
const DESCRIPTORS_RESERVED: usize = 256;

/// The places of all connections.
#[derive(Debug, Clone)]
pub(super) struct Places {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    all_max: usize,
    per_peer_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_peer: HashMap<IpAddr, Peer>,
}

#[derive(Debug, Default)]
struct Peer {
    connections: usize,
    bytes: PeerBytes,
}

/// A place of one connection; dropped, it is free again.
#[derive(Debug)]
pub(super) struct Place {
    inner: Arc<Inner>,
    peer: IpAddr,
    /// Whether it is one of those for health alone.
    pub(super) spare: bool,
    /// What the connections of its peer hold.
    pub(super) peer_bytes: PeerBytes,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// There are as many connections as there may be, and the spare places are taken too.
    Full,
    /// The peer has as many as it may have.
    Peer,
}

impl Places {
    pub(super) fn new(all_max: usize, per_peer_max: usize) -> Self {
        let inner = Inner {
            all_max,
            per_peer_max,
            taken: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// A place for a connection from `address`.
    pub(super) fn take(&self, address: IpAddr) -> Result<Place, Refused> {
        let peer = peer_of(address);
        let mut taken = self.inner.taken();
        if taken.all >= self.inner.all_max + SPARE_MAX {
            return Err(Refused::Full);
        }
        let spare = taken.all >= self.inner.all_max;
        let of_peer = taken.by_peer.entry(peer).or_default();
        if of_peer.connections >= self.inner.per_peer_max {
            return Err(Refused::Peer);
        }
        of_peer.connections += 1;
        let peer_bytes = of_peer.bytes.clone();
        taken.all += 1;
        Ok(Place {
            inner: Arc::clone(&self.inner),
            peer,
            spare,
            peer_bytes,
        })
    }

    /// How many are taken, and the most but for the spare ones.
    pub(super) fn taken_of_max(&self) -> (usize, usize) {
        (self.inner.taken().all, self.inner.all_max)
    }

    /// Whether connections without a call should make room.
    pub(super) fn are_crowded(&self) -> bool {
        self.inner.taken().all >= self.inner.all_max * CROWDED_TENTHS / 10
    }
}

impl Inner {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Nothing in here panics while it holds the lock.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.inner.taken();
        taken.all -= 1;
        if let Some(of_peer) = taken.by_peer.get_mut(&self.peer) {
            of_peer.connections -= 1;
            if of_peer.connections == 0 {
                taken.by_peer.remove(&self.peer);
            }
        }
    }
}

/// Who an address counts as: a host has a whole network (/64) of IPv6 to itself.
pub(crate) fn peer_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let network = address.to_bits() & (u128::MAX << 64);
            Ipv6Addr::from_bits(network).into()
        }
    }
}

/// As many of the `wanted` connections as the process may have descriptors for. Raises its
/// limit if that is allowed.
pub(super) fn connections_allowed(wanted: u32) -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let wanted = wanted as usize;
    let needed = wanted.saturating_add(DESCRIPTORS_RESERVED) as u64;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        let raised = limit.maximum.map_or(needed, |maximum| maximum.min(needed));
        let before = limit.current.replace(raised);
        if setrlimit(Resource::Nofile, limit).is_err() {
            limit.current = before;
        }
    }
    let Some(descriptors) = limit.current else {
        return wanted;
    };
    let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
    let allowed = descriptors.saturating_sub(DESCRIPTORS_RESERVED.min(descriptors / 2));
    if allowed < wanted {
        tracing::warn!(
            connections_max = wanted,
            descriptors,
            "the limit of descriptors allows fewer connections: {allowed}"
        );
    }
    allowed.min(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn places_come_back_and_are_bounded_for_each_peer() {
        let places = Places::new(3, 2);
        let first = places.take(ip("10.0.0.1")).expect("a place");
        let _second = places.take(ip("::ffff:10.0.0.1")).expect("a place");
        assert_eq!(places.take(ip("10.0.0.1")).err(), Some(Refused::Peer));
        let _other = places.take(ip("10.0.0.2")).expect("a place");
        assert!(places.are_crowded());
        drop(first);
        assert!(!places.take(ip("10.0.0.1")).expect("a place").spare);
    }

    #[test]
    fn what_is_beyond_the_most_is_spare_and_bounded_too() {
        let places = Places::new(1, 100);
        let _all: Vec<_> = (0..=SPARE_MAX)
            .map(|i| {
                let place = places.take(ip("10.0.0.1")).expect("a place");
                assert_eq!(place.spare, i > 0);
                place
            })
            .collect();
        assert_eq!(places.take(ip("10.0.0.2")).err(), Some(Refused::Full));
    }

    #[test]
    fn a_network_of_ipv6_is_one_peer() {
        let places = Places::new(10, 1);
        let _one = places.take(ip("2001:db8:0:1::1")).expect("a place");
        assert_eq!(
            places.take(ip("2001:db8:0:1:ff::2")).err(),
            Some(Refused::Peer)
        );
        let _next = places.take(ip("2001:db8:0:2::1")).expect("a place");
    }
}
