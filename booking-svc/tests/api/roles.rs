//! The statements that each service's role may not run.

use tokio_postgres::error::SqlState;

use crate::schema::{booking, refuses, setting};

#[tokio::test]
async fn each_role_may_do_its_own_work_and_nothing_else() {
    let database = setting().await;
    let refused = [
        ("booking_svc", "UPDATE booking.transitions SET actor = 'x'"),
        ("booking_svc", "DELETE FROM booking.transitions"),
        ("booking_svc", "DELETE FROM booking.bookings"),
        ("booking_svc", "DELETE FROM booking.show_seats"),
        ("booking_svc", "DELETE FROM booking.sales"),
        ("booking_svc", "DELETE FROM booking.customers"),
        (
            "booking_svc",
            "UPDATE booking.customers SET created_at = now()",
        ),
        (
            "booking_svc",
            "UPDATE booking.customer_requests SET fingerprint = 7",
        ),
        ("booking_svc", "TRUNCATE booking.transitions"),
        ("expiry_worker", "SELECT FROM booking.answers"),
        ("catalog_svc", "DELETE FROM booking.answers"),
        ("booking_svc", "DROP TABLE booking.transitions"),
        ("booking_svc", "CREATE TABLE booking.notes ()"),
        ("booking_svc", "SELECT FROM catalog.shows"),
        ("booking_svc", "SELECT FROM catalog.feed"),
        (
            "booking_svc",
            "UPDATE public._sqlx_migrations SET success = true",
        ),
        (
            "expiry_worker",
            "UPDATE booking.transitions SET actor = 'x'",
        ),
        ("expiry_worker", "DELETE FROM booking.transitions"),
        ("expiry_worker", "SELECT FROM booking.sales"),
        ("expiry_worker", "SELECT FROM booking.customers"),
        ("expiry_worker", "SELECT FROM booking.customer_requests"),
        ("expiry_worker", "UPDATE booking.bookings SET total = 0"),
        (
            "expiry_worker",
            "UPDATE booking.bookings SET expires_at = now()",
        ),
        (
            "expiry_worker",
            "UPDATE booking.bookings SET confirmed_at = now()",
        ),
        (
            "expiry_worker",
            "UPDATE booking.bookings SET refund_due = 1",
        ),
        (
            "expiry_worker",
            "UPDATE booking.bookings SET cancel_reason = 'CUSTOMER'",
        ),
        ("expiry_worker", "DELETE FROM booking.bookings"),
        ("expiry_worker", "UPDATE booking.show_seats SET ordinal = 7"),
        (
            "expiry_worker",
            "INSERT INTO booking.show_seats SELECT * FROM booking.show_seats",
        ),
        ("expiry_worker", "SELECT FROM catalog.shows"),
        ("catalog_svc", "SELECT FROM booking.bookings"),
        ("catalog_svc", "SELECT FROM booking.show_seats"),
        ("catalog_svc", "SELECT FROM booking.customers"),
        (
            "catalog_svc",
            "UPDATE booking.sales SET state = 'CANCELLED'",
        ),
        ("catalog_svc", "DELETE FROM catalog.shows"),
    ];
    for (role, statement) in refused {
        let client = database.client(role).await;
        refuses(&client, statement, &SqlState::INSUFFICIENT_PRIVILEGE, None).await;
    }
    let worker = database.client("expiry_worker").await;
    let statement = booking(&[]);
    refuses(&worker, &statement, &SqlState::INSUFFICIENT_PRIVILEGE, None).await;
}
