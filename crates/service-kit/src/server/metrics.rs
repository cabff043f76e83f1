//! What a listener has under way, for the metrics.

use std::sync::Arc;

use super::places::Places;
use super::{AllBytes, DirectRoute};
use crate::call::Calls;
use crate::connection::STREAM_BYTES;
use crate::health::Health;
use crate::metrics::{self, Page};

/// Has the metrics show what the listener with this health has under way. They know it by the first
/// of its services.
pub(super) fn register<S: Send + Sync + 'static>(
    health: &Health,
    places: &Places,
    calls: &Arc<Calls<DirectRoute<S>>>,
    bytes: &AllBytes,
) where
    DirectRoute<S>: crate::call::Inner,
{
    if !metrics::is_on() {
        return;
    }
    metrics::rpc::serve(health.services());
    let listener = health.services().first().copied().unwrap_or_default();
    // The handlers are behind the calls: what they hold is waited for at the end, so not here.
    let (places, calls, bytes) = (places.clone(), Arc::downgrade(calls), bytes.clone());
    metrics::register(move |page| {
        let under_way = calls.upgrade().map(|calls| calls.under_way_of_max());
        write(page, listener, places.taken_of_max(), under_way, &bytes);
    });
}

fn write(
    page: &mut Page,
    listener: &'static str,
    (connections, connections_max): (usize, usize),
    calls: Option<(usize, usize)>,
    bytes: &AllBytes,
) {
    let of = &[("listener", listener)];
    let help = "Connections of clients that are open";
    page.amount("ticketing_connections_open", help, of, connections);
    let help = "The most connections of clients";
    page.amount("ticketing_connections_max", help, of, connections_max);
    if let Some((calls, calls_max)) = calls {
        let help = "Calls whose handlers run";
        page.amount("ticketing_calls_under_way", help, of, calls);
        let help = "The most calls whose handlers run";
        page.amount("ticketing_calls_max", help, of, calls_max);
    }
    let (streams, _) = bytes.streams.held_of_max();
    let help = "HTTP/2 streams that are open: calls, health and reflection";
    page.amount("ticketing_streams_open", help, of, streams / STREAM_BYTES);
    for (budget, (held, most)) in [
        ("connections", bytes.kept.held_of_max()),
        ("streams", bytes.streams.held_of_max()),
        ("requests", bytes.requests.held_of_max()),
        ("questions", bytes.questions.held_of_max()),
        ("answers", bytes.answers.held_of_max()),
        ("large_answers", bytes.rooms.held_of_max()),
    ] {
        let of = &[("listener", listener), ("budget", budget)];
        let help = "Bytes that clients have the process hold, by budget";
        page.amount("ticketing_budget_held_bytes", help, of, held);
        let help = "The most bytes of a budget";
        page.amount("ticketing_budget_max_bytes", help, of, most);
    }
}
