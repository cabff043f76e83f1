//! CreateShow: the created show, and the database after a failure.

use std::time::Instant;

use proto::catalog::v1 as pb;
use proto::catalog::v1::create_show_request::Seats;
use test_harness::errors::{assert_refused, describe};
use tonic::Code;

use crate::create_show_bad_input::money;
use crate::support::{
    Service, arena, contents, counted, create, eur, execute, get, hamlet, hours_ahead, labelled,
    layout, new_request_id, section, sections, tier, try_create, with_layout, with_sections,
};

#[tokio::test]
async fn a_show_is_created_as_it_was_described() {
    let (service, database) = Service::start().await;
    let request = pb::CreateShowRequest {
        end_time: Some(hours_ahead(27)),
        time_zone: "Europe/Berlin".to_owned(),
        sales_close_time: Some(hours_ahead(26)),
        hold_duration: Some(prost_types::Duration {
            seconds: 90,
            nanos: 500_000_000,
        }),
        seats_per_booking_max: 8,
        places_per_customer_max: 20,
        orphan_rule: pb::OrphanRule::Strict.into(),
        organiser: "Globe-Theatre_1.uk".to_owned(),
        seat_price: None,
        price_tiers: vec![
            tier("Near", eur(5_000), &["Stalls"]),
            tier("Free", eur(0), &[]),
        ],
        ..with_layout(pb::SeatLayout {
            areas: vec![pb::Area {
                name: "Yard".to_owned(),
                capacity: 300,
                ..Default::default()
            }],
            focal_point: Some(pb::Point { x: -10, y: 20 }),
            best_seats: pb::BestSeats::Middle.into(),
            accessible_seats: vec!["A-1".to_owned()],
            blocked_seats: vec!["Box 1".to_owned()],
            ..layout(vec![
                section("Stalls", vec![counted("A", 12), counted("B", 8)]),
                section("Boxes", vec![labelled("", ["Box 1", "Ärger \"7\""])]),
            ])
        })
    };
    let show = create(&service.client, request.clone()).await;
    assert_eq!(show.name, "Hamlet");
    assert_eq!(show.show_type(), pb::ShowType::Other);
    assert_eq!(show.state(), pb::ShowState::OnSale);
    assert_eq!(show.venue, "Globe");
    assert_eq!((show.seat_count, show.place_count), (22, 300));
    let made = show.layout.clone().expect("a layout");
    assert_eq!(made.layout_id, show.layout_id);
    let Some(Seats::Layout(described)) = request.seats else {
        panic!("no layout was described");
    };
    let expected = pb::SeatLayout {
        layout_id: show.layout_id.clone(),
        seat_count: 22,
        place_count: 300,
        create_time: show.create_time,
        ..described
    };
    assert_eq!(made, expected);
    assert_eq!(show.price_tiers, request.price_tiers);
    assert_eq!(show.time_zone, "Europe/Berlin");
    assert_eq!(show.hold_duration, request.hold_duration);
    assert_eq!(
        (show.seats_per_booking_max, show.places_per_customer_max),
        (8, 20)
    );
    assert_eq!(show.orphan_rule(), pb::OrphanRule::Strict);
    assert_eq!(show.organiser, "Globe-Theatre_1.uk");
    assert_eq!(show.proposal, None);
    assert_eq!(show.revision, 1);
    assert!(!show.etag.is_empty());
    assert_eq!(show.create_time, show.update_time);
    assert!(show.create_time.is_some() && show.cancel_time.is_none());
    // The database keeps microseconds.
    let micros = |time: Option<prost_types::Timestamp>| time.map(|t| (t.seconds, t.nanos / 1_000));
    assert_eq!(micros(show.start_time), micros(request.start_time));
    assert_eq!(micros(show.end_time), micros(request.end_time));
    assert_eq!(
        micros(show.sales_close_time),
        micros(request.sales_close_time)
    );
    assert_eq!(get(&service.client, &show.show_id).await, show);
    assert_eq!(contents(&database).await, (1, 0, 1));
}

#[tokio::test]
async fn the_short_form_is_one_section_of_numbered_seats() {
    let (service, _database) = Service::start().await;
    let show = create(&service.client, hamlet()).await;
    assert_eq!(show.seat_count, 40);
    assert_eq!(sections(&show), [section("General", vec![counted("", 40)])]);
    assert_eq!(show.price_tiers, [tier("Standard", eur(1250), &[])]);
    let made = show.layout.expect("a layout");
    assert_eq!((&*made.name, &*show.time_zone), ("Hamlet", "UTC"));
    let largest = pb::CreateShowRequest {
        seats: Some(Seats::TotalSeats(100_000)),
        ..hamlet()
    };
    assert_eq!(create(&service.client, largest).await.seat_count, 100_000);
}

#[tokio::test]
async fn a_show_needs_no_kind_and_no_prices() {
    let (service, _database) = Service::start().await;
    let in_nothing = || money(0, "XXX");
    let tiers = |first, second| pb::CreateShowRequest {
        seat_price: None,
        price_tiers: vec![
            pb::PriceTier {
                price: first,
                ..tier("Near", eur(0), &["General"])
            },
            pb::PriceTier {
                price: second,
                ..tier("Far", eur(0), &[])
            },
        ],
        ..hamlet()
    };
    let free = pb::CreateShowRequest {
        show_type: 0,
        seat_price: None,
        ..hamlet()
    };
    let show = create(&service.client, free.clone()).await;
    assert_eq!(show.show_type(), pb::ShowType::Other);
    assert_eq!(show.price_tiers, [tier("Standard", in_nothing(), &[])]);
    assert_eq!(get(&service.client, &show.show_id).await, show);
    // A show that was read can be written again.
    let again = pb::CreateShowRequest {
        price_tiers: show.price_tiers.clone(),
        ..free
    };
    let again = create(&service.client, again).await;
    assert_eq!(again.price_tiers, show.price_tiers);

    for (request, wanted) in [
        (tiers(None, None), [in_nothing(), in_nothing()]),
        (tiers(None, Some(eur(7))), [eur(0), eur(7)]),
        (tiers(Some(eur(7)), None), [eur(7), eur(0)]),
    ] {
        let show = create(&service.client, request).await;
        let prices: Vec<_> = show
            .price_tiers
            .into_iter()
            .map(|tier| tier.price)
            .collect();
        assert_eq!(prices, wanted.map(Some));
    }
}

#[tokio::test]
async fn each_show_has_an_id_a_revision_and_an_etag_of_its_own() {
    let (service, _database) = Service::start().await;
    let first = create(&service.client, hamlet()).await;
    let second = create(&service.client, hamlet()).await;
    assert_ne!(first.show_id, second.show_id);
    assert_ne!(first.etag, second.etag);
    assert_eq!((first.revision, second.revision), (1, 2));
}

#[tokio::test]
async fn a_hundred_thousand_labelled_seats_are_created_in_no_time() {
    let (service, _database) = Service::start().await;
    let begun = Instant::now();
    let show = create(&service.client, with_sections(arena())).await;
    let took = begun.elapsed();
    assert_eq!(show.seat_count, 100_000);
    assert_eq!(
        sections(&get(&service.client, &show.show_id).await),
        arena()
    );
    // A debug build on a busy machine; a release build takes a tenth of it.
    assert!(took.as_secs() < 10, "{took:?}");
}

#[tokio::test]
async fn a_show_whose_insert_fails_is_not_half_created() {
    let (service, database) = Service::start().await;
    execute(
        &database,
        "ALTER TABLE catalog.shows ADD CONSTRAINT no_hamlet CHECK (name <> 'Hamlet')",
    )
    .await;
    let request = pb::CreateShowRequest {
        request_id: new_request_id(),
        ..hamlet()
    };
    let refused = try_create(&service.client, request.clone()).await;
    let status = assert_refused(refused, Code::Internal, "INTERNAL");
    assert!(
        !describe(&status).contains("no_hamlet"),
        "internals: {}",
        describe(&status)
    );
    assert_eq!(contents(&database).await, (0, 0, 0));

    // The failed call does not stand in the way of its repetition.
    execute(
        &database,
        "ALTER TABLE catalog.shows DROP CONSTRAINT no_hamlet",
    )
    .await;
    create(&service.client, request).await;
    assert_eq!(contents(&database).await, (1, 1, 1));
}

#[tokio::test]
async fn an_id_that_is_taken_is_drawn_again() {
    let (service, database) = Service::start().await;
    let first = create(&service.client, hamlet()).await;
    // The next draw gives the first show's id once more.
    execute(
        &database,
        "CREATE SEQUENCE public.draws;
         GRANT USAGE ON public.draws TO catalog_svc;
         CREATE FUNCTION public.draw() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF nextval('public.draws') = 1 THEN
                 NEW.show_id = (SELECT show_id FROM catalog.shows);
             END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER draw BEFORE INSERT ON catalog.shows
         FOR EACH ROW EXECUTE FUNCTION public.draw()",
    )
    .await;
    let second = create(&service.client, hamlet()).await;
    assert_ne!(second.show_id, first.show_id);
    assert_eq!(get(&service.client, &first.show_id).await, first);
    assert_eq!(get(&service.client, &second.show_id).await, second);
}
