//! The fixtures of the tests.

use proto::money::v1::Money;
use proto::payment::v1 as pb;
use proto::payment::v1::payment_provider_client::PaymentProviderClient;
use test_harness::process::Process;
use tonic::transport::Channel;
use uuid::Uuid;

pub(crate) type Client = PaymentProviderClient<Channel>;

/// A provider that forgets, and a client of it.
pub(crate) async fn a_provider(arguments: &[&str]) -> (Process, Client) {
    let process = Process::start("payment-sim", arguments).await;
    let client = PaymentProviderClient::connect(process.url()).await;
    (process, client.expect("a connection"))
}

pub(crate) fn a_key() -> String {
    Uuid::now_v7().to_string()
}

pub(crate) fn euros(minor_units: i64) -> Option<Money> {
    Some(Money {
        minor_units,
        currency_code: "EUR".to_owned(),
    })
}

pub(crate) fn authorize(key: &str, token: &str, minor_units: i64) -> pb::AuthorizeRequest {
    pb::AuthorizeRequest {
        payment_key: key.to_owned(),
        payment_token: token.to_owned(),
        amount: euros(minor_units),
    }
}

pub(crate) fn capture(key: &str, minor_units: i64) -> pb::CaptureRequest {
    pb::CaptureRequest {
        payment_key: key.to_owned(),
        amount: euros(minor_units),
    }
}

pub(crate) fn refund(key: &str, refund_key: &str, minor_units: i64) -> pb::RefundRequest {
    pb::RefundRequest {
        payment_key: key.to_owned(),
        refund_key: refund_key.to_owned(),
        amount: euros(minor_units),
    }
}

/// A payment of 100 that was captured; its key.
pub(crate) async fn a_captured_payment(client: &mut Client) -> String {
    let key = a_key();
    client
        .authorize(authorize(&key, "approve", 100))
        .await
        .expect("approved");
    client.capture(capture(&key, 100)).await.expect("captured");
    key
}
