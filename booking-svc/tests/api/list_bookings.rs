//! ListBookings.

use model::{BookingId, ShowId};
use proto::booking::v1::list_bookings_request::Customer;
use proto::booking::v1::{Booking, BookingState, ListBookingsRequest, ListBookingsResponse};
use proto::catalog::v1::create_show_request::Seats;
use proto::catalog::v1::{PriceTier, RowBlock, SeatLayout, Section};
use test_harness::errors::{describe, fields};
use test_harness::system::{names, show};
use tonic::Code;

use crate::stage::Stage;

/// Past bookings, their seats long since another's: the list does not ask for seats.
const INSERT: &str = "
    INSERT INTO booking.bookings (show_id, booking_id, state, failure_reason, version,
        customer_id, email, seat_ordinals, seat_prices, seat_tiers, total, currency,
        created_at, expires_at, confirmed_at, cancelled_at, failed_at)
    SELECT show_id, booking_id, state::booking.booking_state,
        CASE state WHEN 'FAILED' THEN 'PAYMENT_DECLINED' END::booking.failure_reason, 1,
        CASE WHEN customer NOT LIKE '%@%' THEN customer END,
        CASE WHEN customer LIKE '%@%' THEN customer END, '{0}', '{1250}', '{VIP}', 1250, 'EUR',
        made, made + age, CASE state WHEN 'CONFIRMED' THEN made END,
        CASE state WHEN 'CANCELLED' THEN made END, CASE state WHEN 'FAILED' THEN made END
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[])
        AS new (show_id, booking_id, state, customer),
        (SELECT clock_timestamp() AS made, interval '30 minutes' AS age) AS times";

#[derive(Clone)]
struct Past {
    id: BookingId,
    state: BookingState,
    customer: String,
}

async fn insert(stage: &Stage, bookings: &[Past]) {
    let shows: Vec<_> = bookings.iter().map(|b| b.id.show().uuid()).collect();
    let ids: Vec<_> = bookings.iter().map(|b| b.id.uuid()).collect();
    let states: Vec<_> = bookings
        .iter()
        .map(|b| b.state.as_str_name().trim_start_matches("BOOKING_STATE_"))
        .collect();
    let customers: Vec<_> = bookings.iter().map(|b| &*b.customer).collect();
    let rows = stage
        .owner
        .execute(INSERT, &[&shows, &ids, &states, &customers])
        .await;
    assert_eq!(rows.expect("past bookings"), bookings.len() as u64);
}

async fn a_show(stage: &Stage) -> ShowId {
    let show = stage.a_show(3).await;
    show.parse().expect("a show's id")
}

async fn page(stage: &Stage, request: ListBookingsRequest) -> ListBookingsResponse {
    let page = stage.client().list_bookings(request).await;
    page.unwrap_or_else(|status| panic!("{}", describe(&status)))
        .into_inner()
}

/// All pages, each of this size, of which there may not be more than that.
async fn all(
    stage: &Stage,
    mut request: ListBookingsRequest,
    page_size: i32,
    pages_max: usize,
) -> Vec<Booking> {
    request.page_size = page_size;
    let mut found = Vec::new();
    for _ in 0..pages_max {
        let page = page(stage, request.clone()).await;
        let most = if page_size == 0 {
            50
        } else {
            page_size.min(1_000)
        };
        assert!(page.bookings.len() <= usize::try_from(most).expect("positive"));
        found.extend(page.bookings);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return found;
        }
    }
    panic!("more than {pages_max} pages of {request:?}");
}

fn ids(bookings: &[Booking]) -> Vec<String> {
    bookings.iter().map(|b| b.booking_id.clone()).collect()
}

#[tokio::test]
async fn every_filter_pages_through_all_without_a_gap_or_a_double() {
    let mut stage = Stage::start().await;
    let shows = [a_show(&stage).await, a_show(&stage).await];
    let states = [
        BookingState::Pending,
        BookingState::Confirmed,
        BookingState::Cancelled,
        BookingState::Failed,
    ];
    let mut bookings: Vec<Past> = (0..2_500)
        .map(|n| Past {
            id: BookingId::generate(shows[n % 2]),
            state: states[n / 2 % 4],
            customer: match n % 3 {
                0 => format!("c{}@example.org", n % 5),
                _ => format!("c{}", n % 7),
            },
        })
        .collect();
    insert(&stage, &bookings).await;
    bookings.sort_by_key(|booking| booking.id);

    let by_id = |id: &str| Some(Customer::CustomerId(id.to_owned()));
    let by_email = |email: &str| Some(Customer::Email(email.to_owned()));
    for show in [None, Some(shows[0]), Some(shows[1])] {
        for customer in [
            None,
            by_id("c3"),
            by_email("C4@Example.org"),
            by_id("nobody"),
        ] {
            for state in [BookingState::Unspecified].iter().chain(&states) {
                let request = ListBookingsRequest {
                    show_id: show.map(|show| show.to_string()).unwrap_or_default(),
                    customer: customer.clone(),
                    state: (*state).into(),
                    ..Default::default()
                };
                let name = match &customer {
                    None => None,
                    Some(Customer::CustomerId(id)) => Some(id.clone()),
                    Some(Customer::Email(email)) => Some(email.to_lowercase()),
                };
                let wanted: Vec<String> = bookings
                    .iter()
                    .filter(|b| show.is_none_or(|show| b.id.show() == show))
                    .filter(|b| name.as_ref().is_none_or(|name| b.customer == *name))
                    .filter(|b| *state == BookingState::Unspecified || b.state == *state)
                    .map(|b| b.id.to_string())
                    .collect();
                let found = all(&stage, request.clone(), 1_000, 4).await;
                assert_eq!(ids(&found), wanted, "{request:?}");
            }
        }
    }
    // Sizes: the default, one that does not divide, and one that is too large.
    for (page_size, pages_max) in [(0, 26), (333, 5), (1_001, 2), (i32::MAX, 2)] {
        let request = ListBookingsRequest {
            show_id: shows[0].to_string(),
            ..Default::default()
        };
        let found = all(&stage, request, page_size, pages_max).await;
        assert_eq!(found.len(), 1_250, "{page_size}");
        assert!(found.is_sorted_by(|a, b| a.booking_id < b.booking_id));
    }
    crate::stage::assert_quiet(&mut stage.system.booking);
}

#[tokio::test]
async fn few_hits_among_many_are_found_and_the_list_ends() {
    let mut stage = Stage::start().await;
    let show = a_show(&stage).await;
    let mut bookings: Vec<Past> = (0..20_500)
        .map(|_| Past {
            id: BookingId::generate(show),
            state: BookingState::Confirmed,
            customer: "ann".to_owned(),
        })
        .collect();
    bookings.sort_by_key(|booking| booking.id);
    // About where a page stops looking, which is after 10,000.
    let hits = [0, 9_998, 9_999, 10_000, 10_001, 19_999, 20_499];
    for hit in hits {
        bookings[hit].state = BookingState::Cancelled;
    }
    insert(&stage, &bookings).await;
    let wanted: Vec<_> = hits.map(|hit| bookings[hit].id.to_string()).into();
    for customer in [None, Some(Customer::CustomerId("ann".to_owned()))] {
        let mut request = ListBookingsRequest {
            customer,
            state: BookingState::Cancelled.into(),
            ..Default::default()
        };
        for (page_size, pages_max) in [(1_000, 3), (2, 7), (1, 11)] {
            let found = all(&stage, request.clone(), page_size, pages_max).await;
            assert_eq!(ids(&found), wanted, "{page_size} a page of {request:?}");
        }
        request.state = BookingState::Failed.into();
        let none = all(&stage, request, 50, 3).await;
        assert!(none.is_empty());
    }
    crate::stage::assert_quiet(&mut stage.system.booking);
}

#[tokio::test]
async fn it_lists_what_the_commands_returned() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(5).await;
    let other = stage.a_show(5).await;
    let mut wanted = vec![
        stage.reserve(&show, &["A-2"]).await,
        stage.buy(&show, &["A-1", "A-3"]).await,
        stage.buy(&other, &["A-1"]).await,
    ];
    wanted.sort_by(|a, b| a.booking_id.cmp(&b.booking_id));
    let found = page(&stage, ListBookingsRequest::default()).await;
    assert_eq!(found.bookings, wanted);
    assert_eq!(found.next_page_token, "");
    // An unknown show has no bookings, whether or not its id is valid.
    for nowhere in [ShowId::generate().uuid(), uuid::Uuid::new_v4()] {
        let nothing = ListBookingsRequest {
            show_id: nowhere.to_string(),
            ..Default::default()
        };
        assert!(page(&stage, nothing).await.bookings.is_empty());
    }

    // A hold that lapses between two pages is in one of them, in its state at that time.
    let pending = ListBookingsRequest {
        state: BookingState::Pending.into(),
        ..Default::default()
    };
    let held = page(&stage, pending.clone()).await.bookings;
    assert_eq!(held.len(), 1);
    stage.lapse(&held[0].booking_id).await;
    assert!(page(&stage, pending).await.bookings.is_empty());
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_wrong_argument_or_the_token_of_another_query_is_refused() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let other = stage.a_show(3).await;
    for label in ["A-1", "A-2", "A-3"] {
        stage.reserve(&show, &[label]).await;
    }
    let by = |id: &str| Some(Customer::CustomerId(id.to_owned()));
    let base = ListBookingsRequest {
        show_id: show.clone(),
        customer: by("ann"),
        page_size: 1,
        ..Default::default()
    };
    let token = page(&stage, base.clone()).await.next_page_token;
    assert_ne!(token, "");
    let with = |change: &dyn Fn(&mut ListBookingsRequest)| {
        let mut request = base.clone();
        change(&mut request);
        request
    };
    let mut client = stage.client();

    let invalid: [(ListBookingsRequest, &str); 7] = [
        (with(&|r| r.page_size = -1), "page_size"),
        (with(&|r| r.page_size = i32::MIN), "page_size"),
        (with(&|r| r.show_id = "A-1".to_owned()), "show_id"),
        (with(&|r| r.state = 9), "state"),
        (with(&|r| r.state = -1), "state"),
        (with(&|r| r.customer = by("")), "customer_id"),
        (
            with(&|r| r.customer = Some(Customer::Email("ann".to_owned()))),
            "email",
        ),
    ];
    for (request, field) in invalid {
        let call = client.list_bookings(request);
        let status = stage
            .refused(call, Code::InvalidArgument, "INVALID_FIELD")
            .await;
        assert_eq!(fields(&status), [field]);
    }

    let foreign = [
        with(&|r| r.show_id.clone_from(&other)),
        with(&|r| r.show_id.clear()),
        with(&|r| r.customer = by("bob")),
        with(&|r| r.customer = None),
        with(&|r| r.customer = Some(Customer::Email("ann@b.org".to_owned()))),
        with(&|r| r.state = BookingState::Pending.into()),
    ];
    let garbage = ["x", "!!", "AAAA", &token[1..], &token.repeat(2), "🎫"];
    let garbage = garbage.map(|text| (base.clone(), text.to_owned()));
    let foreign = foreign.map(|request| (request, token.clone()));
    for (mut request, token) in foreign.into_iter().chain(garbage) {
        request.page_token = token;
        let call = client.list_bookings(request);
        let status = stage
            .refused(call, Code::InvalidArgument, "INVALID_PAGE_TOKEN")
            .await;
        assert_eq!(fields(&status), ["page_token"]);
    }
    // Another page size is no other query.
    let mut rest = base;
    rest.page_size = 10;
    rest.page_token = token;
    assert_eq!(page(&stage, rest).await.bookings.len(), 2);
    stage.assert_sound().await;
}

/// The client has the usual limit for answers, of 4 MiB.
#[tokio::test]
async fn a_page_of_the_largest_bookings_ends_before_it_is_too_large() {
    let mut stage = Stage::start().await;
    let seats = |count: i32| names((0..count).map(|n| format!("{n:02}")));
    let rows = |n| RowBlock {
        names: Some(names([format!("{n:02}")])),
        runs: vec![seats(100)],
        label_format: format!("{{row}}{}{{seat}}", "席".repeat(36)),
    };
    let mut wanted = show(1);
    wanted.seats = Some(Seats::Layout(SeatLayout {
        name: "A hall".to_owned(),
        sections: vec![Section {
            name: "席".repeat(100),
            rows: (0..70).map(rows).collect(),
            ..Default::default()
        }],
        ..Default::default()
    }));
    wanted.price_tiers = vec![PriceTier {
        name: "券".repeat(100),
        price: wanted.seat_price.take(),
        ..Default::default()
    }];
    let show = stage.create(wanted).await;
    let mut made = Vec::new();
    for row in 0..70 {
        let label = |n| format!("{row:02}{}{n:02}", "席".repeat(36));
        let labels: Vec<_> = (0..100).map(label).collect();
        let labels: Vec<_> = labels.iter().map(String::as_str).collect();
        made.push(stage.reserve(&show, &labels).await);
    }
    made.sort_by(|one, other| one.booking_id.cmp(&other.booking_id));
    let request = ListBookingsRequest {
        show_id: show,
        page_size: 1_000,
        ..Default::default()
    };
    let first = page(&stage, request.clone()).await;
    assert!(
        (20..70).contains(&first.bookings.len()),
        "{}",
        first.bookings.len()
    );
    let found = all(&stage, request, 1_000, 4).await;
    assert_eq!(ids(&found), ids(&made));
    stage.assert_sound().await;
}
