//! `read`: looking at bookings, seats and shows; one client alone; and finding shows.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::Result;
use proto::booking::v1::booking_service_client::BookingServiceClient;
use proto::booking::v1::{GetBookingRequest, ListSeatsRequest};
use proto::catalog::v1::ListShowsRequest;
use proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use serde_json::json;
use tonic::Status;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::list_shows;
use crate::load;
use crate::pgbench::{Pgbench, Script};
use crate::report::Report;
use crate::stand::{Stand, connect};
use crate::stats::{self, Latency, micros};

const SHOWS: u32 = 1_000;
const SEATS: u32 = 1_000;
const CLIENTS: usize = 64;
const LENGTH: Duration = Duration::from_secs(5);

pub(crate) async fn run(stand: &Stand, report: &mut Report) -> Result<()> {
    let shows = stand.create_shows(SHOWS, SEATS).await?;
    let channels = connect(&stand.booking_endpoint()?, 8).await?;
    let catalog = stand.catalog_endpoint()?.connect().await?;
    let mut booking = BookingServiceClient::new(channels[0].clone());
    let mut bookings = Vec::new();
    for show in &shows {
        let reserved = booking
            .reserve_seats(load::reservation(show, &[1, 2], 0))
            .await?;
        bookings.extend(
            reserved
                .into_inner()
                .booking
                .map(|booking| booking.booking_id),
        );
    }
    stand.quiesce().await?;

    measure("GetBooking", CLIENTS, report, |n| {
        let mut client = BookingServiceClient::new(channels[n % channels.len()].clone());
        let booking_id = bookings[n % bookings.len()].clone();
        async move {
            client
                .get_booking(GetBookingRequest { booking_id })
                .await
                .map(drop)
        }
    })
    .await?;
    measure("ListSeats, a page of 1,000", CLIENTS, report, |n| {
        let mut client = BookingServiceClient::new(channels[n % channels.len()].clone());
        let show_id = shows[n % shows.len()].clone();
        let request = ListSeatsRequest {
            show_id,
            page_size: 1_000,
            ..Default::default()
        };
        async move { client.list_seats(request).await.map(drop) }
    })
    .await?;
    measure("ListShows, a page of 50", CLIENTS, report, |_| {
        let mut client = CatalogServiceClient::new(catalog.clone());
        async move {
            client
                .list_shows(ListShowsRequest::default())
                .await
                .map(drop)
        }
    })
    .await?;
    alone(stand, &shows, report).await?;
    list_shows::run(stand, SHOWS, report).await
}

/// Has clients call as fast as they are answered.
pub(crate) async fn measure<F>(
    name: &str,
    clients: usize,
    report: &mut Report,
    call: impl Fn(usize) -> F,
) -> Result<()>
where
    F: Future<Output = Result<(), Status>>,
{
    let began = Instant::now();
    let end = began + LENGTH;
    let call = &call;
    let calling = (0..clients).map(|client| async move {
        let mut samples = Vec::new();
        let mut number = client;
        while Instant::now() < end {
            let called = Instant::now();
            call(number).await?;
            samples.push(micros(called.elapsed()));
            number += clients;
        }
        Ok::<_, Status>(samples)
    });
    let samples = futures_util::future::try_join_all(calling).await?.concat();
    let per_second = stats::ratio(samples.len() as u64, began.elapsed());
    let latency = Latency::of(samples);
    report.line(format!(
        "{name}, {clients} clients: {per_second:.0} calls/s; p50 {} p99 {} p999 {} us",
        latency.p50_us, latency.p99_us, latency.p999_us
    ));
    report.figures(
        &format!("{name}, {clients} clients"),
        &json!({ "per_second": per_second, "latency": latency }),
    );
    Ok(())
}

/// One client that reserves, against pgbench's single statement and an echo through gRPC.
async fn alone(stand: &Stand, shows: &[String], report: &mut Report) -> Result<()> {
    let pgbench = Pgbench::list_shows(stand)?;
    pgbench.prepare(stand, SHOWS, SEATS).await?;
    let channel = stand.booking_endpoint()?.connect().await?;
    let mut booking = BookingServiceClient::new(channel.clone());
    let mut health = HealthClient::new(channel);
    let mut ratios = Vec::new();
    for round in 0..5_u32 {
        stand.quiesce().await?;
        let mut reserves = Vec::new();
        let began = Instant::now();
        let mut number = 0;
        while began.elapsed() < LENGTH {
            let seat = 3 + (round * 190 + number / SHOWS % 95 * 2);
            let show = &shows[(number % SHOWS) as usize];
            let called = Instant::now();
            booking
                .reserve_seats(load::reservation(show, &[seat, seat + 1], number))
                .await?;
            reserves.push(micros(called.elapsed()));
            number += 1;
        }
        let mut echoes = Vec::new();
        for _ in 0..5_000 {
            let called = Instant::now();
            health.check(HealthCheckRequest::default()).await?;
            echoes.push(micros(called.elapsed()));
        }
        let statement = pgbench
            .run(stand, Script::ReserveStatement, 1, LENGTH, (SHOWS, SEATS))
            .await?;
        let (ours, echo) = (Latency::of(reserves).p50_us, Latency::of(echoes).p50_us);
        let theirs = micros(statement.latency) + echo;
        let ratio = stats::of_whole(ours) / stats::of_whole(theirs);
        report.line(format!(
            "alone, round {}: reserve p50 {ours} us; pgbench's single statement {} us and an \
             echo {echo} us: ratio {ratio:.2}",
            round + 1,
            micros(statement.latency),
        ));
        ratios.push(ratio);
    }
    let spread = stats::Spread::of(ratios);
    report.line(format!(
        "ratio of one reserve to pgbench's single statement plus an echo: {:.2} ({:.2} to {:.2})",
        spread.median, spread.min, spread.max
    ));
    report.figures("alone", &spread);
    Ok(())
}
