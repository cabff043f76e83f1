//! Counts the kinds of events over all runs: a check that never meets a kind proves nothing about it.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::RUNS;
use super::history::History;

/// How often each kind of thing happened.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) kinds: BTreeMap<String, usize>,
    /// What the payment provider must have kept, by the keys of the attempts.
    pub(super) money: BTreeMap<Uuid, i64>,
}

impl Seen {
    pub(super) fn add(&mut self, history: &History) {
        let mut count = |kind: String| *self.kinds.entry(kind).or_default() += 1;
        for entry in &history.log {
            count(entry.verb.clone());
        }
        for call in &history.calls {
            match &call.outcome {
                Ok(_) => count("granted".to_owned()),
                Err(rejection) => {
                    let name = format!("{rejection:?}");
                    let end = name
                        .find(|c: char| !c.is_alphanumeric())
                        .unwrap_or(name.len());
                    count(name[..end].to_owned());
                }
            }
        }
        self.money.extend(history.money.iter().copied());
        let granted = history
            .calls
            .iter()
            .filter_map(|call| call.outcome.as_ref().ok());
        let versions: BTreeSet<_> = granted
            .clone()
            .map(|reply| (&reply.booking_id, &reply.etag))
            .collect();
        let copies = granted.count() - versions.len();
        *self.kinds.entry("copies".to_owned()).or_default() += copies;
    }

    pub(super) fn join(&mut self, other: Self) {
        self.money.extend(other.money);
        for (kind, count) in other.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
    }

    /// Many runs meet everything.
    pub(super) fn assert_enough(&self, runs: u64) {
        const KINDS: [&str; 33] = [
            "RESERVE",
            "SELL",
            "CONFIRM",
            "CANCEL",
            "RELEASE",
            "EXTEND",
            "SWAP",
            "EXPIRE",
            "VOID",
            "PAY",
            "DECLINE",
            "REINSTATE",
            "REPAY",
            "copies",
            "RequestIdReused",
            "UnknownSeats",
            "ShowNotOnSale",
            "SeatsUnavailable",
            "HoldExpired",
            "BookingState",
            "EtagMismatch",
            "NotInBooking",
            "PlacesNotInBooking",
            "AreaFull",
            "ChoiceUnavailable",
            "TooManyPlaces",
            "LifetimeExceeded",
            "SwapCostsMore",
            "PaymentNotOffered",
            "PaymentRequired",
            "PaymentPending",
            "PaymentDeclined",
            "PaymentTooLate",
        ];
        let missed: Vec<_> = KINDS
            .iter()
            .filter(|kind| !self.kinds.contains_key(**kind))
            .collect();
        assert!(
            runs < RUNS || missed.is_empty(),
            "never seen: {missed:?} of {:?}",
            self.kinds
        );
    }
}
