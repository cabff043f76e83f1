//! The areas of a batch: locking them, and the expired holds that have their places.

use std::collections::{BTreeMap, HashMap};

use model::ShowId;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use super::lock_set::RowKeys;
use super::{Statements, TxError};
use crate::domain::{AreaKey, AreaRow, ENDED_HOLDS_MAX, EndedHold};
use crate::store::{area_lines, rows};

/// The number of wanted places of each area, by its show and name.
type LockSet<'a> = BTreeMap<(Uuid, &'a str), i64>;

/// Locks the wanted areas, and those in which the bookings `freed` have places.
pub(super) async fn lock(
    client: &Client,
    lock_areas: &Statement,
    lock_set: &LockSet<'_>,
    RowKeys(freed_shows, freed): &RowKeys,
) -> Result<HashMap<AreaKey, AreaRow>, TxError> {
    if lock_set.is_empty() && freed.is_empty() {
        return Ok(HashMap::new());
    }
    let (shows, areas): (Vec<Uuid>, Vec<&str>) = lock_set.keys().copied().unzip();
    let found = client
        .query(lock_areas, &[&shows, &areas, freed_shows, freed])
        .await?;
    let locked = found.into_iter().map(|row| {
        let show_id = rows::show_id(row.get(0))?;
        let count = |place: usize, column| {
            let count = u32::try_from(row.get::<_, i32>(place));
            count.map_err(|_| rows::bad(column, show_id))
        };
        let area = AreaRow {
            capacity: count(2, "capacity")?,
            taken: count(3, "taken")?,
        };
        Ok(((show_id, row.get::<_, &str>(1).into()), area))
    });
    locked.collect()
}

/// The expired holds of shows whose areas have too few places left.
pub(super) async fn ended_holds(
    client: &Client,
    statements: &Statements,
    lock_set: &LockSet<'_>,
) -> Result<HashMap<ShowId, Vec<EndedHold>>, TxError> {
    let mut ended: HashMap<ShowId, Vec<EndedHold>> = HashMap::new();
    if lock_set.is_empty() {
        return Ok(ended);
    }
    let (shows, areas): (Vec<Uuid>, Vec<&str>) = lock_set.keys().copied().unzip();
    let quantities: Vec<i64> = lock_set.values().copied().collect();
    let holds_max = i64::try_from(ENDED_HOLDS_MAX).unwrap_or(i64::MAX);
    let found = client
        .query(
            &statements.ended_holds,
            &[&shows, &areas, &quantities, &holds_max],
        )
        .await?;
    for row in found {
        let booking_id = rows::booking_id(row.get(1))?;
        let places = area_lines::from_json(row.get(2));
        ended
            .entry(rows::show_id(row.get(0))?)
            .or_default()
            .push(EndedHold {
                booking_id,
                places: places.ok_or_else(|| rows::bad("areas", booking_id))?,
            });
    }
    Ok(ended)
}
