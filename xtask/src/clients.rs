//! What the tools ask of the services.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use prost_types::Timestamp;
use proto::booking::v1::booking_service_client::BookingServiceClient;
use proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use proto::catalog::v1::{CreateShowRequest, SeatRow, Section, ShowType};
use proto::money::v1::Money;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt as _;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A client of catalog-svc.
pub(crate) async fn catalog(url: &str) -> Result<CatalogServiceClient<Channel>> {
    Ok(CatalogServiceClient::new(connect(url).await?))
}

/// A client of booking-svc on a connection of its own.
pub(crate) async fn booking(url: &str) -> Result<BookingServiceClient<Channel>> {
    Ok(BookingServiceClient::new(connect(url).await?))
}

async fn connect(url: &str) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(url.to_owned()).context("not a URL")?;
    let endpoint = endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(CALL_TIMEOUT);
    let connected = endpoint.connect().await;
    connected.with_context(|| format!("connect to {url}: does the service run there?"))
}

/// A concert, so many days from now.
pub(crate) fn concert(name: &str, days: u32, sections: Vec<Section>) -> CreateShowRequest {
    CreateShowRequest {
        name: name.to_owned(),
        show_type: ShowType::Concert.into(),
        start_time: Some(in_days(days)),
        venue: "The Hall".to_owned(),
        sections,
        ..Default::default()
    }
}

pub(crate) fn in_days(days: u32) -> Timestamp {
    (SystemTime::now() + DAY * days).into()
}

/// A section whose seats cost so many euro cents.
pub(crate) fn section(name: &str, cents: i64, rows: Vec<SeatRow>) -> Section {
    Section {
        name: name.to_owned(),
        price: Some(Money {
            minor_units: cents,
            currency_code: "EUR".to_owned(),
        }),
        rows,
    }
}

/// An error's code and reason, as "FAILED_PRECONDITION SEATS_UNAVAILABLE".
pub(crate) fn code_and_reason(status: &Status) -> String {
    let info = status.get_details_error_info();
    let reason = info.map(|info| info.reason).unwrap_or_default();
    let code = screaming(&format!("{:?}", status.code()));
    format!("{code} {reason}").trim_end().to_owned()
}

/// "FailedPrecondition" as gRPC writes it.
fn screaming(camel: &str) -> String {
    let mut name = String::new();
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_written_as_grpc_does() {
        let status = Status::failed_precondition("taken");
        assert_eq!(code_and_reason(&status), "FAILED_PRECONDITION");
    }
}
