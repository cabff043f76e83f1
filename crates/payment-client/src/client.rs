//! The four verbs, and the question how a payment stands.

use std::time::Duration;

use model::Amount;
use proto::money::v1::Money;
use proto::payment::v1 as pb;
use proto::payment::v1::payment_provider_client::PaymentProviderClient;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};

use crate::ask::Question;
use crate::read;
use crate::values::{
    Attempt, PaymentOutcome, PaymentToken, RefundKey, RefundOutcome, UnresolvedReason, Unsettled,
};

/// An answer has a few hundred bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// A client of a payment provider. Connects on demand, and again if the connection is lost.
///
/// Each command repeats a call without an answer, with the same key and with growing
/// pauses, up to `deadline`. If the outcome is still unknown then, it is unresolved.
#[derive(Debug, Clone)]
pub struct PaymentClient {
    client: PaymentProviderClient<Channel>,
    answer_max: Duration,
}

impl PaymentClient {
    /// A client of the provider at `endpoint`, which waits for one answer no longer than
    /// `answer_max` before it asks again.
    #[must_use]
    pub fn new(endpoint: Endpoint, answer_max: Duration) -> Self {
        let channel = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_while_idle(true)
            .connect_lazy();
        let client = PaymentProviderClient::new(channel);
        Self {
            client: client.max_decoding_message_size(ANSWER_BYTES_MAX),
            answer_max,
        }
    }

    /// Makes the provider hold the money. A new attempt ends as Approved or Declined; Captured and
    /// Voided are possible for one that has continued since.
    ///
    /// # Errors
    ///
    /// If it is refused (INVALID_ARGUMENT: mostly the token) or unresolved.
    pub async fn authorize(
        &self,
        attempt: &Attempt,
        token: &PaymentToken,
        deadline: Instant,
    ) -> Result<PaymentOutcome, Unsettled> {
        let request = pb::AuthorizeRequest {
            payment_key: attempt.key.to_string(),
            payment_token: token.as_str().to_owned(),
            amount: Some(money(attempt.amount)),
        };
        let call = |time| {
            let (mut client, request) = (self.client.clone(), within(time, request.clone()));
            async move { client.authorize(request).await }
        };
        let mut question = self.question("authorize", attempt, deadline);
        question.token = Some(token);
        question
            .ask(call, |answer| {
                read::standing(attempt, answer.get_ref().payment.as_ref())
            })
            .await
    }

    /// Has the provider take the money that it holds. Captured, or else nothing was taken.
    ///
    /// # Errors
    ///
    /// If it is refused or unresolved.
    pub async fn capture(
        &self,
        attempt: &Attempt,
        deadline: Instant,
    ) -> Result<PaymentOutcome, Unsettled> {
        let request = pb::CaptureRequest {
            payment_key: attempt.key.to_string(),
            amount: Some(money(attempt.amount)),
        };
        let call = |time| {
            let (mut client, request) = (self.client.clone(), within(time, request.clone()));
            async move { client.capture(request).await }
        };
        self.question("capture", attempt, deadline)
            .ask(call, |answer| {
                read::captured(attempt, answer.get_ref().payment.as_ref())
            })
            .await
    }

    /// Makes sure that no money is or will be held: Voided or Declined. Captured: it was
    /// taken before, and must be refunded.
    ///
    /// # Errors
    ///
    /// If it is refused or unresolved.
    pub async fn void(
        &self,
        attempt: &Attempt,
        deadline: Instant,
    ) -> Result<PaymentOutcome, Unsettled> {
        let request = pb::VoidRequest {
            payment_key: attempt.key.to_string(),
        };
        let call = |time| {
            let (mut client, request) = (self.client.clone(), within(time, request.clone()));
            async move { client.void(request).await }
        };
        self.question("void", attempt, deadline)
            .ask(call, |answer| {
                read::voided(attempt, answer.get_ref().payment.as_ref())
            })
            .await
    }

    /// Refunds a part of a captured payment, or all of it.
    ///
    /// # Errors
    ///
    /// If it is refused (FAILED_PRECONDITION: so much is not left) or unresolved.
    pub async fn refund(
        &self,
        attempt: &Attempt,
        key: RefundKey,
        amount: Amount,
        deadline: Instant,
    ) -> Result<RefundOutcome, Unsettled> {
        let request = pb::RefundRequest {
            payment_key: attempt.key.to_string(),
            refund_key: key.to_string(),
            amount: Some(money(amount)),
        };
        let call = |time| {
            let (mut client, request) = (self.client.clone(), within(time, request.clone()));
            async move { client.refund(request).await }
        };
        self.question("refund", attempt, deadline)
            .ask(call, |answer| {
                read::refunded(attempt, key, amount, answer.get_ref())
            })
            .await
    }

    /// Asks how a payment stands, and changes nothing.
    ///
    /// # Errors
    ///
    /// If that is refused or unresolved; [`UnresolvedReason::NotArrived`] if the provider has not seen it,
    /// which [`void`](Self::void) settles.
    pub async fn standing(
        &self,
        attempt: &Attempt,
        deadline: Instant,
    ) -> Result<PaymentOutcome, Unsettled> {
        let request = pb::GetPaymentRequest {
            payment_key: attempt.key.to_string(),
        };
        let call = |time| {
            let (mut client, request) = (self.client.clone(), within(time, request.clone()));
            async move { client.get_payment(request).await }
        };
        let question = self.question("standing", attempt, deadline);
        let asking = question.ask(call, |answer| {
            read::standing(attempt, answer.get_ref().payment.as_ref())
        });
        asking.await.map_err(|unsettled| match unsettled {
            Unsettled::Refused {
                code: Code::NotFound,
                ..
            } => Unsettled::Unresolved(UnresolvedReason::NotArrived),
            other => other,
        })
    }

    fn question<'a>(
        &self,
        verb: &'static str,
        attempt: &'a Attempt,
        deadline: Instant,
    ) -> Question<'a> {
        Question {
            verb,
            attempt,
            token: None,
            answer_max: self.answer_max,
            deadline,
        }
    }
}

/// Sends the provider our deadline, so that it does not work in vain.
fn within<T>(time: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(time);
    request
}

fn money(amount: Amount) -> Money {
    Money {
        minor_units: amount.minor_units(),
        currency_code: amount.currency().to_string(),
    }
}
