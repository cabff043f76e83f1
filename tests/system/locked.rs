//! Rows stay locked for long, and callers keep asking for them: all other callers are served.

#![allow(
    clippy::print_stdout,
    reason = "how long others waited is worth seeing"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use proto::booking::v1::booking_service_client::BookingServiceClient;
use proto::booking::v1::customer_service_client::CustomerServiceClient;
use proto::booking::v1::{
    CreateCustomerRequest, Customer, ListAreasRequest, PlaceRequest, ReserveSeatsRequest,
    UpdateCustomerRequest,
};
use proto::catalog::v1::create_show_request::Seats;
use proto::catalog::v1::{Area, CreateShowRequest, SeatLayout};
use test_harness::errors::{assert_error, has_retry_info};
use test_harness::invariants::assert_hold;
use test_harness::system::{System, confirm, layout, reservation, reserve, show};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// How long the rows are locked.
const LOCKED: Duration = Duration::from_secs(20);
/// The longest that other callers may wait: far longer than they do, as the machine may be busy, and far
/// shorter than the lock.
const OTHERS_MAX: Duration = Duration::from_secs(3);
/// Callers for each locked row.
const CALLERS: usize = 4;
/// Customers of each show who need no locked row.
const CUSTOMERS: usize = 2;
const SEATS: usize = 10_000;
const FLOOR: &str = "Floor";
const PAUSE: Duration = Duration::from_millis(5);

type Bookings = BookingServiceClient<Channel>;
type Clients = (Bookings, CustomerServiceClient<Channel>);

/// The locked row of a show, and the call that needs it.
#[derive(Clone)]
enum Locked {
    /// A booking, which is to be confirmed.
    Booking(String),
    /// The first seat of a show.
    Seat(String),
    /// The whole show.
    Sale(String),
    /// The area of a show.
    Area(String),
    /// A customer, whose telephone number is to be changed.
    Customer(Customer),
}

impl Locked {
    fn lock(&self) -> String {
        match self {
            Self::Booking(id) => {
                format!("SELECT FROM booking.bookings WHERE booking_id = '{id}' FOR UPDATE")
            }
            Self::Seat(show) => format!(
                "SELECT FROM booking.show_seats WHERE show_id = '{show}' AND ordinal = 0 FOR UPDATE"
            ),
            Self::Sale(show) => {
                format!("SELECT FROM booking.sales WHERE show_id = '{show}' FOR UPDATE")
            }
            Self::Area(show) => {
                format!("SELECT FROM booking.show_areas WHERE show_id = '{show}' FOR UPDATE")
            }
            Self::Customer(customer) => format!(
                "SELECT FROM booking.customers WHERE customer_id = '{}' FOR UPDATE",
                customer.customer_id
            ),
        }
    }

    async fn ask(&self, (client, customers): &mut Clients) -> Result<(), Status> {
        match self {
            Self::Booking(id) => confirm(client, id).await.map(drop),
            Self::Seat(show) | Self::Sale(show) => {
                reserve(client, show, &["A-1"], "ann").await.map(drop)
            }
            Self::Area(show) => {
                let place = PlaceRequest {
                    area: FLOOR.to_owned(),
                    quantity: 1,
                };
                let request = ReserveSeatsRequest {
                    places: vec![place],
                    ..reservation(show, &[], "ann")
                };
                client.reserve_seats(request).await.map(drop)
            }
            Self::Customer(customer) => {
                let paths = vec!["phone".to_owned()];
                let request = UpdateCustomerRequest {
                    customer: Some(customer.clone()),
                    update_mask: Some(prost_types::FieldMask { paths }),
                    ..Default::default()
                };
                customers.update_customer(request).await.map(drop)
            }
        }
    }

    /// Calls until the row is not locked any more; returns when that was.
    async fn insist(self, mut clients: Clients) -> Instant {
        loop {
            match self.ask(&mut clients).await {
                Err(status) if status.code() == Code::Aborted => {
                    assert_error(&status, Code::Aborted, "CONTENTION");
                    assert!(has_retry_info(&status));
                }
                // Only the first caller gets it; the others are refused.
                Ok(()) | Err(_) => return Instant::now(),
            }
        }
    }
}

/// Buys seat after seat of a show, reads its areas and makes customers; returns the longest call
/// before and while rows were locked.
async fn buy(
    (mut client, mut customers): Clients,
    show: String,
    seats: impl Iterator<Item = usize>,
    is_locked: Arc<AtomicBool>,
    is_over: Arc<AtomicBool>,
) -> [Duration; 2] {
    let mut longest = [Duration::ZERO; 2];
    for seat in seats {
        if is_over.load(Ordering::SeqCst) {
            break;
        }
        let which = usize::from(is_locked.load(Ordering::SeqCst));
        let began = Instant::now();
        let held = reserve(&mut client, &show, &[&format!("A-{seat}")], "bob").await;
        let held = held.expect("free");
        longest[which] = longest[which].max(began.elapsed());
        let began = Instant::now();
        confirm(&mut client, &held.booking_id).await.expect("live");
        longest[which] = longest[which].max(began.elapsed());
        let began = Instant::now();
        let areas = ListAreasRequest {
            show_id: show.clone(),
            ..Default::default()
        };
        client.list_areas(areas).await.expect("a read");
        longest[which] = longest[which].max(began.elapsed());
        let began = Instant::now();
        let email = format!("{}@example.org", held.booking_id);
        new_customer(&mut customers, email).await;
        longest[which] = longest[which].max(began.elapsed());
        sleep(PAUSE).await;
    }
    longest
}

async fn new_customer(client: &mut CustomerServiceClient<Channel>, email: String) -> Customer {
    let request = CreateCustomerRequest {
        email,
        ..Default::default()
    };
    let made = client.create_customer(request).await.expect("a customer");
    made.into_inner().customer.expect("set")
}

/// A show of seats and an area.
async fn a_show(system: &System, seats: i32) -> String {
    let area = Area {
        name: FLOOR.to_owned(),
        capacity: 1_000,
        ..Default::default()
    };
    let layout = SeatLayout {
        areas: vec![area],
        ..layout(seats)
    };
    let described = CreateShowRequest {
        seats: Some(Seats::Layout(layout)),
        ..show(1)
    };
    let created = system.catalog_client().create_show(described).await;
    let show = created.expect("a show").into_inner().show;
    show.expect("set").show_id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locked_rows_hold_up_no_other_caller() {
    let system = System::start(1).await;
    let seats = i32::try_from(SEATS).expect("few");
    let (open, mixed, closed) = (
        a_show(&system, seats).await,
        a_show(&system, seats).await,
        a_show(&system, seats).await,
    );
    let mut client = system.booking_client();
    let clients = || {
        let channel = Endpoint::from_shared(system.booking.url()).expect("a URL");
        let customers = CustomerServiceClient::new(channel.connect_lazy());
        (system.booking_client(), customers)
    };
    let ann = new_customer(&mut clients().1, "ann@example.org".to_owned()).await;
    let changed = Customer {
        phone: "+49 89 1".to_owned(),
        etag: String::new(),
        ..ann
    };
    let held = reserve(&mut client, &mixed, &["A-2"], "ann")
        .await
        .expect("free");
    reserve(&mut client, &closed, &["A-2"], "ann")
        .await
        .expect("free");
    let locked = [
        Locked::Booking(held.booking_id),
        Locked::Seat(mixed.clone()),
        Locked::Sale(closed),
        Locked::Area(mixed.clone()),
        Locked::Customer(changed),
    ];
    let is_locked = Arc::new(AtomicBool::new(false));
    let is_over = Arc::new(AtomicBool::new(false));
    let mut customers = JoinSet::new();
    for (place, show) in [&open, &open, &mixed, &mixed].into_iter().enumerate() {
        let place = place % CUSTOMERS;
        customers.spawn(buy(
            clients(),
            show.clone(),
            (10 + place..=SEATS).step_by(CUSTOMERS),
            Arc::clone(&is_locked),
            Arc::clone(&is_over),
        ));
    }
    // As long as the time that they are compared with.
    sleep(LOCKED / 5).await;

    let holder = system.database.owner().await;
    holder.batch_execute("BEGIN").await.expect("ours");
    for row in &locked {
        holder.batch_execute(&row.lock()).await.expect("a lock");
    }
    is_locked.store(true, Ordering::SeqCst);
    let mut callers = JoinSet::new();
    for row in locked.iter().cycle().take(locked.len() * CALLERS) {
        callers.spawn(row.clone().insist(clients()));
    }
    sleep(LOCKED).await;
    assert!(
        callers.try_join_next().is_none(),
        "somebody has had a locked row"
    );
    holder.batch_execute("ROLLBACK").await.expect("ours");
    let released = Instant::now();
    let had = callers.join_all().await.into_iter().max();
    let after = had.expect("callers").duration_since(released);
    is_over.store(true, Ordering::SeqCst);
    let longest = customers.join_all().await;
    let most = |which: usize| longest.iter().map(|of| of[which]).max().unwrap_or_default();
    println!(
        "the longest wait of others: {:?} before, {:?} while rows were locked for {LOCKED:?}; \
         the locked rows were had within {after:?}",
        most(0),
        most(1)
    );
    assert!(most(1) < OTHERS_MAX, "others waited {:?}", most(1));
    assert!(after < OTHERS_MAX, "had after {after:?}");
    assert_hold(&system.database).await;
}
