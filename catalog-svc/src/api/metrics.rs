//! The streams of the feed that are open, in numbers.

use std::sync::Arc;

use service_kit::metrics;
use tokio::sync::Semaphore;

/// Has the metrics show how many of the `streams_max` places of an RPC's streams are taken.
pub(super) fn register_streams(rpc: &'static str, places: &Arc<Semaphore>, streams_max: u16) {
    let places = Arc::clone(places);
    metrics::register(move |page| {
        let open = usize::from(streams_max) - places.available_permits();
        let of = &[("rpc", rpc)];
        let help = "Streams of the feed that are open";
        page.amount("ticketing_catalog_watchers", help, of, open);
        let help = "The most streams of the feed";
        page.amount(
            "ticketing_catalog_watchers_max",
            help,
            of,
            streams_max.into(),
        );
    });
}
