//! Replaces all prices of a show.

use model::{PriceDescription, PriceList, SeatLayout, ShowId};
use sqlx::PgConnection;

use super::error::StoreError;
use super::layouts;
use super::mutation::Mutation;
use super::rows;
use super::write_show::{self, WriteShow};
use crate::domain::{Rejection, Show, ShowInfo};

/// Sets the prices of a show that is not cancelled.
///
/// They must fit the layout that it has now. A proposed layout comes with its own prices, which
/// replace these when it is accepted.
#[derive(Debug)]
pub struct SetPrices {
    /// The show.
    pub id: ShowId,
    /// The etag that it must have.
    pub etag: String,
    /// Its prices from now on.
    pub prices: PriceDescription,
}

impl Mutation for SetPrices {
    type Outcome = Show;

    const VERB: &'static str = "set_prices";

    async fn apply(&self, transaction: &mut PgConnection) -> Result<Show, StoreError> {
        let (show, now) = rows::lock(transaction, self.id).await?;
        show.check_etag(Some(&self.etag))?;
        show.check_not_cancelled()?;
        let present = rows::prices(transaction, self.id).await?;
        check_currency(&show, &present, &self.prices)?;
        let layout = layouts::one(transaction, show.layout_id).await?;
        check_fit(self.prices.clone(), &layouts::index(&layout)?)?;
        let writing = WriteShow {
            prices: Some(&self.prices),
            ..WriteShow::of(show, now)
        };
        let show = writing.write(transaction).await?;
        write_show::whole(transaction, show).await
    }
}

/// Sees that prices fit a layout.
pub(super) fn check_fit(prices: PriceDescription, layout: &SeatLayout) -> Result<(), Rejection> {
    let fits = PriceList::new(prices, layout);
    fits.map(drop).map_err(Rejection::Invalid)
}

/// Checks that a show keeps its currency. A show that was never offered may change it.
pub(super) fn check_currency(
    show: &ShowInfo,
    present: &PriceDescription,
    wanted: &PriceDescription,
) -> Result<(), Rejection> {
    if !show.offered || wanted.currency == present.currency {
        return Ok(());
    }
    let message = format!("must be {} as the show's prices so far", present.currency);
    Err(Rejection::invalid(
        "price_tiers[0].price.currency_code",
        message,
    ))
}
