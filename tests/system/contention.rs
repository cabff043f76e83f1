//! Many customers, few seats.

use std::collections::BTreeSet;

use proto::booking::v1::{Booking, SeatStatus};
use test_harness::errors::{assert_error, subjects};
use test_harness::invariants::assert_hold;
use test_harness::postgres;
use test_harness::system::{System, confirm, reserve};
use tokio::task::JoinSet;
use tonic::Code;
use uuid::Uuid;

const CUSTOMERS: usize = 200;
const SEATS: usize = 10;

/// Each customer wants any two seats, and skips those that an error named as taken. So while two
/// are free somebody still wants them: in the end all are sold.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_seat_is_sold_once_and_no_customer_holds_half() {
    // Each customer has a connection of their own, all from one address.
    let connections = ["--connections-per-peer-max", "1000"];
    let system = System::start_with(postgres::database().await, 1, &connections).await;
    let show = system.a_show(i32::try_from(SEATS).expect("a few")).await;
    let mut customers = JoinSet::new();
    for number in 0..CUSTOMERS {
        let (client, show) = (system.booking_client(), show.clone());
        customers.spawn(async move {
            let mut client = client;
            let mut wanted: BTreeSet<String> = (1..=SEATS).map(|n| format!("A-{n}")).collect();
            loop {
                let [first, second] = two_of(&wanted)?;
                let name = format!("customer-{number}");
                match reserve(&mut client, &show, &[&first, &second], &name).await {
                    Ok(held) => {
                        let sold = confirm(&mut client, &held.booking_id).await;
                        return Some(sold.expect("a hold can be confirmed"));
                    }
                    Err(status) => {
                        assert_error(&status, Code::FailedPrecondition, "SEATS_UNAVAILABLE");
                        let taken = subjects(&status);
                        assert!(!taken.is_empty());
                        for label in taken {
                            assert!(wanted.remove(&label), "{label} was not asked for");
                        }
                    }
                }
            }
        });
    }
    let sold: Vec<Booking> = customers.join_all().await.into_iter().flatten().collect();
    let mut labels: Vec<&str> = sold
        .iter()
        .flat_map(|booking| &booking.lines)
        .map(|line| line.seat_label.as_str())
        .collect();
    labels.sort_unstable();
    let distinct: BTreeSet<&str> = labels.iter().copied().collect();
    assert_eq!((labels.len(), distinct.len()), (SEATS, SEATS), "{labels:?}");
    assert!(
        sold.iter().all(|booking| booking.lines.len() == 2),
        "{sold:?}"
    );
    for seat in system.seats(&show).await {
        assert_eq!(seat.status(), SeatStatus::Booked, "{}", seat.label);
    }
    assert_hold(&system.database).await;
}

fn two_of(labels: &BTreeSet<String>) -> Option<[String; 2]> {
    let labels: Vec<&String> = labels.iter().collect();
    let [a, b, ..] = *Uuid::new_v4().as_bytes();
    let first = usize::from(a) % labels.len().max(1);
    let others = labels.len().checked_sub(1).filter(|others| *others > 0)?;
    let second = (first + 1 + usize::from(b) % others) % labels.len();
    Some([first, second].map(|index| labels[index].clone()))
}
