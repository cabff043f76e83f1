//! CreateShow: invalid prices and times, and checks that only the database can make.

use proto::catalog::v1 as pb;
use proto::catalog::v1::create_show_request::Seats;

use crate::create_show_bad_input::{bad_fields, money};
use crate::seat_layouts::create_layout;
use crate::support::{
    Service, contents, counted, eur, hamlet, hours_ahead, layout, new_request_id, section, tier,
    try_create, with_sections,
};

#[tokio::test]
async fn price_errors_name_their_paths() {
    let (service, database) = Service::start().await;
    let priced = |price_tiers: Vec<pb::PriceTier>| pb::CreateShowRequest {
        price_tiers,
        seat_price: None,
        ..with_sections(vec![
            section("Stalls", vec![counted("A", 3)]),
            section("Circle", vec![counted("B", 3)]),
        ])
    };
    let of_seat = |label: &str| pb::PriceTier {
        seat_labels: vec![label.to_owned()],
        ..tier("A seat", eur(1), &[])
    };
    let all = || tier("All", eur(1), &[]);
    let cases = [
        (vec![of_seat("A-4"), all()], "price_tiers[0].seat_labels[0]"),
        (
            vec![tier("Near", eur(1), &["Gallery"]), all()],
            "price_tiers[0].sections[0]",
        ),
        (
            vec![
                tier("Near", eur(1), &["Stalls"]),
                tier("Far", eur(1), &["Stalls"]),
                all(),
            ],
            "price_tiers[1].sections[0]",
        ),
        (vec![tier("Near", eur(1), &["Stalls"])], "price_tiers"),
        (
            vec![all(), tier("All", eur(1), &["Stalls"])],
            "price_tiers[1].name",
        ),
        (vec![all(), tier("Too", eur(2), &[])], "price_tiers[1]"),
        (
            vec![tier("All", eur(-1), &[])],
            "price_tiers[0].price.minor_units",
        ),
        (
            vec![tier("All", money(1, "XXZ"), &[])],
            "price_tiers[0].price.currency_code",
        ),
        (
            vec![all(), tier("Near", money(1, "USD"), &["Stalls"])],
            "price_tiers[1].price.currency_code",
        ),
        (
            vec![tier("All", money(1, "XXX"), &[])],
            "price_tiers[0].price.minor_units",
        ),
        (
            vec![all(), tier("Free", money(0, "XXX"), &["Stalls"])],
            "price_tiers[1].price.currency_code",
        ),
    ];
    for (tiers, expected) in cases {
        let violations = bad_fields(&service.client, priced(tiers)).await;
        assert_eq!(violations, [expected]);
    }
    assert_eq!(contents(&database).await, (0, 0, 0));
}

#[tokio::test]
async fn a_sale_has_times_in_order() {
    let (service, database) = Service::start().await;
    let sale = |open: Option<u64>, close: Option<u64>, end: Option<u64>| pb::CreateShowRequest {
        sales_open_time: open.map(hours_ahead),
        sales_close_time: close.map(hours_ahead),
        end_time: end.map(hours_ahead),
        ..hamlet()
    };
    let cases = [
        (sale(Some(3), Some(2), None), "sales_open_time"),
        (sale(Some(25), None, None), "sales_open_time"),
        (sale(Some(0), None, None), "sales_open_time"),
        (sale(None, Some(0), None), "sales_close_time"),
        (sale(None, Some(25), None), "sales_close_time"),
        (sale(None, Some(27), Some(26)), "sales_close_time"),
    ];
    for (request, expected) in cases {
        assert_eq!(bad_fields(&service.client, request).await, [expected]);
    }
    assert_eq!(contents(&database).await, (0, 0, 0));
    // A clinic's day is sold while it runs.
    let day = sale(Some(1), Some(26), Some(26));
    assert!(try_create(&service.client, day).await.is_ok());
}

#[tokio::test]
async fn violations_found_by_the_database_are_in_the_same_error() {
    let (service, database) = Service::start().await;
    let made = create_layout(
        &service.client,
        layout(vec![section("Pit", vec![counted("A", 2)])]),
    );
    let made = made.await.layout_id;
    let of = |layout_id: &str, name: &str| pb::CreateShowRequest {
        name: name.to_owned(),
        seats: Some(Seats::LayoutId(layout_id.to_owned())),
        seat_price: None,
        price_tiers: vec![tier("Near", eur(1), &["Stalls"]), tier("All", eur(1), &[])],
        ..hamlet()
    };
    let unknown = new_request_id();
    let section = "price_tiers[0].sections[0]";
    let cases = [
        (of(&unknown, "Hamlet"), vec!["layout_id"]),
        (of(&unknown, ""), vec!["layout_id", "name"]),
        (of(&made, "Hamlet"), vec![section]),
        (of(&made, ""), vec!["name", section]),
        (of("x", ""), vec!["layout_id", "name"]),
    ];
    for (request, expected) in cases {
        assert_eq!(bad_fields(&service.client, request).await, expected);
    }
    assert_eq!(contents(&database).await, (0, 0, 0));
}
