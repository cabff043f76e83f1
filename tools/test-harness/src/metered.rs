//! The whole system with its metrics on, and a short sale in which each of them moves.

use std::net::SocketAddr;
use std::time::Duration;

use proto::booking::v1::{BookingState, ConfirmBookingRequest};
use uuid::Uuid;

use crate::postgres::{self, TestDatabase};
use crate::process::{Process, free_address};
use crate::raw::Raw;
use crate::system::{
    booking_client_of, cancel, catalog_client_of, confirm, get, reserve, show, start_worker_with,
};
use crate::{eventually, scrape};

/// The shortest hold: the sale waits for one to end.
const HOLD: &str = "10s";
/// The end of a hold, and of what a busy machine makes of it.
const EXPIRED_MAX: Duration = Duration::from_secs(60);
const SEATS: i32 = 20;

/// The four services with their metrics. The processes come first, so that they are gone before the
/// database is dropped.
#[derive(Debug)]
pub struct Metered {
    /// booking-svc, whose bookings are paid by `provider` or not at all.
    pub booking: Process,
    /// The expiry-worker.
    pub worker: Process,
    /// catalog-svc.
    pub catalog: Process,
    /// payment-sim.
    pub provider: Process,
    /// Where each binary serves its metrics.
    pub metrics: [(&'static str, SocketAddr); 4],
    /// Their database.
    pub database: TestDatabase,
}

impl Metered {
    /// Starts them on a new database.
    ///
    /// # Panics
    ///
    /// If one of them does not serve.
    pub async fn start() -> Self {
        let metrics = ["booking-svc", "expiry-worker", "catalog-svc", "payment-sim"]
            .map(|name| (name, free_address()));
        let [on_booking, on_worker, on_catalog, on_provider] =
            metrics.map(|(_, address)| address.to_string());
        let database = postgres::database().await;
        let provider = Process::start("payment-sim", &["--metrics-listen", &on_provider]).await;
        let url = database.url("catalog_svc");
        let arguments = ["--database-url", &url, "--metrics-listen", &on_catalog];
        let catalog = Process::start("catalog-svc", &arguments).await;
        let arguments = [
            "--database-url",
            &database.url("booking_svc"),
            "--catalog-url",
            &catalog.internal_url(),
            "--payment-provider",
            &provider.url(),
            "--confirm-unpaid",
            "true",
            "--hold",
            HOLD,
            "--metrics-listen",
            &on_booking,
        ];
        let booking = Process::start("booking-svc", &arguments).await;
        let arguments = ["--metrics-listen", &on_worker[..]];
        let worker = start_worker_with(&database, &arguments).await;
        Self {
            booking,
            worker,
            catalog,
            provider,
            metrics,
            database,
        }
    }

    /// Sells a few seats: reserves, confirms, payments that are taken, declined and given back, a
    /// cancellation, a refusal, a method that is not there, and a hold that nobody confirms. Returns
    /// when all has come to its end.
    ///
    /// # Panics
    ///
    /// If something of it does not go as it should.
    pub async fn sale(&self) {
        let created = catalog_client_of(&self.catalog)
            .create_show(show(SEATS))
            .await;
        let created = created.expect("a show").into_inner().show;
        let show = created.expect("the answer has the show").show_id;
        let mut client = booking_client_of(&self.booking);

        // An error by the conventions, and a call that its caller has spoiled.
        let raw = Raw::connect(self.catalog.address()).await;
        let raw = raw.expect("a connection");
        let unknown = raw
            .call("/ticketing.catalog.v1.CatalogService/Nothing", b"")
            .await;
        unknown.expect("an answer");

        let lapses = reserve(&mut client, &show, &["A-1", "A-2"], "late").await;
        let lapses = lapses.expect("free seats").booking_id;
        let taken = reserve(&mut client, &show, &["A-2", "A-3"], "second").await;
        taken.expect_err("the seat is taken");
        let cancelled = reserve(&mut client, &show, &["A-4"], "undecided").await;
        let cancelled = cancelled.expect("a free seat").booking_id;
        cancel(&mut client, &cancelled).await.expect("it is a hold");
        for seat in ["A-5", "A-6", "A-7"] {
            let held = reserve(&mut client, &show, &[seat], "ann").await;
            let held = held.expect("a free seat").booking_id;
            confirm(&mut client, &held).await.expect("it is a hold");
        }
        for (seat, token) in [("A-8", "approve"), ("A-9", "decline")] {
            let held = reserve(&mut client, &show, &[seat], "bob").await;
            let held = held.expect("a free seat").booking_id;
            let request = ConfirmBookingRequest {
                booking_id: held.clone(),
                payment_token: token.to_owned(),
                request_id: Uuid::new_v4().to_string(),
                ..Default::default()
            };
            let paid = client.confirm_booking(request).await;
            assert_eq!(paid.is_ok(), token == "approve", "{paid:?}");
            // What was paid is owed then.
            cancel(&mut client, &held).await.expect("it has not ended");
        }
        eventually(
            EXPIRED_MAX,
            "the hold ends, and the refund is made",
            async || {
                let ended = get(&mut client, &lapses).await.expect("a booking");
                let page = self.scrape("booking-svc").await;
                ended.state() == BookingState::Failed
                    && scrape::sum(&page, "ticketing_refunds_total{outcome=\"refunded\"}") > 0.0
                    && scrape::sum(
                        &self.scrape("expiry-worker").await,
                        "ticketing_expired_bookings_total",
                    ) > 0.0
            },
        )
        .await;
    }

    /// The metrics of a binary.
    ///
    /// # Panics
    ///
    /// If they cannot be read.
    pub async fn scrape(&self, binary: &str) -> String {
        let page = scrape::get(self.address(binary), "/metrics").await;
        page.unwrap_or_else(|error| panic!("{binary}: {error:#}"))
    }

    /// Where a binary serves its metrics.
    ///
    /// # Panics
    ///
    /// If there is none of that name.
    #[must_use]
    pub fn address(&self, binary: &str) -> SocketAddr {
        let found = self.metrics.iter().find(|(name, _)| *name == binary);
        found.expect("one of the four").1
    }
}
