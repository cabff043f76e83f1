//! The four verbs, and the question how a payment stands.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use model::Amount;
use proto::money::v1::Money;
use proto::payment::v1 as pb;
use proto::payment::v1::payment_provider_client::PaymentProviderClient;
use tokio::time::Instant;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
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

/// `endpoint`, with the time that a connection to a provider may take, and asked whether it is there.
#[must_use]
pub fn endpoint(endpoint: Endpoint) -> Endpoint {
    endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_while_idle(true)
}

/// A client of a payment provider.
///
/// Each verb asks again, with the same key, after a call that brought no answer, with growing
/// pauses up to `deadline`. What is not settled by then is unresolved.
#[derive(Clone)]
pub struct PaymentClient<I> {
    channel: Arc<dyn Fn() -> Channel + Send + Sync>,
    interceptor: I,
    answer_max: Duration,
}

impl<I: Interceptor + Clone + Send + Sync> PaymentClient<I> {
    /// A client of the provider that `channel` leads to. It waits for one answer no longer than
    /// `answer_max` before it asks again. `interceptor` sees each call before it is sent, as one
    /// that adds a token.
    ///
    /// Each verb asks `channel` anew, as certificates may have changed. It gives a lazy channel to
    /// an [`endpoint`].
    #[must_use]
    pub fn new(
        channel: impl Fn() -> Channel + Send + Sync + 'static,
        interceptor: I,
        answer_max: Duration,
    ) -> Self {
        Self {
            channel: Arc::new(channel),
            interceptor,
            answer_max,
        }
    }

    fn provider(&self) -> PaymentProviderClient<InterceptedService<Channel, I>> {
        let interceptor = self.interceptor.clone();
        let client = PaymentProviderClient::with_interceptor((self.channel)(), interceptor);
        client.max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// Has the provider hold the money. Approved and Declined are what can come of a new
    /// attempt; Captured and Voided of one that has gone on since.
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
            let (mut client, request) = (self.provider(), within(time, request.clone()));
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
            let (mut client, request) = (self.provider(), within(time, request.clone()));
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
            let (mut client, request) = (self.provider(), within(time, request.clone()));
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
            let (mut client, request) = (self.provider(), within(time, request.clone()));
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
            let (mut client, request) = (self.provider(), within(time, request.clone()));
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

impl<I> fmt::Debug for PaymentClient<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentClient")
            .field("answer_max", &self.answer_max)
            .finish_non_exhaustive()
    }
}

/// The provider is told how long we wait, so that it need not work on in vain.
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
