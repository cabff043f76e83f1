//! A booking-svc that charges through the real simulated provider, with access to the
//! provider's books.

use std::collections::HashMap;
use std::time::Duration;

use proto::booking::v1::list_booking_events_request::Of;
use proto::booking::v1::{
    Booking, BookingVerb, ConfirmBookingRequest, ListBookingEventsRequest, PaymentState,
};
use proto::money::v1::Money;
use proto::payment::v1::payment_provider_client::PaymentProviderClient;
use proto::payment::v1::{self as provider, ListPaymentsRequest};
use test_harness::errors::describe;
use test_harness::process::Process;
use test_harness::{eventually_some, invariants};
use tonic::Status;
use uuid::Uuid;

use crate::stage::{Bookings, Stage, assert_quiet};

/// A payment's own deadline, which most here are far from.
pub(crate) const TIMEOUT: &str = "10s";
/// How long background settling may take on a busy machine.
pub(crate) const SETTLED_MAX: Duration = Duration::from_secs(40);

/// A stage with a provider, and a booking-svc that uses it.
pub(crate) struct Till {
    /// All else.
    pub(crate) stage: Stage,
    /// The provider.
    pub(crate) provider: Process,
    /// The booking-svc.
    pub(crate) booking: Process,
    /// Its client.
    pub(crate) client: Bookings,
    _state: tempfile::TempDir,
}

impl Till {
    /// Starts all of it.
    pub(crate) async fn open() -> Self {
        Self::with(&["--payment-timeout", TIMEOUT]).await
    }

    /// The same with other arguments for booking-svc.
    pub(crate) async fn with(arguments: &[&str]) -> Self {
        Self::on(Stage::start().await, arguments).await
    }

    /// The same on a stage that already runs.
    pub(crate) async fn on(stage: Stage, arguments: &[&str]) -> Self {
        let state = tempfile::tempdir().expect("a folder");
        let file = state.path().join("ledger");
        let file = file.to_str().expect("a path of text");
        let provider = Process::start("payment-sim", &["--state", file]).await;
        let url = provider.url();
        let mut all = vec!["--payment-provider", &url];
        all.extend(arguments);
        let (booking, client) = stage.another_with(&all).await;
        Self {
            stage,
            provider,
            booking,
            client,
            _state: state,
        }
    }

    /// Confirms with a token.
    pub(crate) async fn pay(&self, booking: &str, token: &str) -> Result<Booking, Status> {
        self.send(paying(booking, token)).await
    }

    /// Confirms.
    pub(crate) async fn send(&self, request: ConfirmBookingRequest) -> Result<Booking, Status> {
        let response = self.client.clone().confirm_booking(request).await?;
        Ok(response.into_inner().booking.expect("set"))
    }

    /// Waits until a booking's payment is in a state; the booking.
    pub(crate) async fn settled(&self, booking: &str, wanted: PaymentState) -> Booking {
        let what = format!("the payment is {wanted:?}");
        eventually_some(SETTLED_MAX, &what, async || {
            let found = self.stage.get(booking).await;
            (state(&found) == wanted).then_some(found)
        })
        .await
    }

    /// The commands in a booking's log.
    pub(crate) async fn commands(&self, booking: &str) -> Vec<BookingVerb> {
        let request = ListBookingEventsRequest {
            of: Some(Of::BookingId(booking.to_owned())),
            ..Default::default()
        };
        let page = self.client.clone().list_booking_events(request).await;
        let events = page.expect("a page").into_inner().events;
        events.iter().map(|event| event.verb()).collect()
    }

    /// Waits until an attempt is recorded as started.
    pub(crate) async fn started(&self) {
        let started = "SELECT count(*) FROM booking.payments WHERE state = 'STARTED'";
        test_harness::eventually(SETTLED_MAX, "a payment has started", async || {
            self.stage.count(started).await > 0
        })
        .await;
    }

    /// The provider's payments by key: the state, and the amount taken and not refunded.
    pub(crate) async fn books(&self) -> HashMap<String, (provider::PaymentState, i64)> {
        books_of(&self.provider).await
    }

    /// The provider's only payment.
    pub(crate) async fn only(&self) -> (provider::PaymentState, i64) {
        let books = self.books().await;
        assert_eq!(books.len(), 1, "{books:?}");
        books.into_values().next().expect("one")
    }

    /// Asserts that the data is sound, that money and tickets agree, and that the service has
    /// met no fault.
    pub(crate) async fn assert_sound(&mut self) {
        invariants::assert_hold(&self.stage.system.database).await;
        assert_quiet(&mut self.booking);
    }
}

/// The request that confirms with a token, under a new id.
pub(crate) fn paying(booking: &str, token: &str) -> ConfirmBookingRequest {
    ConfirmBookingRequest {
        booking_id: booking.to_owned(),
        payment_token: token.to_owned(),
        request_id: Uuid::new_v4().to_string(),
        ..Default::default()
    }
}

/// Where a booking's payment is.
pub(crate) fn state(booking: &Booking) -> PaymentState {
    let payment = booking.payment.as_ref();
    payment.map_or(PaymentState::Unspecified, |payment| payment.state())
}

/// The booking of a call that must not have been rejected.
pub(crate) fn granted(outcome: Result<Booking, Status>) -> Booking {
    outcome.unwrap_or_else(|status| panic!("{}", describe(&status)))
}

async fn books_of(provider: &Process) -> HashMap<String, (provider::PaymentState, i64)> {
    let client = PaymentProviderClient::connect(provider.url()).await;
    let mut client = client.expect("a connection");
    let units = |money: &Option<Money>| money.as_ref().map_or(0, |money| money.minor_units);
    let mut books = HashMap::new();
    let mut request = ListPaymentsRequest {
        page_size: 1_000,
        ..Default::default()
    };
    loop {
        let page = client.list_payments(request.clone()).await.expect("a page");
        let page = page.into_inner();
        books.extend(page.payments.into_iter().map(|payment| {
            let kept = units(&payment.captured_amount) - units(&payment.refunded_amount);
            let state = payment.state();
            (payment.payment_key, (state, kept))
        }));
        if page.next_page_token.is_empty() {
            return books;
        }
        request.page_token = page.next_page_token;
    }
}
