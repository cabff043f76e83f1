//! Bookings that cannot be failed hold up no others.

use std::time::Duration;

use test_harness::eventually;

use crate::hall::{Hall, Standing};

const SOON: Duration = Duration::from_secs(20);
const OPEN: &str = "SELECT count(*) FROM booking.bookings WHERE state = 'PENDING'";

#[tokio::test]
async fn those_that_cannot_be_failed_are_named_and_the_others_end() {
    let hall = Hall::new(40).await;
    let ids = hall.stale(0, 40).await;
    let broken = [ids[7], ids[30]];
    // A seat without an owner, and one with another owner.
    let seat = |ordinal: usize, owner: &str| {
        let (show, wanted) = (hall.show, format!("booking_id = {owner}"));
        format!(
            "UPDATE booking.show_seats SET {wanted} WHERE ordinal = {ordinal} AND show_id = '{show}'"
        )
    };
    hall.run(&seat(7, "NULL")).await;
    hall.run(&seat(30, &format!("'{}'", ids[31]))).await;

    let worker = hall.worker(&["--batch-max", "16"]).await;
    eventually(SOON, "the others have failed", async || {
        hall.count(OPEN).await == 2
    })
    .await;
    eventually(SOON, "both are named", async || {
        let log = worker.log();
        broken.iter().all(|id| log.contains(&id.to_string()))
    })
    .await;
    let log = worker.log();
    assert_eq!(log.matches(" ERROR ").count(), 2, "each once:\n{log}");
    // Later expired holds are failed as usual.
    let later = hall.hold(&[7], -1.0).await;
    eventually(SOON, "a later one has failed", async || {
        hall.standing(later).await == Standing::expired()
    })
    .await;

    drop(worker);
    for (ordinal, id) in [(7, broken[0]), (30, broken[1])] {
        hall.run(&seat(ordinal, &format!("'{id}'"))).await;
    }
    assert_eq!(hall.sweep(500).await, 2, "they are tried again");
    for id in broken {
        assert_eq!(hall.standing(id).await, Standing::expired());
    }
    hall.assert_sound().await;
}
