//! Giving a booking up, or a part of it.

use tokio::time::Instant;

use super::{Booked, Change, VerbError, Verbs};
use crate::domain::Command;

impl Verbs {
    /// Gives a booking up, or the seats of these labels; they are free. No labels: all of it.
    ///
    /// # Errors
    ///
    /// Why it was not.
    pub async fn cancel(
        &self,
        change: Change,
        labels: Vec<String>,
        deadline: Instant,
    ) -> Result<Booked, VerbError> {
        let Change {
            booking_id,
            version,
            ..
        } = change;
        let command = if labels.is_empty() {
            Command::Cancel {
                booking_id,
                version,
            }
        } else {
            Command::Release {
                booking_id,
                version,
                sale: self.sale_of(booking_id).await?,
                labels,
            }
        };
        self.change(&change, command, deadline).await
    }
}
