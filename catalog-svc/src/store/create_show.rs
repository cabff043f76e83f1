//! Creates a show.

use model::ShowId;
use sqlx::PgConnection;
use sqlx::types::Json;
use time::OffsetDateTime;

use super::error::StoreError;
use super::mutation::Mutation;
use super::rows;
use crate::domain::{NewShow, Refusal, Show, ShowInfo, ShowState};

/// How often a new id is drawn. Ids have 48 random bits: among a million shows one draw in
/// 280 million is taken already.
const ID_TRIES_MAX: u32 = 4;

/// Creates a show and puts it on sale.
#[derive(Debug)]
pub struct CreateShow(pub NewShow);

impl Mutation for CreateShow {
    const VERB: &'static str = "create_show";

    async fn apply(&self, transaction: &mut PgConnection) -> Result<Show, StoreError> {
        let Self(new) = self;
        let now = rows::clock(transaction).await?;
        new.schedule.check_ahead(now).map_err(Refusal::Schedule)?;
        for _ in 0..ID_TRIES_MAX {
            let id = ShowId::generate();
            if let Some(revision) = insert(transaction, new, id, now).await? {
                return Ok(created(new, id, revision, now));
            }
        }
        Err(StoreError::fault("every new id was taken"))
    }
}

/// Inserts the show, and returns its revision; none if its id is taken.
async fn insert(
    transaction: &mut PgConnection,
    new: &NewShow,
    id: ShowId,
    now: OffsetDateTime,
) -> Result<Option<i64>, StoreError> {
    let seat_count = i32::try_from(new.layout.seat_count()).map_err(StoreError::fault)?;
    let revision = sqlx::query_scalar!(
        "WITH next AS (
             UPDATE catalog.feed SET revision = revision + 1
             RETURNING revision, pg_notify('catalog_feed', revision::text)
         )
         INSERT INTO catalog.shows (show_id, revision, name, show_type, state, start_at, end_at,
                                    venue, layout, seat_count, created_at, updated_at)
         SELECT $1, next.revision, $2, $3::text::catalog.show_type, 'ON_SALE', $4, $5,
                $6, $7, $8, $9, $9
         FROM next
         ON CONFLICT (show_id) DO NOTHING
         RETURNING revision",
        id.uuid(),
        new.name.as_str(),
        new.show_type.as_str(),
        new.schedule.start_at(),
        new.schedule.end_at(),
        new.venue.as_str(),
        Json(&new.layout) as _,
        seat_count,
        now,
    );
    Ok(revision.fetch_optional(transaction).await?)
}

fn created(new: &NewShow, id: ShowId, revision: i64, now: OffsetDateTime) -> Show {
    let info = ShowInfo {
        id,
        revision,
        name: new.name.as_str().to_owned(),
        show_type: new.show_type,
        state: ShowState::OnSale,
        start_at: new.schedule.start_at(),
        end_at: new.schedule.end_at(),
        venue: new.venue.as_str().to_owned(),
        seat_count: new.layout.seat_count(),
        created_at: now,
        updated_at: now,
        cancelled_at: None,
    };
    Show {
        info,
        layout: new.layout.clone(),
    }
}
