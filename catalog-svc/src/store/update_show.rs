//! Changes fields of a show.

use model::ShowId;
use sqlx::PgConnection;

use super::error::StoreError;
use super::mutation::Mutation;
use super::rows;
use super::write_show::{self, WriteShow};
use crate::domain::{Show, ShowPatch, check_slots};

/// Changes fields of a show that is not cancelled.
#[derive(Debug)]
pub struct UpdateShow {
    /// The show.
    pub id: ShowId,
    /// The etag that it must have, if the caller cares.
    pub etag: Option<String>,
    /// The changes.
    pub patch: ShowPatch,
}

impl Mutation for UpdateShow {
    type Outcome = Show;

    const VERB: &'static str = "update_show";

    async fn apply(&self, transaction: &mut PgConnection) -> Result<Show, StoreError> {
        let (show, now) = rows::lock(transaction, self.id).await?;
        show.check_etag(self.etag.as_deref())?;
        let show = self.patch.apply(show, now)?;
        let show = WriteShow::of(show, now).write(transaction).await?;
        let show = write_show::whole(transaction, show).await?;
        if let Some(field) = self.patch.new_day() {
            for layout in show.layouts() {
                check_slots(&show.info, &layout.description, field)?;
            }
        }
        Ok(show)
    }
}
