//! What callers do wrong, counted by kind. A line for each would let a stranger fill the log;
//! once a minute there is one for all of it ([`crate::telemetry`]).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

static COUNTS: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());

/// Counts a call, or a connection, that its peer has spoiled. The kinds are few and fixed.
pub fn count(kind: &'static str) {
    let mut counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    *counts.entry(kind).or_default() += 1;
}

/// What was counted since this was last called, as "MALFORMED_MESSAGE 12, UNKNOWN_METHOD 3";
/// none if nothing was.
pub(crate) fn take() -> Option<String> {
    let counts = {
        let mut counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *counts)
    };
    let each = counts.iter().map(|(kind, count)| format!("{kind} {count}"));
    let all: Vec<_> = each.collect();
    (!all.is_empty()).then(|| all.join(", "))
}
