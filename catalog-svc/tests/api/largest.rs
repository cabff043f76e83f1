//! The largest shows that can be created: a client with the usual limits reads them.

use std::time::Duration;

use prost::Message as _;
use proto::catalog::v1 as pb;
use test_harness::errors::{assert_refused, fields};
use tonic::Code;

use crate::seat_layouts::{create_layout, in_layout};
use crate::support::{Service, create, eur, get, labelled, layout, proposed, section, try_create};
use crate::watch_shows::Feed;

const LAYOUT_BYTES_MAX: usize = 1_536 * 1024;
const PRICES_BYTES_MAX: usize = 384 * 1024;
/// The default limit of tonic, and of every other client.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A hall of 100,000 seats that are named one by one, beginning with a letter.
fn hall(letter: char) -> pb::SeatLayout {
    let rows = (0..100).map(|row| {
        let labels = (0..1_000).map(|seat| format!("{letter}{row:06}-{seat:05}"));
        labelled("", labels)
    });
    let mut hall = layout(vec![section("Arena", rows.collect())]);
    // The rest is filled by the marks of some.
    let label = |seat| format!("{letter}{:06}-{:05}", seat / 1_000, seat % 1_000);
    hall.blocked_seats = (0..5_000).map(label).collect();
    while hall.encoded_len() > LAYOUT_BYTES_MAX {
        hall.blocked_seats.pop();
    }
    hall
}

/// Prices of as many of its seats as fit.
fn prices(letter: char) -> Vec<pb::PriceTier> {
    let price = Some(eur(1_000_000_000_000));
    let labels = (0..20_000).map(|seat| format!("{letter}{:06}-{:05}", seat / 1_000, seat % 1_000));
    let dear = pb::PriceTier {
        name: "座".repeat(100),
        price: price.clone(),
        seat_labels: labels.collect(),
        ..Default::default()
    };
    let others = (0..).map(|n| pb::PriceTier {
        name: format!("{n:03}{}", "座".repeat(97)),
        price: price.clone(),
        seat_labels: vec![format!("{letter}000030-{n:05}")],
        ..Default::default()
    });
    let rest = pb::PriceTier {
        name: "Rest".to_owned(),
        price: Some(eur(1)),
        ..Default::default()
    };
    let mut tiers = vec![dear, rest];
    tiers[0].seat_labels.truncate(19_700);
    let bytes =
        |tiers: &[pb::PriceTier]| tiers.iter().map(pb::PriceTier::encoded_len).sum::<usize>();
    for tier in others.take(300) {
        tiers.push(tier);
        if bytes(&tiers) > PRICES_BYTES_MAX {
            tiers.pop();
            break;
        }
    }
    tiers
}

fn request(layout: pb::SeatLayout, price_tiers: Vec<pb::PriceTier>) -> pb::CreateShowRequest {
    pb::CreateShowRequest {
        name: "座".repeat(200),
        venue: "座".repeat(200),
        seat_price: None,
        price_tiers,
        ..crate::support::with_layout(layout)
    }
}

#[tokio::test]
async fn a_client_with_the_usual_limit_reads_the_largest_show_and_the_feed_behind_it() {
    let (service, _database) = Service::start().await;
    let client = &service.client;
    let show = create(client, request(hall('a'), prices('a'))).await;
    assert!(show.encoded_len() > LAYOUT_BYTES_MAX, "it is a large one");
    assert_eq!(get(client, &show.show_id).await, show);

    // As large again, with a pending layout: no booking-svc answers here.
    let other = create_layout(client, hall('b')).await;
    let change = pb::ChangeSeatLayoutRequest {
        show_id: show.show_id.clone(),
        layout_id: other.layout_id,
        price_tiers: prices('b'),
        ..Default::default()
    };
    let mut changing = client.clone();
    let changing = tokio::spawn(async move { changing.change_seat_layout(change).await });
    proposed(client, &show.show_id).await;
    let both = get(client, &show.show_id).await;
    let bytes = both.encoded_len();
    assert!(bytes > 2 * LAYOUT_BYTES_MAX, "{bytes}");
    assert!(bytes < MESSAGE_BYTES_MAX - 64 * 1024, "{bytes}");
    let mut feed = Feed::open(client, show.revision).await;
    assert_eq!(feed.next_show().await, both);
    changing.abort();

    let small = create(client, crate::support::hamlet()).await;
    assert_eq!(feed.next_show().await, small);
    let from_the_start = Feed::open(client, 0).await.next_show().await;
    assert_eq!(from_the_start, both);
}

#[tokio::test]
async fn changes_that_wait_for_the_booking_service_hold_up_no_other_large_call() {
    let (service, _database) = Service::start().await;
    let client = &service.client;
    // More than a call can have that does not wait for its turn.
    let dear = |letter: char| {
        let labels = (0..5_000).map(|seat| format!("{letter}{seat:014}"));
        let priced = pb::PriceTier {
            name: "Dear".to_owned(),
            price: Some(eur(7)),
            seat_labels: labels.collect(),
            ..Default::default()
        };
        vec![priced]
    };
    let hall = |letter: char| {
        let row = |row: u32| {
            let labels = (0..1_000).map(|seat| format!("{letter}{:014}", 1_000 * row + seat));
            labelled("", labels)
        };
        layout(vec![section("Arena", (0..5).map(row).collect())])
    };
    let other = create_layout(client, hall('b')).await;
    let mut changes = Vec::new();
    for _ in 0..4 {
        let show = create(client, request(hall('a'), dear('a'))).await;
        let change = pb::ChangeSeatLayoutRequest {
            show_id: show.show_id.clone(),
            layout_id: other.layout_id.clone(),
            price_tiers: dear('b'),
            ..Default::default()
        };
        let mut changing = client.clone();
        changes.push(tokio::spawn(async move {
            changing.change_seat_layout(change).await
        }));
        proposed(client, &show.show_id).await;
    }
    // No booking-svc answers them here, and each waits for ten seconds.
    let mut creating = client.clone();
    let creating = creating.create_show(request(hall('c'), dear('c')));
    let created = tokio::time::timeout(Duration::from_secs(5), creating).await;
    created.expect("it has its turn").expect("a show");
    assert!(changes.iter().all(|change| !change.is_finished()));
    for change in changes {
        change.abort();
    }
}

#[tokio::test]
async fn larger_ones_are_refused_by_size() {
    let (service, _database) = Service::start().await;
    let mut client = service.client.clone();
    let mut too_large = hall('a');
    too_large.sections[0].name = "座".repeat(100);
    too_large.blocked_seats.push("a000099-00999".to_owned());
    let made = client.create_seat_layout(pb::CreateSeatLayoutRequest {
        layout: Some(too_large.clone()),
        ..Default::default()
    });
    let status = assert_refused(made.await, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(fields(&status), ["layout"]);
    assert!(status.message().contains("1572864"), "{}", status.message());
    let made = try_create(&client, request(too_large, prices('a'))).await;
    let status = assert_refused(made, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(fields(&status), ["layout"]);

    let mut dear = prices('a');
    let more = (0..10).map(|n| pb::PriceTier {
        name: format!("{n}{}", "座".repeat(99)),
        price: Some(eur(5)),
        seat_labels: vec![format!("a000090-{n:05}")],
        ..Default::default()
    });
    dear.extend(more);
    let made = try_create(&client, request(hall('a'), dear.clone())).await;
    let status = assert_refused(made, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(fields(&status), ["price_tiers"]);

    let hall = create_layout(&client, hall('a')).await;
    let show = pb::CreateShowRequest {
        price_tiers: prices('a'),
        seat_price: None,
        ..in_layout(&hall.layout_id)
    };
    let show = create(&client, show).await;
    let set = client.set_prices(pb::SetPricesRequest {
        show_id: show.show_id,
        etag: show.etag,
        price_tiers: dear,
        ..Default::default()
    });
    let status = assert_refused(set.await, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(fields(&status), ["price_tiers"]);
}
