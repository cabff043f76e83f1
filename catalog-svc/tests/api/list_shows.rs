//! ListShows.

use proto::catalog::v1 as pb;
use test_harness::errors::{assert_refused, fields};
use tonic::{Code, Response, Status};

use crate::support::{
    Client, Service, arena, cancel, create, delete, execute, get, hamlet, hours_ahead,
    with_sections,
};

async fn try_list(
    client: &Client,
    request: pb::ListShowsRequest,
) -> Result<Response<pb::ListShowsResponse>, Status> {
    client.clone().list_shows(request).await
}

async fn list(client: &Client, request: pb::ListShowsRequest) -> pb::ListShowsResponse {
    try_list(client, request)
        .await
        .expect("a page")
        .into_inner()
}

/// The names of all shows of a query, read in pages of this size.
async fn names(client: &Client, page_size: i32, query: &pb::ListShowsRequest) -> Vec<String> {
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListShowsRequest {
            page_size,
            page_token,
            ..query.clone()
        };
        let page = list(client, request).await;
        let size = usize::try_from(page_size).unwrap_or_default();
        assert!(
            page_size == 0 || page.shows.len() <= size,
            "{} shows",
            page.shows.len()
        );
        names.extend(page.shows.into_iter().map(|show| show.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return names;
        }
    }
}

/// Seven shows, "0" to "6" in the order of their start; "2" to "4" start at the same time.
async fn a_week(client: &Client) -> Vec<pb::Show> {
    let kinds = [pb::ShowType::Movie, pb::ShowType::Concert];
    let same = hours_ahead(50);
    let starts = [10, 20]
        .map(hours_ahead)
        .into_iter()
        .chain([same; 3])
        .chain([90, 99].map(hours_ahead));
    let mut shows = Vec::new();
    for (n, start) in starts.enumerate() {
        let request = pb::CreateShowRequest {
            name: n.to_string(),
            show_type: kinds[n % 2].into(),
            start_time: Some(start),
            ..hamlet()
        };
        shows.push(create(client, request).await);
    }
    shows
}

#[tokio::test]
async fn pages_have_every_show_once_in_order() {
    let (service, _database) = Service::start().await;
    let week = a_week(&service.client).await;
    let mut expected: Vec<_> = week.iter().collect();
    expected.sort_by_key(|show| {
        let start = show.start_time.expect("a start");
        (start.seconds, start.nanos, show.show_id.clone())
    });
    let expected: Vec<_> = expected.into_iter().map(|show| show.name.clone()).collect();
    for page_size in [0, 1, 2, 3, 6, 7, 8, 5_000] {
        let names = names(&service.client, page_size, &pb::ListShowsRequest::default()).await;
        assert_eq!(names, expected, "pages of {page_size}");
    }
}

#[tokio::test]
async fn a_page_is_not_disturbed_by_writes_between() {
    let (service, _database) = Service::start().await;
    let week = a_week(&service.client).await;
    let first = list(
        &service.client,
        pb::ListShowsRequest {
            page_size: 3,
            ..Default::default()
        },
    );
    let first = first.await;
    let (before, last) = (&first.shows[0].show_id, &first.shows[2].show_id);
    for id in [before, last] {
        cancel(&service.client, id).await;
        delete(&service, id).await;
    }
    let rest = pb::ListShowsRequest {
        page_size: 3,
        page_token: first.next_page_token,
        ..Default::default()
    };
    let rest = list(&service.client, rest).await;
    assert_eq!(rest.shows.len(), 3);
    assert!(rest.shows.iter().all(|show| !first.shows.contains(show)));
    assert_eq!(rest.shows[2].name, week[5].name);
}

#[tokio::test]
async fn filters_exclude_other_shows() {
    let (service, _database) = Service::start().await;
    let week = a_week(&service.client).await;
    cancel(&service.client, &week[1].show_id).await;
    cancel(&service.client, &week[6].show_id).await;
    delete(&service, &week[6].show_id).await;
    let all = pb::ListShowsRequest::default;
    let cases = [
        (all(), "0,1,2,3,4,5"),
        (
            pb::ListShowsRequest {
                show_type: pb::ShowType::Movie.into(),
                ..all()
            },
            "0,2,4",
        ),
        (
            pb::ListShowsRequest {
                show_type: pb::ShowType::Bus.into(),
                ..all()
            },
            "",
        ),
        (
            pb::ListShowsRequest {
                state: pb::ShowState::Cancelled.into(),
                ..all()
            },
            "1",
        ),
        (
            pb::ListShowsRequest {
                state: pb::ShowState::OnSale.into(),
                ..all()
            },
            "0,2,3,4,5",
        ),
        // From is inclusive, before is not.
        (
            pb::ListShowsRequest {
                start_time_from: week[2].start_time,
                ..all()
            },
            "2,3,4,5",
        ),
        (
            pb::ListShowsRequest {
                start_time_before: week[2].start_time,
                ..all()
            },
            "0,1",
        ),
        (
            pb::ListShowsRequest {
                start_time_from: week[1].start_time,
                start_time_before: week[5].start_time,
                show_type: pb::ShowType::Concert.into(),
                state: pb::ShowState::OnSale.into(),
                ..all()
            },
            "3",
        ),
    ];
    for (query, expected) in cases {
        for page_size in [0, 1] {
            let mut names = names(&service.client, page_size, &query).await;
            names.sort();
            assert_eq!(names.join(","), expected, "{query:?}");
        }
    }
}

#[tokio::test]
async fn a_token_serves_its_own_query_only() {
    let (service, _database) = Service::start().await;
    a_week(&service.client).await;
    let movies = pb::ListShowsRequest {
        show_type: pb::ShowType::Movie.into(),
        page_size: 1,
        ..Default::default()
    };
    let token = list(&service.client, movies.clone()).await.next_page_token;
    // The page size may change.
    let next = pb::ListShowsRequest {
        page_token: token.clone(),
        page_size: 3,
        ..movies.clone()
    };
    assert_eq!(list(&service.client, next).await.shows.len(), 3);

    let of = |query: pb::ListShowsRequest, token: &str| pb::ListShowsRequest {
        page_token: token.to_owned(),
        ..query
    };
    let on_sale = pb::ListShowsRequest {
        state: pb::ShowState::OnSale.into(),
        ..movies.clone()
    };
    let from = pb::ListShowsRequest {
        start_time_from: Some(hours_ahead(1)),
        ..movies.clone()
    };
    for request in [
        of(pb::ListShowsRequest::default(), &token),
        of(on_sale, &token),
        of(from, &token),
        of(movies.clone(), "garbage!"),
        of(movies, &token[1..]),
    ] {
        let refused = try_list(&service.client, request).await;
        let status = assert_refused(refused, Code::InvalidArgument, "INVALID_PAGE_TOKEN");
        assert_eq!(fields(&status), ["page_token"]);
    }
}

#[tokio::test]
async fn bad_arguments_are_refused() {
    let (service, _database) = Service::start().await;
    let never = prost_types::Timestamp {
        seconds: 0,
        nanos: -1,
    };
    let all = pb::ListShowsRequest::default;
    let cases = [
        (
            pb::ListShowsRequest {
                page_size: -1,
                ..all()
            },
            vec!["page_size"],
        ),
        (
            pb::ListShowsRequest {
                show_type: 99,
                state: -1,
                ..all()
            },
            vec!["show_type", "state"],
        ),
        (
            pb::ListShowsRequest {
                start_time_from: Some(never),
                start_time_before: Some(never),
                ..all()
            },
            vec!["start_time_before", "start_time_from"],
        ),
    ];
    for (request, expected) in cases {
        let refused = try_list(&service.client, request).await;
        let status = assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");
        assert_eq!(fields(&status), expected);
    }
}

#[tokio::test]
async fn lists_neither_read_nor_send_layouts() {
    let (service, database) = Service::start().await;
    let show = create(&service.client, with_sections(arena())).await;
    let without = pb::Show {
        layout: None,
        price_tiers: Vec::new(),
        ..get(&service.client, &show.show_id).await
    };
    execute(
        &database,
        "REVOKE SELECT ON catalog.shows FROM catalog_svc;
         REVOKE SELECT ON catalog.layouts FROM catalog_svc;
         GRANT SELECT (show_id, revision, name, show_type, state, start_at, end_at, venue,
                       layout_id, seat_count, place_count, time_zone, organiser, sales_open_at,
                       sales_close_at, hold_ms, seats_per_booking_max, places_per_customer_max,
                       orphan_rule, offered, proposal_revision, proposal_state, created_at,
                       updated_at, cancelled_at, deleted_at)
         ON catalog.shows TO catalog_svc",
    )
    .await;
    let page = list(&service.client, pb::ListShowsRequest::default()).await;
    assert_eq!(page.shows, [without]);
}
