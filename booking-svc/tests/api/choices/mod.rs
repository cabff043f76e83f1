//! Seats for callers that name none, and the orphans that a choice by label leaves.

mod asking;
mod crowds;
mod orphans;

use std::sync::Arc;

use proto::booking::v1::{Booking, ReserveSeatsRequest, SeatChoice, Seating};
use proto::catalog::v1::create_show_request::Seats;
use proto::catalog::v1::series::Series as Kind;
use proto::catalog::v1::{CreateShowRequest, NumberSeries, RowBlock, Section, Series};
use test_harness::errors::describe;
use test_harness::system::{names, reservation, show};
use tonic::Status;

use crate::stage::{Bookings, Stage};

/// A section of rows with this many seats each, "A-1" and so on.
fn section(name: &str, rows: &[&str], seats: i32) -> Section {
    let numbers = NumberSeries {
        first: 1,
        last: seats,
        ..Default::default()
    };
    let block = RowBlock {
        names: Some(names(rows.iter().copied())),
        runs: vec![Series {
            series: Some(Kind::Numbers(numbers)),
        }],
        ..Default::default()
    };
    Section {
        name: name.to_owned(),
        rows: vec![block],
        ..Default::default()
    }
}

/// A show of these sections, 12.50 EUR a seat.
fn show_of(sections: Vec<Section>) -> CreateShowRequest {
    let mut show = show(1);
    if let Some(Seats::Layout(layout)) = &mut show.seats {
        layout.sections = sections;
    }
    show
}

/// A hall of this many rows of twenty.
fn hall(rows: usize) -> CreateShowRequest {
    let names: Vec<String> = (1..=rows).map(|row| format!("R{row}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    show_of(vec![section("Stalls", &names, 20)])
}

fn party(count: i32) -> SeatChoice {
    SeatChoice {
        count,
        ..Default::default()
    }
}

fn seated(count: i32, seating: Seating) -> SeatChoice {
    SeatChoice {
        seating: seating.into(),
        ..party(count)
    }
}

/// The request that reserves seats by label and by choice.
fn wanted(show: &str, named: &[&str], choices: &[SeatChoice]) -> ReserveSeatsRequest {
    ReserveSeatsRequest {
        choices: choices.to_vec(),
        ..reservation(show, named, "ann")
    }
}

fn send(
    client: &Bookings,
    request: ReserveSeatsRequest,
) -> impl Future<Output = Result<Booking, Status>> + Send + use<> {
    let mut client = client.clone();
    async move {
        let response = client.reserve_seats(request).await?.into_inner();
        Ok(response.booking.expect("the answer has the booking"))
    }
}

/// The labels that are chosen.
async fn chosen(stage: &Stage, show: &str, named: &[&str], choices: &[SeatChoice]) -> Vec<String> {
    let booked = send(&stage.client(), wanted(show, named, choices)).await;
    let booked = booked.unwrap_or_else(|status| panic!("{choices:?}: {}", describe(&status)));
    labels(&booked)
}

fn labels(booking: &Booking) -> Vec<String> {
    let lines = booking.lines.iter();
    lines.map(|line| line.seat_label.clone()).collect()
}

/// Runs `count` tasks at once; returns their results.
async fn at_once<T: Send + 'static, F>(count: usize, task: impl Fn(usize) -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
{
    let gate = Arc::new(tokio::sync::Barrier::new(count));
    let tasks = (0..count).map(|number| {
        let (gate, task) = (Arc::clone(&gate), task(number));
        tokio::spawn(async move {
            gate.wait().await;
            task.await
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut done = Vec::with_capacity(count);
    for task in tasks {
        done.push(task.await.expect("no task panics"));
    }
    done
}
