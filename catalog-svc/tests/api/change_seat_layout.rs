//! ChangeSeatLayout and AnswerProposal: the test plays the booking service.

use futures_util::future::join_all;
use proto::catalog::internal::v1 as internal;
use proto::catalog::v1 as pb;
use test_harness::errors::{assert_refused, fields, has_retry_info, metadata, subjects};
use tokio::task::JoinHandle;
use tonic::{Code, Request, Status};

use crate::seat_layouts::{create_layout, in_layout};
use crate::support::{
    Client, Service, answer, cancel, contents, counted, create, eur, get, hamlet, hours_ahead,
    layout, new_request_id, proposed, renaming, section, tier, try_delete, update,
};
use crate::watch_shows::Feed;

/// Two layouts, of 4 and of 3 seats, and a show in the first.
struct Stage {
    large: String,
    small: String,
    show: pb::Show,
}

async fn pit(client: &Client, seats: i32) -> String {
    let pit = layout(vec![section("Pit", vec![counted("A", seats)])]);
    create_layout(client, pit).await.layout_id
}

async fn stage(client: &Client, request: pb::CreateShowRequest) -> Stage {
    let (large, small) = (pit(client, 4).await, pit(client, 3).await);
    let seats = in_layout(&large).seats;
    let show = create(client, pb::CreateShowRequest { seats, ..request }).await;
    Stage { large, small, show }
}

fn changing(show: &pb::Show, layout_id: &str, request_id: &str) -> pb::ChangeSeatLayoutRequest {
    pb::ChangeSeatLayoutRequest {
        show_id: show.show_id.clone(),
        layout_id: layout_id.to_owned(),
        request_id: request_id.to_owned(),
        ..Default::default()
    }
}

async fn try_change(
    client: &Client,
    request: pb::ChangeSeatLayoutRequest,
) -> Result<pb::Show, Status> {
    let changed = client.clone().change_seat_layout(request).await?;
    Ok(changed.into_inner().show.expect("the show"))
}

/// A call that waits for an answer, returned once it waits.
async fn waiting(
    client: &Client,
    request: pb::ChangeSeatLayoutRequest,
) -> (JoinHandle<Result<pb::Show, Status>>, pb::Proposal) {
    let (show_id, calling) = (request.show_id.clone(), client.clone());
    let call = tokio::spawn(async move { try_change(&calling, request).await });
    (call, proposed(client, &show_id).await)
}

#[tokio::test]
async fn a_layout_without_loss_is_changed_at_once() {
    let (service, database) = Service::start().await;
    let Stage { large, small, show } = stage(&service.client, hamlet()).await;
    let larger = pit(&service.client, 5).await;
    let changed = try_change(&service.client, changing(&show, &larger, "")).await;
    let changed = changed.expect("a changed show");
    assert_eq!((&changed.layout_id, changed.seat_count), (&larger, 5));
    assert_eq!((changed.revision, changed.proposal.clone()), (2, None));
    assert_eq!(get(&service.client, &show.show_id).await, changed);

    // A show that was never offered may lose seats.
    let draft = pb::CreateShowRequest {
        draft: true,
        ..in_layout(&large)
    };
    let draft = create(&service.client, draft).await;
    let priced = pb::ChangeSeatLayoutRequest {
        price_tiers: vec![tier("Pit", eur(7), &["Pit"])],
        ..changing(&draft, &small, "")
    };
    let changed = try_change(&service.client, priced.clone()).await;
    let changed = changed.expect("a changed draft");
    assert_eq!(
        (changed.seat_count, changed.price_tiers),
        (3, priced.price_tiers)
    );
    assert_eq!(contents(&database).await, (2, 0, 4));
}

#[tokio::test]
async fn a_loss_is_proposed_and_done_when_it_is_accepted() {
    let (service, _database) = Service::start().await;
    let Stage { large, small, show } = stage(&service.client, hamlet()).await;
    let mut feed = Feed::open(&service.client, show.revision).await;
    let request = pb::ChangeSeatLayoutRequest {
        price_tiers: vec![tier("Pit", eur(7), &["Pit"])],
        ..changing(&show, &small, "")
    };
    let (call, proposal) = waiting(&service.client, request.clone()).await;
    let seen = feed.next_show().await;
    assert_eq!(seen.proposal.as_ref(), Some(&proposal));
    assert_eq!(
        (&seen.layout_id, seen.revision),
        (&large, proposal.revision)
    );
    let Some(pb::proposal::Change::LayoutChange(change)) = &proposal.change else {
        panic!("no layout is proposed: {proposal:?}");
    };
    assert_eq!(
        (&change.layout_id, &change.price_tiers),
        (&small, &request.price_tiers)
    );
    let seats = change
        .layout
        .as_ref()
        .map(|layout| (layout.seat_count, layout.sections.len()));
    assert_eq!(seats, Some((3, 1)));

    // Changes of other fields still work.
    update(&service.client, renaming(&show.show_id, "Macbeth")).await;
    assert_eq!(feed.next_show().await.proposal.as_ref(), Some(&proposal));
    answer(&service.feed, &show.show_id, proposal.revision, Ok(())).await;
    let changed = call.await.expect("no panic").expect("a changed show");
    assert_eq!((&*changed.name, &changed.layout_id), ("Macbeth", &small));
    assert_eq!((changed.seat_count, &changed.proposal), (3, &None));
    assert_eq!(changed.price_tiers, request.price_tiers);
    assert_eq!(feed.next_show().await, changed);

    // Late and repeated answers change nothing.
    for may_be in [Ok(()), Err(&["A-4"][..])] {
        answer(&service.feed, &show.show_id, proposal.revision, may_be).await;
        answer(&service.feed, &show.show_id, 1, may_be).await;
    }
    assert_eq!(get(&service.client, &show.show_id).await, changed);
}

#[tokio::test]
async fn seats_with_bookings_are_named_and_stay() {
    let (service, _database) = Service::start().await;
    let Stage { large, small, show } = stage(&service.client, hamlet()).await;
    let request = changing(&show, &small, &new_request_id());
    let (call, proposal) = waiting(&service.client, request.clone()).await;
    let mut feed = Feed::open(&service.client, proposal.revision).await;
    answer(
        &service.feed,
        &show.show_id,
        proposal.revision,
        Err(&["A-4"]),
    )
    .await;
    let refused = call.await.expect("no panic");
    let status = assert_refused(refused, Code::FailedPrecondition, "SEATS_BOOKED");
    assert_eq!(subjects(&status), ["A-4"]);
    assert_eq!(metadata(&status).get("show_id"), Some(&show.show_id));
    let after = feed.next_show().await;
    assert_eq!(
        (&after.layout_id, after.revision),
        (&large, proposal.revision + 1)
    );
    let kept = after.proposal.clone().expect("the refused proposal");
    assert_eq!(kept.state(), pb::ProposalState::Refused);
    assert_eq!(kept.booked_seats, ["A-4"]);
    assert_eq!(get(&service.client, &show.show_id).await, after);

    // A replay gets the same reply; another request id makes another proposal.
    let refused = try_change(&service.client, request).await;
    assert_refused(refused, Code::FailedPrecondition, "SEATS_BOOKED");
    let (call, again) = waiting(&service.client, changing(&show, &small, "")).await;
    assert!(again.revision > proposal.revision && again.booked_seats.is_empty());
    answer(&service.feed, &show.show_id, again.revision, Ok(())).await;
    let changed = call.await.expect("no panic").expect("a changed show");
    assert_eq!((changed.seat_count, changed.proposal), (3, None));
}

#[tokio::test]
async fn one_change_waits_at_a_time_and_its_replays_wait_with_it() {
    let (service, database) = Service::start().await;
    let Stage { small, show, .. } = stage(&service.client, hamlet()).await;
    let request = changing(&show, &small, &new_request_id());
    let (first, proposal) = waiting(&service.client, request.clone()).await;
    let refused = try_change(&service.client, changing(&show, &small, "")).await;
    let status = assert_refused(refused, Code::FailedPrecondition, "PROPOSAL_PENDING");
    assert_eq!(subjects(&status), [&*show.show_id]);
    let refused = try_delete(&service.client, &show.show_id).await;
    assert_refused(refused, Code::FailedPrecondition, "PROPOSAL_PENDING");

    let answering = answer(&service.feed, &show.show_id, proposal.revision, Ok(()));
    let copies = (0..4).map(|_| try_change(&service.client, request.clone()));
    let (copies, ()) = futures_util::join!(join_all(copies), answering);
    let first = first.await.expect("no panic").expect("a changed show");
    for copy in copies {
        assert_eq!(copy.expect("the same"), first);
    }
    // Also if the show has changed since.
    cancel(&service.client, &show.show_id).await;
    let copy = try_change(&service.client, request).await;
    assert_eq!(copy.expect("the first result"), first);
    assert_eq!(contents(&database).await, (1, 1, 4));
}

#[tokio::test]
async fn without_an_answer_the_change_stays_proposed() {
    let (service, _database) = Service::start().await;
    let Stage { small, show, .. } = stage(&service.client, hamlet()).await;
    let body = changing(&show, &small, &new_request_id());
    let mut request = Request::new(body.clone());
    // Our client would time out by itself if it could read this; it reads 8 digits at most.
    let timeout = "000000700m".parse().expect("a header's value");
    request.metadata_mut().insert("grpc-timeout", timeout);
    let refused = service.client.clone().change_seat_layout(request).await;
    let status = assert_refused(refused, Code::Unavailable, "BOOKING_SERVICE_UNAVAILABLE");
    assert!(has_retry_info(&status));
    let proposal = proposed(&service.client, &show.show_id).await;
    answer(&service.feed, &show.show_id, proposal.revision, Ok(())).await;
    let changed = try_change(&service.client, body)
        .await
        .expect("a changed show");
    assert_eq!(changed.layout_id, small);
}

#[tokio::test]
async fn the_end_of_a_show_drops_its_layout_change() {
    let (service, _database) = Service::start().await;
    let Stage { large, small, show } = stage(&service.client, hamlet()).await;
    let (call, proposal) = waiting(&service.client, changing(&show, &small, "")).await;
    let cancelled = cancel(&service.client, &show.show_id).await;
    assert_eq!(cancelled.proposal, None);
    let status = assert_refused(
        call.await.expect("no panic"),
        Code::FailedPrecondition,
        "SHOW_STATE",
    );
    assert_eq!(
        metadata(&status).get("state").map(String::as_str),
        Some("CANCELLED")
    );
    answer(&service.feed, &show.show_id, proposal.revision, Ok(())).await;
    let after = get(&service.client, &show.show_id).await;
    assert_eq!(
        (&after.layout_id, after.revision),
        (&large, cancelled.revision)
    );
    let refused = try_change(&service.client, changing(&show, &small, "")).await;
    assert_refused(refused, Code::FailedPrecondition, "SHOW_STATE");
}

#[tokio::test]
async fn a_draft_that_the_booking_service_may_open_by_itself_is_asked_about() {
    let (service, _database) = Service::start().await;
    let scheduled = pb::CreateShowRequest {
        sales_open_time: Some(hours_ahead(1)),
        ..hamlet()
    };
    let Stage { small, show, .. } = stage(&service.client, scheduled).await;
    let (call, proposal) = waiting(&service.client, changing(&show, &small, "")).await;
    answer(&service.feed, &show.show_id, proposal.revision, Ok(())).await;
    let changed = call.await.expect("no panic").expect("a changed draft");
    assert_eq!(
        (changed.state(), changed.seat_count),
        (pb::ShowState::Draft, 3)
    );
}

#[tokio::test]
async fn places_of_an_area_are_a_loss_too() {
    let (service, _database) = Service::start().await;
    let yard = async |capacity| {
        let yard = pb::Area {
            name: "Yard".to_owned(),
            capacity,
            ..Default::default()
        };
        let layout = pb::SeatLayout {
            areas: vec![yard],
            ..layout(vec![])
        };
        create_layout(&service.client, layout).await.layout_id
    };
    let (some, more, fewer) = (yard(10).await, yard(11).await, yard(9).await);
    let show = create(&service.client, in_layout(&some)).await;
    assert_eq!((show.seat_count, show.place_count), (0, 10));
    let changed = try_change(&service.client, changing(&show, &more, "")).await;
    assert_eq!(changed.expect("a changed show").place_count, 11);
    let (call, proposal) = waiting(&service.client, changing(&show, &fewer, "")).await;
    answer(&service.feed, &show.show_id, proposal.revision, Ok(())).await;
    assert_eq!(
        call.await
            .expect("no panic")
            .expect("a changed show")
            .place_count,
        9
    );
}

#[tokio::test]
async fn bad_calls_change_nothing() {
    let (service, database) = Service::start().await;
    let Stage { small, show, .. } = stage(&service.client, hamlet()).await;
    let with = |price_tiers| pb::ChangeSeatLayoutRequest {
        price_tiers,
        ..changing(&show, &small, "")
    };
    let seat = pb::PriceTier {
        seat_labels: vec!["A-4".to_owned()],
        ..tier("VIP", eur(1), &[])
    };
    let cases = [
        (changing(&show, "x", "y"), vec!["layout_id", "request_id"]),
        (changing(&show, &new_request_id(), ""), vec!["layout_id"]),
        (
            with(vec![seat, tier("All", eur(1), &[])]),
            vec!["price_tiers[0].seat_labels[0]"],
        ),
    ];
    for (request, expected) in cases {
        let refused = try_change(&service.client, request).await;
        let status = assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");
        assert_eq!(fields(&status), expected);
    }
    let stale = pb::ChangeSeatLayoutRequest {
        etag: "0".to_owned(),
        ..changing(&show, &small, "")
    };
    let refused = try_change(&service.client, stale).await;
    assert_refused(refused, Code::Aborted, "ETAG_MISMATCH");

    let answering = |show_id: &str, proposal_revision, accepted, booked_seats: Vec<String>| {
        let request = internal::AnswerProposalRequest {
            show_id: show_id.to_owned(),
            proposal_revision,
            accepted,
            booked_seats,
        };
        let mut client = service.feed.clone();
        async move { client.answer_proposal(request).await }
    };
    for (seats, accepted) in [(1, true), (101, false)] {
        let refused = answering("x", 0, accepted, vec!["A-1".to_owned(); seats]).await;
        let status = assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");
        assert_eq!(
            fields(&status),
            ["booked_seats", "proposal_revision", "show_id"]
        );
    }
    let unknown = model::ShowId::generate().to_string();
    let names = ["A-1", "a\0b", "", &"x".repeat(101)].map(ToOwned::to_owned);
    let refused = answering(&unknown, 1, false, names.to_vec()).await;
    let status = assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(
        fields(&status),
        [1, 2, 3].map(|i| format!("booked_seats[{i}]"))
    );
    let refused = answering(&unknown, 1, true, vec![]).await;
    assert_refused(refused, Code::NotFound, "SHOW_NOT_FOUND");
    assert_eq!(contents(&database).await, (1, 0, 1));
}
