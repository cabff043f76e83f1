//! Many concurrent buyers: no place is sold twice, and no order hangs.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use proto::booking::v1::ReserveSeatsRequest;
use test_harness::errors::{describe, reason};
use test_harness::system::confirm;

use super::{cart, held, reserve, show_of};
use crate::stage::{Bookings, Stage, assert_quiet};

const DEADLOCKS: &str = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";

/// Reserves, one after another; returns the places granted, and the rejections.
async fn buy(mut client: Bookings, carts: Vec<ReserveSeatsRequest>) -> (i32, usize) {
    let (mut granted, mut full) = (0, 0);
    for cart in carts {
        match reserve(&mut client, cart).await {
            Ok(booking) => granted += held(&booking).iter().map(|(_, n)| n).sum::<i32>(),
            Err(status) => {
                assert_eq!(reason(&status), "AREA_FULL", "{}", describe(&status));
                full += 1;
            }
        }
    }
    (granted, full)
}

#[tokio::test]
async fn a_crowd_gets_every_place_and_no_more() {
    let mut stage = Stage::start().await;
    let (mut process, other) = stage.another().await;
    let show = stage.create(show_of(0, &[("Floor", 100)])).await;
    let quantities = [1, 2, 3, 4];
    let clients = (0..64).map(|number| {
        let client = [stage.client(), other.clone()][number % 2].clone();
        // 1 to 4 each, then the rest one by one.
        let most = quantities[number % 4];
        let carts = [most, most, 1, 1, 1].map(|wanted| cart(&show, &[], &[("Floor", wanted)]));
        buy(client, carts.to_vec())
    });
    let seen = join_all(clients).await;
    assert_eq!(seen.iter().map(|(granted, _)| granted).sum::<i32>(), 100);
    assert!(seen.iter().map(|(_, full)| full).sum::<usize>() > 64);
    assert_eq!(stage.counts(&show).await, [(0, 100, 0)]);
    assert_quiet(&mut process);
    stage.assert_sound().await;
}

#[tokio::test]
async fn carts_that_name_the_same_areas_in_other_orders_are_all_answered() {
    const CLIENTS: usize = 50;
    const CARTS: usize = 2_000;
    const ANSWER_MAX: Duration = Duration::from_secs(10);
    let mut stage = Stage::with_workers(1).await;
    let (mut process, other) = stage.another().await;
    let show = stage
        .create(show_of(0, &[("A", 900), ("B", 1_200), ("C", 1_500)]))
        .await;
    let orders = [
        ["A", "B", "C"],
        ["C", "B", "A"],
        ["B", "A", "C"],
        ["C", "A", "B"],
        ["A", "C", "B"],
        ["B", "C", "A"],
    ];
    let clients = (0..CLIENTS).map(|number| {
        let mut client = [stage.client(), other.clone()][number % 2].clone();
        let show = &show;
        async move {
            let (mut kept, mut slowest) = (0, Duration::ZERO);
            for n in (number..CARTS).step_by(CLIENTS) {
                let order = orders[n % orders.len()].map(|area| (area, 1));
                let began = Instant::now();
                let granted = reserve(&mut client, cart(show, &[], &order)).await;
                slowest = slowest.max(began.elapsed());
                let booking = match granted {
                    Ok(booking) => booking,
                    Err(status) => {
                        assert_eq!(reason(&status), "AREA_FULL", "{}", describe(&status));
                        continue;
                    }
                };
                // Some are kept, some are returned.
                if n % 3 == 0 {
                    super::cancel(&mut client, super::part(&booking, &[], &[]))
                        .await
                        .expect("a live hold");
                } else {
                    kept += 1;
                    let sold = confirm(&mut client, &booking.booking_id).await;
                    sold.expect("a live hold");
                }
            }
            (kept, slowest)
        }
    });
    let seen = join_all(clients).await;
    let slowest = seen.iter().map(|(_, slowest)| *slowest).max();
    assert!(slowest.expect("clients") < ANSWER_MAX, "{slowest:?}");
    let kept: i32 = seen.iter().map(|(kept, _)| kept).sum();
    // More carts are kept than the smallest area has places, so that area is full now.
    let left = [900, 1_200, 1_500].map(|capacity| (capacity - kept, 0, kept));
    assert_eq!(stage.counts(&show).await, left);
    assert_eq!(kept, 900);
    assert_eq!(stage.count(DEADLOCKS).await, 0);
    assert_quiet(&mut process);
    assert_quiet(&mut stage.system.workers[0]);
    stage.assert_sound().await;
}
