//! ListShows by venue and by text in the name; and an index for each filter but the text.

use proto::catalog::v1 as pb;
use test_harness::errors::{assert_refused, fields};
use test_harness::eventually;
use test_harness::postgres::TestDatabase;
use tokio_postgres::{Client as Connection, SimpleQueryMessage};
use tonic::Code;

use crate::support::{
    Client, SOON, Service, create, execute, hamlet, hours_ahead, renaming, update,
};

/// The statements that the service was built with, to the letter.
const STATEMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.sqlx");
/// More than the executions after which PostgreSQL may keep one plan for all arguments.
const EXECUTIONS: usize = 7;

async fn names(client: &Client, request: pb::ListShowsRequest) -> Vec<String> {
    let page = client.clone().list_shows(request).await.expect("a page");
    let shows = page.into_inner().shows;
    shows.into_iter().map(|show| show.name).collect()
}

pub(crate) fn at(venue: &str) -> pb::ListShowsRequest {
    pb::ListShowsRequest {
        venue: venue.to_owned(),
        ..Default::default()
    }
}

pub(crate) fn named(text: &str) -> pb::ListShowsRequest {
    pb::ListShowsRequest {
        name_contains: text.to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_venue_is_matched_exactly() {
    let (service, _database) = Service::start().await;
    for venue in ["Globe", "globe", "Globe Theatre", "Gl_be", ""] {
        let request = pb::CreateShowRequest {
            name: format!("in {venue:?}"),
            venue: venue.to_owned(),
            ..hamlet()
        };
        create(&service.client, request).await;
    }
    assert_eq!(names(&service.client, at("Globe")).await, [r#"in "Globe""#]);
    assert_eq!(names(&service.client, at("Gl_be")).await, [r#"in "Gl_be""#]);
    assert!(names(&service.client, at("Old Vic")).await.is_empty());
    assert_eq!(names(&service.client, at("")).await.len(), 5);
}

#[tokio::test]
async fn a_text_in_the_name_is_taken_literally_in_any_case() {
    let (service, _database) = Service::start().await;
    let all = [
        "Hamlet",
        "HAMLET II",
        "Ham%let",
        r"100% \o/ a_b",
        "Omelette",
    ];
    for name in all {
        let request = pb::CreateShowRequest {
            name: name.to_owned(),
            ..hamlet()
        };
        create(&service.client, request).await;
    }
    let cases = [
        ("hamlet", vec!["Hamlet", "HAMLET II"]),
        ("MLET", vec!["Hamlet", "HAMLET II"]),
        ("let", vec!["Hamlet", "HAMLET II", "Ham%let", "Omelette"]),
        ("m%l", vec!["Ham%let"]),
        ("m_l", vec![]),
        (r"% \O/", vec![r"100% \o/ a_b"]),
        ("A_B", vec![r"100% \o/ a_b"]),
        ("%%%", vec![]),
    ];
    for (text, mut expected) in cases {
        let mut found = names(&service.client, named(text)).await;
        found.sort();
        expected.sort_unstable();
        assert_eq!(found, expected, "{text:?}");
    }
}

#[tokio::test]
async fn equal_looking_names_are_found_however_they_were_typed() {
    let (service, database) = Service::start().await;
    create(&service.client, hamlet()).await;
    ten_thousand_shows(&database).await;
    let all = [
        "MÄRCHEN",
        "Ma\u{308}rchen II",
        "Große Straße",
        "İSTANBUL",
        "ΣΊΣΥΦΟΣ",
        "歌舞伎座",
        "１００％ ﬁn",
    ];
    for name in all {
        let request = pb::CreateShowRequest {
            name: name.to_owned(),
            venue: "Cafe\u{301}".to_owned(),
            start_time: Some(hours_ahead(4_000)),
            ..hamlet()
        };
        let kept = create(&service.client, request).await;
        assert_eq!((&*kept.name, &*kept.venue), (&*model::nfc(name), "Café"));
    }
    let fairy_tales = vec!["MÄRCHEN", "Märchen II"];
    let cases = [
        ("märchen", fairy_tales.clone()),
        ("MA\u{308}RCHEN", fairy_tales),
        ("märchen ii", vec!["Märchen II"]),
        ("marchen", vec![]),
        ("straße", vec!["Große Straße"]),
        ("GROSSE STRASSE", vec!["Große Straße"]),
        ("istanbul", vec!["İSTANBUL"]),
        ("σίσυφος", vec!["ΣΊΣΥΦΟΣ"]),
        ("歌舞伎", vec!["歌舞伎座"]),
        ("舞伎", vec!["歌舞伎座"]),
        ("舞歌", vec![]),
        ("100% fi", vec!["１００％ ﬁn"]),
        ("１％_", vec![]),
    ];
    for (text, expected) in cases {
        // By the index of names; and by looking at each show of a venue.
        let at_venue = pb::ListShowsRequest {
            venue: "Café".to_owned(),
            ..named(text)
        };
        for request in [named(text), at_venue] {
            let mut found = names(&service.client, request).await;
            found.sort();
            assert_eq!(found, expected, "{text:?}");
        }
    }
    for venue in ["Café", "Cafe\u{301}"] {
        assert_eq!(names(&service.client, at(venue)).await.len(), all.len());
    }
    // A new name is found, and the old one is not.
    let request = renaming(&show_id(&service.client, "märchen ii").await, "Ou\u{308}t");
    assert_eq!(update(&service.client, request).await.name, "Oüt");
    assert_eq!(names(&service.client, named("OÜT")).await, ["Oüt"]);
    assert_eq!(names(&service.client, named("märchen")).await, ["MÄRCHEN"]);
}

async fn show_id(client: &Client, name: &str) -> String {
    let page = client.clone().list_shows(named(name)).await;
    let shows = page.expect("a page").into_inner().shows;
    shows.into_iter().next().expect("a show").show_id
}

#[tokio::test]
async fn texts_that_are_too_short_or_too_long_are_refused() {
    let (service, _database) = Service::start().await;
    let cases = [
        (at(&"ä".repeat(201)), vec!["venue"]),
        (at("a\0b"), vec!["venue"]),
        (named("ab"), vec!["name_contains"]),
        (named("座"), vec!["name_contains"]),
        (named(&"ä".repeat(101)), vec!["name_contains"]),
        (
            pb::ListShowsRequest {
                venue: "v".repeat(201),
                min_revision: -1,
                ..named("ab")
            },
            vec!["min_revision", "name_contains", "venue"],
        ),
    ];
    for (request, expected) in cases {
        let refused = service.client.clone().list_shows(request).await;
        let status = assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");
        let mut fields = fields(&status);
        fields.sort();
        assert_eq!(fields, expected);
    }
    for longest in [at(&"ä".repeat(200)), named("äöü"), named(&"ä".repeat(100))] {
        assert!(names(&service.client, longest).await.is_empty());
    }
}

/// Makes ten thousand shows out of one: of every kind, on sale, cancelled or deleted, at 200
/// venues; with words in their names that all have, half of them, a thousand, a hundred, and
/// those in the second half of the list.
pub(crate) async fn ten_thousand_shows(database: &TestDatabase) {
    let statements = "
        INSERT INTO catalog.shows (show_id, revision, name, show_type, state, start_at, venue,
            layout_id, prices, seat_count, place_count, time_zone, orphan_rule, offered,
            created_at, updated_at, cancelled_at, deleted_at, name_folded)
        SELECT (lpad(to_hex(n), 8, '0') || '-0000-8000-8000-000000000000')::uuid, n,
            named.name,
            (enum_range(NULL::catalog.show_type))[1 + n % 5],
            CASE n % 10 WHEN 0 THEN 'CANCELLED' ELSE 'ON_SALE' END::catalog.show_state,
            now() + n % 5000 * interval '1 hour', 'Hall ' || n % 200,
            layout_id, prices, seat_count, place_count, time_zone, orphan_rule, offered,
            now(), now(), CASE n % 10 WHEN 0 THEN now() END, CASE n % 50 WHEN 0 THEN now() END,
            replace(lower(named.name), 'Ä', 'ä')
        FROM catalog.shows
        CROSS JOIN generate_series(2, 10001) AS n
        CROSS JOIN LATERAL (SELECT concat(
            md5(n::text), ' Night ', n, CASE WHEN n % 2 = 1 THEN ' matinee' END,
            CASE n % 10 WHEN 3 THEN ' thousandth' END, CASE n % 100 WHEN 7 THEN ' gala' END,
            CASE WHEN n % 5000 >= 2500 THEN ' LÄTE' END) AS name) AS named;
        UPDATE catalog.feed SET revision = 10001";
    execute(database, statements).await;
}

/// The filters, as the statement's arguments and as a request, and the index each must take.
fn filters() -> [(&'static str, &'static str, pb::ListShowsRequest); 7] {
    let all = pb::ListShowsRequest::default;
    let now: prost_types::Timestamp = crate::support::now().into();
    [
        (
            "shows_by_start",
            "NULL, NULL, NULL, NULL, NULL, NULL, NULL",
            all(),
        ),
        (
            "shows_by_start",
            "now(), now() + interval '1 day', NULL, NULL, NULL, NULL, NULL",
            pb::ListShowsRequest {
                start_time_from: Some(now),
                ..all()
            },
        ),
        (
            "shows_by_start",
            "NULL, NULL, now(), '00002000-0000-8000-8000-000000000000', NULL, NULL, NULL",
            all(),
        ),
        (
            "shows_by_type",
            "NULL, NULL, NULL, NULL, 'BUS', NULL, NULL",
            pb::ListShowsRequest {
                show_type: pb::ShowType::Bus.into(),
                ..all()
            },
        ),
        (
            "shows_by_state",
            "NULL, NULL, NULL, NULL, NULL, 'CANCELLED', NULL",
            pb::ListShowsRequest {
                state: pb::ShowState::Cancelled.into(),
                ..all()
            },
        ),
        (
            "shows_by_venue",
            "NULL, NULL, NULL, NULL, NULL, NULL, 'Hall 7'",
            at("Hall 7"),
        ),
        (
            "shows_by_venue",
            "now(), NULL, NULL, NULL, 'BUS', 'ON_SALE', 'Hall 7'",
            pb::ListShowsRequest {
                show_type: pb::ShowType::Bus.into(),
                state: pb::ShowState::OnSale.into(),
                start_time_from: Some(now),
                ..at("Hall 7")
            },
        ),
    ]
}

/// Prepares the one statement of the service that `is_it`, as `list`.
pub(crate) async fn prepare(connection: &Connection, is_it: impl Fn(&str) -> bool) {
    let files = std::fs::read_dir(STATEMENTS).expect("statements");
    let statements = files.map(|file| {
        let text = std::fs::read(file.expect("a file").path()).expect("a statement");
        let json: serde_json::Value = serde_json::from_slice(&text).expect("json");
        json["query"].as_str().expect("a query").to_owned()
    });
    let found: Vec<_> = statements.filter(|statement| is_it(statement)).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    let prepare = format!("PREPARE list AS {}", found[0]);
    let prepared = connection.batch_execute(&prepare).await;
    prepared.expect("a statement");
}

pub(crate) async fn explain(connection: &Connection, options: &str, arguments: &str) -> String {
    let query = format!("EXPLAIN ({options}) EXECUTE list ({arguments})");
    let lines = connection.simple_query(&query).await.expect("a plan");
    let lines = lines.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn every_filter_has_an_index() {
    let (service, database) = Service::start().await;
    create(&service.client, hamlet()).await;
    ten_thousand_shows(&database).await;
    let connection = database.client("catalog_svc").await;
    prepare(&connection, |statement| {
        statement.contains("start_at < $2") && !statement.contains("name_folded")
    })
    .await;
    for is_analyzed in [false, true] {
        if is_analyzed {
            execute(&database, "ANALYZE catalog.shows").await;
        }
        for (index, arguments, _) in filters() {
            for _ in 0..EXECUTIONS {
                let plan = explain(&connection, "COSTS", &format!("{arguments}, 51")).await;
                let described = || format!("{arguments}, analyzed: {is_analyzed}:\n{plan}");
                assert!(!plan.contains("Seq Scan"), "{}", described());
                assert!(!plan.contains("Sort"), "{}", described());
                // Without statistics it may be another one.
                let is_taken = plan.contains(&format!(" {index} "));
                assert!(is_taken || !is_analyzed, "not {index}: {}", described());
            }
        }
    }

    // And the service takes them.
    let owner = database.owner().await;
    let scans = async |query: &str| -> i64 {
        let row = owner.query_one(query, &[]).await.expect("a count");
        row.get(0)
    };
    for (_, _, request) in filters() {
        for _ in 0..EXECUTIONS {
            assert!(!names(&service.client, request.clone()).await.is_empty());
        }
    }
    for index in [
        "shows_by_start",
        "shows_by_type",
        "shows_by_state",
        "shows_by_venue",
    ] {
        let query =
            format!("SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = '{index}'");
        // Each session reports its statistics once it is idle.
        eventually(SOON, "the index was used", async || scans(&query).await > 0).await;
    }
}
