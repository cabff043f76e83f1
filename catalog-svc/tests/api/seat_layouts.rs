//! CreateSeatLayout, GetSeatLayout, ListSeatLayouts and DeleteSeatLayout.

use std::time::Instant;

use futures_util::future::join_all;
use prost::Message as _;
use proto::catalog::v1 as pb;
use proto::catalog::v1::create_show_request::Seats;
use test_harness::errors::{assert_refused, fields, metadata};
use test_harness::postgres::TestDatabase;
use tonic::{Code, Response, Status};

use crate::support::{
    Client, Service, arena, cancel, contents, counted, create, delete, hamlet, labelled, layout,
    new_request_id, numbered, proposed, section, try_create,
};

/// The most bytes of a message with a layout of 100,000 seats.
const WIRE_BYTES_MAX: usize = 1024 * 1024;

async fn try_create_layout(
    client: &Client,
    layout: pb::SeatLayout,
    request_id: &str,
) -> Result<Response<pb::CreateSeatLayoutResponse>, Status> {
    let request = pb::CreateSeatLayoutRequest {
        layout: Some(layout),
        request_id: request_id.to_owned(),
    };
    client.clone().create_seat_layout(request).await
}

pub(crate) async fn create_layout(client: &Client, layout: pb::SeatLayout) -> pb::SeatLayout {
    let created = try_create_layout(client, layout, "").await;
    let created = created.expect("a layout").into_inner();
    created.layout.expect("the layout")
}

async fn try_get_layout(
    client: &Client,
    id: &str,
    with_coordinates: bool,
) -> Result<pb::SeatLayout, Status> {
    let request = pb::GetSeatLayoutRequest {
        layout_id: id.to_owned(),
        with_coordinates,
    };
    let got = client.clone().get_seat_layout(request).await?;
    Ok(got.into_inner().layout.expect("the layout"))
}

async fn try_delete_layout(
    client: &Client,
    id: &str,
    request_id: &str,
) -> Result<Response<pb::DeleteSeatLayoutResponse>, Status> {
    let request = pb::DeleteSeatLayoutRequest {
        layout_id: id.to_owned(),
        request_id: request_id.to_owned(),
    };
    client.clone().delete_seat_layout(request).await
}

async fn try_list(
    client: &Client,
    request: pb::ListSeatLayoutsRequest,
) -> Result<pb::ListSeatLayoutsResponse, Status> {
    let listed = client.clone().list_seat_layouts(request).await?;
    Ok(listed.into_inner())
}

/// A layout of some rows.
fn pit(name: &str) -> pb::SeatLayout {
    pb::SeatLayout {
        name: name.to_owned(),
        ..layout(vec![section("Pit", vec![counted("A", 4)])])
    }
}

/// A show in a layout that there is.
pub(crate) fn in_layout(id: &str) -> pb::CreateShowRequest {
    pb::CreateShowRequest {
        seats: Some(Seats::LayoutId(id.to_owned())),
        ..hamlet()
    }
}

async fn layouts(database: &TestDatabase) -> i64 {
    let query = "SELECT count(*) FROM catalog.layouts WHERE deleted_at IS NULL";
    let row = database.owner().await.query_one(query, &[]).await;
    row.expect("a count").get(0)
}

#[tokio::test]
async fn a_layout_is_kept_as_it_was_described() {
    let (service, _database) = Service::start().await;
    let older = create_layout(&service.client, pit("Older")).await;
    let described = pb::SeatLayout {
        name: "The Rose".to_owned(),
        derived_from: older.layout_id.clone(),
        sections: vec![pb::Section {
            deck: "Ground".to_owned(),
            origin: Some(pb::Point { x: 0, y: 200 }),
            ..section(
                "Pit",
                vec![pb::RowBlock {
                    names: Some(numbered(3)),
                    runs: vec![numbered(2), numbered(2)],
                    label_format: "{section} {row}/{seat}".to_owned(),
                }],
            )
        }],
        ..Default::default()
    };
    // Two runs of the same numbers give the same labels twice.
    let refused = try_create_layout(&service.client, described.clone(), "").await;
    assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");

    let mut described = described;
    described.sections[0].rows[0].runs.pop();
    let made = create_layout(&service.client, described.clone()).await;
    let expected = pb::SeatLayout {
        layout_id: made.layout_id.clone(),
        seat_count: 6,
        create_time: made.create_time,
        ..described
    };
    assert_eq!(made, expected);
    assert!(made.create_time.is_some());
    let got = try_get_layout(&service.client, &made.layout_id, false).await;
    assert_eq!(got.expect("a layout"), made);
}

#[tokio::test]
async fn coordinates_are_computed_where_none_were_given() {
    let (service, _database) = Service::start().await;
    let made = create_layout(&service.client, pit("Pit")).await;
    let got = try_get_layout(&service.client, &made.layout_id, true).await;
    let computed = got.expect("a layout").coordinates.expect("coordinates");
    assert_eq!((computed.x.len(), computed.y.len()), (4, 4));
    // A seat's width apart, in one row.
    assert!(
        computed.x.windows(2).all(|pair| pair[1] - pair[0] == 100),
        "{computed:?}"
    );

    let given = pb::Coordinates {
        x: vec![4, 3, 2, 1],
        y: vec![0, 0, 0, 9],
    };
    let drawn = pb::SeatLayout {
        coordinates: Some(given.clone()),
        ..pit("Drawn")
    };
    let drawn = create_layout(&service.client, drawn).await;
    for with_coordinates in [false, true] {
        let got = try_get_layout(&service.client, &drawn.layout_id, with_coordinates).await;
        assert_eq!(got.expect("a layout").coordinates.as_ref(), Some(&given));
    }
}

#[tokio::test]
async fn bad_layouts_and_unknown_ones_are_refused() {
    let (service, database) = Service::start().await;
    let nameless = pit("");
    let twice = layout(vec![section(
        "Pit",
        vec![counted("A", 2), labelled("", ["A-2"])],
    )]);
    let derived = pb::SeatLayout {
        derived_from: new_request_id(),
        ..pit("Derived")
    };
    let cases = [
        (nameless, "layout.name"),
        (twice, "layout.sections[0].rows[1].runs[0].list.names[0]"),
        (derived, "layout.derived_from"),
    ];
    for (layout, expected) in cases {
        let refused = try_create_layout(&service.client, layout, "").await;
        let status = assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");
        assert_eq!(fields(&status), [expected]);
    }
    let unknown = new_request_id();
    let refused = try_get_layout(&service.client, &unknown, false).await;
    let status = assert_refused(refused, Code::NotFound, "SEAT_LAYOUT_NOT_FOUND");
    assert_eq!(metadata(&status).get("layout_id"), Some(&unknown));
    let refused = try_delete_layout(&service.client, &unknown, "").await;
    assert_refused(refused, Code::NotFound, "SEAT_LAYOUT_NOT_FOUND");
    let refused = try_get_layout(&service.client, "x", false).await;
    let status = assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(fields(&status), ["layout_id"]);
    assert_eq!(layouts(&database).await, 0);
}

#[tokio::test]
async fn pages_have_every_listed_layout_once_in_order() {
    let (service, _database) = Service::start().await;
    let first = create_layout(&service.client, pit("b")).await;
    for name in ["d", "a", "c", "c"] {
        let derived = pb::SeatLayout {
            derived_from: first.layout_id.clone(),
            ..pit(name)
        };
        create_layout(&service.client, derived).await;
    }
    // A layout of one show is not listed.
    create(&service.client, hamlet()).await;
    for (derived_from, expected) in [("", "a,b,c,c,d"), (&first.layout_id, "a,c,c,d")] {
        for page_size in [0, 1, 2] {
            let mut names = Vec::new();
            let mut page_token = String::new();
            loop {
                let request = pb::ListSeatLayoutsRequest {
                    page_size,
                    page_token,
                    derived_from: derived_from.to_owned(),
                };
                let page = try_list(&service.client, request).await.expect("a page");
                assert!(page.layouts.iter().all(|layout| layout.sections.is_empty()));
                assert!(page.layouts.iter().all(|layout| layout.seat_count == 4));
                names.extend(page.layouts.into_iter().map(|layout| layout.name));
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
            assert_eq!(names.join(","), expected, "pages of {page_size}");
        }
    }
    let page = pb::ListSeatLayoutsRequest {
        page_size: 1,
        ..Default::default()
    };
    let page_token = try_list(&service.client, page)
        .await
        .expect("a page")
        .next_page_token;
    let other = pb::ListSeatLayoutsRequest {
        page_token,
        derived_from: first.layout_id,
        ..Default::default()
    };
    let refused = try_list(&service.client, other).await;
    assert_refused(refused, Code::InvalidArgument, "INVALID_PAGE_TOKEN");
    let negative = pb::ListSeatLayoutsRequest {
        page_size: -1,
        ..Default::default()
    };
    let refused = try_list(&service.client, negative).await;
    assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");
}

#[tokio::test]
async fn a_layout_in_use_is_not_deleted() {
    let (service, _database) = Service::start().await;
    let id = create_layout(&service.client, pit("Pit")).await.layout_id;
    let show = create(&service.client, in_layout(&id)).await;
    assert_eq!((&show.layout_id, show.seat_count), (&id, 4));
    let refused = try_delete_layout(&service.client, &id, "").await;
    let status = assert_refused(refused, Code::FailedPrecondition, "SEAT_LAYOUT_IN_USE");
    assert_eq!(metadata(&status).get("layout_id"), Some(&id));
    assert_eq!(metadata(&status).get("show_id"), Some(&show.show_id));

    // Nor is one that a show is about to have.
    let smaller = layout(vec![section("Pit", vec![counted("A", 3)])]);
    let other = create_layout(&service.client, smaller).await.layout_id;
    let change = pb::ChangeSeatLayoutRequest {
        show_id: show.show_id.clone(),
        layout_id: other.clone(),
        ..Default::default()
    };
    let client = service.client.clone();
    let changing = tokio::spawn(async move { client.clone().change_seat_layout(change).await });
    proposed(&service.client, &show.show_id).await;
    let refused = try_delete_layout(&service.client, &other, "").await;
    assert_refused(refused, Code::FailedPrecondition, "SEAT_LAYOUT_IN_USE");
    cancel(&service.client, &show.show_id).await;
    assert!(changing.await.expect("no panic").is_err());

    delete(&service, &show.show_id).await;
    for id in [&id, &other] {
        assert!(try_delete_layout(&service.client, id, "").await.is_ok());
        assert!(try_get_layout(&service.client, id, false).await.is_err());
        let refused = try_create(&service.client, in_layout(id)).await;
        let status = assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");
        assert_eq!(fields(&status), ["layout_id"]);
    }
}

#[tokio::test]
async fn either_the_use_or_the_deletion_of_a_layout_wins() {
    let (service, _database) = Service::start().await;
    for _ in 0..8 {
        let id = create_layout(&service.client, pit("Pit")).await.layout_id;
        let using = try_create(&service.client, in_layout(&id));
        let deleting = try_delete_layout(&service.client, &id, "");
        let (used, deleted) = futures_util::join!(using, deleting);
        assert_ne!(used.is_ok(), deleted.is_ok());
    }
}

#[tokio::test]
async fn repeated_calls_return_the_first_result() {
    let (service, database) = Service::start().await;
    let id = new_request_id();
    let copies = (0..8).map(|_| try_create_layout(&service.client, pit("Pit"), &id));
    let made = join_all(copies).await.into_iter().map(|made| {
        let made = made.expect("a layout").into_inner();
        made.layout.expect("the layout")
    });
    let made: Vec<_> = made.collect();
    assert!(made.windows(2).all(|pair| pair[0] == pair[1]));
    let refused = try_create_layout(&service.client, pit("Pat"), &id).await;
    assert_refused(refused, Code::InvalidArgument, "REQUEST_ID_REUSED");
    assert_eq!(layouts(&database).await, 1);

    let deletion = new_request_id();
    for _ in 0..2 {
        let deleted = try_delete_layout(&service.client, &made[0].layout_id, &deletion).await;
        assert!(deleted.is_ok());
    }
    // The layout is gone; the stored result stays.
    let again = try_create_layout(&service.client, pit("Pit"), &id).await;
    let again = again.expect("a layout").into_inner();
    assert_eq!(again.layout.as_ref(), made.first());
    assert_eq!(contents(&database).await, (0, 2, 0));
}

#[tokio::test]
async fn a_hundred_thousand_seats_are_small_on_their_way() {
    let (service, _database) = Service::start().await;
    let ranges = layout(vec![section(
        "Arena",
        vec![pb::RowBlock {
            names: Some(numbered(500)),
            runs: vec![
                numbered(100),
                pb::Series {
                    series: Some(pb::series::Series::Letters(pb::LetterSeries {
                        first: "A".to_owned(),
                        last: "CV".to_owned(),
                        skip: Vec::new(),
                    })),
                },
            ],
            label_format: String::new(),
        }],
    )]);
    let mut named = layout(arena());
    // Short names, as halls have; and each seat is drawn by hand.
    for (row, block) in named.sections[0].rows.iter_mut().enumerate() {
        block.runs = vec![numbered(1_000)];
        block.label_format = "{row}-{seat}".to_owned();
        block.names = Some(crate::support::listed([row.to_string()]));
    }
    named.coordinates = Some(pb::Coordinates {
        x: (0..100_000)
            .map(|seat| seat % 1_000 * 100 - 50_000)
            .collect(),
        y: (0..100_000).map(|seat| seat / 1_000 * 100).collect(),
    });
    for (what, described) in [("ranges", ranges), ("drawn by hand", named)] {
        let begun = Instant::now();
        let made = create_layout(&service.client, described).await;
        let took = begun.elapsed();
        let bytes = made.encoded_len();
        assert_eq!(made.seat_count, 100_000, "{what}");
        assert!(bytes < WIRE_BYTES_MAX, "{what}: {bytes} bytes");
        // A debug build on a busy machine; a release build takes a tenth of it.
        assert!(took.as_secs() < 20, "{what}: {took:?}");
    }
}
