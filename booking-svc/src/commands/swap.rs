//! Giving other seats for some of a booking's own.

use std::sync::Arc;

use tokio::time::Instant;

use super::{BookingCommands, BookingView, Change, CommandError, LOOKUPS_MAX, ordinals};
use crate::domain::Command;
use crate::store::OrderError;

/// The field of the request that names the seats to take.
const TO: &str = "to_seat_labels";

impl BookingCommands {
    /// Exchanges the seats of a booking that are labelled `from` for as many labelled `to`: all of
    /// them or none.
    ///
    /// # Errors
    ///
    /// Why nothing was swapped.
    pub async fn swap(
        &self,
        change: Change,
        from: Vec<String>,
        to: Vec<String>,
        deadline: Instant,
    ) -> Result<BookingView, CommandError> {
        let mut sale = self.sale_of(change.booking_id).await?;
        for _ in 0..LOOKUPS_MAX {
            let sellable_until = self.sales.sellable_until(change.booking_id.show())?;
            let decided_by = deadline.min(sellable_until);
            let ordinals = match ordinals(&sale, TO, &to) {
                Ok(ordinals) => ordinals,
                Err(unknown) => match self.sales.reload_if_changed(&sale).await? {
                    Some(reload_if_changed) => {
                        sale = reload_if_changed;
                        continue;
                    }
                    None => {
                        self.check_own(&change).await?;
                        let (id, fingerprint) = (change.request_id, change.fingerprint);
                        return self.first_result(sale, id, fingerprint, unknown).await;
                    }
                },
            };
            let swapped = async {
                let around = self.around(&sale, &ordinals).await?;
                let command = Command::Swap {
                    booking_id: change.booking_id,
                    version: change.version,
                    sale: Arc::clone(&sale),
                    labels: from.clone(),
                    ordinals: ordinals.clone(),
                    around,
                };
                self.change(&change, command, decided_by).await
            };
            match swapped.await {
                Err(CommandError::Undecided(OrderError::SaleChanged)) => {
                    sale = self.sales.refresh(change.booking_id.show()).await?;
                }
                // A newer sale may be known by now.
                Err(CommandError::Undecided(OrderError::DeadlineExceeded))
                    if decided_by < deadline => {}
                Ok(booked) => {
                    let freed = from.iter().filter_map(|l| sale.seats.ordinal_of_label(l));
                    self.allocator.note(sale.show_id, ordinals, freed);
                    return Ok(booked);
                }
                Err(CommandError::Rejected(rejection)) => {
                    let rejection = rejection.in_order_of(to.iter().map(String::as_str));
                    return Err(CommandError::Rejected(rejection));
                }
                Err(error) => return Err(error),
            }
        }
        Err(CommandError::Undecided(OrderError::Contention))
    }
}
