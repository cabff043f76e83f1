//! How many bytes strangers may have the process hold: of requests that are not whole yet, and of
//! answers that nobody has read.
//!
//! What always holds: what is counted in a part is counted in its budget and for its peer, and
//! given back when its [`Charge`] is dropped. Nobody waits for a budget in here.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A peer may hold this many times what it leaves free: two thirds, if it is the only one.
const PEER_SHARE: usize = 2;
/// What a connection may hold whatever others of its peer do, as long as its peer leaves a fifth of
/// the budget: behind a proxy, clients must not shut each other out.
const PEER_FREE_BYTES: usize = 64 * 1024;
/// What a peer leaves of the budget at least, as a part of it.
const PEER_LEAVES: usize = 5;

/// The bytes of all connections.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes_max: usize,
    held: AtomicUsize,
}

/// One connection's part of a budget.
///
/// It may hold as much as is still free, and a little whatever is free. So one connection alone gets half of the budget, a
/// thousand get a thousandth each, and there is always some left for one that comes new.
#[derive(Debug)]
pub(crate) struct Part {
    budget: Arc<Budget>,
    bytes_max: usize,
    /// What it may hold whatever is free: clients that take what they ask for are served though
    /// others do not.
    bytes_min: usize,
    held: AtomicUsize,
    /// What all connections of its peer hold.
    peer: Arc<AtomicUsize>,
    /// How often something was given back, up to an overflow.
    returns: AtomicUsize,
}

/// Bytes that count; dropped, they do not any more.
#[derive(Debug)]
pub(crate) struct Charge {
    part: Arc<Part>,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes_max,
            held: AtomicUsize::new(0),
        })
    }

    /// What is held of it, and the most.
    pub(super) fn held_of_max(&self) -> (usize, usize) {
        (self.held.load(Ordering::Relaxed), self.bytes_max)
    }
}

impl Part {
    /// A part of at least and at most so many bytes, whatever is free.
    pub(crate) fn new(
        budget: &Arc<Budget>,
        bytes: RangeInclusive<usize>,
        peer: Arc<AtomicUsize>,
    ) -> Arc<Self> {
        Arc::new(Self {
            budget: Arc::clone(budget),
            bytes_max: *bytes.end(),
            bytes_min: *bytes.start(),
            held: AtomicUsize::new(0),
            peer,
            returns: AtomicUsize::new(0),
        })
    }

    /// What it holds.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// How often something was given back, up to an overflow: it changes with each time.
    pub(crate) fn returns(&self) -> usize {
        self.returns.load(Ordering::Relaxed)
    }

    /// Whether more than half of the budget is taken.
    pub(crate) fn is_crowded(&self) -> bool {
        self.budget.held.load(Ordering::Relaxed) > self.budget.bytes_max / 2
    }

    /// Whether it holds more than it may whatever is free.
    pub(crate) fn holds_much(&self) -> bool {
        self.held() > self.bytes_min
    }

    /// A charge of so many bytes, if they fit.
    pub(crate) fn charge(self: &Arc<Self>, bytes: usize) -> Option<Charge> {
        let mut charge = self.charge_anyway(0);
        charge.grow(bytes).then_some(charge)
    }

    /// The same of bytes that are there already, and have to go out whatever is free.
    pub(crate) fn charge_anyway(self: &Arc<Self>, bytes: usize) -> Charge {
        self.add(bytes);
        Charge {
            part: Arc::clone(self),
            bytes,
        }
    }

    /// The most that the small connections of a peer may hold together.
    fn peer_max(&self) -> usize {
        self.budget.bytes_max - self.budget.bytes_max / PEER_LEAVES
    }

    fn allows(&self, all: usize, peer: usize, own: usize) -> bool {
        if own <= self.bytes_min {
            return true;
        }
        let Some(free) = self.budget.bytes_max.checked_sub(all) else {
            return false;
        };
        own <= self.bytes_max
            && own <= free
            && (peer <= PEER_SHARE * free || own <= PEER_FREE_BYTES && peer <= self.peer_max())
    }

    /// Adds to all counts, and returns what they are then: of all, of the peer, its own.
    fn add(&self, bytes: usize) -> (usize, usize, usize) {
        let add = |count: &AtomicUsize| count.fetch_add(bytes, Ordering::Relaxed) + bytes;
        (add(&self.budget.held), add(&self.peer), add(&self.held))
    }

    fn remove(&self, bytes: usize) {
        for count in [&self.budget.held, &self.peer, &self.held] {
            count.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

impl Charge {
    /// Charges more, if that fits; else nothing changes.
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        let (all, peer, own) = self.part.add(bytes);
        let fits = self.part.allows(all, peer, own);
        if fits {
            self.bytes += bytes;
        } else {
            self.part.remove(bytes);
        }
        fits
    }

    /// A charge of its own for some of the bytes.
    pub(crate) fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self {
            part: Arc::clone(&self.part),
            bytes,
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.part.remove(self.bytes);
        self.part.returns.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(budget: &Arc<Budget>, count: usize, of_one_peer: bool) -> Vec<Arc<Part>> {
        let peer = Arc::default();
        let parts = (0..count).map(|_| {
            let other = if of_one_peer {
                Arc::clone(&peer)
            } else {
                Arc::default()
            };
            Part::new(budget, 0..=usize::MAX, other)
        });
        parts.collect()
    }

    /// As much as each can have, in turns of so many bytes.
    fn fill(parts: &[Arc<Part>], bytes: usize) -> Vec<Charge> {
        let mut charges: Vec<_> = parts.iter().map(|part| part.charge_anyway(0)).collect();
        while charges
            .iter_mut()
            .fold(false, |any, charge| charge.grow(bytes) | any)
        {}
        charges
    }

    #[test]
    fn one_connection_gets_half_and_what_is_given_back_is_free() {
        let budget = Budget::new(1_000);
        let parts = parts(&budget, 2, true);
        let charges = fill(&parts[..1], 1);
        assert_eq!(parts[0].held(), 500);
        assert!(!parts[0].is_crowded());
        assert!(parts[0].charge(1).is_none());
        assert!(parts[1].charge(100).is_some() && parts[1].charge(300).is_none());
        drop(charges);
        assert_eq!(parts[0].held(), 0);
        assert_eq!(budget.held.load(Ordering::Relaxed), 0);
        assert!(parts[0].charge(500).is_some());
        assert!(parts[0].charge(501).is_none());
        assert_eq!(parts[0].held(), 0);
    }

    #[test]
    fn connections_of_one_peer_leave_a_third_to_others() {
        let budget = Budget::new(30_000_000);
        let hostile = parts(&budget, 10, true);
        let _charges = fill(&hostile, 1_000);
        let held = budget.held.load(Ordering::Relaxed);
        assert!((19_900_000..=20_000_000).contains(&held), "{held}");
        let new = |of_one_peer| parts(&budget, 1, of_one_peer).remove(0);
        assert!(new(false).charge(4_000_000).is_some());
        let of_theirs = Part::new(&budget, 0..=usize::MAX, Arc::clone(&hostile[0].peer));
        assert!(of_theirs.charge(4_000_000).is_none());
        assert!(of_theirs.charge(PEER_FREE_BYTES).is_some());
    }

    #[test]
    fn small_connections_of_one_peer_leave_something_to_others_too() {
        let budget = Budget::new(1_000_000);
        let hostile = parts(&budget, 100, true);
        let _charges = fill(&hostile, 1_000);
        let held = budget.held.load(Ordering::Relaxed);
        assert_eq!(held, 800_000);
        let other = parts(&budget, 1, false).remove(0);
        assert!(other.charge(100_000).is_some());
    }

    #[test]
    fn there_is_some_left_for_one_that_comes_new() {
        let budget = Budget::new(1_000_000);
        let _charges = fill(&parts(&budget, 999, true), 1);
        let new = &parts(&budget, 1, true)[0];
        assert!(new.charge(400).is_some());
    }

    #[test]
    fn a_part_has_a_limit_of_its_own() {
        let budget = Budget::new(1_000);
        let part = Part::new(&budget, 0..=10, Arc::default());
        assert!(part.charge(11).is_none());
        let mut charge = part.charge(10).expect("what it may have");
        let split = charge.split(4);
        drop(charge);
        assert_eq!(part.held(), 4);
        drop(split);
        assert_eq!((part.held(), part.returns()), (0, 3));
    }

    #[test]
    fn what_has_to_go_out_counts_for_those_that_come_later() {
        let budget = Budget::new(1_000);
        let part = Part::new(&budget, 10..=usize::MAX, Arc::default());
        let _out = part.charge_anyway(2_000);
        assert!(part.charge(1).is_none() && part.is_crowded() && part.holds_much());
        let other = Part::new(&budget, 10..=usize::MAX, Arc::default());
        assert!(other.charge(10).is_some() && other.charge(11).is_none());
    }
}
