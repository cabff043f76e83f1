//! Reading the log of transitions.

use model::{BookingId, ShowId};
use service_kit::postgres;
use tokio_postgres::Row;
use uuid::Uuid;

use super::bookings::Page;
use super::rows::{self, BadRow};
use super::{Store, StoreError};
use crate::domain::{BookingState, Event, Verb};

/// Whose events to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventsOf {
    /// Those of one booking.
    Booking(BookingId),
    /// Those of all bookings of a show.
    Show(ShowId),
}

/// A place in the log: a booking, and a version of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPlace {
    /// The booking.
    pub booking_id: BookingId,
    /// Its version.
    pub version: i32,
}

impl Store {
    /// A page of events by booking and version, after `after`.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn events(
        &self,
        of: EventsOf,
        after: Option<EventPlace>,
        page_size: u16,
    ) -> Result<Page<Event, EventPlace>, StoreError> {
        let limit = i64::from(page_size) + 1;
        let after_version = after.map_or(0, |place| place.version);
        let client = postgres::get(&self.pool).await?;
        let found = match of {
            EventsOf::Booking(id) => {
                let statement = include_str!("sql/list_booking_events.sql");
                let statement = client.prepare_cached(statement).await?;
                let (show_id, booking_id) = (id.show().uuid(), id.uuid());
                client
                    .query(&statement, &[&show_id, &booking_id, &after_version, &limit])
                    .await?
            }
            EventsOf::Show(show_id) => {
                let statement = include_str!("sql/list_show_events.sql");
                let statement = client.prepare_cached(statement).await?;
                let after_booking = after.map_or(Uuid::nil(), |place| place.booking_id.uuid());
                client
                    .query(
                        &statement,
                        &[&show_id.uuid(), &after_booking, &after_version, &limit],
                    )
                    .await?
            }
        };
        let more = found.len() > usize::from(page_size);
        let items = found.iter().take(page_size.into()).map(event);
        let items = items.collect::<Result<Vec<_>, _>>()?;
        let next = items.last().filter(|_| more).map(|last| EventPlace {
            booking_id: last.booking_id,
            version: last.version,
        });
        Ok(Page { items, next })
    }
}

fn event(row: &Row) -> Result<Event, BadRow> {
    let id: Uuid = row.get(0);
    let bad = |column| rows::bad(column, id);
    let from = row.get::<_, Option<&str>>(3);
    Ok(Event {
        booking_id: rows::booking_id(id)?,
        version: row.get(1),
        verb: Verb::from_name(row.get(2)).ok_or_else(|| bad("verb"))?,
        from: from
            .map(|name| BookingState::from_name(name).ok_or_else(|| bad("from_state")))
            .transpose()?,
        to: BookingState::from_name(row.get(4)).ok_or_else(|| bad("to_state"))?,
        made_at: row.get(5),
        actor: row.get(6),
        request_id: row.get(7),
    })
}
