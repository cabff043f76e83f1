//! PaymentProvider: each handler parses, acts and replies; the token determines the reply.

mod convert;
mod error;
mod parse;

use std::time::Duration;

use proto::payment::v1 as pb;
use proto::payment::v1::payment_provider_server::PaymentProvider;
use service_kit::{ApiError, paging};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::ledger::{Refusal, Token};
use crate::ledger_store::{Done, LedgerStore, now};

/// The query of every ListPayments: it has no arguments that a page token could be bound to.
const ALL_PAYMENTS: i64 = 0;

/// The service.
#[derive(Debug, Clone)]
pub struct Provider {
    ledger_store: LedgerStore,
    /// A caller whose answer is withheld waits until this is cancelled.
    stopping: CancellationToken,
}

impl Provider {
    /// A provider that serves these books until it is stopped.
    #[must_use]
    pub fn new(ledger_store: LedgerStore, stopping: CancellationToken) -> Self {
        Self {
            ledger_store,
            stopping,
        }
    }

    async fn handle_authorize(
        &self,
        request: pb::AuthorizeRequest,
    ) -> Result<pb::Payment, ApiError> {
        let (key, asked) = parse::authorize(&request)?;
        let authorize = self
            .ledger_store
            .change(key, move |ledger, now| ledger.authorize(key, asked, now));
        let done = authorize.await?;
        if let (true, Token::Slow(_)) = (done.is_first, asked.token) {
            return self.after_thinking(done).await;
        }
        self.answer(done).await
    }

    async fn handle_capture(&self, request: pb::CaptureRequest) -> Result<pb::Payment, ApiError> {
        let (key, amount) = parse::capture(&request)?;
        let capture = self
            .ledger_store
            .change(key, move |ledger, now| ledger.capture(key, amount, now));
        self.answer(capture.await?).await
    }

    async fn handle_void(&self, request: pb::VoidRequest) -> Result<pb::Payment, ApiError> {
        let key = parse::payment_key(&request.payment_key)?;
        let void = self
            .ledger_store
            .change(key, move |ledger, now| ledger.void(key, now));
        self.answer(void.await?).await
    }

    async fn handle_refund(
        &self,
        request: pb::RefundRequest,
    ) -> Result<pb::RefundResponse, ApiError> {
        let (key, refund_key, amount) = parse::refund(&request)?;
        let refund = self
            .ledger_store
            .change(key, move |ledger, _| ledger.refund(key, refund_key, amount));
        let done = refund.await?;
        let refund = convert::refund(refund_key, amount, &done);
        Ok(pb::RefundResponse {
            payment: Some(self.answer(done).await?),
            refund: Some(refund),
        })
    }

    async fn handle_get_payment(
        &self,
        request: &pb::GetPaymentRequest,
    ) -> Result<pb::Payment, ApiError> {
        let key = parse::payment_key(&request.payment_key)?;
        let payment = self
            .ledger_store
            .get(key)
            .await
            .ok_or(Refusal::NotFound(key))?;
        Ok(convert::payment(&payment, now()))
    }

    async fn handle_list_payments(
        &self,
        request: &pb::ListPaymentsRequest,
    ) -> Result<pb::ListPaymentsResponse, ApiError> {
        let count = usize::from(paging::page_size(request.page_size)?);
        let place = paging::cursor(ALL_PAYMENTS, &request.page_token, |text| text.parse().ok())?;
        let place = place.unwrap_or(0);
        let (payments, is_more) = self.ledger_store.list(place, count).await;
        let now = now();
        Ok(pb::ListPaymentsResponse {
            next_page_token: if is_more {
                let next = place + payments.len();
                paging::page_token(ALL_PAYMENTS, &next.to_string())
            } else {
                String::new()
            },
            payments: payments
                .iter()
                .map(|payment| convert::payment(payment, now))
                .collect(),
        })
    }

    /// The answer that the token of a payment lets through.
    async fn answer(&self, done: Done) -> Result<pb::Payment, ApiError> {
        let token = done.payment.asked.map(|asked| asked.token);
        match token.filter(|_| done.is_first) {
            Some(Token::LostAnswer) => Err(error::answer_lost()),
            Some(Token::Timeout) => {
                self.stopping.cancelled().await;
                Err(ApiError::shutting_down())
            }
            _ => Ok(convert::payment(&done.payment, now())),
        }
    }

    /// The answer to a payment that is decided later: as it stands then.
    async fn after_thinking(&self, done: Done) -> Result<pb::Payment, ApiError> {
        let wait = done.payment.due_at().saturating_sub(now());
        let wait = Duration::from_millis(wait.try_into().unwrap_or(0));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.stopping.cancelled() => return Err(ApiError::shutting_down()),
        }
        let key = done.payment.key;
        let payment = self
            .ledger_store
            .get(key)
            .await
            .ok_or(Refusal::NotFound(key))?;
        Ok(convert::payment(&payment, now().max(done.payment.due_at())))
    }
}

#[tonic::async_trait]
impl PaymentProvider for Provider {
    async fn authorize(
        &self,
        request: Request<pb::AuthorizeRequest>,
    ) -> Result<Response<pb::AuthorizeResponse>, Status> {
        let payment = Some(self.handle_authorize(request.into_inner()).await?);
        Ok(Response::new(pb::AuthorizeResponse { payment }))
    }

    async fn capture(
        &self,
        request: Request<pb::CaptureRequest>,
    ) -> Result<Response<pb::CaptureResponse>, Status> {
        let payment = Some(self.handle_capture(request.into_inner()).await?);
        Ok(Response::new(pb::CaptureResponse { payment }))
    }

    async fn void(
        &self,
        request: Request<pb::VoidRequest>,
    ) -> Result<Response<pb::VoidResponse>, Status> {
        let payment = Some(self.handle_void(request.into_inner()).await?);
        Ok(Response::new(pb::VoidResponse { payment }))
    }

    async fn refund(
        &self,
        request: Request<pb::RefundRequest>,
    ) -> Result<Response<pb::RefundResponse>, Status> {
        Ok(Response::new(
            self.handle_refund(request.into_inner()).await?,
        ))
    }

    async fn get_payment(
        &self,
        request: Request<pb::GetPaymentRequest>,
    ) -> Result<Response<pb::GetPaymentResponse>, Status> {
        let payment = Some(self.handle_get_payment(request.get_ref()).await?);
        Ok(Response::new(pb::GetPaymentResponse { payment }))
    }

    async fn list_payments(
        &self,
        request: Request<pb::ListPaymentsRequest>,
    ) -> Result<Response<pb::ListPaymentsResponse>, Status> {
        Ok(Response::new(
            self.handle_list_payments(request.get_ref()).await?,
        ))
    }
}
