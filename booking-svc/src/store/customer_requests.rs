//! The first result of every mutation of a customer that came with a request id, in
//! `booking.customer_requests`, for a day ([`super::sweep`]).
//!
//! A call inserts its row first of all. A replay then waits at that unique key until the first call
//! has ended, and finds its result, or no row if the first call has failed.

use deadpool_postgres::Transaction;
use uuid::Uuid;

use super::customers::customer;
use super::customers::{Changed, CustomerError};
use super::rows;
use crate::domain::CustomerRefusal;

/// The most times that a call tries to insert its row, or to read the first call's.
const CLAIM_TRIES_MAX: u32 = 3;

/// A caller's request id, and a hash of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestKey {
    /// The id.
    pub id: Uuid,
    /// Hash of the command and the body.
    pub fingerprint: i64,
}

/// Inserts the request's row, or returns the result of the call that inserted it first.
pub(super) async fn claim(
    transaction: &Transaction<'_>,
    request: RequestKey,
) -> Result<Option<Changed>, CustomerError> {
    let take = transaction
        .prepare_cached(include_str!("sql/claim_customer_request.sql"))
        .await?;
    let read = transaction
        .prepare_cached(include_str!("sql/first_customer_result.sql"))
        .await?;
    for _ in 0..CLAIM_TRIES_MAX {
        let taken = transaction
            .execute(&take, &[&request.id, &request.fingerprint])
            .await?;
        if taken == 1 {
            return Ok(None);
        }
        // The insert waited for the row's transaction; a new statement sees its result.
        if let Some(first) = transaction.query_opt(&read, &[&request.id]).await? {
            if first.get::<_, i64>(9) != request.fingerprint {
                return Err(CustomerError::Rejected(CustomerRefusal::RequestIdReused));
            }
            let Some(created) = first.get(8) else {
                return Err(fault(request));
            };
            return Ok(Some(Changed {
                customer: customer(&first),
                created,
            }));
        }
        // Between the two statements the row was swept.
    }
    Err(fault(request))
}

/// Stores the result in the row that [`claim`] took.
pub(super) async fn settle(
    transaction: &Transaction<'_>,
    request: RequestKey,
    changed: &Changed,
) -> Result<(), CustomerError> {
    let statement = transaction
        .prepare_cached(include_str!("sql/settle_customer_request.sql"))
        .await?;
    let customer_id = changed.customer.id.uuid();
    let stored = transaction
        .execute(&statement, &[&request.id, &customer_id, &changed.created])
        .await?;
    if stored == 1 {
        Ok(())
    } else {
        Err(fault(request))
    }
}

/// The row is not there as this transaction has left it.
fn fault(request: RequestKey) -> CustomerError {
    CustomerError::Store(rows::bad("result", request.id).into())
}
