//! What expressions of Prometheus name.

use std::collections::BTreeSet;

/// What the names of our metrics begin with.
const PREFIXES: [&str; 3] = ["ticketing_", "rpc_server_", "process_"];

/// The metrics of ours that a text names, and the recorded series (`ticketing:…`). The text may be an
/// expression, or anything that has expressions in it.
#[must_use]
pub fn names_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    let ours = words.filter(|word| {
        word.starts_with("ticketing:") || PREFIXES.iter().any(|prefix| word.starts_with(prefix))
    });
    // A sentence may end with a colon.
    ours.map(|word| word.trim_end_matches(':').to_owned())
        .filter(|word| !PREFIXES.contains(&&word[..]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_wherever_they_stand() {
        let text = "sum by (le) (rate(rpc_server_call_duration_seconds_bucket{rpc_method=~\"x\"}[5m]))
            / ticketing:errors:ratio5m > on() ticketing_x_total; `process_open_fds`: the ticketing_ prefix";
        let names: Vec<_> = names_in(text).into_iter().collect();
        assert_eq!(
            names,
            [
                "process_open_fds",
                "rpc_server_call_duration_seconds_bucket",
                "ticketing:errors:ratio5m",
                "ticketing_x_total",
            ]
        );
    }
}
