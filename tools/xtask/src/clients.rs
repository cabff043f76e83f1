//! The tools' clients of the services.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use prost_types::Timestamp;
use proto::booking::v1::booking_service_client::BookingServiceClient;
use proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use proto::catalog::v1::create_show_request::Seats;
use proto::catalog::v1::series::Series as Kind;
use proto::catalog::v1::{
    CreateShowRequest, NameList, NumberSeries, PriceTier, RowBlock, SeatLayout, Section, Series,
    ShowType,
};
use proto::money::v1::Money;
use service_kit::auth::Bearer;
use tonic::Status;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt as _;

use crate::dev_issuer::own_token;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A connection on which the tools show their token, if they have one.
pub(crate) type Connection = InterceptedService<Channel, Bearer>;

/// A client of catalog-svc.
pub(crate) async fn catalog(url: &str) -> Result<CatalogServiceClient<Connection>> {
    let (channel, bearer) = (connect(url).await?, own_token()?);
    Ok(CatalogServiceClient::with_interceptor(channel, bearer))
}

/// A client of booking-svc on a connection of its own.
pub(crate) async fn booking(url: &str) -> Result<BookingServiceClient<Connection>> {
    let (channel, bearer) = (connect(url).await?, own_token()?);
    Ok(BookingServiceClient::with_interceptor(channel, bearer))
}

async fn connect(url: &str) -> Result<Channel> {
    ensure!(
        !url.starts_with("https://"),
        "{url}: only http:// is spoken here"
    );
    let endpoint = Endpoint::from_shared(url.to_owned()).context("not a URL")?;
    let endpoint = endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(CALL_TIMEOUT);
    let connected = endpoint.connect().await;
    connected.with_context(|| format!("connect to {url}: does the service run there?"))
}

/// A concert, this many days from now, in a hall with these sections, each with its price in euro
/// cents.
pub(crate) fn concert(name: &str, days: u32, sections: Vec<(Section, i64)>) -> CreateShowRequest {
    let tier = |(section, cents): &(Section, i64)| PriceTier {
        name: section.name.clone(),
        price: Some(Money {
            minor_units: *cents,
            currency_code: "EUR".to_owned(),
        }),
        sections: vec![section.name.clone()],
        ..Default::default()
    };
    CreateShowRequest {
        name: name.to_owned(),
        show_type: ShowType::Concert.into(),
        start_time: Some(in_days(days)),
        venue: "The Hall".to_owned(),
        price_tiers: sections.iter().map(tier).collect(),
        seats: Some(Seats::Layout(SeatLayout {
            sections: sections.into_iter().map(|(section, _)| section).collect(),
            ..Default::default()
        })),
        ..Default::default()
    }
}

pub(crate) fn in_days(days: u32) -> Timestamp {
    (SystemTime::now() + DAY * days).into()
}

/// A section of rows with these names (one without a name if there are none), which have the
/// same seats.
pub(crate) fn section(name: &str, row_names: &[&str], seats: Series) -> Section {
    let rows = RowBlock {
        names: (!row_names.is_empty()).then(|| listed(row_names)),
        runs: vec![seats],
        ..Default::default()
    };
    Section {
        name: name.to_owned(),
        rows: vec![rows],
        ..Default::default()
    }
}

/// The numbers from 1 to this one.
pub(crate) fn numbered(last: i32) -> Series {
    let numbers = NumberSeries {
        first: 1,
        last,
        ..Default::default()
    };
    Series {
        series: Some(Kind::Numbers(numbers)),
    }
}

/// These names.
pub(crate) fn listed(names: &[impl ToString]) -> Series {
    let names = names.iter().map(ToString::to_string).collect();
    Series {
        series: Some(Kind::List(NameList { names })),
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
