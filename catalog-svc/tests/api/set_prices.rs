//! SetPrices.

use futures_util::future::join_all;
use model::ShowId;
use proto::catalog::v1 as pb;
use proto::money::v1::Money;
use test_harness::errors::{assert_refused, fields, metadata};
use tonic::{Code, Status};

use crate::support::{
    Client, Service, cancel, contents, create, eur, get, hamlet, hours_ahead, new_request_id, tier,
};

async fn try_set(
    client: &Client,
    show: &pb::Show,
    tiers: Vec<pb::PriceTier>,
    request_id: &str,
) -> Result<pb::Show, Status> {
    let request = pb::SetPricesRequest {
        show_id: show.show_id.clone(),
        price_tiers: tiers,
        etag: show.etag.clone(),
        request_id: request_id.to_owned(),
    };
    let set = client.clone().set_prices(request).await?;
    Ok(set.into_inner().show.expect("the show"))
}

fn usd(minor_units: i64) -> Money {
    Money {
        minor_units,
        currency_code: "USD".to_owned(),
    }
}

#[tokio::test]
async fn all_prices_are_replaced_and_nothing_else() {
    let (service, database) = Service::start().await;
    let before = create(&service.client, hamlet()).await;
    let tiers = vec![
        pb::PriceTier {
            seat_labels: vec!["1".to_owned(), "2".to_owned()],
            ..tier("VIP", eur(9_000), &[])
        },
        tier("Rest", eur(0), &["General"]),
    ];
    let after = try_set(&service.client, &before, tiers.clone(), "").await;
    let after = after.expect("new prices");
    let expected = pb::Show {
        price_tiers: tiers,
        revision: 2,
        etag: after.etag.clone(),
        update_time: after.update_time,
        ..before
    };
    assert_eq!(after, expected);
    assert_eq!(get(&service.client, &after.show_id).await, after);
    assert_eq!(contents(&database).await, (1, 0, 2));
}

#[tokio::test]
async fn of_many_with_one_etag_one_wins() {
    let (service, database) = Service::start().await;
    let show = create(&service.client, hamlet()).await;
    let calls =
        (1..=8).map(|n| try_set(&service.client, &show, vec![tier("All", eur(n), &[])], ""));
    let (won, lost): (Vec<_>, Vec<_>) = join_all(calls).await.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    for refused in lost {
        assert_refused(refused, Code::Aborted, "ETAG_MISMATCH");
    }
    assert_eq!(contents(&database).await, (1, 0, 2));
}

#[tokio::test]
async fn prices_that_do_not_fit_are_named_by_their_path() {
    let (service, database) = Service::start().await;
    let show = create(&service.client, hamlet()).await;
    let all = |price| tier("All", price, &[]);
    let of_seat = pb::PriceTier {
        seat_labels: vec!["41".to_owned()],
        ..tier("VIP", eur(1), &[])
    };
    let cases = [
        (vec![], "price_tiers"),
        (vec![all(eur(-1))], "price_tiers[0].price.minor_units"),
        (vec![all(usd(1))], "price_tiers[0].price.currency_code"),
        (vec![of_seat, all(eur(1))], "price_tiers[0].seat_labels[0]"),
        (
            vec![tier("VIP", usd(1), &["General"]), all(eur(1))],
            "price_tiers[1].price.currency_code",
        ),
    ];
    for (tiers, expected) in cases {
        let refused = try_set(&service.client, &show, tiers, "").await;
        let status = assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");
        assert_eq!(fields(&status), [expected]);
    }
    let without_etag = pb::Show {
        etag: String::new(),
        ..show.clone()
    };
    let refused = try_set(&service.client, &without_etag, vec![all(eur(1))], "").await;
    let status = assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(fields(&status), ["etag"]);
    let stale = pb::Show {
        etag: "0".to_owned(),
        ..show.clone()
    };
    let refused = try_set(&service.client, &stale, vec![all(eur(1))], "").await;
    let status = assert_refused(refused, Code::Aborted, "ETAG_MISMATCH");
    assert_eq!(metadata(&status).get("etag"), Some(&show.etag));
    let unknown = pb::Show {
        show_id: ShowId::generate().to_string(),
        ..show.clone()
    };
    let refused = try_set(&service.client, &unknown, vec![all(eur(1))], "").await;
    assert_refused(refused, Code::NotFound, "SHOW_NOT_FOUND");
    assert_eq!(contents(&database).await, (1, 0, 1));

    let cancelled = cancel(&service.client, &show.show_id).await;
    let refused = try_set(&service.client, &cancelled, vec![all(eur(1))], "").await;
    assert_refused(refused, Code::FailedPrecondition, "SHOW_STATE");
}

#[tokio::test]
async fn a_currency_changes_until_seats_were_offered_for_it() {
    let (service, _database) = Service::start().await;
    let draft = |sales_open_time| pb::CreateShowRequest {
        draft: true,
        sales_open_time,
        ..hamlet()
    };
    let in_usd = || vec![tier("All", usd(1), &[])];
    let show = create(&service.client, draft(None)).await;
    let show = try_set(&service.client, &show, in_usd(), "")
        .await
        .expect("new prices");
    assert_eq!(show.price_tiers, in_usd());
    let show = create(&service.client, draft(Some(hours_ahead(1)))).await;
    let refused = try_set(&service.client, &show, in_usd(), "").await;
    assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");
}

#[tokio::test]
async fn a_repeated_call_returns_the_first_result() {
    let (service, database) = Service::start().await;
    let show = create(&service.client, hamlet()).await;
    let request_id = new_request_id();
    let tiers = |price| vec![tier("All", eur(price), &[])];
    let first = try_set(&service.client, &show, tiers(1), &request_id).await;
    let first = first.expect("new prices");
    try_set(&service.client, &first, tiers(2), "")
        .await
        .expect("newer prices");
    let again = try_set(&service.client, &show, tiers(1), &request_id).await;
    assert_eq!(again.expect("the first result"), first);
    assert_eq!(contents(&database).await, (1, 1, 3));
}
