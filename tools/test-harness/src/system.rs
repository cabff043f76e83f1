//! The three services on a database of their own, and the calls that tests make most.

use std::time::{Duration, SystemTime};

use proto::booking::v1::booking_service_client::BookingServiceClient;
use proto::booking::v1::reserve_seats_request::Customer;
use proto::booking::v1::{
    Booking, CancelBookingRequest, ConfirmBookingRequest, GetBookingRequest, ListSeatsRequest,
    ReserveSeatsRequest, Seat,
};
use proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use proto::catalog::v1::create_show_request::Seats;
use proto::catalog::v1::series::Series as Kind;
use proto::catalog::v1::{
    CancelShowRequest, CreateShowRequest, NameList, NumberSeries, RowBlock, SeatLayout, Section,
    Series, ShowType,
};
use proto::expiry::v1::expiry_service_client::ExpiryServiceClient;
use proto::money::v1::Money;
use tonic::Status;
use tonic::transport::Channel;
use uuid::Uuid;

use crate::postgres::{self, TestDatabase};
use crate::process::Process;

/// A limit on calls, far above any call of a test: one that hangs must not hang
/// the test.
const CALL_MAX: Duration = Duration::from_secs(20);

/// catalog-svc, booking-svc, and any number of expiry-workers.
///
/// The services' fields come first, so that they end before the database is dropped.
#[derive(Debug)]
pub struct System {
    /// catalog-svc.
    pub catalog: Process,
    /// booking-svc.
    pub booking: Process,
    /// The expiry-workers.
    pub workers: Vec<Process>,
    /// Their database.
    pub database: TestDatabase,
}

impl System {
    /// The services with `workers` expiry-workers, on a new database.
    ///
    /// # Panics
    ///
    /// If one of them does not serve.
    pub async fn start(workers: usize) -> Self {
        Self::start_on(postgres::database().await, workers).await
    }

    /// The same on an existing database.
    ///
    /// # Panics
    ///
    /// If one of them does not serve.
    pub async fn start_on(database: TestDatabase, workers: usize) -> Self {
        Self::start_with(database, workers, &[]).await
    }

    /// The same with further arguments for booking-svc and the expiry-workers.
    ///
    /// # Panics
    ///
    /// If one of them does not serve.
    pub async fn start_with(database: TestDatabase, workers: usize, arguments: &[&str]) -> Self {
        let catalog = start_catalog(&database).await;
        let booking = start_booking_with(&database, &catalog, arguments).await;
        let mut system = Self {
            catalog,
            booking,
            workers: Vec::new(),
            database,
        };
        for _ in 0..workers {
            let worker = start_worker_with(&system.database, arguments).await;
            system.workers.push(worker);
        }
        system
    }

    /// A client on its own connection, which reconnects after a restart of the service.
    #[must_use]
    pub fn catalog_client(&self) -> CatalogServiceClient<Channel> {
        catalog_client_of(&self.catalog)
    }

    /// A client on its own connection, which reconnects after a restart of the service.
    #[must_use]
    pub fn booking_client(&self) -> BookingServiceClient<Channel> {
        booking_client_of(&self.booking)
    }

    /// A client of one of the workers.
    #[must_use]
    pub fn worker_client(&self, worker: usize) -> ExpiryServiceClient<Channel> {
        ExpiryServiceClient::new(channel(&self.workers[worker]))
    }

    /// A show with the seats "A-1" to "A-{seats}", for 12.50 EUR each; its id.
    ///
    /// # Panics
    ///
    /// If it is refused.
    pub async fn a_show(&self, seats: i32) -> String {
        let response = self.catalog_client().create_show(show(seats)).await;
        let created = response.expect("a show").into_inner().show;
        created.expect("the answer has the show").show_id
    }

    /// Cancels a show in the catalog, and does not wait for booking-svc.
    ///
    /// # Panics
    ///
    /// If it is refused.
    pub async fn cancel_show(&self, show: &str) {
        let request = CancelShowRequest {
            show_id: show.to_owned(),
            ..Default::default()
        };
        let cancelled = self.catalog_client().cancel_show(request).await;
        cancelled.expect("a show on sale can be cancelled");
    }

    /// Its seats with their status, page by page.
    ///
    /// # Panics
    ///
    /// If they cannot be listed.
    pub async fn seats(&self, show: &str) -> Vec<Seat> {
        let mut client = self.booking_client();
        let mut seats = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = ListSeatsRequest {
                show_id: show.to_owned(),
                page_size: 1_000,
                page_token,
                ..Default::default()
            };
            let page = client
                .list_seats(request)
                .await
                .expect("seats")
                .into_inner();
            seats.extend(page.seats);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return seats;
            }
        }
    }
}

/// catalog-svc on a database.
///
/// # Panics
///
/// If it does not serve.
pub async fn start_catalog(database: &TestDatabase) -> Process {
    let url = database.url("catalog_svc");
    Process::start("catalog-svc", &["--database-url", &url]).await
}

/// booking-svc on a database, following a catalog.
///
/// # Panics
///
/// If it does not serve.
pub async fn start_booking(database: &TestDatabase, catalog: &Process) -> Process {
    start_booking_with(database, catalog, &[]).await
}

async fn start_booking_with(
    database: &TestDatabase,
    catalog: &Process,
    arguments: &[&str],
) -> Process {
    let (url, catalog) = (database.url("booking_svc"), catalog.internal_url());
    let all = ["--database-url", &url, "--catalog-url", &catalog];
    Process::start("booking-svc", &[&all, arguments].concat()).await
}

pub(crate) async fn start_worker_with(database: &TestDatabase, arguments: &[&str]) -> Process {
    let url = database.url("expiry_worker");
    let all = ["--database-url", &url];
    Process::start("expiry-worker", &[&all, arguments].concat()).await
}

/// A client of one booking-svc among several, on its own connection.
#[must_use]
pub fn booking_client_of(process: &Process) -> BookingServiceClient<Channel> {
    BookingServiceClient::new(channel(process))
}

/// A client of a catalog-svc, on its own connection.
#[must_use]
pub fn catalog_client_of(process: &Process) -> CatalogServiceClient<Channel> {
    CatalogServiceClient::new(channel(process))
}

fn channel(process: &Process) -> Channel {
    process.channel(CALL_MAX)
}

/// The request that creates a show with the seats "A-1" to "A-{seats}", for 12.50 EUR each, tomorrow.
#[must_use]
pub fn show(seats: i32) -> CreateShowRequest {
    let tomorrow = SystemTime::now() + Duration::from_secs(24 * 60 * 60);
    CreateShowRequest {
        name: "A show".to_owned(),
        show_type: ShowType::Concert.into(),
        start_time: Some(tomorrow.into()),
        seats: Some(Seats::Layout(layout(seats))),
        seat_price: Some(Money {
            minor_units: 1250,
            currency_code: "EUR".to_owned(),
        }),
        ..Default::default()
    }
}

/// A layout with the seats "A-1" to "A-{seats}" in one section "Stalls".
#[must_use]
pub fn layout(seats: i32) -> SeatLayout {
    let numbers = NumberSeries {
        first: 1,
        last: seats,
        ..Default::default()
    };
    let row = RowBlock {
        names: Some(names(["A"])),
        runs: vec![Series {
            series: Some(Kind::Numbers(numbers)),
        }],
        ..Default::default()
    };
    SeatLayout {
        name: format!("A row of {seats}"),
        sections: vec![Section {
            name: "Stalls".to_owned(),
            rows: vec![row],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// Names one by one.
#[must_use]
pub fn names<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Series {
    let names = names.into_iter().map(Into::into).collect();
    Series {
        series: Some(Kind::List(NameList { names })),
    }
}

/// Reserves seats for a customer.
///
/// # Errors
///
/// The service's.
pub async fn reserve(
    client: &mut BookingServiceClient<Channel>,
    show: &str,
    labels: &[&str],
    customer: &str,
) -> Result<Booking, Status> {
    let request = reservation(show, labels, customer);
    let response = client.reserve_seats(request).await?.into_inner();
    Ok(response.booking.expect("the answer has the booking"))
}

/// The request that reserves seats for a customer.
#[must_use]
pub fn reservation(show: &str, labels: &[&str], customer: &str) -> ReserveSeatsRequest {
    ReserveSeatsRequest {
        show_id: show.to_owned(),
        seat_labels: labels.iter().map(ToString::to_string).collect(),
        customer: Some(Customer::CustomerId(customer.to_owned())),
        request_id: Uuid::new_v4().to_string(),
        ..Default::default()
    }
}

/// Confirms a booking.
///
/// # Errors
///
/// The service's.
pub async fn confirm(
    client: &mut BookingServiceClient<Channel>,
    booking: &str,
) -> Result<Booking, Status> {
    let request = ConfirmBookingRequest {
        booking_id: booking.to_owned(),
        request_id: Uuid::new_v4().to_string(),
        ..Default::default()
    };
    let response = client.confirm_booking(request).await?.into_inner();
    Ok(response.booking.expect("the answer has the booking"))
}

/// Cancels a booking.
///
/// # Errors
///
/// The service's.
pub async fn cancel(
    client: &mut BookingServiceClient<Channel>,
    booking: &str,
) -> Result<Booking, Status> {
    let request = CancelBookingRequest {
        booking_id: booking.to_owned(),
        ..Default::default()
    };
    let response = client.cancel_booking(request).await?.into_inner();
    Ok(response.booking.expect("the answer has the booking"))
}

/// Reads a booking.
///
/// # Errors
///
/// The service's.
pub async fn get(
    client: &mut BookingServiceClient<Channel>,
    booking: &str,
) -> Result<Booking, Status> {
    let request = GetBookingRequest {
        booking_id: booking.to_owned(),
    };
    let response = client.get_booking(request).await?.into_inner();
    Ok(response.booking.expect("the answer has the booking"))
}
