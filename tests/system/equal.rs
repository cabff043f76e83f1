//! After any outage booking-svc's sales become equal to the catalog: show by show, seat by
//! seat.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use prost_types::FieldMask;
use proto::booking::v1::booking_service_client::BookingServiceClient;
use proto::booking::v1::{ListSeatsRequest, Seat, SeatStatus};
use proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use proto::catalog::v1::series::Series as Kind;
use proto::catalog::v1::{
    CancelShowRequest, CreateShowRequest, DeleteShowRequest, GetShowRequest, ListShowsRequest,
    Series, Show, ShowState, UpdateShowRequest,
};
use test_harness::errors::{assert_error, describe, reason};
use test_harness::invariants::assert_hold;
use test_harness::system::{System, booking_client_of, confirm, reserve, show, start_booking};
use test_harness::{eventually, eventually_some};
use tokio_postgres::Client;
use tonic::transport::Channel;
use tonic::{Code, Status};
use uuid::Uuid;

type Catalog = CatalogServiceClient<Channel>;
type Bookings = BookingServiceClient<Channel>;

/// How long booking-svc may need to catch up with the revisions it missed.
const CAUGHT_UP_MAX: Duration = Duration::from_secs(30);
/// How long the organiser retries while a service is down.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asserts that a booking-svc sells the catalog's shows as the catalog has them.
async fn assert_equal(system: &System, client: &mut Bookings) {
    let owner = system.database.owner().await;
    caught_up(&owner).await;
    let mut catalog = system.catalog_client();
    let shows = all_shows(&mut catalog).await;
    for listed in &shows {
        let id = &listed.show_id;
        let request = GetShowRequest {
            show_id: id.clone(),
            ..Default::default()
        };
        let found = catalog.get_show(request).await.expect("it is listed");
        let show = found.into_inner().show.expect("set");
        assert_eq!(show.revision, listed.revision, "nobody changes it now");
        let seats = seats_of(client, id).await;
        assert_eq!(sold_as(&seats), described_as(&show), "the seats of {id}");
        assert_stored(&owner, &show).await;
        let free = seats
            .iter()
            .find(|seat| seat.status() == SeatStatus::Available);
        let label = &free.expect("few of its seats are taken").label;
        let reserved = reserve(client, id, &[label], "eve").await;
        match (show.state(), reserved) {
            (ShowState::OnSale, Ok(_)) => {}
            (ShowState::Cancelled, Err(status)) => {
                assert_error(&status, Code::FailedPrecondition, "SHOW_NOT_ON_SALE");
            }
            (state, reserved) => panic!("{id} is {state:?} and answers {reserved:?}"),
        }
    }
    // A show that the catalog no longer has cannot be sold here.
    let known: BTreeSet<Uuid> = shows.iter().map(|show| uuid(&show.show_id)).collect();
    let open = "SELECT show_id FROM booking.sales WHERE state = 'ON_SALE'";
    for row in owner.query(open, &[]).await.expect("sales") {
        assert!(known.contains(&row.get(0)), "{:?}", row.get::<_, Uuid>(0));
    }
    assert_hold(&system.database).await;
}

/// Waits until the feed has been applied and cancelled shows are fully cancelled.
async fn caught_up(owner: &Client) {
    let behind = "SELECT here.revision < there.revision
            OR EXISTS (SELECT FROM booking.sales WHERE state = 'CANCELLED' AND fully_cancelled_at IS NULL)
        FROM booking.feed_cursor AS here, catalog.feed AS there";
    eventually(CAUGHT_UP_MAX, "booking-svc has caught up", async || {
        let row = owner.query_one(behind, &[]).await.expect("a row");
        !row.get::<_, bool>(0)
    })
    .await;
}

async fn all_shows(catalog: &mut Catalog) -> Vec<Show> {
    let mut shows = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListShowsRequest {
            page_token,
            ..Default::default()
        };
        let page = catalog.list_shows(request).await.expect("shows");
        let page = page.into_inner();
        shows.extend(page.shows);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return shows;
        }
    }
}

async fn seats_of(client: &mut Bookings, show: &str) -> Vec<Seat> {
    let request = ListSeatsRequest {
        show_id: show.to_owned(),
        page_size: 1_000,
        ..Default::default()
    };
    let page = client
        .list_seats(request)
        .await
        .expect("seats")
        .into_inner();
    assert!(page.next_page_token.is_empty(), "one page is enough here");
    page.seats
}

/// Section, row and label of each seat, its price and currency.
type Described = (String, String, String, i64, String);

fn sold_as(seats: &[Seat]) -> Vec<Described> {
    let described = seats.iter().map(|seat| {
        let price = seat.price.clone().expect("set");
        let (section, row, label) = (&seat.section, &seat.row, &seat.label);
        let place = (section.clone(), row.clone(), label.clone());
        (
            place.0,
            place.1,
            place.2,
            price.minor_units,
            price.currency_code,
        )
    });
    described.collect()
}

fn described_as(show: &Show) -> Vec<Described> {
    let layout = show.layout.as_ref().expect("set");
    let price = show.price_tiers[0].price.as_ref().expect("set");
    let mut described = Vec::new();
    for section in &layout.sections {
        for rows in &section.rows {
            let (names, run) = (rows.names.as_ref().map(kind), kind(&rows.runs[0]));
            let (Some(Kind::List(names)), Kind::Numbers(numbers)) = (names, run) else {
                panic!("not as they are made here: {rows:?}");
            };
            for name in &names.names {
                for number in numbers.first..=numbers.last {
                    let label = format!("{name}-{number}");
                    let (section, currency) = (section.name.clone(), price.currency_code.clone());
                    described.push((section, name.clone(), label, price.minor_units, currency));
                }
            }
        }
    }
    described
}

fn kind(series: &Series) -> &Kind {
    series.series.as_ref().expect("set")
}

/// What no call returns: the revision, and when the show starts.
async fn assert_stored(owner: &Client, show: &Show) {
    let query = "SELECT revision, start_at FROM booking.sales WHERE show_id = $1";
    let row = owner.query_one(query, &[&uuid(&show.show_id)]).await;
    let row = row.expect("a sale");
    assert_eq!(row.get::<_, i64>(0), show.revision, "{}", show.show_id);
    let start: SystemTime = row.get(1);
    assert_eq!(Some(start.into()), show.start_time, "{}", show.show_id);
}

fn uuid(id: &str) -> Uuid {
    id.parse().expect("an id is a UUID")
}

/// An organiser who repeats a call under the same request id until it is answered.
async fn insist<T, F>(call: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, Status>>,
{
    eventually_some(PATIENCE, "the catalog answers", async || {
        match call().await {
            Ok(answer) => Some(answer),
            Err(status) => {
                // Errors made by the client's own side, as for a broken connection, have no reason.
                let passing = ["", "DATABASE_UNAVAILABLE", "SHUTTING_DOWN"];
                assert!(
                    passing.contains(&&*reason(&status)),
                    "{}",
                    describe(&status)
                );
                None
            }
        }
    })
    .await
}

/// Creates a show of a few seats, and then, by its number, leaves it alone, changes it,
/// cancels it, does both, or deletes it (then a draft, which needs no approval); returns its id.
async fn organise(catalog: &Catalog, number: u64) -> String {
    let request = CreateShowRequest {
        request_id: Uuid::new_v4().to_string(),
        draft: number % 5 == 4,
        ..show(i32::try_from(3 + number % 7).expect("few"))
    };
    let created = insist(|| {
        let (mut catalog, request) = (catalog.clone(), request.clone());
        async move { catalog.create_show(request).await }
    });
    let show = created.await.into_inner().show.expect("set");
    let id = show.show_id;
    if matches!(number % 5, 1 | 3) {
        change(catalog, &id, number).await;
    }
    if matches!(number % 5, 2 | 3) {
        cancel(catalog, &id).await;
    }
    if number % 5 == 4 {
        let request = DeleteShowRequest {
            show_id: id.clone(),
            request_id: Uuid::new_v4().to_string(),
            ..Default::default()
        };
        insist(|| {
            let (mut catalog, request) = (catalog.clone(), request.clone());
            async move { catalog.delete_show(request).await }
        })
        .await;
    }
    id
}

/// Puts a show off by some hours.
async fn change(catalog: &Catalog, id: &str, hours: u64) {
    let start = SystemTime::now() + Duration::from_secs((48 + hours) * 3600);
    let changed = Show {
        show_id: id.to_owned(),
        start_time: Some(start.into()),
        ..Default::default()
    };
    let request = UpdateShowRequest {
        show: Some(changed),
        update_mask: Some(FieldMask {
            paths: vec!["start_time".to_owned()],
        }),
        request_id: Uuid::new_v4().to_string(),
    };
    insist(|| {
        let (mut catalog, request) = (catalog.clone(), request.clone());
        async move { catalog.update_show(request).await }
    })
    .await;
}

async fn cancel(catalog: &Catalog, id: &str) {
    let request = CancelShowRequest {
        show_id: id.to_owned(),
        request_id: Uuid::new_v4().to_string(),
        ..Default::default()
    };
    insist(|| {
        let (mut catalog, request) = (catalog.clone(), request.clone());
        async move { catalog.cancel_show(request).await }
    })
    .await;
}

/// How often a show of each kind is there, deleted ones aside.
async fn kinds(system: &System) -> BTreeMap<&'static str, usize> {
    let mut kinds = BTreeMap::new();
    for show in all_shows(&mut system.catalog_client()).await {
        *kinds.entry(show.state().as_str_name()).or_default() += 1;
    }
    kinds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_booking_svc_was_down() {
    let mut system = System::start(0).await;
    let (catalog, mut client) = (system.catalog_client(), system.booking_client());
    let mut sold = Vec::new();
    for number in 0..10 {
        let show = organise(&catalog, 5 * number).await;
        let held = reserve(&mut client, &show, &["A-1"], "ada").await;
        let held = held.expect("it is on sale");
        if number % 2 == 0 {
            confirm(&mut client, &held.booking_id)
                .await
                .expect("a hold");
        }
        sold.push(show);
    }
    system.booking.kill9().await;
    for number in 0..100 {
        organise(&catalog, number).await;
    }
    for (number, show) in (0..).zip(&sold) {
        match number % 3 {
            0 => cancel(&catalog, show).await,
            1 => change(&catalog, show, number).await,
            _ => {}
        }
    }
    system.booking.start_again().await;
    assert_equal(&system, &mut client).await;
    let wanted = [("SHOW_STATE_CANCELLED", 44), ("SHOW_STATE_ON_SALE", 46)];
    assert_eq!(kinds(&system).await, wanted.into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_catalog_was_killed_in_mid_feed() {
    let mut system = System::start(0).await;
    let other = start_booking(&system.database, &system.catalog).await;
    let mut clients = [system.booking_client(), booking_client_of(&other)];
    let catalog = system.catalog_client();
    let owner = system.database.owner().await;
    for round in 0..4 {
        // Nothing can be applied until the catalog has died, with the feed half sent.
        let hold = "BEGIN; SELECT FROM booking.feed_cursor FOR UPDATE";
        owner.batch_execute(hold).await.expect("ours");
        for number in 0..25 {
            organise(&catalog, 25 * round + number).await;
        }
        system.catalog.kill9().await;
        owner.batch_execute("ROLLBACK").await.expect("ours");
        system.catalog.start_again().await;
    }
    for client in &mut clients {
        assert_equal(&system, client).await;
    }
}
