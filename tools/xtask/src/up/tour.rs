//! What is printed once everything runs: where it is, and five lines to paste.

use std::fmt::Write as _;

use crate::clients::in_days;
use crate::up::database::Database;
use crate::up::demo::Demo;
use crate::up::ports::Ports;

/// The whole text.
pub(crate) fn text(ports: &Ports, database: &Database, demo: &Demo) -> String {
    let mut text = String::from("\nTicketing is up.\n\n");
    for (name, port) in [
        ("catalog-svc", ports.catalog),
        ("booking-svc", ports.booking),
        ("expiry-worker", ports.expiry),
        ("payment-sim", ports.payment),
    ] {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<13} 127.0.0.1:{port}");
    }
    let _ = writeln!(text, "  PostgreSQL    {}", database.place());
    let _ = writeln!(text, "  demo show     {}", demo.show_id);
    text.push_str(
        "\nPaste these into another terminal: make a show; reserve seats of the demo show; \
         confirm\nthe booking; look at it; cancel it.\n\n",
    );
    for line in lines(ports, demo) {
        let _ = writeln!(text, "{line}\n");
    }
    text.push_str(
        "ConfirmBooking takes a \"payment_token\" too, as \"approve\" or \"decline\": see \
         docs/using-the-api.md.\n",
    );
    text.push_str("The logs follow. Ctrl-C stops everything.\n");
    text
}

/// The lines work in this order; the shell variable BOOKING goes from one to the next.
fn lines(ports: &Ports, demo: &Demo) -> [String; 5] {
    let catalog = |verb: &str, body: &str| {
        let service = "ticketing.catalog.v1.CatalogService";
        format!(
            "grpcurl -plaintext -d {body} 127.0.0.1:{} {service}/{verb}",
            ports.catalog
        )
    };
    let booking = |verb: &str, body: &str| {
        let service = "ticketing.booking.v1.BookingService";
        format!(
            "grpcurl -plaintext -d {body} 127.0.0.1:{} {service}/{verb}",
            ports.booking
        )
    };
    let show = format!(
        "'{{\"name\": \"My first show\", \"show_type\": \"SHOW_TYPE_MOVIE\", \
         \"start_time\": \"{}\", \"total_seats\": 40, \
         \"seat_price\": {{\"minor_units\": 1250, \"currency_code\": \"EUR\"}}}}'",
        in_days(30)
    );
    let seats = format!(
        "'{{\"show_id\": \"{}\", \"seat_labels\": [\"{}\"], \"customer_id\": \"me\"}}'",
        demo.show_id,
        demo.seats.join("\", \"")
    );
    // Shows the answer, and keeps the id.
    let keep = "tee /dev/stderr | sed -n 's/.*\"bookingId\": \"\\([^\"]*\\)\".*/\\1/p'";
    let this = r#""{\"booking_id\": \"$BOOKING\"}""#;
    [
        catalog("CreateShow", &show),
        format!("BOOKING=$({} | {keep})", booking("ReserveSeats", &seats)),
        booking("ConfirmBooking", this),
        booking("GetBooking", this),
        booking("CancelBooking", this),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_one_line_that_a_shell_can_read() {
        let ports = Ports {
            catalog: 1,
            booking: 2,
            expiry: 3,
            postgres: 4,
            payment: 5,
            catalog_internal: 6,
        };
        let demo = Demo {
            show_id: "the-show".to_owned(),
            seats: vec!["A-1".to_owned(), "A-2".to_owned()],
        };
        for line in lines(&ports, &demo) {
            assert_eq!(line.lines().count(), 1, "{line}");
            let parsed = std::process::Command::new("sh")
                .args(["-n", "-c", &line])
                .status();
            assert!(parsed.expect("sh runs").success(), "{line}");
        }
        let reserve = &lines(&ports, &demo)[1];
        assert!(
            reserve.contains(r#""seat_labels": ["A-1", "A-2"]"#),
            "{reserve}"
        );
    }
}
