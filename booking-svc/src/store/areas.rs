//! Areas: one row each, with the number of places taken.

use std::sync::Arc;

use deadpool_postgres::Transaction;
use model::{SeatLayout, ShowId};
use service_kit::postgres;

use super::{Store, StoreError, rows};

/// The places of an area by status, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AreaCount {
    /// The area's name.
    pub area: Arc<str>,
    /// Can be reserved.
    pub available: u32,
    /// Of PENDING bookings.
    pub held: u32,
    /// Of CONFIRMED bookings.
    pub booked: u32,
}

impl Store {
    /// The counts of each area that a show has ever had.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn areas(&self, show_id: ShowId) -> Result<Vec<AreaCount>, StoreError> {
        let client = postgres::get(&self.pool).await?;
        let statement = client
            .prepare_cached(include_str!("sql/list_areas.sql"))
            .await?;
        let found = client.query(&statement, &[&show_id.uuid()]).await?;
        let areas = found.into_iter().map(|row| {
            let count = |place: usize, column| {
                let count = u32::try_from(row.get::<_, i64>(place));
                count.map_err(|_| rows::bad(column, show_id))
            };
            let (held, booked) = (count(2, "held")?, count(3, "booked")?);
            Ok(AreaCount {
                area: row.get::<_, &str>(0).into(),
                available: count(1, "capacity")?.saturating_sub(held + booked),
                held,
                booked,
            })
        });
        areas.collect()
    }
}

/// Sets the capacities to those of a layout, under the sale's exclusive lock: 0 for areas that it does
/// not have. With `proposed`, which is to replace it, to the smaller of both.
pub(super) async fn offer(
    transaction: &Transaction<'_>,
    show_id: ShowId,
    layout: &SeatLayout,
    proposed: Option<&SeatLayout>,
) -> Result<(), StoreError> {
    let mut offered: Vec<(&str, i32)> = layout
        .areas()
        .iter()
        .map(|area| {
            let capacity = proposed.map_or(area.capacity, |proposed| {
                capacity_in(proposed, &area.name).min(area.capacity)
            });
            (&*area.name, i32::try_from(capacity).unwrap_or(i32::MAX))
        })
        .collect();
    offered.sort_unstable();
    let (areas, capacities): (Vec<&str>, Vec<i32>) = offered.into_iter().unzip();
    // In the order in which everyone locks them.
    transaction
        .execute(include_str!("sql/lock_show_areas.sql"), &[&show_id.uuid()])
        .await?;
    transaction
        .execute(
            include_str!("sql/offer_areas.sql"),
            &[&show_id.uuid(), &areas, &capacities],
        )
        .await?;
    Ok(())
}

/// Those areas of which live bookings have more places than a layout has, ascending.
pub(super) async fn too_small(
    transaction: &Transaction<'_>,
    show_id: ShowId,
    layout: &SeatLayout,
) -> Result<Vec<String>, StoreError> {
    let found = transaction
        .query(include_str!("sql/list_areas.sql"), &[&show_id.uuid()])
        .await?;
    let mut names = Vec::new();
    for row in found {
        let area: &str = row.get(0);
        let live = row.get::<_, i64>(2) + row.get::<_, i64>(3);
        if live > i64::from(capacity_in(layout, area)) {
            names.push(area.to_owned());
        }
    }
    Ok(names)
}

/// How many places a layout has in the area of this name.
fn capacity_in(layout: &SeatLayout, name: &str) -> u32 {
    layout.area(name).map_or(0, |(_, area)| area.capacity)
}
