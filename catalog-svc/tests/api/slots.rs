//! Slots of a day are times of the zone's clocks, which jump.

use prost_types::Timestamp;
use proto::catalog::v1 as pb;
use proto::catalog::v1::create_show_request::Seats;
use proto::catalog::v1::series::Series as Kind;
use test_harness::errors::{assert_refused, fields};
use tonic::Code;

use crate::support::{
    Client, Service, create, hamlet, layout, section, try_create, updating, with_layout,
};

/// In Berlin it is 02:00 and then 03:00 on the last Sunday of March, as in this year.
const SPRING: &str = "2030-03-31T00:00:00Z";
/// A day before that.
const SATURDAY: &str = "2030-03-30T00:00:00Z";
/// There it is 03:00 and then 02:00.
const AUTUMN: &str = "2030-10-26T22:00:00Z";

fn at(text: &str) -> Option<Timestamp> {
    Some(text.parse().expect("a time"))
}

/// A row of a slot each half an hour.
fn day(first: &str, last: &str) -> pb::SeatLayout {
    let times = pb::TimeSeries {
        first: first.to_owned(),
        last: last.to_owned(),
        step_minutes: 30,
    };
    let row = pb::RowBlock {
        runs: vec![pb::Series {
            series: Some(Kind::Times(times)),
        }],
        ..Default::default()
    };
    layout(vec![section("Room", vec![row])])
}

fn on(start: &str, layout: pb::SeatLayout) -> pb::CreateShowRequest {
    pb::CreateShowRequest {
        start_time: at(start),
        time_zone: "Europe/Berlin".to_owned(),
        ..with_layout(layout)
    }
}

async fn a_layout(client: &Client, layout: pb::SeatLayout) -> String {
    let request = pb::CreateSeatLayoutRequest {
        layout: Some(layout),
        ..Default::default()
    };
    let created = client.clone().create_seat_layout(request).await;
    let layout = created.expect("a layout").into_inner().layout;
    layout.expect("the layout").layout_id
}

/// Sees that a call was refused for one field.
fn assert_named<T: std::fmt::Debug>(refused: Result<T, tonic::Status>, field: &str, why: &str) {
    let status = assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(fields(&status), [field]);
    assert_eq!(status.message(), format!("{field}: {why}"));
}

#[tokio::test]
async fn a_slot_in_a_skipped_hour_is_refused_in_every_call() {
    let (service, _database) = Service::start().await;
    let client = &service.client;
    let why = "has the slot 02:00 and 1 more, which does not exist on 2030-03-31 in \
               Europe/Berlin: the clocks go forward";
    let series = "sections[0].rows[0].runs[0].times";
    let whole_day = || day("00:00", "23:30");

    let refused = try_create(client, on(SPRING, whole_day())).await;
    assert_named(refused, &format!("layout.{series}"), why);
    let layout_id = a_layout(client, whole_day()).await;
    let request = pb::CreateShowRequest {
        seats: Some(Seats::LayoutId(layout_id.clone())),
        ..on(SPRING, whole_day())
    };
    let why = format!("{series}: {why}");
    let refused = try_create(client, request).await;
    assert_named(refused, "layout_id", &why);

    // A show that is moved to that day, or to a place where it is that day.
    let saturday = create(client, on(SATURDAY, whole_day())).await;
    let moved = pb::Show {
        show_id: saturday.show_id,
        start_time: at(SPRING),
        ..Default::default()
    };
    let refused = client
        .clone()
        .update_show(updating(moved, &["start_time"]))
        .await;
    assert_named(refused, "show.start_time", &why);
    let elsewhere = pb::CreateShowRequest {
        time_zone: "UTC".to_owned(),
        ..on(SPRING, whole_day())
    };
    let moved = pb::Show {
        show_id: create(client, elsewhere).await.show_id,
        time_zone: "Europe/Berlin".to_owned(),
        ..Default::default()
    };
    let refused = client
        .clone()
        .update_show(updating(moved, &["time_zone"]))
        .await;
    assert_named(refused, "show.time_zone", &why);

    // A show of that day without such a slot, and a layout with one.
    let spring = create(client, on(SPRING, day("03:00", "23:30"))).await;
    let request = pb::ChangeSeatLayoutRequest {
        show_id: spring.show_id,
        layout_id,
        ..Default::default()
    };
    let refused = client.clone().change_seat_layout(request).await;
    assert_named(refused, "layout_id", &why);
}

#[tokio::test]
async fn a_repeated_hour_has_one_slot_and_its_second_needs_a_name() {
    let (service, _database) = Service::start().await;
    let autumn = create(&service.client, on(AUTUMN, day("01:00", "04:30"))).await;
    assert_eq!(autumn.seat_count, 8);
    let other = pb::CreateShowRequest {
        time_zone: String::new(),
        ..on(SPRING, day("00:00", "23:30"))
    };
    assert_eq!(create(&service.client, other).await.seat_count, 48);
    assert_eq!(create(&service.client, hamlet()).await.seat_count, 40);
}
