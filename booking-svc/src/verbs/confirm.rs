//! Turning a hold into a sale.

use tokio::time::Instant;

use super::{Booked, Change, VerbError, Verbs};
use crate::domain::Command;

impl Verbs {
    /// Turns a hold into a sale. `payment_reference` is what the money is known by that was
    /// taken elsewhere.
    ///
    /// # Errors
    ///
    /// Why it was not.
    pub async fn confirm(
        &self,
        change: Change,
        payment_reference: Option<String>,
        deadline: Instant,
    ) -> Result<Booked, VerbError> {
        let command = Command::Confirm {
            booking_id: change.booking_id,
            version: change.version,
            payment_reference,
        };
        self.change(&change, command, deadline).await
    }
}
