//! Holds with places in areas: the worker gives them back with the seats, and once.

use futures_util::join;
use model::BookingId;

use crate::hall::{Hall, Standing};

impl Hall {
    /// Areas of ten places each.
    pub(crate) async fn with_areas(&self, names: &[&str]) {
        for name in names {
            self.run(&format!(
                "INSERT INTO booking.show_areas (show_id, area, capacity)
                 VALUES ('{}', '{name}', 10)",
                self.show
            ))
            .await;
        }
    }

    /// Gives a hold places at 1 each.
    pub(crate) async fn give_places(&self, id: BookingId, places: &[(&str, i32)]) {
        let lines = places.iter().map(|(area, quantity)| {
            format!(r#"{{"area": "{area}", "quantity": {quantity}, "price": 1, "tier": "x"}}"#)
        });
        let lines: Vec<_> = lines.collect();
        let sum: i32 = places.iter().map(|(_, quantity)| quantity).sum();
        let mut statements = format!(
            "BEGIN; UPDATE booking.bookings SET areas = '[{}]', places_held_until = expires_at,
                 total = total + {sum} WHERE booking_id = '{id}';",
            lines.join(", ")
        );
        for (area, quantity) in places {
            statements += &format!(
                "UPDATE booking.show_areas SET taken = taken + {quantity} WHERE area = '{area}';"
            );
        }
        self.run(&(statements + "COMMIT")).await;
    }

    async fn taken(&self, area: &str) -> i64 {
        let query = format!("SELECT taken::bigint FROM booking.show_areas WHERE area = '{area}'");
        self.count(&query).await
    }
}

#[tokio::test]
async fn a_failed_hold_gives_its_places_back_once() {
    let hall = Hall::new(10).await;
    hall.with_areas(&["Floor", "Pit"]).await;
    let both = hall.hold(&[0, 1], -60.0).await;
    hall.give_places(both, &[("Pit", 1), ("Floor", 3)]).await;
    let places_alone = hall.hold(&[4], -1.0).await;
    hall.give_places(places_alone, &[("Floor", 4)]).await;
    hall.run(&format!(
        "BEGIN; UPDATE booking.show_seats SET booking_id = NULL WHERE ordinal = 4;
         UPDATE booking.bookings SET seat_ordinals = '{{}}', seat_prices = '{{}}',
             seat_tiers = '{{}}', total = 4 WHERE booking_id = '{places_alone}'; COMMIT"
    ))
    .await;
    let live = hall.hold(&[2], 60.0).await;
    hall.give_places(live, &[("Floor", 2), ("Pit", 5)]).await;
    let seats_alone = hall.hold(&[3], -60.0).await;

    assert_eq!(hall.sweep(500).await, 3);
    for id in [both, places_alone, seats_alone] {
        assert_eq!(hall.standing(id).await, Standing::expired());
    }
    assert_eq!((hall.taken("Floor").await, hall.taken("Pit").await), (2, 5));
    let after = hall.digest().await;
    assert_eq!(hall.sweep(500).await, 0);
    assert_eq!(hall.digest().await, after, "nothing is given back twice");
    hall.assert_sound().await;
}

#[tokio::test]
async fn two_workers_and_many_holds_of_the_same_areas() {
    let hall = Hall::new(40).await;
    hall.with_areas(&["A", "B"]).await;
    hall.run("UPDATE booking.show_areas SET capacity = 100")
        .await;
    for (number, id) in hall.stale(0, 40).await.into_iter().enumerate() {
        let places = [("A", 1), ("B", 2)];
        let turned = [places[1], places[0]];
        let places = if number % 2 == 0 { places } else { turned };
        hall.give_places(id, &places).await;
    }
    let sweeps = [hall.sweep(3), hall.sweep(7)];
    let failed: u64 = futures_util::future::join_all(sweeps).await.iter().sum();
    // Each has skipped the holds that the other had locked.
    assert_eq!(failed + hall.sweep(500).await, 40);
    assert_eq!((hall.taken("A").await, hall.taken("B").await), (0, 0));
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(hall.count(deadlocks).await, 0);
    hall.assert_sound().await;
}

#[tokio::test]
async fn a_counter_that_another_changes_is_counted_on_from_there() {
    let hall = Hall::new(2).await;
    hall.with_areas(&["Floor"]).await;
    let stale = hall.hold(&[0], -60.0).await;
    hall.give_places(stale, &[("Floor", 3)]).await;
    let live = hall.hold(&[1], 60.0).await;
    let other = hall.database.owner().await;
    // As booking-svc does: the counter and the booking in one transaction.
    let takes = format!(
        "BEGIN; UPDATE booking.show_areas SET taken = taken + 4;
         UPDATE booking.bookings SET places_held_until = expires_at, total = total + 4,
             areas = '[{{\"area\": \"Floor\", \"quantity\": 4, \"price\": 1, \"tier\": \"x\"}}]'
         WHERE booking_id = '{live}'"
    );
    other.batch_execute(&takes).await.expect("their change");
    assert_eq!(hall.sweep(500).await, 0, "it does not wait for long");
    let sweeps = async { while hall.sweep(500).await == 0 {} };
    let commits = async { other.batch_execute("COMMIT").await.expect("ours") };
    join!(sweeps, commits);
    assert_eq!(hall.standing(stale).await, Standing::expired());
    assert_eq!(hall.taken("Floor").await, 4);
    hall.assert_sound().await;
}
