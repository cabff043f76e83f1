//! Reading the seats of a show as they stand now.

use std::ops::Range;

use service_kit::postgres;

use super::bookings::Page;
use super::{Store, StoreError, rows};
use crate::domain::Sale;

/// The most seats that one statement reads.
const SCANNED_MAX: u32 = 10_000;

/// The status of a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeatStatus {
    /// It has no owner.
    Available,
    /// A PENDING booking holds it.
    Held,
    /// A CONFIRMED booking has it.
    Booked,
    /// It has no owner, and is not for sale.
    Blocked,
}

impl SeatStatus {
    /// The status in its rows; they do not say whether a seat is for sale.
    fn in_rows(self) -> &'static str {
        match self {
            Self::Available | Self::Blocked => "AVAILABLE",
            Self::Held => "HELD",
            Self::Booked => "BOOKED",
        }
    }

    fn from_rows(name: &str) -> Option<Self> {
        [Self::Available, Self::Held, Self::Booked]
            .into_iter()
            .find(|status| status.in_rows() == name)
    }
}

/// Seats that are adjacent both in the layout and by their ordinals.
struct Run {
    first_position: u32,
    ordinals: Range<u32>,
}

impl Store {
    /// A page of a show's seats by position, from `from` on; only those with one status if
    /// `wanted` is one.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn seats(
        &self,
        sale: &Sale,
        wanted: Option<SeatStatus>,
        from: u32,
        page_size: u16,
    ) -> Result<Page<(u32, SeatStatus), u32>, StoreError> {
        let seat_count = sale.seats.layout().seat_count();
        let mut page = Page {
            items: Vec::new(),
            next: None,
        };
        let mut start = from;
        // More with each step: seats with the wanted status may be few.
        let mut step = u32::from(page_size) + 1;
        while start < seat_count && page.next.is_none() {
            let end = start.saturating_add(step).min(seat_count);
            for (position, status) in self.statuses(sale, start..end, wanted).await? {
                if wanted.is_some_and(|wanted| wanted != status) {
                    continue;
                }
                if page.items.len() == usize::from(page_size) {
                    page.next = Some(position);
                    break;
                }
                page.items.push((position, status));
            }
            start = end;
            step = (2 * step).min(SCANNED_MAX);
        }
        Ok(page)
    }

    /// The status of the seats in `positions`. Seats whose rows already show another status than
    /// `wanted` may be left out.
    async fn statuses(
        &self,
        sale: &Sale,
        positions: Range<u32>,
        wanted: Option<SeatStatus>,
    ) -> Result<Vec<(u32, SeatStatus)>, StoreError> {
        let runs = runs(sale, positions);
        let column = |value: fn(&Run) -> u32| -> Vec<i32> {
            runs.iter().map(|run| rows::ordinal(value(run))).collect()
        };
        let client = postgres::get(&self.pool).await?;
        let statement = client
            .prepare_cached(include_str!("sql/list_seats.sql"))
            .await?;
        let found = client
            .query(
                &statement,
                &[
                    &sale.show_id.uuid(),
                    &column(|run| run.ordinals.start),
                    &column(|run| run.ordinals.end - 1),
                    &column(|run| run.first_position),
                    &wanted.map(SeatStatus::in_rows),
                ],
            )
            .await?;
        let bad = |column| rows::bad(column, sale.show_id);
        let statuses = found.into_iter().map(|row| {
            let position = u32::try_from(row.get::<_, i32>(0)).map_err(|_| bad("ordinal"))?;
            let status = SeatStatus::from_rows(row.get(1)).ok_or_else(|| bad("status"))?;
            let ordinal = sale.seats.ordinal_of(position);
            let blocked = ordinal.is_some_and(|ordinal| sale.is_blocked(ordinal));
            let status = match status {
                SeatStatus::Available if blocked => SeatStatus::Blocked,
                status => status,
            };
            Ok((position, status))
        });
        statuses.collect()
    }
}

fn runs(sale: &Sale, positions: Range<u32>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for position in positions {
        let Some(ordinal) = sale.seats.ordinal_of(position) else {
            continue;
        };
        match runs.last_mut() {
            Some(run) if run.ordinals.end == ordinal => run.ordinals.end += 1,
            _ => runs.push(Run {
                first_position: position,
                ordinals: ordinal..ordinal + 1,
            }),
        }
    }
    runs
}
