//! A kill at each step of a payment. Afterwards, without a retry by the caller: no money without
//! a ticket or a refund, no ticket without money, by the provider's books and by ours.
//!
//! Each step is held from outside: a provider that is down or slow, a stopped process, a locked
//! row. So the killed process is the shipped binary.

use std::collections::HashMap;
use std::time::Duration;

use proto::booking::v1::{
    Booking, BookingState, CancelBookingRequest, ConfirmBookingRequest, PaymentState as OurState,
};
use proto::money::v1::Money;
use proto::payment::v1::payment_provider_client::PaymentProviderClient;
use proto::payment::v1::{ListPaymentsRequest, PaymentState};
use test_harness::errors::reason;
use test_harness::invariants::assert_hold;
use test_harness::process::Process;
use test_harness::system::{System, booking_client_of, get, reserve};
use test_harness::{eventually, eventually_some};
use tokio::task::JoinHandle;
use tonic::Status;
use uuid::Uuid;

/// A payment's own deadline: long enough for a step on a busy machine.
const TIMEOUT: &str = "12s";
const SETTLED_MAX: Duration = Duration::from_secs(60);

/// A system whose booking-svc charges bookings.
struct Till {
    booking: Process,
    provider: Process,
    system: System,
    show: String,
    _state: tempfile::TempDir,
}

type Answer = JoinHandle<Result<Booking, Status>>;

impl Till {
    async fn open() -> Self {
        let mut system = System::start(1).await;
        // It has no provider, and its place is taken by one that has.
        system.booking.kill9().await;
        let state = tempfile::tempdir().expect("a folder");
        let file = state.path().join("ledger");
        let file = file.to_str().expect("a path of text");
        let provider = Process::start("payment-sim", &["--state", file]).await;
        let url = system.database.url("booking_svc");
        let catalog = system.catalog.internal_url();
        let arguments = ["--database-url", &url, "--catalog-url", &catalog];
        let paying = [
            "--payment-provider",
            &provider.url(),
            "--payment-timeout",
            TIMEOUT,
        ];
        let booking = Process::start("booking-svc", &[&arguments[..], &paying].concat()).await;
        let show = system.a_show(2).await;
        Self {
            booking,
            provider,
            system,
            show,
            _state: state,
        }
    }

    async fn hold(&self) -> Booking {
        let mut client = booking_client_of(&self.booking);
        let held = reserve(&mut client, &self.show, &["A-1", "A-2"], "ann").await;
        held.expect("free seats")
    }

    /// Begins to pay; the call is in progress when this returns.
    async fn begin(&self, token: &str) -> (Booking, ConfirmBookingRequest, Answer) {
        let held = self.hold().await;
        let request = ConfirmBookingRequest {
            booking_id: held.booking_id.clone(),
            payment_token: token.to_owned(),
            request_id: Uuid::new_v4().to_string(),
            ..Default::default()
        };
        let answer = tokio::spawn(self.send(request.clone()));
        self.until(
            "the attempt is written down",
            "SELECT true FROM booking.payments",
        )
        .await;
        (held, request, answer)
    }

    fn send(
        &self,
        request: ConfirmBookingRequest,
    ) -> impl Future<Output = Result<Booking, Status>> + use<> {
        let mut client = booking_client_of(&self.booking);
        async move {
            let answer = client.confirm_booking(request).await?.into_inner();
            Ok(answer.booking.expect("set"))
        }
    }

    /// Waits until a query finds something.
    async fn until(&self, what: &str, query: &str) {
        let owner = self.system.database.owner().await;
        eventually(SETTLED_MAX, what, async || {
            owner.query_opt(query, &[]).await.expect("rows").is_some()
        })
        .await;
    }

    /// Waits until the provider has a payment in a state, with `wanted_kept` of it not refunded.
    async fn provider_has(&self, wanted: PaymentState, wanted_kept: i64) {
        let what = format!("the provider has {wanted:?} {wanted_kept}");
        eventually(SETTLED_MAX, &what, async || {
            let books = self.books().await;
            books
                .values()
                .any(|payment| *payment == (wanted, wanted_kept))
        })
        .await;
    }

    /// The provider's payments: the state, and the amount taken and not refunded.
    async fn books(&self) -> HashMap<String, (PaymentState, i64)> {
        let client = PaymentProviderClient::connect(self.provider.url()).await;
        let request = ListPaymentsRequest::default();
        let page = client.expect("a provider").list_payments(request).await;
        let units = |money: &Option<Money>| money.as_ref().map_or(0, |money| money.minor_units);
        let payments = page.expect("a page").into_inner().payments.into_iter();
        payments
            .map(|payment| {
                let kept = units(&payment.captured_amount) - units(&payment.refunded_amount);
                let state = payment.state();
                (payment.payment_key, (state, kept))
            })
            .collect()
    }

    async fn kill(&mut self, answer: Answer) {
        self.booking.kill9().await;
        let answer = answer.await.expect("no panic");
        assert!(answer.is_err(), "{answer:?}");
    }

    /// Starts the killed process, and waits until everything is settled without a retry. Money
    /// and tickets then agree.
    async fn settled(&mut self, booking: &str) -> Booking {
        self.booking.start_again().await;
        let owner = self.system.database.owner().await;
        let left = "SELECT (SELECT count(*) FROM booking.payments WHERE state = 'STARTED') \
                    + (SELECT count(*) FROM booking.refunds WHERE state = 'DUE')";
        eventually(SETTLED_MAX, "all is settled", async || {
            let row = owner.query_one(left, &[]).await.expect("a count");
            row.get::<_, i64>(0) == 0
        })
        .await;
        assert_hold(&self.system.database).await;
        let found = get(&mut booking_client_of(&self.booking), booking).await;
        let found = found.expect("it stays on record");
        let payment = found.payment.as_ref().expect("it was tried");
        let is_sold = found.state() == BookingState::Confirmed;
        let books = self.books().await;
        let (provider_state, kept) = books[&payment.payment_key];
        let total = found.total.as_ref().expect("set").minor_units;
        assert_eq!(
            kept,
            if is_sold { total } else { 0 },
            "{found:?} {provider_state:?}"
        );
        assert_eq!(is_sold, payment.state() == OurState::Captured, "{found:?}");
        assert_eq!(books.len(), 1, "{books:?}");
        found
    }

    /// The final reply to a replay of a call.
    async fn copy(&self, request: &ConfirmBookingRequest) -> Result<Booking, Status> {
        eventually_some(SETTLED_MAX, "an answer", async || {
            let answer = self.send(request.clone()).await;
            let is_open = answer
                .as_ref()
                .is_err_and(|status| status.code() == tonic::Code::Unavailable);
            (!is_open).then_some(answer)
        })
        .await
    }

    async fn declined(&mut self, held: &Booking, request: &ConfirmBookingRequest) {
        let found = self.settled(&held.booking_id).await;
        assert_eq!(found.state(), BookingState::Pending);
        let copy = self.copy(request).await.expect_err("declined");
        assert_eq!(reason(&copy), "PAYMENT_DECLINED");
    }

    async fn confirmed(&mut self, held: &Booking, request: &ConfirmBookingRequest) {
        let found = self.settled(&held.booking_id).await;
        assert_eq!(found.state(), BookingState::Confirmed);
        assert_eq!(self.copy(request).await.expect("confirmed"), found);
    }

    /// Has the money taken, and the service killed before it can write that down.
    async fn taken_and_not_written(&mut self) -> (Booking, ConfirmBookingRequest) {
        let (held, request, answer) = self.begin("slow:3s").await;
        let locking = self.system.database.owner().await;
        let lock = "BEGIN; SELECT FROM booking.bookings FOR UPDATE";
        locking.batch_execute(lock).await.expect("a lock");
        self.provider_has(PaymentState::Captured, 2 * 1250).await;
        self.kill(answer).await;
        locking.batch_execute("ROLLBACK").await.expect("an end");
        (held, request)
    }

    /// Ends the hold, shield and all.
    async fn lapse(&self) {
        let owner = self.system.database.owner().await;
        let lapse = "UPDATE booking.bookings SET expires_at = clock_timestamp() - interval '1 s', \
                     created_at = created_at - interval '1 min'";
        owner.batch_execute(lapse).await.expect("a hold");
        self.until(
            "it has expired",
            "SELECT true FROM booking.bookings WHERE state = 'FAILED'",
        )
        .await;
    }
}

#[tokio::test]
async fn killed_before_the_provider_was_called() {
    let mut till = Till::open().await;
    till.provider.kill9().await;
    let (held, request, answer) = till.begin("approve").await;
    till.kill(answer).await;
    till.provider.start_again().await;
    till.declined(&held, &request).await;
}

#[tokio::test]
async fn killed_while_the_provider_thinks() {
    let mut till = Till::open().await;
    let (held, request, answer) = till.begin("slow:1h").await;
    till.provider_has(PaymentState::Pending, 0).await;
    till.kill(answer).await;
    till.declined(&held, &request).await;
}

#[tokio::test]
async fn killed_between_authorize_and_capture() {
    let mut till = Till::open().await;
    let (held, request, answer) = till.begin("slow:4s").await;
    till.provider_has(PaymentState::Pending, 0).await;
    till.booking.freeze();
    till.provider_has(PaymentState::Approved, 0).await;
    till.kill(answer).await;
    till.declined(&held, &request).await;
}

#[tokio::test]
async fn killed_before_the_capture_was_answered() {
    let mut till = Till::open().await;
    let (held, request, answer) = till.begin("timeout").await;
    till.provider_has(PaymentState::Captured, 2 * 1250).await;
    till.kill(answer).await;
    till.confirmed(&held, &request).await;
}

#[tokio::test]
async fn killed_with_the_money_taken_and_nothing_written() {
    let mut till = Till::open().await;
    let (held, request) = till.taken_and_not_written().await;
    till.confirmed(&held, &request).await;
}

#[tokio::test]
async fn killed_with_the_money_taken_and_the_hold_over_when_it_is_back() {
    let mut till = Till::open().await;
    let (held, request) = till.taken_and_not_written().await;
    till.lapse().await;
    till.confirmed(&held, &request).await;
}

#[tokio::test]
async fn killed_with_the_money_taken_and_the_seats_gone_when_it_is_back() {
    let mut till = Till::open().await;
    let (held, request) = till.taken_and_not_written().await;
    till.lapse().await;
    // The other replica does not settle it meanwhile: it has no provider.
    till.system.booking.start_again().await;
    let mut client = till.system.booking_client();
    let other = reserve(&mut client, &till.show, &["A-2"], "bob").await;
    other.expect("free by then");
    let found = till.settled(&held.booking_id).await;
    assert_eq!(found.state(), BookingState::Failed);
    assert_eq!(found.refund_due, found.total);
    let payment = found.payment.expect("set");
    assert_eq!(payment.state(), OurState::Refunded);
    let copy = till.copy(&request).await.expect_err("too late");
    assert_eq!(reason(&copy), "PAYMENT_TOO_LATE");
}

#[tokio::test]
async fn killed_before_the_confirm_is_answered() {
    let mut till = Till::open().await;
    let (held, request, answer) = till.begin("slow:1s").await;
    // There is no step between the COMMIT and the answer to hold, except the
    // whole process: it is killed as soon as the row changes.
    till.until(
        "it is confirmed",
        "SELECT true FROM booking.bookings WHERE state = 'CONFIRMED'",
    )
    .await;
    till.booking.kill9().await;
    drop(answer);
    till.confirmed(&held, &request).await;
}

#[tokio::test]
async fn the_provider_killed_between_authorize_and_capture() {
    let mut till = Till::open().await;
    let (held, request, answer) = till.begin("slow:4s").await;
    till.provider_has(PaymentState::Pending, 0).await;
    till.booking.freeze();
    till.provider_has(PaymentState::Approved, 0).await;
    till.provider.kill9().await;
    till.booking.go_on();
    till.provider.start_again().await;
    // The waiting caller gets the outcome, late or not; nobody guesses.
    match answer.await.expect("no panic") {
        Ok(booking) => assert_eq!(booking.state(), BookingState::Confirmed),
        Err(status) => {
            let reason = reason(&status);
            let unsold = ["PAYMENT_DECLINED", "PAYMENT_UNAVAILABLE"];
            assert!(unsold.contains(&&*reason), "{reason}");
        }
    }
    till.booking.kill9().await;
    let found = till.settled(&held.booking_id).await;
    let copy = till.copy(&request).await;
    assert_eq!(copy.is_ok(), found.state() == BookingState::Confirmed);
}

#[tokio::test]
async fn killed_with_a_refund_due_or_made_but_not_recorded() {
    for token in ["approve", "timeout"] {
        let mut till = Till::open().await;
        let (held, _, answer) = till.begin(token).await;
        answer.await.expect("no panic").expect("paid");
        if token == "approve" {
            till.provider.kill9().await;
        }
        let request = CancelBookingRequest {
            booking_id: held.booking_id.clone(),
            ..Default::default()
        };
        let cancelled = booking_client_of(&till.booking)
            .cancel_booking(request)
            .await;
        cancelled.expect("live");
        if token == "timeout" {
            // Done, but its caller was not answered.
            till.provider_has(PaymentState::Captured, 0).await;
        }
        till.booking.kill9().await;
        if token == "approve" {
            till.provider.start_again().await;
        }
        let found = till.settled(&held.booking_id).await;
        assert_eq!(found.state(), BookingState::Cancelled);
        let payment = found.payment.expect("set");
        assert_eq!(payment.state(), OurState::Refunded);
    }
}
