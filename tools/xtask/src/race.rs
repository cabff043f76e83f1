//! `cargo xtask race`: many clients at once for the same seats. One may win.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use proto::booking::v1::booking_service_client::BookingServiceClient;
use proto::booking::v1::reserve_seats_request::Customer;
use proto::booking::v1::{Booking, ReserveSeatsRequest};
use proto::catalog::v1::CancelShowRequest;
use proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use service_kit::args::{ServiceUrl, no_url};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tonic::Status;

use crate::clients::{Connection, booking, catalog, code_and_reason, concert, listed, section};
use crate::running::Running;
use crate::say::say;

/// A service takes 64 from one address by default, and others may run on this machine.
const CONNECTIONS_MAX: usize = 50;

/// Let many clients reserve the same seats at once, and check that exactly one wins
///
/// Needs the services running, as by `cargo xtask up`, whose ports it knows. Fails if there is not
/// exactly one winner.
#[derive(Debug, Args)]
pub(crate) struct RaceArgs {
    /// How many clients; up to 50 each have their own connection, more share them
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    clients: u16,

    /// The seats that all of them want
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "A-1,A-2",
        value_name = "LABELS",
        value_parser = no_url
    )]
    seats: Vec<String>,

    /// The show; if there is none a new one is made for the race, and cancelled afterwards
    #[arg(long, value_name = "ID", value_parser = no_url)]
    show_id: Option<String>,

    /// Where booking-svc serves; default: that of the running `cargo xtask up`, else
    /// http://127.0.0.1:50052
    #[arg(long, value_name = "URL")]
    booking_url: Option<ServiceUrl>,

    /// Where catalog-svc serves, asked only for a new show; default: that of the running
    /// `cargo xtask up`, else http://127.0.0.1:50051
    #[arg(long, value_name = "URL")]
    catalog_url: Option<ServiceUrl>,
}

/// How far ahead a race's own show starts: after other shows in lists.
const DAYS_AHEAD: u32 = 365;

type Client = BookingServiceClient<Connection>;

/// The outcome of one client's call.
type Outcome = Result<Booking, Status>;

/// Runs the race, and prints the result.
pub(crate) async fn race(args: RaceArgs) -> Result<()> {
    let running = Running::find()?;
    let known = |url: fn(&Running) -> &String| running.as_ref().map(url).cloned();
    let booking_url = args
        .booking_url
        .map(|url| url.to_string())
        .or_else(|| known(|up| &up.booking_url));
    let booking_url = booking_url.unwrap_or_else(|| "http://127.0.0.1:50052".to_owned());
    let clients = connect(&booking_url, args.clients).await?;
    if let Some(show_id) = &args.show_id {
        return run_and_judge(clients, show_id, &args.seats).await;
    }
    let catalog_url = args
        .catalog_url
        .map(|url| url.to_string())
        .or_else(|| known(|up| &up.catalog_url));
    let catalog_url = catalog_url.unwrap_or_else(|| "http://127.0.0.1:50051".to_owned());
    let mut catalog = catalog(&catalog_url).await?;
    let show_id = new_show(&mut catalog, &args.seats).await?;
    let judged = run_and_judge(clients, &show_id, &args.seats).await;
    let cancelling = CancelShowRequest {
        show_id,
        ..Default::default()
    };
    let cancelled = catalog.cancel_show(cancelling).await;
    judged?;
    cancelled.map_err(|status| refusal("cancel the race's show", &status))?;
    Ok(())
}

async fn run_and_judge(clients: Vec<Client>, show_id: &str, seats: &[String]) -> Result<()> {
    let count = clients.len();
    let (outcomes, seconds) = run(clients, show_id, seats).await?;
    let seats = seats.join(", ");
    say(format_args!(
        "{count} clients wanted {seats} of show {show_id}: all answered in {seconds:.3} s"
    ));
    for (what, count) in tally(&outcomes) {
        say(format_args!("{count:>6} x {what}"));
    }
    judge(&outcomes)
}

async fn new_show(
    catalog: &mut CatalogServiceClient<Connection>,
    seats: &[String],
) -> Result<String> {
    let stalls = section("Stalls", &[], listed(seats));
    let request = concert("A race", DAYS_AHEAD, vec![(stalls, 1250)]);
    let created = catalog.create_show(request).await;
    let created = created.map_err(|status| refusal("create the show", &status))?;
    let show = created.into_inner().show;
    Ok(show.context("CreateShow answered without a show")?.show_id)
}

/// All clients connect before any of them starts: it is a race for seats, not for sockets.
async fn connect(url: &str, count: u16) -> Result<Vec<Client>> {
    let mut clients = Vec::with_capacity(count.into());
    for number in 0..usize::from(count) {
        clients.push(match number.checked_sub(CONNECTIONS_MAX) {
            None => booking(url).await?,
            Some(another) => Client::clone(&clients[another]),
        });
    }
    Ok(clients)
}

/// The outcome of each client, and the seconds from the start until the last was answered.
async fn run(
    clients: Vec<Client>,
    show_id: &str,
    seats: &[String],
) -> Result<(Vec<(usize, Outcome)>, f64)> {
    let line = Arc::new(Barrier::new(clients.len() + 1));
    let mut racing = JoinSet::new();
    for (number, mut client) in clients.into_iter().enumerate() {
        let line = Arc::clone(&line);
        let request = ReserveSeatsRequest {
            show_id: show_id.to_owned(),
            seat_labels: seats.to_vec(),
            customer: Some(Customer::CustomerId(customer(number))),
            ..Default::default()
        };
        racing.spawn(async move {
            line.wait().await;
            let answer = client.reserve_seats(request).await;
            let outcome = answer.and_then(|answer| {
                let booking = answer.into_inner().booking;
                booking.ok_or_else(|| Status::internal("an answer without a booking"))
            });
            (number, outcome)
        });
    }
    line.wait().await;
    let start = Instant::now();
    let mut outcomes = Vec::new();
    while let Some(done) = racing.join_next().await {
        outcomes.push(done.context("a client broke down")?);
    }
    Ok((outcomes, start.elapsed().as_secs_f64()))
}

fn customer(number: usize) -> String {
    format!("racer-{}", number + 1)
}

fn tally(outcomes: &[(usize, Outcome)]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (_, outcome) in outcomes {
        let what = match outcome {
            Ok(_) => "OK".to_owned(),
            Err(status) => code_and_reason(status),
        };
        *counts.entry(what).or_default() += 1;
    }
    counts
}

/// There must be exactly one winner.
fn judge(outcomes: &[(usize, Outcome)]) -> Result<()> {
    let mut winners = Vec::new();
    for (number, outcome) in outcomes {
        if let Ok(booking) = outcome {
            winners.push(format!(
                "{} (booking {})",
                customer(*number),
                booking.booking_id
            ));
        }
    }
    match winners.as_slice() {
        [winner] => {
            say(format_args!("won by {winner}"));
            Ok(())
        }
        [] => {
            let refused = outcomes
                .iter()
                .find_map(|(_, outcome)| outcome.as_ref().err());
            let why = refused.map(|status| refusal("reserve the seats", status));
            Err(why
                .unwrap_or_else(|| anyhow::anyhow!("nobody ran"))
                .context("nobody won"))
        }
        several => bail!(
            "THE SAME SEATS WERE SOLD {} TIMES, to {}",
            several.len(),
            several.join(", ")
        ),
    }
}

fn refusal(what: &str, status: &Status) -> anyhow::Error {
    let reason = code_and_reason(status);
    anyhow::anyhow!("{what}: {reason}: {}", status.message())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn won(id: &str) -> Outcome {
        Ok(Booking {
            booking_id: id.to_owned(),
            ..Default::default()
        })
    }

    #[test]
    fn one_winner_is_right_and_none_or_two_are_not() {
        let lost = || Err(Status::failed_precondition("taken"));
        assert!(judge(&[(0, lost()), (1, won("a")), (2, lost())]).is_ok());
        let none = judge(&[(0, lost())]).expect_err("nobody won");
        assert!(format!("{none:#}").contains("nobody won: reserve the seats: FAILED_PRECONDITION"));
        let two = judge(&[(0, won("a")), (1, won("b"))]).expect_err("sold twice");
        assert!(
            two.to_string()
                .contains("SOLD 2 TIMES, to racer-1 (booking a), racer-2")
        );
    }
}
