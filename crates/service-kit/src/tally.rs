//! What callers do wrong, counted by kind. A line for each would let a stranger fill the log;
//! once a minute there is one for all of it ([`crate::telemetry`]). The metrics have the same counts.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::metrics::{CounterBy, Page};

static COUNTS: CounterBy<1> = CounterBy::new();

/// The counts that were logged last.
static LOGGED: Mutex<BTreeMap<[&str; 1], u64>> = Mutex::new(BTreeMap::new());

/// Counts a call, or a connection, that its peer has spoiled. The kinds are few and fixed.
pub fn count(kind: &'static str) {
    COUNTS.add([kind], 1);
}

/// What was counted since this was last called, as "MALFORMED_MESSAGE 12, UNKNOWN_METHOD 3";
/// none if nothing was.
pub(crate) fn take() -> Option<String> {
    let counts = COUNTS.counts();
    let mut logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    let news = counts.iter().filter_map(|(kind, count)| {
        let new = count - logged.get(kind).copied().unwrap_or_default();
        (new > 0).then(|| format!("{} {new}", kind[0]))
    });
    let all: Vec<_> = news.collect();
    *logged = counts;
    (!all.is_empty()).then(|| all.join(", "))
}

/// Writes the counts.
pub(crate) fn collect(page: &mut Page) {
    page.counter_by(
        "ticketing_spoiled_total",
        "Calls and connections that their peers have spoiled, by kind",
        ["kind"],
        &COUNTS,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_logged_is_not_logged_again() {
        let has = |text: Option<String>, word: &str| text.is_some_and(|text| text.contains(word));
        count("A_TEST");
        count("A_TEST");
        assert!(has(take(), "A_TEST 2"));
        count("A_TEST");
        assert!(has(take(), "A_TEST 1"));
        assert!(!has(take(), "A_TEST"));
        assert_eq!(COUNTS.counts().get(&["A_TEST"]), Some(&3));
    }
}
