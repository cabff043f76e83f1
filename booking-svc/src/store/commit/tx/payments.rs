//! The writes of a batch about payments.

use time::OffsetDateTime;
use tokio_postgres::Client;

use super::Statements;
use crate::domain::{AttemptEnd, PaymentState, PaymentWrites};
use crate::store::rows::column;

/// Writes attempts that begin or have ended, and refunds that become due. Most batches have none.
pub(super) async fn write(
    client: &Client,
    statements: &Statements,
    payments: &PaymentWrites,
    now: OffsetDateTime,
) -> Result<(), tokio_postgres::Error> {
    if payments.is_empty() {
        return Ok(());
    }
    let PaymentWrites {
        started,
        settled,
        refunds,
    } = payments;
    let written = client
        .execute(
            &statements.payments,
            &[
                &column(started, |payment| payment.booking_id.show().uuid()),
                &column(started, |payment| payment.key),
                &column(started, |payment| payment.booking_id.uuid()),
                &column(started, |payment| payment.amount),
                &column(started, |payment| payment.currency.as_str()),
                &column(started, |payment| payment.deadline_at),
                &column(settled, |payment| payment.booking_id.show().uuid()),
                &column(settled, |payment| payment.key),
                &column(settled, |payment| {
                    match payment.ending {
                        AttemptEnd::Taken => PaymentState::Captured,
                        AttemptEnd::NotTaken(_) => PaymentState::Declined,
                    }
                    .as_str()
                }),
                &column(settled, |payment| match payment.ending {
                    AttemptEnd::Taken => None,
                    AttemptEnd::NotTaken(reason) => Some(reason.as_str()),
                }),
                &column(refunds, |refund| refund.booking_id.show().uuid()),
                &column(refunds, |refund| refund.payment_key),
                &column(refunds, |refund| refund.key),
                &column(refunds, |refund| refund.booking_id.uuid()),
                &column(refunds, |refund| refund.amount),
                &now,
            ],
        )
        .await;
    written.map(drop)
}
