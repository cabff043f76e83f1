//! The one statement that changes a show. Commands decide its new values.

use model::PriceDescription;
use sqlx::PgConnection;
use sqlx::types::Json;
use time::OffsetDateTime;

use super::error::StoreError;
use super::rows::{self, ShowRow};
use crate::domain::{ProposalState, Show, ShowInfo, folded};

/// The new values of a locked show.
#[derive(Debug)]
pub(super) struct WriteShow<'a> {
    /// The show; its revision is that under which it was locked.
    pub(super) show: ShowInfo,
    /// Its prices, if they change.
    pub(super) prices: Option<&'a PriceDescription>,
    /// Whether the revision that is written makes a proposal.
    pub(super) proposes: bool,
    /// Whether it is a tombstone from now on.
    pub(super) deletes: bool,
    /// When.
    pub(super) now: OffsetDateTime,
}

impl WriteShow<'_> {
    /// A write that keeps the show's prices.
    pub(super) fn of(show: ShowInfo, now: OffsetDateTime) -> Self {
        Self {
            show,
            prices: None,
            proposes: false,
            deletes: false,
            now,
        }
    }

    /// Writes it under the feed's next revision, and returns it as it is then.
    pub(super) async fn write(
        self,
        transaction: &mut PgConnection,
    ) -> Result<ShowInfo, StoreError> {
        let row = ShowRow::try_from(&self.show)?;
        let written = sqlx::query!(
            "WITH next AS (
                 UPDATE catalog.feed SET revision = revision + 1
                 RETURNING revision, pg_notify('catalog_feed', revision::text)
             )
             UPDATE catalog.shows
             SET revision = next.revision, name = $3, show_type = $4::text::catalog.show_type,
                 state = $5::text::catalog.show_state, start_at = $6, end_at = $7, venue = $8,
                 layout_id = $9, seat_count = $10, place_count = $11, time_zone = $12,
                 sales_open_at = $13, sales_close_at = $14, hold_ms = $15,
                 seats_per_booking_max = $16, places_per_customer_max = $17,
                 orphan_rule = $18::text::catalog.orphan_rule, offered = $19,
                 proposal_revision = CASE WHEN $20 THEN next.revision ELSE $21 END,
                 proposal_state =
                     CASE WHEN $20 THEN 'PENDING' ELSE $22::text::catalog.proposal_state END,
                 prices = coalesce($23, prices), cancelled_at = $24,
                 deleted_at = CASE WHEN $25 THEN $26::timestamptz END,
                 updated_at = greatest(updated_at, $26), name_folded = $27
             FROM next
             WHERE show_id = $1 AND shows.revision = $2 AND deleted_at IS NULL
             RETURNING shows.revision, updated_at",
            row.show_id,
            row.revision,
            row.name,
            row.show_type,
            row.state,
            self.show.start_at,
            self.show.end_at,
            row.venue,
            row.layout_id,
            row.seat_count,
            row.place_count,
            row.time_zone,
            self.show.sales_open_at,
            self.show.sales_close_at,
            row.hold_ms,
            row.seats_per_booking_max,
            row.places_per_customer_max,
            row.orphan_rule,
            row.offered,
            self.proposes,
            row.proposal_revision,
            row.proposal_state,
            self.prices.map(Json) as _,
            self.show.cancelled_at,
            self.deletes,
            self.now,
            folded(&row.name),
        );
        let written = written.fetch_optional(transaction).await?;
        let written = written.ok_or_else(|| StoreError::fault("a locked show was changed"))?;
        let made = (written.revision, ProposalState::Pending);
        Ok(ShowInfo {
            revision: written.revision,
            updated_at: written.updated_at,
            proposal: if self.proposes {
                Some(made)
            } else {
                self.show.proposal
            },
            ..self.show
        })
    }
}

/// A show that was just written, with its layout, prices and proposal.
pub(super) async fn whole(
    transaction: &mut PgConnection,
    show: ShowInfo,
) -> Result<Show, StoreError> {
    let prices = rows::prices(transaction, show.id).await?;
    rows::whole(transaction, (show, prices)).await
}
