//! Shows that were created before layouts were things of their own.

use std::path::Path;

use proto::catalog::v1 as pb;
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use system_tests::postgres::{self, OWNER};

use crate::support::{
    Service, counted, eur, get, labelled, section, sections, tier, update, updating,
};

/// The last version of the schema in which a show's row had its layout.
const BEFORE: i64 = 4;
const SHOW: &str = "0b5c1f6e-8a2d-8000-8000-000000000000";
/// What an update of the show was remembered by, and its fingerprint then.
const REQUEST: &str = "6f9619ff-8b86-4011-b42d-00c04fc964ff";

/// Rows by count and by labels, with names that are unique in a section now and were not then.
const OLD: &str = r#"
    INSERT INTO catalog.shows (show_id, revision, name, show_type, state, start_at, venue, layout,
                               seat_count, created_at, updated_at)
    VALUES ('0b5c1f6e-8a2d-8000-8000-000000000000', 1, 'Old', 'MOVIE', 'ON_SALE',
            clock_timestamp() + interval '1 day', 'Globe', '{
                "currency": "EUR",
                "sections": [
                    {"name": "Stalls", "price": 100, "rows": [
                        {"name": "A", "seats": 12},
                        {"name": "", "seats": ["x", "{y}"]},
                        {"name": "D", "seats": ["p"]},
                        {"name": "D", "seats": ["q"]}]},
                    {"name": "Boxes", "price": 0, "rows": [
                        {"seats": 3},
                        {"name": "E", "seats": ["A box of forty letters, a long label...."]}]}]
            }', 20, clock_timestamp(), clock_timestamp());
    UPDATE catalog.feed SET revision = 1;
    INSERT INTO catalog.requests (request_id, fingerprint, result)
    SELECT '6f9619ff-8b86-4011-b42d-00c04fc964ff', 0, jsonb_build_object(
        'show_id', show_id, 'revision', revision, 'name', 'As it was', 'show_type', show_type,
        'state', state, 'start_micros', 1900000000000000, 'end_micros', NULL, 'venue', venue,
        'seat_count', seat_count, 'created_micros', 1700000000000000,
        'updated_micros', 1700000000000000, 'cancelled_micros', NULL)
    FROM catalog.shows;
"#;

#[tokio::test]
async fn an_old_show_keeps_its_labels_and_prices() {
    let database = postgres::empty_database().await;
    let pool = PgPool::connect(&database.url(OWNER))
        .await
        .expect("a connection");
    let all = Migrator::new(Path::new("../migrations/sql"))
        .await
        .expect("the migrations");
    let mut before = Migrator::new(Path::new("../migrations/sql"))
        .await
        .expect("the migrations");
    before
        .migrations
        .to_mut()
        .retain(|migration| migration.version <= BEFORE);
    before.run(&pool).await.expect("the older schema");
    let owner = database.owner().await;
    owner.batch_execute(OLD).await.expect("an old show");
    all.run(&pool).await.expect("the newest schema");
    pool.close().await;

    let service = Service::on(&database.url("catalog_svc"), |_| {}).await;
    let show = get(&service.client, SHOW).await;
    let unnamed = |labels: &[&str]| labelled("", labels);
    let expected = [
        section(
            "Stalls",
            vec![
                counted("A", 12),
                unnamed(&["x", "{y}"]),
                unnamed(&["p"]),
                unnamed(&["q"]),
            ],
        ),
        section(
            "Boxes",
            vec![
                counted("", 3),
                labelled("E", ["A box of forty letters, a long label...."]),
            ],
        ),
    ];
    assert_eq!(sections(&show), expected);
    let tiers = [
        tier("Stalls", eur(100), &["Stalls"]),
        tier("Boxes", eur(0), &["Boxes"]),
    ];
    assert_eq!(show.price_tiers, tiers);
    assert_eq!(
        (show.state(), &*show.time_zone),
        (pb::ShowState::OnSale, "UTC")
    );
    assert_eq!(
        (show.seat_count, show.place_count, show.revision),
        (20, 0, 1)
    );

    // Prices that fit the layout show that the labels are those of the old seats, to the last.
    let labels = (1..=12).map(|seat| format!("A-{seat}"));
    let rest = [
        "x",
        "{y}",
        "p",
        "q",
        "1",
        "2",
        "3",
        "A box of forty letters, a long label....",
    ];
    let every_label = pb::PriceTier {
        seat_labels: labels.chain(rest.map(str::to_owned)).collect(),
        ..tier("All", eur(1), &[])
    };
    let request = pb::SetPricesRequest {
        show_id: SHOW.to_owned(),
        price_tiers: vec![every_label],
        etag: show.etag.clone(),
        ..Default::default()
    };
    let priced = service.client.clone().set_prices(request).await;
    priced.expect("a price for each seat");

    // A call that was answered before is answered the same.
    let request = pb::UpdateShowRequest {
        request_id: REQUEST.to_owned(),
        ..updating(
            pb::Show {
                show_id: SHOW.to_owned(),
                ..Default::default()
            },
            &["venue"],
        )
    };
    let body = pb::UpdateShowRequest {
        request_id: String::new(),
        ..request.clone()
    };
    let body = prost::Message::encode_to_vec(&body);
    let fingerprint = service_kit::fingerprint::fingerprint("update_show", [&*body]);
    let set = "UPDATE catalog.requests SET fingerprint = $1";
    owner
        .execute(set, &[&fingerprint])
        .await
        .expect("the fingerprint");
    let again = update(&service.client, request).await;
    assert_eq!((&*again.name, again.revision), ("As it was", 1));
    assert_eq!(
        (sections(&again), &again.price_tiers),
        (&expected[..], &show.price_tiers)
    );
}
