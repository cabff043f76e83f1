//! Sales that open and close on schedule.

use std::time::{Duration, SystemTime};

use proto::catalog::v1 as pb;
use test_harness::errors::{assert_refused, metadata};
use test_harness::eventually;
use tonic::Code;

use crate::support::{
    Client, SOON, Service, create, execute, get, hamlet, hours_ahead, now, try_get, updating,
};
use crate::watch_shows::Feed;

fn millis_ahead(millis: u64) -> Option<prost_types::Timestamp> {
    Some((now() + Duration::from_millis(millis)).into())
}

async fn eventually_in(client: &Client, id: &str, state: pb::ShowState) -> pb::Show {
    eventually(SOON, "the show's time comes", async || {
        get(client, id).await.state() == state
    })
    .await;
    get(client, id).await
}

/// How long after `due` the show was written.
fn delay(show: &pb::Show, due: Option<prost_types::Timestamp>) -> Duration {
    let instant = |at: Option<prost_types::Timestamp>| {
        SystemTime::try_from(at.expect("a time")).expect("an instant")
    };
    let late = instant(show.update_time).duration_since(instant(due));
    late.expect("not before its time")
}

#[tokio::test]
async fn a_sale_opens_and_closes_on_time_and_the_feed_reports_it() {
    let (service, _database) = Service::start().await;
    let request = pb::CreateShowRequest {
        sales_open_time: millis_ahead(5_000),
        sales_close_time: millis_ahead(9_000),
        ..hamlet()
    };
    let draft = create(&service.client, request).await;
    assert_eq!(draft.state(), pb::ShowState::Draft);
    let mut feed = Feed::open(&service.client, draft.revision).await;
    for (state, due) in [
        (pb::ShowState::OnSale, draft.sales_open_time),
        (pb::ShowState::Closed, draft.sales_close_time),
    ] {
        let show = feed.next_show().await;
        assert_eq!(show.state(), state);
        let late = delay(&show, due);
        // Within a second, and something for a busy machine.
        assert!(late < Duration::from_secs(3), "{late:?}");
        assert_eq!(show.sales_open_time, draft.sales_open_time);
    }
    let closed = get(&service.client, &draft.show_id).await;
    assert_eq!(closed.revision, draft.revision + 2);
}

#[tokio::test]
async fn replicas_write_due_changes_once() {
    let (service, database) = Service::start().await;
    let url = database.url("catalog_svc");
    let others = [
        Service::on(&url, |_| {}).await,
        Service::on(&url, |_| {}).await,
    ];
    let (shows, due) = (130, millis_ahead(1_500));
    for _ in 0..shows {
        let request = pb::CreateShowRequest {
            sales_open_time: due,
            ..hamlet()
        };
        // A busy machine may be too late for the last ones.
        let created = service.client.clone().create_show(request).await;
        if created.is_err() {
            break;
        }
    }
    let owner = database.owner().await;
    let count = async |condition: &str| {
        let query = format!("SELECT count(*) FROM catalog.shows WHERE {condition}");
        let row = owner.query_one(&query, &[]).await.expect("a count");
        row.get::<_, i64>(0)
    };
    eventually(SOON, "all are on sale", async || {
        count("state = 'DRAFT'").await == 0
    })
    .await;
    let all = count("true").await;
    assert!(all > 0);
    assert_eq!(count("state = 'ON_SALE'").await, all);
    let row = owner
        .query_one("SELECT revision FROM catalog.feed", &[])
        .await;
    // One revision to create each, and one to open it.
    assert_eq!(row.expect("the revision").get::<_, i64>(0), 2 * all);
    drop(others);
}

#[tokio::test]
async fn a_show_whose_whole_sale_was_missed_is_closed() {
    let (service, database) = Service::start().await;
    let request = pb::CreateShowRequest {
        sales_open_time: Some(hours_ahead(1)),
        sales_close_time: Some(hours_ahead(2)),
        ..hamlet()
    };
    let id = create(&service.client, request).await.show_id;
    execute(
        &database,
        "UPDATE catalog.shows SET sales_open_at = clock_timestamp() - interval '2 hours',
                                  sales_close_at = clock_timestamp() - interval '1 hour'",
    )
    .await;
    let closed = eventually_in(&service.client, &id, pb::ShowState::Closed).await;
    assert_eq!(closed.revision, 2);
}

#[tokio::test]
async fn a_command_obeys_the_scheduled_time_before_it_is_written() {
    let (service, database) = Service::start().await;
    let request = pb::CreateShowRequest {
        sales_open_time: Some(hours_ahead(1)),
        ..hamlet()
    };
    let id = create(&service.client, request).await.show_id;
    // A lock that keeps the service from writing it, and a call that waits for the same lock.
    let mut owner = database.owner().await;
    let block = owner.transaction().await.expect("a transaction");
    let due = "UPDATE catalog.shows SET sales_open_at = clock_timestamp()";
    block.execute(due, &[]).await.expect("the show's lock");
    let pausing = tokio::spawn({
        let mut client = service.client.clone();
        let show_id = id.clone();
        async move {
            let request = pb::PauseShowRequest {
                show_id,
                ..Default::default()
            };
            client.pause_show(request).await
        }
    });
    crate::support::eventually_blocked(&database, 1).await;
    block.commit().await.expect("a commit");
    let paused = pausing.await.expect("no panic").expect("a paused show");
    let paused = paused.into_inner().show.expect("the show");
    assert_eq!(paused.state(), pb::ShowState::Paused);
}

#[tokio::test]
async fn times_are_changed_while_they_can_still_come() {
    let (service, _database) = Service::start().await;
    let request = pb::CreateShowRequest {
        sales_open_time: Some(hours_ahead(1)),
        ..hamlet()
    };
    let id = create(&service.client, request).await.show_id;
    let wanted = |open, close| pb::Show {
        show_id: id.clone(),
        sales_open_time: open,
        sales_close_time: close,
        ..Default::default()
    };
    let update = async |show: pb::Show, path: &str| {
        let request = updating(show, &[path]);
        service.client.clone().update_show(request).await
    };
    let sooner = update(wanted(millis_ahead(3_000), None), "sales_open_time").await;
    assert!(sooner.is_ok());
    eventually_in(&service.client, &id, pb::ShowState::OnSale).await;
    let refused = update(wanted(Some(hours_ahead(1)), None), "sales_open_time").await;
    let status = assert_refused(refused, Code::FailedPrecondition, "SHOW_STATE");
    assert_eq!(
        metadata(&status).get("state").map(String::as_str),
        Some("ON_SALE")
    );

    let closes = update(wanted(None, millis_ahead(3_000)), "sales_close_time").await;
    assert!(closes.is_ok());
    eventually_in(&service.client, &id, pb::ShowState::Closed).await;
    let refused = update(wanted(None, Some(hours_ahead(1))), "sales_close_time").await;
    assert_refused(refused, Code::FailedPrecondition, "SHOW_STATE");
    assert!(try_get(&service.client, &id).await.is_ok());
}
