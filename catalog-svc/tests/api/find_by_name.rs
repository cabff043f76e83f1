//! ListShows by a text in the name, among ten thousand: the number of shows it reads is bounded,
//! for any text and any statistics; and no show is skipped or repeated.

use proto::catalog::v1 as pb;

use crate::find_shows::{at, explain, named, prepare, ten_thousand_shows};
use crate::support::{Client, Service, create, execute, hamlet, hours_ahead};

/// How many shows are read in the list's order for a page of 50, and one more.
const LOOKED_AT_MAX: u64 = 751;
/// How many of those decide whether to read on, and how many of them must have the text.
const BEGINNING: u64 = 100;
const PROMISING_MIN: u64 = 4;

/// Where the matches of a page come from.
#[derive(Debug, Clone, Copy, PartialEq)]
enum From {
    /// From this many shows at most, in the list's order.
    List(u64),
    /// From the index of names, after this many in the list's order.
    Index(u64),
}

/// How many shows the plan read in the list's order.
fn looked_at(plan: &str) -> u64 {
    let from = plan.split("CTE looked_at").nth(1).expect("a walk");
    let rows = from.split("rows=").nth(1).expect("rows").split(' ').next();
    rows.expect("a number").parse().expect("a number")
}

#[tokio::test]
async fn reads_are_bounded_for_every_text() {
    let (service, database) = Service::start().await;
    create(&service.client, hamlet()).await;
    ten_thousand_shows(&database).await;
    let connection = database.client("catalog_svc").await;
    prepare(&connection, |statement| statement.contains("looked_at")).await;
    let nothing = "NULL, NULL, NULL, NULL, NULL, NULL, NULL";
    let later = "NULL, NULL, now() + interval '9 days', \
                 '00002000-0000-8000-8000-000000000000', NULL, NULL, NULL";
    let of_type = "NULL, NULL, NULL, NULL, 'BUS', NULL, NULL";
    let of_state = "NULL, NULL, NULL, NULL, NULL, 'ON_SALE', NULL";
    let cases = [
        (nothing, "% night %", "% night %", From::List(BEGINNING)),
        (nothing, "%matinee%", "%matinee%", From::List(120)),
        (nothing, "%thousand%", "%thousand%", From::List(550)),
        (nothing, "%gala%", "%gala%", From::Index(BEGINNING)),
        (
            nothing,
            "%ight 500%",
            "%ight 500%",
            From::Index(LOOKED_AT_MAX),
        ),
        (
            nothing,
            "%ight 4242%",
            "%ight 4242%",
            From::Index(BEGINNING),
        ),
        (
            nothing,
            "%no such text%",
            "%no such text%",
            From::Index(BEGINNING),
        ),
        (
            nothing,
            "%night 7777 matinee gala%",
            "%night 77%nee gala%",
            From::Index(BEGINNING),
        ),
        (later, "% night %", "% night %", From::List(BEGINNING)),
        (later, "%gala%", "%gala%", From::Index(BEGINNING)),
        (of_type, "%matinee%", "%matinee%", From::List(120)),
        (
            of_type,
            "%ight 4242%",
            "%ight 4242%",
            From::Index(BEGINNING),
        ),
        (of_state, "% night %", "% night %", From::List(BEGINNING)),
        (
            of_state,
            "%ight 4242%",
            "%ight 4242%",
            From::Index(BEGINNING),
        ),
    ];
    for is_analyzed in [false, true] {
        if is_analyzed {
            execute(&database, "ANALYZE catalog.shows").await;
        }
        for (filters, text, ends, expected) in cases {
            let arguments = format!(
                "{filters}, '{text}', '{ends}', 51, {LOOKED_AT_MAX}, {BEGINNING}, {PROMISING_MIN}"
            );
            let plan = explain(&connection, "ANALYZE, COSTS OFF, TIMING OFF", &arguments).await;
            let described = || format!("{arguments}, analyzed: {is_analyzed}:\n{plan}");
            let executed = || plan.lines().filter(|line| !line.contains("never executed"));
            let is_used = |what: &str| executed().any(|line| line.contains(what));
            assert!(!is_used("Seq Scan"), "{}", described());
            match expected {
                From::List(shows) => {
                    assert!(!is_used("shows_by_name"), "{}", described());
                    assert!(looked_at(&plan) <= shows, "{}", described());
                }
                From::Index(shows) => {
                    assert!(is_used("shows_by_name"), "{}", described());
                    assert_eq!(looked_at(&plan), shows, "{}", described());
                }
            }
            // The first step reads in the list's order: nothing is sorted for it.
            let walk = plan.split("CTE looked_at").nth(1).expect("a walk");
            let walk = walk.split("CTE guess").next().expect("a walk");
            assert!(walk.contains("Index Scan"), "{}", described());
            assert!(!walk.contains("Sort"), "{}", described());
        }
        // Few are at one place or soon: exactly these are read, whatever the text.
        for (filters, shows) in [
            ("NULL, NULL, NULL, NULL, NULL, NULL, 'Hall 7'", 50),
            (
                "NULL, now() + interval '200 hours', NULL, NULL, NULL, NULL, NULL",
                400,
            ),
        ] {
            let arguments =
                format!("{filters}, '%gala%', '%gala%', 51, {LOOKED_AT_MAX}, {LOOKED_AT_MAX}, 26");
            let plan = explain(&connection, "ANALYZE, COSTS OFF, TIMING OFF", &arguments).await;
            assert!(looked_at(&plan).abs_diff(shows) < 20, "{plan}");
            let mut executed = plan.lines().filter(|line| !line.contains("never executed"));
            assert!(
                !executed.any(|line| line.contains("shows_by_name")),
                "{plan}"
            );
        }
    }
}

/// The ids of all shows of a query, read in pages of this size.
async fn ids(client: &Client, query: &pb::ListShowsRequest, page_size: i32) -> Vec<String> {
    let mut ids = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListShowsRequest {
            page_size,
            page_token,
            ..query.clone()
        };
        let page = client.clone().list_shows(request).await.expect("a page");
        let page = page.into_inner();
        ids.extend(page.shows.into_iter().map(|show| show.show_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return ids;
        }
    }
}

/// A time without its part of a second.
fn whole(time: prost_types::Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { nanos: 0, ..time }
}

#[tokio::test]
async fn pages_by_text_have_every_show_once_in_order() {
    let (service, database) = Service::start().await;
    create(&service.client, hamlet()).await;
    ten_thousand_shows(&database).await;
    let owner = database.owner().await;
    let long = "night 7507 matinee gala lÄte";
    let buses = |text| pb::ListShowsRequest {
        show_type: pb::ShowType::Bus.into(),
        state: pb::ShowState::OnSale.into(),
        ..named(text)
    };
    let soon = |text| pb::ListShowsRequest {
        start_time_from: Some(whole(hours_ahead(1_000))),
        start_time_before: Some(whole(hours_ahead(3_000))),
        ..named(text)
    };
    let in_hall = pb::ListShowsRequest {
        name_contains: "matinee".to_owned(),
        ..at("Hall 7")
    };
    // Some pages are full at once, others at the end of the first step, or never.
    for (query, page_size) in [
        (named("NIGHT"), 1_000),
        (named("Matinee"), 400),
        (named("thousandth"), 50),
        (named("thousandth"), 70),
        (named("gala"), 7),
        (named("gala"), 50),
        (named("LÄte"), 300),
        (named("night 77"), 10),
        (named("night 500"), 9),
        (named("night 500"), 50),
        (named(long), 50),
        (buses("lÄte"), 50),
        (buses("gala"), 33),
        (soon("gala"), 10),
        (soon("LÄTE"), 90),
        (in_hall, 10),
    ] {
        // By no index, and not by LIKE.
        let expected = owner
            .query(
                "SELECT show_id::text FROM catalog.shows
             WHERE deleted_at IS NULL AND strpos(lower(name), lower($1)) > 0
                 AND ($2 = '' OR venue = $2) AND (NOT $3 OR show_type = 'BUS' AND state = 'ON_SALE')
                 AND ($4::bigint IS NULL OR start_at >= to_timestamp($4))
                 AND ($5::bigint IS NULL OR start_at < to_timestamp($5))
             ORDER BY start_at, show_id",
                &[
                    &query.name_contains,
                    &query.venue,
                    &(query.show_type != 0),
                    &query.start_time_from.map(|time| time.seconds),
                    &query.start_time_before.map(|time| time.seconds),
                ],
            )
            .await
            .expect("shows");
        let expected: Vec<String> = expected.iter().map(|row| row.get(0)).collect();
        assert!(!expected.is_empty(), "{query:?}");
        let found = ids(&service.client, &query, page_size).await;
        assert_eq!(found, expected, "{query:?} in pages of {page_size}");
    }
}
