//! Giving a booking up, or a part of it.

use tokio::time::Instant;

use super::{Booked, Change, VerbError, Verbs};
use crate::domain::{Command, Places};

impl Verbs {
    /// Gives a booking up, or the seats of these labels and so many places; they are free. None of
    /// either: all of it.
    ///
    /// # Errors
    ///
    /// Why it was not.
    pub async fn cancel(
        &self,
        change: Change,
        (labels, places): (Vec<String>, Vec<Places>),
        deadline: Instant,
    ) -> Result<Booked, VerbError> {
        let Change {
            booking_id,
            version,
            ..
        } = change;
        let command = if labels.is_empty() && places.is_empty() {
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
                places,
            }
        };
        self.change(&change, command, deadline).await
    }
}
