//! The plans of the worker's statements. They are made once for each connection, perhaps
//! while the tables are new and without statistics, and kept.

use test_harness::postgres::plan;

use crate::hall::Hall;

macro_rules! statements {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../src/sql/", $name, ".sql")))),*]
    };
}

#[tokio::test]
async fn every_statement_finds_its_rows_by_key() {
    let all = statements![
        "buyers",
        "fail_bookings",
        "free_places",
        "free_seats",
        "lock_areas",
        "lock_stale",
        "log_expiry",
        "step",
        "try_areas",
        "try_seats",
    ];
    let indexes = [
        ("fail_bookings", "bookings_pkey"),
        ("free_places", "show_areas_pkey"),
        ("free_seats", "show_seats_pkey"),
        ("lock_areas", "show_areas_pkey"),
        ("lock_stale", "bookings_by_expiry"),
        ("step", "bookings_by_expiry"),
        ("try_areas", "show_areas_pkey"),
        ("try_seats", "show_seats_pkey"),
    ];
    let hall = Hall::new(1_000).await;
    for state in ["new", "analyzed", "full"] {
        match state {
            "new" => {}
            "analyzed" => hall.run("ANALYZE").await,
            _ => fill(&hall).await,
        }
        let client = hall.database.client("expiry_worker").await;
        for (name, statement) in all {
            let plan = plan(&client, name, statement).await;
            let described = || format!("{name} on {state} tables:\n{plan}");
            for slow in ["Seq Scan", "Hash Join", "Merge Join", "Bitmap"] {
                // The databases of a server are few.
                let slow_is_well = name == "buyers" && slow == "Seq Scan";
                assert!(
                    slow_is_well || !plan.contains(slow),
                    "{slow}: {}",
                    described()
                );
            }
            let wanted = indexes.iter().find(|(of, _)| *of == name);
            if let Some((_, index)) = wanted {
                assert!(
                    plan.contains(&format!("using {index} ")),
                    "{index}: {}",
                    described()
                );
            }
            // Seats are freed in the order of the array, which is the order of locks.
            let outer = plan.find("Function Scan").zip(plan.find("Index Scan"));
            assert!(
                name != "free_seats" || outer.is_some_and(|(array, seats)| array < seats),
                "{}",
                described()
            );
            // The oldest come first by the index: a batch does not sort all stale holds.
            assert!(
                name != "lock_stale" || !plan.contains("Sort"),
                "{}",
                described()
            );
        }
    }
}

#[test]
fn no_statement_is_left_out() {
    let source = include_str!("plans.rs");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sql");
    for file in std::fs::read_dir(folder).expect("the statements' folder") {
        let path = file.expect("a file").path();
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .expect("a name");
        let named = source.contains(&format!("        \"{name}\","));
        assert!(named, "{name} has no plan here");
    }
}

/// Twenty thousand bookings, a tenth of them open, with statistics.
async fn fill(hall: &Hall) {
    let show = hall.show;
    let statements = format!(
        "INSERT INTO booking.bookings (show_id, booking_id, state, version, customer_id,
             seat_ordinals, seat_prices, seat_tiers, total, currency, created_at, expires_at,
             cancelled_at)
         SELECT '{show}', (left('{show}', 24) || lpad(to_hex(n), 12, '0'))::uuid,
             CASE WHEN n % 10 = 0 THEN 'PENDING' ELSE 'CANCELLED' END::booking.booking_state,
             1, 'ann', '{{0}}', '{{7}}', '{{VIP}}', 7, 'EUR', now(), now() + interval '120 s',
             CASE WHEN n % 10 = 0 THEN NULL ELSE now() END
         FROM generate_series(1, 20000) AS n;
         ANALYZE"
    );
    hall.run(&statements).await;
}
