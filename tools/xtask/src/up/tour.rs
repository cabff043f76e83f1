//! The text that is printed once everything runs: the addresses, and six lines to paste.

use std::fmt::Write as _;

use crate::clients::in_days;
use crate::up::UpArgs;
use crate::up::database::Database;
use crate::up::ports::Ports;

/// The whole text.
pub(crate) fn text(args: &UpArgs, database: &Database, demo_show: &str) -> String {
    let ports = &args.ports;
    let mut text = String::from("\nTicketing is up.\n\n");
    for (name, port) in [
        ("catalog-svc", ports.catalog),
        ("catalog-svc, internal port", ports.catalog_internal),
        ("booking-svc", ports.booking),
        ("expiry-worker", ports.expiry),
        ("payment-sim", ports.payment),
    ] {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<26} 127.0.0.1:{port}");
    }
    for (name, value) in [
        ("PostgreSQL", database.place()),
        ("demo show", demo_show.to_owned()),
    ] {
        let _ = writeln!(text, "  {name:<26} {value}");
    }
    text.push_str(
        "\nPaste these into another terminal: make a show; reserve seats of it; confirm the \
         booking;\nlook at it; list the customer's bookings; cancel it.\n\n",
    );
    if args.auth {
        let _ = writeln!(
            text,
            "TOKEN=$(cargo --quiet xtask token --role staff --sub ann)\n"
        );
    }
    for line in lines(ports, args.auth) {
        let _ = writeln!(text, "{line}\n");
    }
    text.push_str(
        "Here a booking is confirmed without a payment (--confirm-unpaid). To pay, give \
         ConfirmBooking a\n\"payment_token\", as \"approve\" or \"decline\": see \
         docs/using-the-api.md.\n",
    );
    text.push_str("The logs follow. Ctrl-C stops everything.\n");
    text
}

/// The lines work in this order; the shell variables SHOW and BOOKING go from one to the next.
fn lines(ports: &Ports, auth: bool) -> [String; 6] {
    let grpcurl = if auth {
        r#"grpcurl -plaintext -H "authorization: Bearer $TOKEN""#
    } else {
        "grpcurl -plaintext"
    };
    let catalog = |verb: &str, body: &str| {
        let service = "ticketing.catalog.v1.CatalogService";
        format!(
            "{grpcurl} -d {body} 127.0.0.1:{} {service}/{verb}",
            ports.catalog
        )
    };
    let booking = |verb: &str, body: &str| {
        let service = "ticketing.booking.v1.BookingService";
        format!(
            "{grpcurl} -d {body} 127.0.0.1:{} {service}/{verb}",
            ports.booking
        )
    };
    let rows = r#"[{"names": {"letters": {"first": "A", "last": "D"}}, "runs": [{"numbers": {"first": 1, "last": 10}}]}]"#;
    let show = format!(
        "'{{\"name\": \"My first show\", \"show_type\": \"SHOW_TYPE_MOVIE\", \
         \"start_time\": \"{}\", \
         \"layout\": {{\"sections\": [{{\"name\": \"Stalls\", \"rows\": {rows}}}]}}, \
         \"seat_price\": {{\"minor_units\": 1250, \"currency_code\": \"EUR\"}}}}'",
        in_days(30)
    );
    let seats = r#""{\"show_id\": \"$SHOW\", \"seat_labels\": [\"A-1\", \"A-2\"], \"customer_id\": \"me\"}""#;
    let this = r#""{\"booking_id\": \"$BOOKING\"}""#;
    // Shows the answer, and keeps an id of it.
    let keeping = |variable: &str, id: &str, line: &str| {
        let keep = format!("sed -n 's/.*\"{id}\": \"\\([^\"]*\\)\".*/\\1/p'");
        format!("{variable}=$({line} | tee /dev/stderr | {keep})")
    };
    [
        keeping("SHOW", "showId", &catalog("CreateShow", &show)),
        keeping("BOOKING", "bookingId", &booking("ReserveSeats", seats)),
        booking("ConfirmBooking", this),
        booking("GetBooking", this),
        booking("ListBookings", r#"'{"customer_id": "me"}'"#),
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
        for line in [false, true]
            .into_iter()
            .flat_map(|auth| lines(&ports, auth))
        {
            assert_eq!(line.lines().count(), 1, "{line}");
            let parsed = std::process::Command::new("sh")
                .args(["-n", "-c", &line])
                .status();
            assert!(parsed.expect("sh runs").success(), "{line}");
        }
    }
}
