//! The whole system on a PostgreSQL that takes connections over TLS alone.

use proto::booking::v1::{BookingState, SeatStatus};
use test_harness::postgres::certificates::Authority;
use test_harness::postgres::{OwnServer, TlsServer};
use test_harness::process;
use test_harness::system::{System, confirm, reserve};

#[tokio::test]
async fn a_seat_is_sold_over_tls_that_is_verified() {
    let authority = Authority::new("ours");
    let server = OwnServer::start_tls(&authority, TlsServer::default()).await;
    let database = server.empty_database().await;
    let url = database.url("postgres");
    assert!(url.contains("sslmode=verify-full"), "{url}");
    let migrated = process::run("migrate", &["up", "--database-url", &url]).await;
    assert!(migrated.status.success(), "{migrated:?}");

    let system = System::start_on(database, 1).await;
    let show = system.a_show(3).await;
    let mut client = system.booking_client();
    let booking = reserve(&mut client, &show, &["A-1"], "somebody").await;
    let booking = booking.expect("a free seat");
    let sold = confirm(&mut client, &booking.booking_id).await;
    assert_eq!(sold.expect("a hold").state(), BookingState::Confirmed);
    let seats = system.seats(&show).await;
    let booked = seats
        .iter()
        .filter(|seat| seat.status() == SeatStatus::Booked);
    assert_eq!(booked.count(), 1);

    // Every service is there, each of its connections encrypted.
    let owner = system.database.owner().await;
    let query = "SELECT application_name, count(*), bool_and(ssl)
                 FROM pg_stat_activity JOIN pg_stat_ssl USING (pid)
                 WHERE datname = current_database() AND pid <> pg_backend_pid()
                 GROUP BY application_name ORDER BY application_name";
    let rows = owner.query(query, &[]).await.expect("rows");
    let names: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(names, ["booking-svc", "catalog-svc", "expiry-worker"]);
    assert!(rows.iter().all(|row| row.get::<_, bool>(2)), "{rows:?}");
}

#[tokio::test]
async fn a_service_says_in_one_line_what_is_wrong_with_its_files() {
    let url = "postgres://booking_svc:a-secret@127.0.0.1/ticketing";
    let url = format!("{url}?sslmode=verify-full&sslrootcert=/absent/ca.pem");
    for name in ["catalog-svc", "booking-svc", "expiry-worker"] {
        let output = process::run(name, &["--database-url", &url]).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        assert_eq!(said.lines().count(), 1, "{name}: {said}");
        let file = "sslrootcert /absent/ca.pem: cannot be read: No such file";
        assert!(
            said.contains("--database-url") && said.contains(file),
            "{name}: {said}"
        );
        assert!(!said.contains("a-secret"), "{name}: {said}");
    }
}
