//! Memory budgets for answers with whole shows: a large answer waits for its share, and holds no
//! connection meanwhile.

use std::future::Future;
use std::sync::Arc;

use service_kit::ApiError;
use service_kit::server::{Room, Rooms};
use tokio::time::Instant;
use tonic::Response;

use crate::domain::{Entry, Page, Show};

/// An upper estimate of a show's size without its seats.
const SHOW_BYTES: usize = 8 * 1024;
/// The size of a seat: in the layout, in a proposed one and in their prices, each by its label.
/// Labels may be longer in shows with few seats; the excess is added once the answer exists.
const SEAT_BYTES: usize = 64;
/// The default limit of clients, which the contract promises.
const SHOW_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The size up to which a show, or a page, needs no share.
const SMALL_SHOW_BYTES: usize = 64 * 1024;
const SMALL_PAGE_BYTES: usize = 256 * 1024;
/// The room of a page is for its entries in memory, and for one of them encoded.
const PAGE_ROOM_MAX: usize = 2 * SHOW_BYTES_MAX;

/// Reads a show, and waits for its share of memory.
///
/// # Errors
///
/// If it cannot be read, or there is no room until the deadline.
pub(super) async fn show<T, F>(
    rooms: &Rooms,
    deadline: Instant,
    read: impl Fn() -> F,
    show: impl Fn(&T) -> &Show,
) -> Result<(T, Option<Room>), ApiError>
where
    F: Future<Output = Result<T, ApiError>>,
{
    let found = read().await?;
    let bytes = bytes_max(show(&found));
    if bytes <= SMALL_SHOW_BYTES {
        return Ok((found, None));
    }
    if let Some(room) = rooms.try_take(bytes) {
        return Ok((found, Some(room)));
    }
    drop(found);
    let room = rooms.take(bytes, deadline).await?;
    Ok((read().await?, Some(room)))
}

/// Reads a page, and waits for its share of memory.
///
/// # Errors
///
/// If it cannot be read, or there is no room until the deadline.
pub(super) async fn page<F>(
    rooms: &Rooms,
    deadline: Instant,
    read: impl Fn() -> F,
) -> Result<(Page, Option<Room>), ApiError>
where
    F: Future<Output = Result<Page, ApiError>>,
{
    let found = read().await?;
    let bytes = found.entries.iter().map(|entry| match entry {
        Entry::Show(show) => bytes_max(show),
        Entry::Deleted { .. } | Entry::Unreadable { .. } => 0,
    });
    let bytes = bytes.sum::<usize>();
    if bytes <= SMALL_PAGE_BYTES {
        return Ok((found, None));
    }
    let room = bytes.saturating_mul(2).min(PAGE_ROOM_MAX);
    if let Some(room) = rooms.try_take(room) {
        return Ok((found, Some(room)));
    }
    drop(found);
    let room = rooms.take(room, deadline).await?;
    Ok((read().await?, Some(room)))
}

/// An answer that keeps its room until it has been read.
pub(super) fn respond<T>(answer: T, room: Option<Room>) -> Response<T> {
    let mut response = Response::new(answer);
    if let Some(room) = room {
        response.extensions_mut().insert(Arc::new(room));
    }
    response
}

fn bytes_max(show: &Show) -> usize {
    let seats = usize::try_from(show.info.seat_count).unwrap_or(usize::MAX);
    let bytes = seats.saturating_mul(SEAT_BYTES);
    bytes.saturating_add(SHOW_BYTES).min(SHOW_BYTES_MAX)
}
