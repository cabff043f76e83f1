//! Deletes a show: at once, or by a proposal if it may have bookings.

use model::ShowId;
use sqlx::PgConnection;

use super::error::StoreError;
use super::mutation::Mutation;
use super::outcome::WrittenShow;
use super::proposals::{self, NewProposal};
use super::rows;
use super::write_show::WriteShow;
use crate::domain::Decided;

/// Deletes a show in any state: its row stays as a tombstone, which the feed reports.
#[derive(Debug)]
pub struct DeleteShow {
    /// The show.
    pub id: ShowId,
    /// The etag that it must have, if the caller cares.
    pub etag: Option<String>,
}

impl Mutation for DeleteShow {
    type Outcome = Decided<Option<WrittenShow>>;

    const VERB: &'static str = "delete_show";

    async fn apply(&self, transaction: &mut PgConnection) -> Result<Self::Outcome, StoreError> {
        let (show, now) = rows::lock(transaction, self.id).await?;
        show.check_etag(self.etag.as_deref())?;
        show.check_nothing_pending()?;
        if show.offered {
            return proposals::propose(transaction, show, NewProposal::default(), now).await;
        }
        let writing = WriteShow {
            deletes: true,
            ..WriteShow::of(show, now)
        };
        let written = writing.write(transaction).await?;
        Ok(Decided::Now(Some(written.into())))
    }
}
