//! Turning a hold into a sale.

use std::sync::Arc;

use tokio::time::Instant;
use uuid::Uuid;

use super::{BookingCommands, BookingView, Change, CommandError};
use crate::domain::{Command, Order, Rejection};
use crate::payments::PaymentToken;
use crate::store::OrderError;

/// How a booking is paid.
#[derive(Debug, Clone, PartialEq)]
pub enum Paid {
    /// Outside Ticketing, or not at all; with the reference of that payment.
    Elsewhere(Option<String>),
    /// Here, by this token.
    Here(PaymentToken),
}

impl BookingCommands {
    /// Turns a hold into a sale, once it is paid. That is refused while the copy of the catalog is
    /// too old, as the show may have been cancelled; a payment that has begun by then is finished.
    ///
    /// # Errors
    ///
    /// Why it was not confirmed.
    pub async fn confirm(
        &self,
        change: Change,
        paid: Paid,
        deadline: Instant,
    ) -> Result<BookingView, CommandError> {
        let Change {
            booking_id,
            version,
            ..
        } = change;
        let sellable_until = self.sales.sellable_until(booking_id.show())?;
        let command = match paid {
            Paid::Here(token) => return self.pay(change, token, deadline).await,
            Paid::Elsewhere(payment_reference) if self.paying.unpaid => Command::Confirm {
                booking_id,
                version,
                payment_reference,
            },
            Paid::Elsewhere(None) => Command::Pay {
                booking_id,
                version,
                attempt: None,
            },
            Paid::Elsewhere(Some(_)) => {
                let rejection = Rejection::PaymentRequired(Some(booking_id));
                return Err(CommandError::Rejected(rejection));
            }
        };
        let decided_by = deadline.min(sellable_until);
        match self.change(&change, command, decided_by).await {
            Err(CommandError::Undecided(OrderError::DeadlineExceeded)) if decided_by < deadline => {
                Err(CommandError::Undecided(OrderError::Contention))
            }
            decided => decided,
        }
    }

    async fn pay(
        &self,
        change: Change,
        token: PaymentToken,
        deadline: Instant,
    ) -> Result<BookingView, CommandError> {
        let payments = self.paying.payments.as_ref();
        let payments = payments.ok_or(CommandError::PaymentNotOffered)?;
        // The sale is looked up before the write, so that the reply cannot fail after it.
        self.sale_of(change.booking_id).await?;
        let request_id = change.request_id.unwrap_or_else(Uuid::now_v7);
        let show_id = change.booking_id.show();
        let order = Order {
            show_id,
            request_id,
            repeatable: change.request_id.is_some(),
            fingerprint: change.fingerprint,
            requester: Arc::clone(&change.requester),
            command: Command::Pay {
                booking_id: change.booking_id,
                version: change.version,
                attempt: Some(payments.new_attempt(show_id, request_id)),
            },
        };
        let booking = payments.pay(order, token, deadline).await?;
        self.note_end(&booking);
        let sale = self.sales.of(&booking).await?;
        Ok(BookingView { booking, sale })
    }
}
