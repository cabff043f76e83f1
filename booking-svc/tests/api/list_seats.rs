//! ListSeats.

use model::{BookingId, ShowId};
use proto::booking::v1::{ListSeatsRequest, ListSeatsResponse, Seat, SeatStatus};
use proto::catalog::v1::Point;
use proto::catalog::v1::create_show_request::Seats;
use proto::money::v1::Money;
use test_harness::errors::{describe, fields, metadata, subjects};
use test_harness::system::{layout, reserve, show};
use tonic::Code;
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::stage::Stage;

fn request(show: &str) -> ListSeatsRequest {
    ListSeatsRequest {
        show_id: show.to_owned(),
        ..Default::default()
    }
}

async fn page(stage: &Stage, request: ListSeatsRequest) -> ListSeatsResponse {
    let page = stage.client().list_seats(request).await;
    page.unwrap_or_else(|status| panic!("{}", describe(&status)))
        .into_inner()
}

/// All pages, each of this size, of which there may not be more than that.
async fn all(
    stage: &Stage,
    mut request: ListSeatsRequest,
    page_size: i32,
    pages_max: usize,
) -> Vec<Seat> {
    request.page_size = page_size;
    let mut found = Vec::new();
    for _ in 0..pages_max {
        let page = page(stage, request.clone()).await;
        let most = if page_size == 0 {
            50
        } else {
            page_size.min(1_000)
        };
        assert!(page.seats.len() <= usize::try_from(most).expect("positive"));
        found.extend(page.seats);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return found;
        }
    }
    panic!("more than {pages_max} pages of {request:?}");
}

#[tokio::test]
async fn every_status_pages_through_all_without_a_gap_or_a_double() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(2_500).await;
    let label = |n: usize| format!("A-{n}");
    let mut wanted = vec![SeatStatus::Available; 2_500];
    let take = |from: usize, to: usize| (from..=to).map(label).collect::<Vec<_>>();
    for (labels, status) in [
        (take(1, 1), SeatStatus::Held),
        (take(995, 1_005), SeatStatus::Booked),
        (take(1_990, 2_020), SeatStatus::Held),
        (take(2_500, 2_500), SeatStatus::Booked),
        // Lapsed.
        (take(500, 510), SeatStatus::Available),
    ] {
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let booking = match status {
            SeatStatus::Booked => stage.buy(&show, &labels).await,
            _ => stage.reserve(&show, &labels).await,
        };
        if status == SeatStatus::Available {
            stage.lapse(&booking.booking_id).await;
        }
        for label in labels {
            let ordinal: usize = label[2..].parse().expect("a number");
            wanted[ordinal - 1] = status;
        }
    }
    for asked in [
        SeatStatus::Unspecified,
        SeatStatus::Available,
        SeatStatus::Held,
        SeatStatus::Booked,
        SeatStatus::Blocked,
    ] {
        let mut request = request(&show);
        request.status = asked.into();
        let wanted: Vec<_> = (1..)
            .map(label)
            .zip(&wanted)
            .filter(|(_, status)| asked == SeatStatus::Unspecified || **status == asked)
            .map(|(label, status)| (label, *status))
            .collect();
        for (page_size, pages_max) in [(1_000, 3), (i32::MAX, 3), (999, 3), (0, 50)] {
            let found = all(&stage, request.clone(), page_size, pages_max).await;
            let found: Vec<_> = found
                .iter()
                .map(|s| (s.label.clone(), s.status()))
                .collect();
            assert_eq!(found, wanted, "{page_size} a page of {asked:?}");
        }
    }
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_seat_has_its_position_and_price() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(1).await;
    let wanted = Seat {
        label: "A-1".to_owned(),
        section: "Stalls".to_owned(),
        row: "A".to_owned(),
        price_tier: "Standard".to_owned(),
        price: Some(Money {
            minor_units: 1250,
            currency_code: "EUR".to_owned(),
        }),
        status: SeatStatus::Available.into(),
        position: Some(Point { x: 0, y: 0 }),
        ..Default::default()
    };
    assert_eq!(page(&stage, request(&show)).await.seats, [wanted]);
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_seat_has_its_deck_marks_position_and_blocked_status() {
    let mut stage = Stage::start().await;
    let mut layout = layout(4);
    layout.sections[0].deck = "Upper".to_owned();
    layout.accessible_seats = vec!["A-1".to_owned()];
    layout.companion_seats = vec!["A-2".to_owned()];
    layout.blocked_seats = vec!["A-3".to_owned(), "A-4".to_owned()];
    let mut described = show(4);
    described.seats = Some(Seats::Layout(layout));
    let show = stage.create(described).await;
    let seats = page(&stage, request(&show)).await.seats;
    let marks = |seat: &Seat| (seat.accessible, seat.companion, seat.status());
    let (available, blocked) = (SeatStatus::Available, SeatStatus::Blocked);
    assert_eq!(
        seats.iter().map(marks).collect::<Vec<_>>(),
        [
            (true, false, available),
            (false, true, available),
            (false, false, blocked),
            (false, false, blocked)
        ]
    );
    assert!(seats.iter().all(|seat| seat.deck == "Upper"));
    let places = seats.iter().map(|seat| seat.position.expect("set").x);
    assert_eq!(places.collect::<Vec<_>>(), [-150, -50, 50, 150]);

    let mut client = stage.client();
    let call = reserve(&mut client, &show, &["A-2", "A-3", "A-4"], "ann");
    let status = stage
        .refused(call, Code::FailedPrecondition, "SEATS_UNAVAILABLE")
        .await;
    assert_eq!(subjects(&status), ["A-3", "A-4"]);
    let failure = status.get_details_precondition_failure().expect("details");
    assert!(
        failure
            .violations
            .iter()
            .all(|v| v.description == "is not for sale")
    );
    stage.reserve(&show, &["A-1", "A-2"]).await;
    for (status, wanted) in [(SeatStatus::Held, 2), (blocked, 2), (available, 0)] {
        let mut request = request(&show);
        request.status = status.into();
        request.page_size = 1;
        let found = all(&stage, request, 1, 3).await;
        assert_eq!(found.len(), wanted, "{status:?}");
    }
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_wrong_argument_or_the_token_of_another_query_is_refused() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let other = stage.a_show(3).await;
    let mut base = request(&show);
    base.page_size = 1;
    let token = page(&stage, base.clone()).await.next_page_token;
    assert_ne!(token, "");
    let with = |change: &dyn Fn(&mut ListSeatsRequest)| {
        let mut request = base.clone();
        change(&mut request);
        request
    };
    let mut client = stage.client();
    let invalid: [(ListSeatsRequest, &[&str]); 6] = [
        (with(&|r| r.page_size = -1), &["page_size"]),
        (with(&|r| r.show_id.clear()), &["show_id"]),
        (with(&|r| r.show_id = "x".to_owned()), &["show_id"]),
        (with(&|r| r.status = 5), &["status"]),
        (with(&|r| r.status = -1), &["status"]),
        (
            with(&|r| {
                r.status = 9;
                r.show_id.clear();
            }),
            &["show_id", "status"],
        ),
    ];
    for (request, wanted) in invalid {
        let call = client.list_seats(request);
        let status = stage
            .refused(call, Code::InvalidArgument, "INVALID_FIELD")
            .await;
        assert_eq!(fields(&status), wanted);
    }
    let foreign = [
        with(&|r| r.show_id.clone_from(&other)),
        with(&|r| r.status = SeatStatus::Held.into()),
        with(&|r| r.status = SeatStatus::Blocked.into()),
    ];
    let garbage = ["x", "!!", "AAAA", &token[1..], &token.repeat(2), "🎫"];
    let garbage = garbage.map(|text| (base.clone(), text.to_owned()));
    let foreign = foreign.map(|request| (request, token.clone()));
    for (mut request, token) in foreign.into_iter().chain(garbage) {
        request.page_token = token;
        let call = client.list_seats(request);
        let status = stage
            .refused(call, Code::InvalidArgument, "INVALID_PAGE_TOKEN")
            .await;
        assert_eq!(fields(&status), ["page_token"]);
    }

    let unknown = ShowId::generate();
    let booking = BookingId::generate(unknown).uuid();
    for (unknown, asked) in [
        (unknown.uuid(), SeatStatus::Unspecified),
        (unknown.uuid(), SeatStatus::Held),
        (unknown.uuid(), SeatStatus::Blocked),
        (booking, SeatStatus::Unspecified),
        (Uuid::new_v4(), SeatStatus::Unspecified),
    ] {
        let unknown = unknown.to_string();
        let mut request = request(&unknown);
        request.status = asked.into();
        let call = client.list_seats(request);
        let status = stage.refused(call, Code::NotFound, "SHOW_NOT_FOUND").await;
        assert_eq!(metadata(&status)["show_id"], unknown);
    }
    stage.assert_sound().await;
}
