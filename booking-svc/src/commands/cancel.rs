//! Giving a booking up, or a part of it.

use tokio::time::Instant;

use super::{BookingCommands, BookingView, Change, CommandError};
use crate::domain::{Command, Places};

impl BookingCommands {
    /// Cancels a booking, or returns the seats of these labels and this many places. If there are
    /// neither: cancels all of it.
    ///
    /// # Errors
    ///
    /// Why it was not.
    pub async fn cancel(
        &self,
        change: Change,
        (labels, places): (Vec<String>, Vec<Places>),
        deadline: Instant,
    ) -> Result<BookingView, CommandError> {
        let Change {
            booking_id,
            version,
            ..
        } = change;
        if labels.is_empty() && places.is_empty() {
            let command = Command::Cancel {
                booking_id,
                version,
            };
            return self.change(&change, command, deadline).await;
        }
        let sale = self.sale_of(booking_id).await?;
        let freed = labels
            .iter()
            .filter_map(|label| sale.seats.ordinal_of_label(label));
        let freed: Vec<_> = freed.collect();
        let command = Command::Release {
            booking_id,
            version,
            sale,
            labels,
            places,
        };
        let booked = self.change(&change, command, deadline).await?;
        self.allocator.note(booking_id.show(), [], freed);
        Ok(booked)
    }
}
