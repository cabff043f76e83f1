//! An organiser's changes in the real catalog while customers book: pauses, schedules, prices,
//! other layouts, deletions.

use std::time::{Duration, SystemTime};

use booking_svc::catalog::{Catalog, Freshness, StaleCatalog, StalenessTerms};
use booking_svc::feed::follow;
use booking_svc::sales::Sales;
use proto::booking::v1::{BookingState, SeatStatus};
use proto::catalog::v1::create_show_request::Seats;
use proto::catalog::v1::{
    ChangeSeatLayoutRequest, ChangeSeatLayoutResponse, CloseShowRequest, CreateSeatLayoutRequest,
    DeleteShowRequest, GetShowRequest, PauseShowRequest, PriceTier, ProposalState,
    PublishShowRequest, ResumeShowRequest, SeatLayout, SetPricesRequest, Show, ShowState,
};
use proto::money::v1::Money;
use service_kit::Shutdown;
use service_kit::auth::Bearer;
use test_harness::errors::{assert_error, describe, metadata, quota_subjects, subjects};
use test_harness::system::{self, confirm, get, layout, reserve, show};
use test_harness::{eventually, eventually_some, machine};
use tonic::{Code, Request, Status};
use uuid::Uuid;

use crate::feed::store_of;
use crate::stage::{Stage, assert_quiet, text_of};

/// How soon a change in the catalog must hold here.
const SOON: Duration = Duration::from_secs(2);
/// How long a change may wait for its answer.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// A caller of the catalog that does not wait for an answer.
const IMPATIENT: Duration = Duration::from_secs(3);

impl Stage {
    async fn described(&self, show: &str) -> Show {
        let request = GetShowRequest {
            show_id: show.to_owned(),
            ..GetShowRequest::default()
        };
        let found = self.system.catalog_client().get_show(request).await;
        found.expect("a show").into_inner().show.expect("set")
    }

    /// A layout of the organiser's; its id.
    async fn a_layout(&self, layout: SeatLayout) -> String {
        let request = CreateSeatLayoutRequest {
            layout: Some(layout),
            ..Default::default()
        };
        let mut catalog = self.system.catalog_client();
        let created = catalog.create_seat_layout(request).await.expect("a layout");
        created.into_inner().layout.expect("set").layout_id
    }

    async fn change_layout(
        &self,
        show: &str,
        layout_id: &str,
        request_id: Uuid,
        wait: Duration,
    ) -> Result<ChangeSeatLayoutResponse, Status> {
        let mut request = Request::new(ChangeSeatLayoutRequest {
            show_id: show.to_owned(),
            layout_id: layout_id.to_owned(),
            request_id: request_id.to_string(),
            ..Default::default()
        });
        request.set_timeout(wait);
        let mut catalog = self.system.catalog_client();
        let changed = catalog.change_seat_layout(request).await;
        changed.map(tonic::Response::into_inner)
    }

    async fn delete(&self, show: &str) -> Result<(), Status> {
        let mut request = Request::new(DeleteShowRequest {
            show_id: show.to_owned(),
            ..Default::default()
        });
        request.set_timeout(ANSWER_MAX);
        let mut catalog = self.system.catalog_client();
        catalog.delete_show(request).await.map(drop)
    }

    async fn refuses_to_sell(&self, show: &str, label: &str, state: &str) -> Status {
        let mut client = self.client();
        let labels = [label];
        let call = reserve(&mut client, show, &labels, "bob");
        let status = self
            .refused(call, Code::FailedPrecondition, "SHOW_NOT_ON_SALE")
            .await;
        assert_eq!(metadata(&status)["state"], state);
        status
    }
}

/// The seats "A-1" to "A-{seats}" and "B-1", the front of them in the back.
fn turned(seats: i32) -> SeatLayout {
    let mut layout = layout(seats);
    let mut rows = layout.sections[0].rows.clone();
    rows[0].names = Some(system::names(["B"]));
    rows[0].runs = vec![system::names(["1"])];
    rows.append(&mut layout.sections[0].rows);
    layout.sections[0].rows = rows;
    layout
}

fn at(from_now: Duration) -> prost_types::Timestamp {
    (SystemTime::now() + from_now).into()
}

#[tokio::test]
async fn pausing_and_closing_stop_reserves_but_not_confirms() {
    let mut stage = Stage::start().await;
    let mut draft = show(10);
    draft.draft = true;
    let show = stage.create(draft).await;
    let status = stage.refuses_to_sell(&show, "A-1", "DRAFT").await;
    assert!(!metadata(&status).contains_key("sales_open_time"));

    let mut catalog = stage.system.catalog_client();
    let publish = PublishShowRequest {
        show_id: show.clone(),
        ..Default::default()
    };
    catalog.publish_show(publish).await.expect("a draft");
    stage.follow_feed().await;
    let held = [
        stage.reserve(&show, &["A-1"]).await,
        stage.reserve(&show, &["A-2"]).await,
        stage.reserve(&show, &["A-3"]).await,
    ];
    let pause = PauseShowRequest {
        show_id: show.clone(),
        ..Default::default()
    };
    catalog.pause_show(pause).await.expect("it is on sale");
    stage.follow_feed().await;
    stage.refuses_to_sell(&show, "A-4", "PAUSED").await;
    let confirmed = confirm(&mut stage.client(), &held[0].booking_id).await;
    assert_eq!(confirmed.expect("held").state(), BookingState::Confirmed);
    let over = system::cancel(&mut stage.client(), &held[1].booking_id).await;
    assert_eq!(over.expect("held").state(), BookingState::Cancelled);

    let resume = ResumeShowRequest {
        show_id: show.clone(),
        ..Default::default()
    };
    catalog.resume_show(resume).await.expect("it is paused");
    stage.follow_feed().await;
    stage.reserve(&show, &["A-4"]).await;
    let close = CloseShowRequest {
        show_id: show.clone(),
        ..Default::default()
    };
    catalog.close_show(close).await.expect("it is on sale");
    stage.follow_feed().await;
    stage.refuses_to_sell(&show, "A-5", "CLOSED").await;
    let confirmed = confirm(&mut stage.client(), &held[2].booking_id).await;
    assert_eq!(confirmed.expect("held").state(), BookingState::Confirmed);
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_show_opens_and_closes_by_its_schedule_while_the_catalog_is_down() {
    let mut stage = Stage::that_sells_stale().await;
    let mut scheduled = show(1_000);
    scheduled.sales_open_time = Some(at(Duration::from_secs(8)));
    scheduled.sales_close_time = Some(at(Duration::from_secs(18)));
    let show = stage.create(scheduled.clone()).await;
    let watched = machine::watch();
    stage.system.catalog.kill9().await;
    let status = stage.refuses_to_sell(&show, "A-1", "DRAFT").await;
    let opens = text_of(scheduled.sales_open_time.as_ref());
    assert_eq!(metadata(&status)["sales_open_time"], opens);

    let mut client = stage.client();
    let open = prost_seconds(scheduled.sales_open_time.as_ref());
    let close = prost_seconds(scheduled.sales_close_time.as_ref());
    let mut sold = Vec::new();
    eventually(
        Duration::from_secs(30),
        "it has opened and closed",
        async || {
            let label = format!("A-{}", sold.len() + 2);
            let began = prost_seconds(Some(&at(Duration::ZERO)));
            let outcome = reserve(&mut client, &show, &[&label], "ann").await;
            let ended = prost_seconds(Some(&at(Duration::ZERO)));
            match outcome {
                Ok(booking) => {
                    assert!(began < close && ended >= open, "{began} to {ended}");
                    sold.push(booking);
                }
                Err(status) => {
                    assert_error(&status, Code::FailedPrecondition, "SHOW_NOT_ON_SALE");
                    match &*metadata(&status)["state"] {
                        "DRAFT" => assert!(began < open, "{began} of {open}"),
                        "CLOSED" => assert!(ended >= close, "{ended} of {close}"),
                        state => panic!("{state}"),
                    }
                }
            }
            ended > close + 0.5
        },
    )
    .await;
    let made: Vec<_> = sold
        .iter()
        .map(|booking| prost_seconds(booking.create_time.as_ref()))
        .collect();
    let first = made.first().copied().expect("it was on sale");
    let allowed = 1.0 + machine::stalled(watched).as_secs_f64();
    assert!((0.0..allowed).contains(&(first - open)), "{}", first - open);
    assert!(made.iter().all(|made| (open..close).contains(made)));
    stage.refuses_to_sell(&show, "A-1", "CLOSED").await;
    confirm(&mut client, &sold[0].booking_id)
        .await
        .expect("a live hold");
    stage.assert_sound().await;
}

/// A time of the contract in seconds.
fn prost_seconds(time: Option<&prost_types::Timestamp>) -> f64 {
    let time = SystemTime::try_from(*time.expect("set")).expect("after 1970");
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.expect("after 1970").as_secs_f64()
}

#[tokio::test]
async fn a_show_has_its_own_hold_and_its_own_limit_of_seats() {
    let mut stage = Stage::start().await;
    let mut described = show(10);
    described.hold_duration = Some(Duration::from_secs(600).try_into().expect("short"));
    described.seats_per_booking_max = 2;
    let show = stage.create(described).await;
    let held = stage.reserve(&show, &["A-1", "A-2"]).await;
    let length =
        prost_seconds(held.expire_time.as_ref()) - prost_seconds(held.create_time.as_ref());
    assert!((length - 600.0).abs() < 0.001, "{length}");
    let mut client = stage.client();
    let call = reserve(&mut client, &show, &["A-3", "A-4", "A-5"], "ann");
    let code = Code::ResourceExhausted;
    let status = stage
        .refused(call, code, "SEATS_PER_BOOKING_EXCEEDED")
        .await;
    assert_eq!(metadata(&status)["limit"], "2");
    assert_eq!(quota_subjects(&status), ["seat_labels"]);
    stage.assert_sound().await;
}

#[tokio::test]
async fn new_prices_are_for_later_reservations() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(5).await;
    let before = stage.reserve(&show, &["A-1"]).await;
    let price = |minor_units| {
        Some(Money {
            minor_units,
            currency_code: "EUR".to_owned(),
        })
    };
    let tier = |name: &str, minor_units, labels: &[&str]| PriceTier {
        name: name.to_owned(),
        price: price(minor_units),
        seat_labels: labels.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    let request = SetPricesRequest {
        show_id: show.clone(),
        price_tiers: vec![tier("VIP", 5000, &["A-2"]), tier("Late", 1400, &[])],
        etag: stage.described(&show).await.etag,
        ..Default::default()
    };
    let set = stage.system.catalog_client().set_prices(request).await;
    set.expect("the etag is the present one");
    stage.follow_feed().await;
    let after = stage.reserve(&show, &["A-2", "A-3"]).await;
    let lines: Vec<_> = after
        .lines
        .iter()
        .map(|line| (&*line.price_tier, line.price.clone()))
        .collect();
    assert_eq!(lines, [("VIP", price(5000)), ("Late", price(1400))]);
    let confirmed = confirm(&mut stage.client(), &before.booking_id).await;
    let confirmed = confirmed.expect("a live hold");
    assert_eq!(
        (&confirmed.lines, &confirmed.total),
        (&before.lines, &before.total)
    );
    let listed = stage.system.seats(&show).await;
    assert_eq!(
        (&*listed[0].price_tier, &listed[0].price),
        ("Late", &price(1400))
    );
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_layout_that_drops_booked_seats_is_refused_until_they_are_returned() {
    let mut stage = Stage::start().await;
    let (mut process, mut other) = stage.another().await;
    let show = stage.a_show(5).await;
    let kept = stage.buy(&show, &["A-1"]).await;
    let dropped = stage.buy(&show, &["A-5"]).await;
    let held = stage.reserve(&show, &["A-4"]).await;
    let layout_id = stage.a_layout(turned(3)).await;
    let changed = stage
        .change_layout(&show, &layout_id, Uuid::new_v4(), ANSWER_MAX)
        .await;
    let status = changed.expect_err("two of its seats have live bookings");
    assert_error(&status, Code::FailedPrecondition, "SEATS_BOOKED");
    assert_eq!(subjects(&status), ["A-4", "A-5"]);
    stage.follow_feed().await;
    assert_eq!(
        stage.labels(&show, SeatStatus::Available).await,
        ["A-2", "A-3"]
    );

    system::cancel(&mut other, &dropped.booking_id)
        .await
        .expect("its own");
    stage.lapse(&held.booking_id).await;
    let changed = stage
        .change_layout(&show, &layout_id, Uuid::new_v4(), ANSWER_MAX)
        .await;
    let changed = changed.unwrap_or_else(|status| panic!("{}", describe(&status)));
    assert_eq!(changed.show.expect("set").layout_id, layout_id);
    stage.follow_feed().await;

    let listed: Vec<_> = stage.system.seats(&show).await;
    let listed: Vec<_> = listed.iter().map(|s| (&*s.label, s.status())).collect();
    let (available, booked) = (SeatStatus::Available, SeatStatus::Booked);
    let wanted = [
        ("B-1", available),
        ("A-1", booked),
        ("A-2", available),
        ("A-3", available),
    ];
    assert_eq!(listed, wanted, "in the order of the new layout");
    let mut client = stage.client();
    let call = reserve(&mut client, &show, &["A-5"], "bob");
    stage
        .refused(call, Code::InvalidArgument, "UNKNOWN_SEATS")
        .await;
    let new = reserve(&mut other, &show, &["A-2", "B-1"], "bob").await;
    let new = new.unwrap_or_else(|status| panic!("{}", describe(&status)));
    let labels: Vec<_> = new.lines.iter().map(|line| &*line.seat_label).collect();
    assert_eq!(labels, ["B-1", "A-2"]);
    // Both replicas name every seat, also dropped ones.
    for client in [&mut stage.client(), &mut other] {
        for (booking, label) in [(&kept, "A-1"), (&dropped, "A-5"), (&held, "A-4")] {
            let found = get(client, &booking.booking_id).await.expect("a booking");
            assert_eq!(found.lines[0].seat_label, label);
            assert_eq!(found.lines, booking.lines);
        }
        let found = get(client, &new.booking_id).await.expect("a booking");
        assert_eq!(found.lines, new.lines);
    }
    let answers = "SELECT count(*) FROM booking.answers";
    eventually(SOON, "every answer is delivered", async || {
        stage.count(answers).await == 0
    })
    .await;
    assert_quiet(&mut process);
    stage.assert_sound().await;
}

#[tokio::test]
async fn an_answer_is_delivered_after_a_crash_before_its_delivery() {
    let mut stage = Stage::that_sells_stale().await;
    let show = stage.a_show(5).await;
    let layout_id = stage.a_layout(turned(3)).await;
    stage.system.booking.kill9().await;
    let request_id = Uuid::new_v4();
    let changed = stage
        .change_layout(&show, &layout_id, request_id, IMPATIENT)
        .await;
    changed.expect_err("nobody answers");
    let proposal = stage.described(&show).await.proposal.expect("it stays");
    assert_eq!(proposal.state(), ProposalState::Pending);

    // All that the service did before it died: the answer is stored, and not delivered.
    let store = store_of(&stage);
    let catalog = Catalog::new(
        stage.system.catalog.internal_url().parse().expect("a URL"),
        Bearer::default(),
    );
    let terms = StalenessTerms {
        max: ANSWER_MAX,
        beyond: StaleCatalog::Refuse,
    };
    let sales = Sales::new(store.clone(), catalog.clone(), Freshness::new(terms));
    let shutdown = Shutdown::default();
    let following = tokio::spawn(follow(catalog, sales, shutdown.clone()));
    let answer = eventually_some(ANSWER_MAX, "it is answered", async || {
        store
            .undelivered_answers(None)
            .await
            .expect("a database")
            .items
            .pop()
    });
    assert_eq!(answer.await.proposal, proposal.revision);
    shutdown.soft.cancel();
    following.await.expect("it ends");

    // Nor can it be delivered at once when the service is back.
    stage.system.catalog.kill9().await;
    stage.system.booking.start_again().await;
    let taken = reserve(&mut stage.client(), &show, &["A-5"], "bob").await;
    let status = taken.expect_err("it is off sale");
    assert_error(&status, Code::FailedPrecondition, "SEATS_UNAVAILABLE");
    stage.system.catalog.start_again().await;
    let answers = "SELECT count(*) FROM booking.answers";
    eventually(ANSWER_MAX, "it is delivered", async || {
        stage.count(answers).await == 0
    })
    .await;
    let changed = stage
        .change_layout(&show, &layout_id, request_id, ANSWER_MAX)
        .await;
    changed.unwrap_or_else(|status| panic!("{}", describe(&status)));
    stage.follow_feed().await;
    assert_eq!(stage.system.seats(&show).await.len(), 4);
    stage.reserve(&show, &["B-1", "A-3"]).await;
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_show_is_deleted_only_if_it_never_had_a_booking() {
    let mut stage = Stage::start().await;
    let (booked, empty) = (stage.a_show(3).await, stage.a_show(3).await);
    let booking = stage.buy(&booked, &["A-1"]).await;
    let over = system::cancel(&mut stage.client(), &booking.booking_id).await;
    over.expect("its own");
    let status = stage.delete(&booked).await.expect_err("it had a booking");
    assert_error(&status, Code::FailedPrecondition, "SHOW_HAS_BOOKINGS");
    stage.follow_feed().await;
    stage.reserve(&booked, &["A-1"]).await;
    assert_eq!(stage.described(&booked).await.state(), ShowState::OnSale);

    let deleted = stage.delete(&empty).await;
    deleted.unwrap_or_else(|status| panic!("{}", describe(&status)));
    stage.settle().await;
    stage.refuses_to_sell(&empty, "A-1", "CANCELLED").await;
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_show_of_areas_alone_has_no_seat_to_sell() {
    let mut stage = Stage::start().await;
    let lawn = proto::catalog::v1::Area {
        name: "Lawn".to_owned(),
        capacity: 500,
        ..Default::default()
    };
    let mut described = show(1);
    described.seats = Some(Seats::Layout(SeatLayout {
        areas: vec![lawn],
        ..Default::default()
    }));
    let show = stage.create(described).await;
    assert!(stage.system.seats(&show).await.is_empty());
    let mut client = stage.client();
    let call = reserve(&mut client, &show, &["1"], "ann");
    stage
        .refused(call, Code::InvalidArgument, "UNKNOWN_SEATS")
        .await;
    stage.assert_sound().await;
}
