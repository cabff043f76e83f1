//! Each RPC.

use proto::money::v1::Money;
use proto::payment::v1 as pb;
use test_harness::errors::{fields, metadata, quota_subjects, reason, subjects};
use tonic::Code;

use crate::stage::{a_captured_payment, a_key, a_provider, authorize, capture, euros, refund};

#[tokio::test]
async fn get_payment_returns_the_whole_payment() {
    let (_process, mut client) = a_provider(&[]).await;
    let key = a_captured_payment(&mut client).await;
    let refund_key = a_key();
    let answer = client
        .refund(refund(&key, &refund_key, 30))
        .await
        .expect("refunded")
        .into_inner();
    let expected = pb::Refund {
        refund_key,
        amount: euros(30),
        state: pb::RefundState::Refunded.into(),
    };
    assert_eq!(answer.refund, Some(expected));
    let request = pb::GetPaymentRequest {
        payment_key: key.clone(),
    };
    let found = client
        .get_payment(request)
        .await
        .expect("a payment")
        .into_inner()
        .payment;
    assert_eq!(found, answer.payment);
    let found = found.expect("a payment");
    assert!(
        found
            .create_time
            .is_some_and(|time| time.seconds > 1_700_000_000)
    );
    let expected = pb::Payment {
        payment_key: key,
        state: pb::PaymentState::Captured.into(),
        decline_reason: 0,
        amount: euros(100),
        captured_amount: euros(100),
        voided_amount: euros(0),
        refunded_amount: euros(30),
        create_time: found.create_time,
    };
    assert_eq!(found, expected);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let (_process, mut client) = a_provider(&[]).await;
    let bad = client
        .authorize(pb::AuthorizeRequest::default())
        .await
        .expect_err("nothing given");
    assert_eq!(
        (bad.code(), reason(&bad)),
        (Code::InvalidArgument, "INVALID_FIELD".to_owned())
    );
    assert_eq!(fields(&bad), ["amount", "payment_key", "payment_token"]);
    let bad = client
        .refund(pb::RefundRequest::default())
        .await
        .expect_err("nothing given");
    assert_eq!(fields(&bad), ["amount", "payment_key", "refund_key"]);
    let bad = client
        .capture(pb::CaptureRequest::default())
        .await
        .expect_err("nothing given");
    assert_eq!(fields(&bad), ["amount", "payment_key"]);
    let nil = "00000000-0000-0000-0000-000000000000";
    for key in ["", "7", nil] {
        let payment_key = key.to_owned();
        let bad = client
            .void(pb::VoidRequest { payment_key })
            .await
            .expect_err("no key");
        assert_eq!(fields(&bad), ["payment_key"], "{key:?}");
    }
    for minor_units in [i64::MIN, -1, 0, 100_000_000_000_001] {
        let bad = client
            .authorize(authorize(&a_key(), "approve", minor_units))
            .await;
        let bad = bad.expect_err("no amount");
        assert_eq!(fields(&bad), ["amount.minor_units"], "{minor_units}");
    }
    for currency in ["", "eur", "EURO"] {
        let mut request = authorize(&a_key(), "approve", 100);
        request.amount = Some(Money {
            minor_units: 100,
            currency_code: currency.to_owned(),
        });
        let bad = client.authorize(request).await.expect_err("no currency");
        assert_eq!(fields(&bad), ["amount.currency_code"], "{currency:?}");
    }
    for token in ["Approve", "slow:", "slow:2h", &"x".repeat(5_000)] {
        let bad = client
            .authorize(authorize(&a_key(), token, 100))
            .await
            .expect_err("no token");
        assert_eq!(fields(&bad), ["payment_token"], "{token:?}");
        assert!(
            bad.message().contains("\"lost-answer\""),
            "{}",
            bad.message()
        );
    }
}

#[tokio::test]
async fn a_used_key_takes_no_other_body() {
    let (_process, mut client) = a_provider(&[]).await;
    let key = a_captured_payment(&mut client).await;
    for other in [
        authorize(&key, "approve", 101),
        authorize(&key, "decline", 100),
    ] {
        let bad = client.authorize(other).await.expect_err("another body");
        assert_eq!(
            (bad.code(), reason(&bad)),
            (Code::InvalidArgument, "PAYMENT_KEY_REUSED".to_owned())
        );
        assert_eq!(fields(&bad), ["payment_key"]);
    }
    let bad = client
        .capture(capture(&key, 99))
        .await
        .expect_err("another amount");
    assert_eq!(
        (bad.code(), fields(&bad)),
        (Code::InvalidArgument, vec!["amount".to_owned()])
    );
    let refund_key = a_key();
    client
        .refund(refund(&key, &refund_key, 30))
        .await
        .expect("refunded");
    let bad = client
        .refund(refund(&key, &refund_key, 31))
        .await
        .expect_err("another amount");
    assert_eq!(reason(&bad), "PAYMENT_KEY_REUSED");
    assert_eq!(fields(&bad), ["refund_key"]);
}

#[tokio::test]
async fn a_refused_refund_names_the_refundable_amount() {
    let (_process, mut client) = a_provider(&[]).await;
    let key = a_captured_payment(&mut client).await;
    client
        .refund(refund(&key, &a_key(), 30))
        .await
        .expect("refunded");
    let bad = client
        .refund(refund(&key, &a_key(), 71))
        .await
        .expect_err("too much");
    assert_eq!(
        (bad.code(), reason(&bad)),
        (Code::FailedPrecondition, "NOT_REFUNDABLE".to_owned())
    );
    assert_eq!(metadata(&bad)["refundable_minor_units"], "70");
    assert_eq!(subjects(&bad), [key.as_str()]);
    let mut other_currency = refund(&key, &a_key(), 1);
    other_currency.amount = Some(Money {
        minor_units: 1,
        currency_code: "USD".to_owned(),
    });
    let bad = client.refund(other_currency).await.expect_err("dollars");
    assert_eq!(
        (bad.code(), fields(&bad)),
        (Code::InvalidArgument, vec!["amount".to_owned()])
    );
}

#[tokio::test]
async fn an_unknown_key_is_not_found() {
    let (_process, mut client) = a_provider(&[]).await;
    let payment_key = a_key();
    let request = pb::GetPaymentRequest {
        payment_key: payment_key.clone(),
    };
    for bad in [
        client
            .get_payment(request)
            .await
            .expect_err("nothing there"),
        client
            .capture(capture(&payment_key, 100))
            .await
            .expect_err("nothing there"),
        client
            .refund(refund(&payment_key, &a_key(), 1))
            .await
            .expect_err("nothing there"),
    ] {
        assert_eq!(
            (bad.code(), reason(&bad)),
            (Code::NotFound, "PAYMENT_NOT_FOUND".to_owned())
        );
        assert_eq!(metadata(&bad)["payment_key"], payment_key);
    }
}

#[tokio::test]
async fn a_lost_answer_is_unavailable_once() {
    let (_process, mut client) = a_provider(&[]).await;
    let request = authorize(&a_key(), "lost-answer", 100);
    let lost = client
        .authorize(request.clone())
        .await
        .expect_err("it is lost");
    assert_eq!(
        (lost.code(), reason(&lost)),
        (Code::Unavailable, "PAYMENT_ANSWER_LOST".to_owned())
    );
    let payment = client
        .authorize(request)
        .await
        .expect("an answer")
        .into_inner()
        .payment;
    assert_eq!(
        payment.expect("a payment").state(),
        pb::PaymentState::Approved
    );
}

#[tokio::test]
async fn payments_are_listed_page_by_page_in_the_order_of_their_arrival() {
    let (_process, mut client) = a_provider(&[]).await;
    let mut keys = Vec::new();
    for n in 0..5 {
        let key = a_key();
        if n == 2 {
            let payment_key = key.clone();
            client
                .void(pb::VoidRequest { payment_key })
                .await
                .expect("voided");
        } else {
            client
                .authorize(authorize(&key, "approve", 100))
                .await
                .expect("approved");
        }
        keys.push(key);
    }
    let mut listed = Vec::new();
    let mut request = pb::ListPaymentsRequest {
        page_size: 2,
        page_token: String::new(),
    };
    let mut sizes = Vec::new();
    loop {
        let page = client
            .list_payments(request.clone())
            .await
            .expect("a page")
            .into_inner();
        sizes.push(page.payments.len());
        listed.extend(page.payments.into_iter().map(|payment| payment.payment_key));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!((listed, sizes), (keys, vec![2, 2, 1]));
    for (page_size, page_token, named) in [(-1, "", "page_size"), (2, "gold", "page_token")] {
        let request = pb::ListPaymentsRequest {
            page_size,
            page_token: page_token.to_owned(),
        };
        let bad = client.list_payments(request).await.expect_err("a bad page");
        assert_eq!(
            (bad.code(), fields(&bad)),
            (Code::InvalidArgument, vec![named.to_owned()])
        );
    }
}

#[tokio::test]
async fn a_full_ledger_accepts_no_new_payment_and_keeps_the_old() {
    let (_process, mut client) = a_provider(&["--payments-max", "1"]).await;
    let key = a_key();
    client
        .authorize(authorize(&key, "approve", 100))
        .await
        .expect("approved");
    let bad = client
        .authorize(authorize(&a_key(), "approve", 100))
        .await
        .expect_err("full");
    assert_eq!(
        (bad.code(), reason(&bad)),
        (Code::ResourceExhausted, "PAYMENTS_EXCEEDED".to_owned())
    );
    assert_eq!(metadata(&bad)["limit"], "1");
    assert_eq!(quota_subjects(&bad), ["payments"]);
    client.capture(capture(&key, 100)).await.expect("captured");
}
