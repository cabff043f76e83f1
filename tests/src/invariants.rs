//! What must hold of the database whenever nothing is under way, and after every crash.

use tokio_postgres::Client;
use uuid::Uuid;

use crate::postgres::TestDatabase;

/// Asserts all of it.
///
/// # Panics
///
/// If something does not hold; the message names it.
pub async fn assert_hold(database: &TestDatabase) {
    let broken = broken(&database.owner().await, None).await;
    assert!(broken.is_empty(), "{broken:#?}");
}

/// What does not hold of a show, or of all, with how often it does not; by a connection of the
/// database's owner.
///
/// # Panics
///
/// If it cannot be found out.
pub async fn broken(owner: &Client, show_id: Option<Uuid>) -> Vec<String> {
    let found = owner
        .query(include_str!("invariants.sql"), &[&show_id])
        .await;
    found
        .expect("the checks run")
        .iter()
        .map(|row| format!("{}: {}", row.get::<_, &str>(0), row.get::<_, i64>(1)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres;

    /// Two bookings of the seat with the ordinal 0, which neither of them owns.
    const SOLD_TWICE: &str = "
        INSERT INTO booking.sales (show_id, revision, state, start_at, layout, prices, seat_count)
        VALUES ('01020304-0506-8000-8000-000000000000', 1, 'ON_SALE', now() + '1 day', '{}', '{}', 1);
        INSERT INTO booking.bookings
            (show_id, booking_id, state, version, customer_id, seat_ordinals, seat_prices,
             seat_tiers, total, currency, created_at, expires_at, confirmed_at)
        SELECT '01020304-0506-8000-8000-000000000000', id::uuid, 'CONFIRMED', 2, 'ada', '{0}',
            '{5}', '{VIP}', 5, 'EUR', now(), now() + '1 minute', now()
        FROM unnest(ARRAY['01020304-0506-8000-8000-000000000001',
                          '01020304-0506-8000-8000-000000000002']) AS id";

    #[tokio::test]
    async fn a_new_database_is_in_order() {
        assert_hold(&postgres::database().await).await;
    }

    #[tokio::test]
    #[should_panic(
        expected = "seats in two live bookings: 1\",\n    \"PENDING or CONFIRMED \
        bookings that do not own a seat of theirs: 2\",\n    \"bookings whose log has gaps, or \
        does not lead to their state: 2\",\n    \"sales ahead of the feed's"
    )]
    async fn a_seat_that_was_sold_twice_is_noticed() {
        let database = postgres::database().await;
        let sold = database.owner().await.batch_execute(SOLD_TWICE).await;
        sold.expect("the schema alone does not stop it");
        assert_hold(&database).await;
    }
}
