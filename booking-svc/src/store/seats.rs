//! Reading the seats of a show as they stand now.

use model::ShowId;
use service_kit::postgres;

use super::bookings::Page;
use super::{Store, StoreError, rows};

/// Whether a seat can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeatStatus {
    /// Nobody has it.
    Available,
    /// A PENDING booking holds it.
    Held,
    /// A CONFIRMED booking has it.
    Booked,
}

/// Which seats to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeatFilter {
    /// Of this show.
    pub show_id: ShowId,
    /// Only those with this status.
    pub status: Option<SeatStatus>,
}

impl SeatStatus {
    /// Its name in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "AVAILABLE",
            Self::Held => "HELD",
            Self::Booked => "BOOKED",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Available, Self::Held, Self::Booked]
            .into_iter()
            .find(|status| status.as_str() == name)
    }
}

impl Store {
    /// A page of seats by ordinal, from `from` on.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn seats(
        &self,
        filter: SeatFilter,
        from: u32,
        page_size: u16,
    ) -> Result<Page<(u32, SeatStatus), u32>, StoreError> {
        let client = postgres::get(&self.pool).await?;
        let statement = client
            .prepare_cached(include_str!("sql/list_seats.sql"))
            .await?;
        let found = client
            .query(
                &statement,
                &[
                    &filter.show_id.uuid(),
                    &rows::ordinal(from),
                    &filter.status.map(SeatStatus::as_str),
                    &(i64::from(page_size) + 1),
                ],
            )
            .await?;
        let mut page = Page {
            items: Vec::with_capacity(found.len()),
            next: None,
        };
        for row in found {
            let bad = |column| rows::bad(column, filter.show_id);
            let ordinal = u32::try_from(row.get::<_, i32>(0)).map_err(|_| bad("ordinal"))?;
            if page.items.len() == usize::from(page_size) {
                page.next = Some(ordinal);
                break;
            }
            page.items.push((
                ordinal,
                SeatStatus::from_name(row.get(1)).ok_or_else(|| bad("status"))?,
            ));
        }
        Ok(page)
    }
}
