//! Creates a show.

use std::sync::Arc;

use model::{PriceDescription, ShowId};
use sqlx::PgConnection;
use sqlx::types::Json;
use time::OffsetDateTime;

use super::clock::clock;
use super::error::StoreError;
use super::layouts;
use super::mutation::Mutation;
use super::rows::ShowRow;
use super::set_prices::check_fit;
use crate::domain::{
    Layout, NewSeats, NewShow, Rejection, Show, ShowInfo, ShowState, check_slots, folded,
    missing_slots,
};

/// How often a new id is drawn. Ids have 48 random bits: among a million shows one draw in
/// 280 million is taken already.
const ID_TRIES_MAX: u32 = 4;

/// Creates a show, and puts it on sale unless it is a draft.
#[derive(Debug)]
pub struct CreateShow(pub NewShow);

impl Mutation for CreateShow {
    type Outcome = Show;

    const VERB: &'static str = "create_show";
    // The first reserve fetches the show.
    const IS_AWAITED: bool = false;

    async fn apply(&self, transaction: &mut PgConnection) -> Result<Show, StoreError> {
        let Self(new) = self;
        let now = clock(transaction).await?;
        let not_ahead = new.schedule.not_ahead(now);
        if !not_ahead.is_empty() {
            return Err(Rejection::Invalid(not_ahead.into()).into());
        }
        let (layout, prices) = seats(transaction, &new.seats, now).await?;
        let mut show = show(new, &layout, now);
        check(&show, &layout, &new.seats)?;
        for _ in 0..ID_TRIES_MAX {
            show.id = ShowId::generate();
            if let Some(revision) = insert(transaction, &show, prices).await? {
                show.revision = revision;
                return Ok(Show {
                    info: show,
                    layout,
                    prices: prices.clone(),
                    proposal: None,
                });
            }
        }
        Err(StoreError::fault("every new id was taken"))
    }
}

/// The layout that the show is to have, and the prices that fit it.
async fn seats<'a>(
    transaction: &mut PgConnection,
    seats: &'a NewSeats,
    now: OffsetDateTime,
) -> Result<(Arc<Layout>, &'a PriceDescription), StoreError> {
    match seats {
        NewSeats::Of(id, prices) => {
            let (layout, seats) = layouts::use_one(transaction, *id).await?;
            check_fit(prices.clone(), &seats)?;
            Ok((layout, prices))
        }
        NewSeats::Own(layout, prices) => {
            let layout = layouts::insert(transaction, layout, false, now).await?;
            Ok((layout, prices.description()))
        }
    }
}

/// Checks that all slots of the layout exist on the show's day.
fn check(show: &ShowInfo, layout: &Layout, seats: &NewSeats) -> Result<(), Rejection> {
    if let NewSeats::Of(..) = seats {
        return check_slots(show, &layout.description, "layout_id");
    }
    let mut problems = missing_slots(show, &layout.description);
    for problem in &mut problems {
        problem.path.insert_str(0, "layout.");
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Rejection::Invalid(problems.into()))
    }
}

fn show(new: &NewShow, layout: &Layout, now: OffsetDateTime) -> ShowInfo {
    let state = if new.is_draft {
        ShowState::Draft
    } else {
        ShowState::OnSale
    };
    ShowInfo {
        id: ShowId::generate(),
        revision: 0,
        name: new.name.as_str().to_owned(),
        show_type: new.show_type,
        state,
        start_at: new.schedule.start_at(),
        end_at: new.schedule.end_at(),
        time_zone: new.time_zone.clone(),
        sales_open_at: new.schedule.sales_open_at(),
        sales_close_at: new.schedule.sales_close_at(),
        venue: new.venue.as_str().to_owned(),
        organiser: new.organiser.clone(),
        layout_id: layout.info.id,
        seat_count: layout.info.seat_count,
        place_count: layout.info.place_count,
        rules: new.rules,
        offered: !new.is_draft || new.schedule.sales_open_at().is_some(),
        proposal: None,
        created_at: now,
        updated_at: now,
        cancelled_at: None,
    }
}

/// Inserts the show, and returns its revision; none if its id is taken.
async fn insert(
    transaction: &mut PgConnection,
    show: &ShowInfo,
    prices: &PriceDescription,
) -> Result<Option<i64>, StoreError> {
    let row = ShowRow::try_from(show)?;
    let revision = sqlx::query_scalar!(
        "WITH next AS (
             UPDATE catalog.feed SET revision = revision + 1
             RETURNING revision, pg_notify('catalog_feed', revision::text)
         )
         INSERT INTO catalog.shows (
             show_id, revision, name, show_type, state, start_at, end_at, venue, layout_id,
             seat_count, place_count, time_zone, sales_open_at, sales_close_at, hold_ms,
             seats_per_booking_max, places_per_customer_max, orphan_rule, offered, prices,
             created_at, updated_at, name_folded, organiser)
         SELECT $1, next.revision, $2, $3::text::catalog.show_type, $4::text::catalog.show_state,
                $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
                $17::text::catalog.orphan_rule, $18, $19, $20, $20, $21, $22
         FROM next
         ON CONFLICT (show_id) DO NOTHING
         RETURNING revision",
        row.show_id,
        row.name,
        row.show_type,
        row.state,
        show.start_at,
        show.end_at,
        row.venue,
        row.layout_id,
        row.seat_count,
        row.place_count,
        row.time_zone,
        show.sales_open_at,
        show.sales_close_at,
        row.hold_ms,
        row.seats_per_booking_max,
        row.places_per_customer_max,
        row.orphan_rule,
        row.offered,
        Json(prices) as _,
        show.created_at,
        folded(&row.name),
        row.organiser,
    );
    Ok(revision.fetch_optional(transaction).await?)
}
