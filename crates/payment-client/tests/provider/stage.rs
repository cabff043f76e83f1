//! The fixtures of the tests.

use std::time::Duration;

use model::Amount;
use payment_client::{Attempt, PaymentClient, PaymentKey, PaymentToken};
use proto::payment::v1::payment_provider_client::PaymentProviderClient;
use proto::payment::v1::{ListPaymentsRequest, Payment, PaymentState};
use test_harness::process::Process;
use tokio::time::Instant;
use tonic::transport::Endpoint;
use tonic::{Request, Status};
use uuid::Uuid;

/// Short, so that an answer that never comes costs little.
const ANSWER_MAX: Duration = Duration::from_millis(400);

/// A client that shows the provider no token.
pub(crate) type Client = PaymentClient<fn(Request<()>) -> Result<Request<()>, Status>>;

/// A client that waits for one answer no longer than a moment.
pub(crate) fn client_of(provider: &Process) -> Client {
    let url = Endpoint::from_shared(provider.url()).expect("a URL");
    let channel = payment_client::endpoint(url).connect_lazy();
    PaymentClient::new(move || channel.clone(), Ok, ANSWER_MAX)
}

/// Time enough on a busy machine.
pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

pub(crate) fn euros(minor_units: i64) -> Amount {
    Amount::new(minor_units, "EUR".parse().expect("a currency")).expect("an amount")
}

pub(crate) fn an_attempt() -> Attempt {
    Attempt {
        key: PaymentKey(Uuid::now_v7()),
        amount: euros(12_50),
    }
}

pub(crate) fn token(text: &str) -> PaymentToken {
    PaymentToken::try_from(text.to_owned()).expect("a token")
}

/// Every payment that the provider has, by its own report.
pub(crate) async fn books_of(provider: &Process) -> Vec<Payment> {
    let client = PaymentProviderClient::connect(provider.url()).await;
    let mut client = client.expect("a connection");
    let mut payments = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListPaymentsRequest {
            page_size: 1_000,
            page_token,
        };
        let page = client
            .list_payments(request)
            .await
            .expect("a page")
            .into_inner();
        payments.extend(page.payments);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return payments;
        }
    }
}

/// The provider's only payment: its state, and the amount taken and not refunded.
pub(crate) async fn only_payment_of(provider: &Process) -> (PaymentState, i64) {
    let books = books_of(provider).await;
    let [payment] = books.as_slice() else {
        panic!("not one payment: {books:?}");
    };
    (payment.state(), kept(payment))
}

/// The amount of a payment that was taken and not refunded.
pub(crate) fn kept(payment: &Payment) -> i64 {
    let units = |money: &Option<_>| {
        let money: &Option<proto::money::v1::Money> = money;
        money.as_ref().map_or(0, |money| money.minor_units)
    };
    units(&payment.captured_amount) - units(&payment.refunded_amount)
}
