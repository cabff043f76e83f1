//! Rows that cannot be read, or not be written, hold up no others.

use std::time::Duration;

use proto::catalog::internal::v1 as internal;
use proto::catalog::internal::v1::follow_shows_response::Change;
use proto::catalog::v1 as pb;
use test_harness::errors::{assert_error, metadata};
use test_harness::process::Process;
use test_harness::{eventually, postgres};
use tokio::time::timeout;
use tonic::Code;

use crate::support::{
    SOON, Service, cancel, client, counted, create, execute, get, hamlet, hours_ahead, layout,
    section, try_get,
};
use crate::watch_shows::Feed;

/// JSON that no release ever wrote.
const NONSENSE: &str = r#"{"sections": 1e400}"#;

/// Six shows, and in the middle four that cannot be read, each for another reason.
async fn spoiled(service: &Service, database: &postgres::TestDatabase) -> [String; 6] {
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(create(&service.client, hamlet()).await.show_id);
    }
    let [_, prices, layout, time, start, _] = ids.as_slice() else {
        panic!("six shows")
    };
    let statements = format!(
        "UPDATE catalog.shows SET prices = '{NONSENSE}' WHERE show_id = '{prices}';
         UPDATE catalog.layouts SET description = '{NONSENSE}'
         WHERE layout_id = (SELECT layout_id FROM catalog.shows WHERE show_id = '{layout}');
         UPDATE catalog.shows SET updated_at = 'infinity' WHERE show_id = '{time}';
         UPDATE catalog.shows SET start_at = 'infinity' WHERE show_id = '{start}'"
    );
    execute(database, &statements).await;
    ids.try_into().expect("six shows")
}

#[tokio::test]
async fn a_feed_skips_or_names_unreadable_rows_and_continues() {
    let (service, database) = Service::start().await;
    let ids = spoiled(&service, &database).await;
    let [first, .., last] = &ids;
    let mut feed = Feed::open(&service.client, 0).await;
    assert_eq!(feed.next_show().await.show_id, *first);
    assert_eq!(feed.next_show().await.show_id, *last);

    let request = internal::FollowShowsRequest::default();
    let followed = service.feed.clone().follow_shows(request).await;
    let mut followed = followed.expect("a stream").into_inner();
    for id in &ids {
        let change = loop {
            let entry = timeout(SOON, followed.message())
                .await
                .expect("an entry soon");
            if let Some(change) = entry.expect("an entry").expect("no end").change {
                break change;
            }
        };
        match change {
            Change::Show(show) => {
                assert!([first, last].contains(&id));
                assert_eq!(show.show_id, *id);
            }
            Change::UnreadableShowId(unreadable) => {
                assert!(![first, last].contains(&id));
                assert_eq!(unreadable, *id);
            }
            Change::DeletedShowId(_) => panic!("{change:?}"),
        }
    }
    // Later writes are sent too.
    cancel(&service.client, first).await;
    assert_eq!(feed.next_show().await.show_id, *first);
}

#[tokio::test]
async fn a_page_of_the_feed_that_cannot_be_read_at_all_is_not_its_end() {
    let (service, database) = Service::start().await;
    for _ in 0..20 {
        create(&service.client, hamlet()).await;
    }
    let last = create(&service.client, hamlet()).await;
    let spoil = format!("UPDATE catalog.shows SET prices = '{NONSENSE}' WHERE revision < 21");
    execute(&database, &spoil).await;
    let mut feed = Feed::open(&service.client, 0).await;
    assert_eq!(feed.next_show().await.show_id, last.show_id);
}

#[tokio::test]
async fn lists_skip_unreadable_rows() {
    let (service, database) = Service::start().await;
    let ids = spoiled(&service, &database).await;
    // Prices and layouts are not read for a list, and an infinite start is last.
    let readable = [&ids[0], &ids[1], &ids[2], &ids[5]];
    for page_size in [1, 2, 100] {
        let (mut found, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = pb::ListShowsRequest {
                page_size,
                page_token,
                ..Default::default()
            };
            let page = service.client.clone().list_shows(request).await;
            let page = page.expect("a page").into_inner();
            found.extend(page.shows.into_iter().map(|show| show.show_id));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(found.iter().collect::<Vec<_>>(), readable);
    }
    // An unreadable show is named, so that the caller can request the others.
    let request = pb::BatchGetShowsRequest {
        show_ids: ids.to_vec(),
    };
    let refused = service.client.clone().batch_get_shows(request).await;
    let status = refused.expect_err("two cannot be read");
    assert_error(&status, Code::Internal, "INTERNAL");
    let named = format!("{},{}", ids[3], ids[4]);
    assert_eq!(metadata(&status).get("show_id"), Some(&named));
    let request = pb::BatchGetShowsRequest {
        show_ids: readable.map(Clone::clone).to_vec(),
    };
    let others = service.client.clone().batch_get_shows(request).await;
    assert_eq!(others.expect("the others").into_inner().shows.len(), 4);
    // And one that is asked for alone fails alone.
    let status = try_get(&service.client, &ids[1]).await;
    assert_error(&status.expect_err("no prices"), Code::Internal, "INTERNAL");
    get(&service.client, &ids[0]).await;
}

#[tokio::test]
async fn a_list_of_layouts_skips_unreadable_rows() {
    let (service, database) = Service::start().await;
    for name in ["A", "B", "C"] {
        let plan = pb::SeatLayout {
            name: name.to_owned(),
            ..layout(vec![section("S", vec![counted("1", 4)])])
        };
        let request = pb::CreateSeatLayoutRequest {
            layout: Some(plan),
            ..Default::default()
        };
        let created = service.client.clone().create_seat_layout(request).await;
        created.expect("a layout");
    }
    let spoil = "UPDATE catalog.layouts SET created_at = 'infinity' WHERE name = 'B'";
    execute(&database, spoil).await;
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = pb::ListSeatLayoutsRequest {
            page_size: 1,
            page_token,
            ..Default::default()
        };
        let page = service.client.clone().list_seat_layouts(request).await;
        let page = page.expect("a page").into_inner();
        found.extend(page.layouts.into_iter().map(|layout| layout.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(found, ["A", "C"]);
}

#[tokio::test]
async fn an_unwritable_due_show_is_logged_and_the_others_open() {
    let database = postgres::database().await;
    let url = database.url("catalog_svc");
    let catalog = Process::start("catalog-svc", &["--database-url", &url]).await;
    let client = client(catalog.address());
    let mut ids = Vec::new();
    for _ in 0..4 {
        let request = pb::CreateShowRequest {
            sales_open_time: Some(hours_ahead(1)),
            ..hamlet()
        };
        ids.push(create(&client, request).await.show_id);
    }
    let [unreadable, unwritable, others @ ..] = ids.as_slice() else {
        panic!("four shows")
    };
    let statements = format!(
        "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             RAISE 'no';
         END $$;
         CREATE TRIGGER refuse BEFORE UPDATE OF revision ON catalog.shows FOR EACH ROW
         WHEN (NEW.show_id = '{unwritable}') EXECUTE FUNCTION public.refuse();
         UPDATE catalog.shows SET sales_open_at = CASE
             WHEN show_id = '{unreadable}' THEN '-infinity'
             ELSE clock_timestamp() + interval '100 ms' END"
    );
    execute(&database, &statements).await;
    for id in others {
        eventually(SOON, "the others open", async || {
            get(&client, id).await.state() == pb::ShowState::OnSale
        })
        .await;
    }
    // Skipped shows do not make the worker poll without a pause.
    let owner = database.owner().await;
    let looks = async || {
        let query = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()";
        let row = owner.query_one(query, &[]).await.expect("a count");
        row.get::<_, i64>(0)
    };
    let before = looks().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let looked = looks().await - before;
    assert!(looked < 100, "{looked} transactions in 2 s");

    let log = catalog.log();
    let errors = || log.lines().filter(|line| line.contains(" ERROR "));
    for id in [unreadable, unwritable] {
        let lines = errors().filter(|line| line.contains(id.as_str()));
        assert_eq!(lines.count(), 1, "{log}");
    }
    assert_eq!(errors().count(), 2, "{log}");
}
