//! Gives a show another layout: at once, or by a proposal if it may hurt a booking.

use model::{PriceDescription, ShowId};
use sqlx::PgConnection;

use super::error::StoreError;
use super::layouts;
use super::mutation::Mutation;
use super::proposals::{self, NewProposal};
use super::rows;
use super::set_prices::{check_currency, check_fit};
use super::write_show::{self, WriteShow};
use crate::domain::{Decided, LayoutId, Rejection, Show, check_slots, loses_room};

/// Gives a show that is not cancelled another layout.
#[derive(Debug)]
pub struct ChangeSeatLayout {
    /// The show.
    pub id: ShowId,
    /// The etag that it must have, if the caller cares.
    pub etag: Option<String>,
    /// The layout.
    pub layout_id: LayoutId,
    /// Its prices under that layout; none: the current ones.
    pub prices: Option<PriceDescription>,
    /// The id of the call that waits for the answer, if it has one.
    pub request_id: Option<uuid::Uuid>,
}

impl Mutation for ChangeSeatLayout {
    type Outcome = Decided<Show>;

    const VERB: &'static str = "change_seat_layout";

    async fn apply(&self, transaction: &mut PgConnection) -> Result<Decided<Show>, StoreError> {
        let (mut show, now) = rows::lock(transaction, self.id).await?;
        show.check_etag(self.etag.as_deref())?;
        show.check_not_cancelled()?;
        show.check_nothing_pending()?;
        let (layout, seats) = layouts::use_one(transaction, self.layout_id).await?;
        check_slots(&show, &layout.description, "layout_id")?;
        let present = rows::prices(transaction, self.id).await?;
        let prices = match &self.prices {
            Some(prices) => {
                check_currency(&show, &present, prices)?;
                check_fit(prices.clone(), &seats)?;
                prices.clone()
            }
            None => {
                check_fit(present.clone(), &seats).map_err(must_be_set)?;
                present
            }
        };
        let hurts = show.offered && {
            let old = layouts::one(transaction, show.layout_id).await?;
            loses_room(&layouts::index(&old)?, &seats)
        };
        if hurts {
            let new = NewProposal {
                layout: Some((self.layout_id, &prices)),
                request_id: self.request_id,
            };
            return proposals::propose(transaction, show, new, now).await;
        }
        show.layout_id = layout.info.id;
        show.seat_count = layout.info.seat_count;
        show.place_count = layout.info.place_count;
        show.proposal = None;
        let writing = WriteShow {
            prices: Some(&prices),
            ..WriteShow::of(show, now)
        };
        let show = writing.write(transaction).await?;
        Ok(Decided::Now(write_show::whole(transaction, show).await?))
    }
}

/// The fault of prices that the caller did not send.
fn must_be_set(rejection: Rejection) -> Rejection {
    match rejection {
        Rejection::Invalid(problems) => {
            let first = problems
                .first()
                .map(ToString::to_string)
                .unwrap_or_default();
            let message = format!("must be set: the current ones do not fit the layout; {first}");
            Rejection::invalid("price_tiers", message)
        }
        other => other,
    }
}
