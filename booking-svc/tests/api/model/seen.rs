//! What happened in all runs, by kind: a check that never sees something proves nothing of it.

use std::collections::BTreeMap;

use super::RUNS;
use super::history::History;

/// How often each kind of thing happened.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeMap<String, usize>);

impl Seen {
    pub(super) fn add(&mut self, history: &History) {
        let mut count = |kind: String| *self.0.entry(kind).or_default() += 1;
        for entry in &history.log {
            count(entry.verb.clone());
        }
        for call in &history.calls {
            match &call.outcome {
                Ok(_) => count("granted".to_owned()),
                Err(refusal) => {
                    let name = format!("{refusal:?}");
                    let end = name
                        .find(|c: char| !c.is_alphanumeric())
                        .unwrap_or(name.len());
                    count(name[..end].to_owned());
                }
            }
        }
        let copies = history
            .calls
            .iter()
            .filter(|call| call.outcome.is_ok())
            .count()
            - history
                .log
                .iter()
                .filter(|entry| !matches!(&*entry.verb, "EXPIRE" | "VOID"))
                .count();
        *self.0.entry("copies".to_owned()).or_default() += copies;
    }

    pub(super) fn join(&mut self, other: Self) {
        for (kind, count) in other.0 {
            *self.0.entry(kind).or_default() += count;
        }
    }

    /// Many runs meet everything.
    pub(super) fn assert_enough(&self, runs: u64) {
        const KINDS: [&str; 24] = [
            "RESERVE",
            "SELL",
            "CONFIRM",
            "CANCEL",
            "RELEASE",
            "EXTEND",
            "SWAP",
            "EXPIRE",
            "VOID",
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
        ];
        let missed: Vec<_> = KINDS
            .iter()
            .filter(|kind| !self.0.contains_key(**kind))
            .collect();
        assert!(
            runs < RUNS || missed.is_empty(),
            "never seen: {missed:?} of {self:?}"
        );
    }
}
