//! Having a hold end later.

use std::time::Duration;

use tokio::time::Instant;

use super::{Booked, Change, VerbError, Verbs};
use crate::domain::Command;

impl Verbs {
    /// Has a hold go on for `hold` from now, unless it does for longer already.
    ///
    /// # Errors
    ///
    /// Why it was not.
    pub async fn extend(
        &self,
        change: Change,
        hold: Duration,
        deadline: Instant,
    ) -> Result<Booked, VerbError> {
        let command = Command::Extend {
            booking_id: change.booking_id,
            version: change.version,
            hold,
            lifetime_max: self.terms.lifetime_max,
        };
        self.change(&change, command, deadline).await
    }
}
