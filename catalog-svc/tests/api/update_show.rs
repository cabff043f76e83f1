//! UpdateShow.

use futures_util::future::join_all;
use model::ShowId;
use proto::catalog::v1 as pb;
use test_harness::errors::{assert_refused, fields, metadata, subjects};
use tonic::{Code, Response, Status};

use crate::support::{
    Client, Service, cancel, contents, create, delete, get, hamlet, hours_ahead, new_request_id,
    now, renaming, update, updating,
};

async fn try_update(
    client: &Client,
    request: pb::UpdateShowRequest,
) -> Result<Response<pb::UpdateShowResponse>, Status> {
    client.clone().update_show(request).await
}

#[tokio::test]
async fn what_the_mask_names_changes_and_nothing_else() {
    let (service, _database) = Service::start().await;
    let request = pb::CreateShowRequest {
        end_time: Some(hours_ahead(30)),
        organiser: "globe".to_owned(),
        ..hamlet()
    };
    let before = create(&service.client, request).await;
    let wanted = pb::Show {
        show_id: before.show_id.clone(),
        name: "Macbeth".to_owned(),
        organiser: "rose".to_owned(),
        show_type: pb::ShowType::Concert.into(),
        start_time: Some(prost_types::Timestamp {
            nanos: 0,
            ..hours_ahead(25)
        }),
        end_time: None,
        venue: String::new(),
        ..Default::default()
    };
    let renamed = update(&service.client, updating(wanted.clone(), &["name"])).await;
    let expected = pb::Show {
        name: "Macbeth".to_owned(),
        revision: 2,
        etag: renamed.etag.clone(),
        update_time: renamed.update_time,
        ..before.clone()
    };
    assert_eq!(renamed, expected);
    assert_ne!(renamed.etag, before.etag);
    assert!(
        renamed.update_time.expect("a time").seconds >= before.update_time.expect("a time").seconds
    );

    let kind = pb::Show {
        show_type: 0,
        ..wanted.clone()
    };
    let reset = update(&service.client, updating(kind, &["show_type"])).await;
    assert_eq!(reset.show_type(), pb::ShowType::Other);

    let rest = ["show_type", "start_time", "end_time", "venue"];
    let changed = update(&service.client, updating(wanted.clone(), &rest)).await;
    let expected = pb::Show {
        show_type: wanted.show_type,
        start_time: wanted.start_time,
        end_time: None,
        venue: String::new(),
        revision: 4,
        etag: changed.etag.clone(),
        update_time: changed.update_time,
        ..renamed
    };
    assert_eq!(changed, expected);
    assert_eq!(get(&service.client, &before.show_id).await, changed);
}

#[tokio::test]
async fn an_etag_that_is_no_longer_true_is_refused() {
    let (service, database) = Service::start().await;
    let first = create(&service.client, hamlet()).await;
    let rename = |etag: &str, name: &str| {
        let mut request = renaming(&first.show_id, name);
        request.show.get_or_insert_default().etag = etag.to_owned();
        request
    };
    let second = update(&service.client, rename(&first.etag, "Macbeth")).await;
    for etag in [&*first.etag, "garbage"] {
        let refused = try_update(&service.client, rename(etag, "Othello")).await;
        let status = assert_refused(refused, Code::Aborted, "ETAG_MISMATCH");
        assert_eq!(metadata(&status).get("etag"), Some(&second.etag));
    }
    assert_eq!(get(&service.client, &first.show_id).await, second);
    assert_eq!(contents(&database).await, (1, 0, 2));
}

#[tokio::test]
async fn of_many_with_one_etag_one_wins() {
    let (service, database) = Service::start().await;
    let show = create(&service.client, hamlet()).await;
    let updates = (0..16).map(|n| {
        let mut request = renaming(&show.show_id, &format!("name {n}"));
        request.show.get_or_insert_default().etag = show.etag.clone();
        try_update(&service.client, request)
    });
    let (won, lost): (Vec<_>, Vec<_>) =
        join_all(updates).await.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    for refused in lost {
        assert_refused(refused, Code::Aborted, "ETAG_MISMATCH");
    }
    assert_eq!(contents(&database).await, (1, 0, 2));
}

#[tokio::test]
async fn paths_that_cannot_be_changed_are_named() {
    let (service, database) = Service::start().await;
    let show = create(&service.client, hamlet()).await;
    let paths = [
        "name",
        "state",
        "organiser",
        "seat_count",
        "layout",
        "layout.sections",
        "title",
        "*",
        "",
    ];
    let refused = try_update(&service.client, updating(show.clone(), &paths)).await;
    let status = assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(fields(&status), ["update_mask"; 8]);
    for (path, why) in [
        ("state", "cannot be changed by UpdateShow"),
        ("organiser", "cannot be changed by UpdateShow"),
        ("title", "is not a field of a show"),
    ] {
        let refused = try_update(&service.client, updating(show.clone(), &[path])).await;
        let status = assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");
        let expected = format!("{path:?} {why}");
        assert!(status.message().contains(&expected), "{}", status.message());
    }
    let refused = try_update(&service.client, updating(show.clone(), &[])).await;
    let status = assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(fields(&status), ["update_mask"]);
    // Too many to fit in one answer.
    let paths = vec!["\u{202e}".repeat(1_000); 500];
    let paths: Vec<_> = paths.iter().map(String::as_str).collect();
    let refused = try_update(&service.client, updating(show, &paths)).await;
    assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(contents(&database).await, (1, 0, 1));
}

#[tokio::test]
async fn one_error_names_every_bad_value() {
    let (service, database) = Service::start().await;
    let show = create(&service.client, hamlet()).await;
    let bad = pb::Show {
        show_id: "7".to_owned(),
        name: " ".to_owned(),
        venue: "\n".to_owned(),
        end_time: Some(prost_types::Timestamp {
            seconds: 0,
            nanos: -1,
        }),
        etag: "x".repeat(65),
        show_type: 9,
        ..Default::default()
    };
    let paths = ["name", "show_type", "start_time", "end_time", "venue"];
    let request = pb::UpdateShowRequest {
        request_id: "8".to_owned(),
        ..updating(bad, &paths)
    };
    let refused = try_update(&service.client, request).await;
    let status = assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");
    let expected = [
        "request_id",
        "show.end_time",
        "show.etag",
        "show.name",
        "show.show_id",
        "show.show_type",
        "show.start_time",
        "show.venue",
    ];
    assert_eq!(fields(&status), expected);

    let refused = try_update(&service.client, pb::UpdateShowRequest::default()).await;
    let status = assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(fields(&status), ["show", "update_mask"]);

    // Fields outside of the mask are ignored.
    let request = updating(
        pb::Show {
            name: String::new(),
            venue: "Rose".into(),
            ..show
        },
        &["venue"],
    );
    assert_eq!(update(&service.client, request).await.name, "Hamlet");
    assert_eq!(contents(&database).await, (1, 0, 2));
}

#[tokio::test]
async fn new_times_are_checked_against_unchanged_ones() {
    let (service, database) = Service::start().await;
    let request = pb::CreateShowRequest {
        end_time: Some(hours_ahead(30)),
        ..hamlet()
    };
    let show = create(&service.client, request).await;
    let past = Some((now() - std::time::Duration::from_secs(1)).into());
    let cases = [
        (
            pb::Show {
                start_time: Some(hours_ahead(31)),
                ..show.clone()
            },
            "start_time",
            "show.end_time",
        ),
        (
            pb::Show {
                end_time: Some(hours_ahead(20)),
                ..show.clone()
            },
            "end_time",
            "show.end_time",
        ),
        (
            pb::Show {
                start_time: past,
                ..show.clone()
            },
            "start_time",
            "show.start_time",
        ),
    ];
    for (show, path, expected) in cases {
        let refused = try_update(&service.client, updating(show, &[path])).await;
        let status = assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");
        assert_eq!(fields(&status), [expected]);
    }
    assert_eq!(contents(&database).await, (1, 0, 1));
}

#[tokio::test]
async fn a_cancelled_show_is_not_changed() {
    let (service, database) = Service::start().await;
    let id = create(&service.client, hamlet()).await.show_id;
    cancel(&service.client, &id).await;
    let refused = try_update(&service.client, renaming(&id, "Macbeth")).await;
    let status = assert_refused(refused, Code::FailedPrecondition, "SHOW_STATE");
    assert_eq!(subjects(&status), [&*id]);
    assert_eq!(
        metadata(&status).get("state").map(String::as_str),
        Some("CANCELLED")
    );
    assert_eq!(metadata(&status).get("show_id"), Some(&id));

    delete(&service, &id).await;
    for id in [id, ShowId::generate().to_string()] {
        let refused = try_update(&service.client, renaming(&id, "Macbeth")).await;
        assert_refused(refused, Code::NotFound, "SHOW_NOT_FOUND");
    }
    assert_eq!(contents(&database).await, (1, 0, 4));
}

#[tokio::test]
async fn a_repeated_update_returns_the_first_result() {
    let (service, database) = Service::start().await;
    let show = create(&service.client, hamlet()).await;
    let mut request = renaming(&show.show_id, "Macbeth");
    request.request_id = new_request_id();
    request.show.get_or_insert_default().etag = show.etag;
    let copies = (0..8).map(|_| update(&service.client, request.clone()));
    let first = join_all(copies).await.swap_remove(0);
    // Its etag is long gone, and so is the show.
    cancel(&service.client, &show.show_id).await;
    delete(&service, &show.show_id).await;
    assert_eq!(update(&service.client, request).await, first);
    assert_eq!(contents(&database).await, (1, 1, 5));
}
