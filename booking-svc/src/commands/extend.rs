//! Having a hold end later.

use std::time::Duration;

use tokio::time::Instant;

use super::{BookingCommands, BookingView, Change, CommandError, LOOKUPS_MAX, check_hold};
use crate::domain::Command;
use crate::store::OrderError;

impl BookingCommands {
    /// Extends a hold to `hold` from now, unless it already lasts longer. No longer than the
    /// show's hold duration, so that it limits every caller.
    ///
    /// # Errors
    ///
    /// Why it was not.
    pub async fn extend(
        &self,
        change: Change,
        hold: Duration,
        deadline: Instant,
    ) -> Result<BookingView, CommandError> {
        let command = Command::Extend {
            booking_id: change.booking_id,
            version: change.version,
            hold,
            lifetime_max: self.terms.lifetime_max,
        };
        let mut sale = self.sale_of(change.booking_id).await?;
        for _ in 0..LOOKUPS_MAX {
            let Err(too_long) = check_hold(&sale, Some(hold)) else {
                let extended = self.change(&change, command, deadline).await;
                if let (Ok(_), Some(limits)) = (&extended, &self.hold_limits) {
                    limits.extended(change.booking_id, hold);
                }
                return extended;
            };
            match self.sales.reload_if_changed(&sale).await? {
                Some(reload_if_changed) => sale = reload_if_changed,
                None => {
                    self.check_own(&change).await?;
                    let (id, fingerprint) = (change.request_id, change.fingerprint);
                    return self.first_result(sale, id, fingerprint, too_long).await;
                }
            }
        }
        Err(CommandError::Undecided(OrderError::Contention))
    }
}
