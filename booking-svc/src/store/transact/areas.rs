//! The areas of a batch: locking them, and what stands in the way of their places.

use std::collections::{BTreeMap, HashMap};

use model::ShowId;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use super::wanted::Keys;
use super::{Statements, TransactError};
use crate::domain::{AreaKey, AreaRow, ENDED_HOLDS_MAX, EndedHold};
use crate::store::{area_lines, rows};

/// How many places of each area are wanted, by its show and name.
type Wanted<'a> = BTreeMap<(Uuid, &'a str), i64>;

/// Locks the areas that are wanted, and those of which the bookings `freed` have places.
pub(super) async fn lock(
    client: &Client,
    lock_areas: &Statement,
    wanted: &Wanted<'_>,
    Keys(freed_shows, freed): &Keys,
) -> Result<HashMap<AreaKey, AreaRow>, TransactError> {
    if wanted.is_empty() && freed.is_empty() {
        return Ok(HashMap::new());
    }
    let (shows, areas): (Vec<Uuid>, Vec<&str>) = wanted.keys().copied().unzip();
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

/// The holds that have ended of the shows whose areas have too little left.
pub(super) async fn ended_holds(
    client: &Client,
    statements: &Statements,
    wanted: &Wanted<'_>,
) -> Result<HashMap<ShowId, Vec<EndedHold>>, TransactError> {
    let mut ended: HashMap<ShowId, Vec<EndedHold>> = HashMap::new();
    if wanted.is_empty() {
        return Ok(ended);
    }
    let (shows, areas): (Vec<Uuid>, Vec<&str>) = wanted.keys().copied().unzip();
    let quantities: Vec<i64> = wanted.values().copied().collect();
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
