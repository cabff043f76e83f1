//! The effect of each token on the client.

use std::time::Duration;

use payment_client::{
    Attempt, DeclineReason, PaymentOutcome, RefundKey, RefundOutcome, UnresolvedReason, Unsettled,
};
use proto::payment::v1::PaymentState;
use test_harness::process::Process;
use tokio::time::Instant;
use tonic::Code;
use uuid::Uuid;

use crate::stage::{Client, an_attempt, books_of, client_of, euros, only_payment_of, soon, token};

async fn a_provider() -> Process {
    Process::start("payment-sim", &[]).await
}

#[tokio::test]
async fn approved_money_is_taken_once_and_given_back_in_parts() {
    let provider = a_provider().await;
    let (client, attempt) = (client_of(&provider), an_attempt());
    let approved = client.authorize(&attempt, &token("approve"), soon()).await;
    assert_eq!(approved, Ok(PaymentOutcome::Approved));
    assert_eq!(
        only_payment_of(&provider).await,
        (PaymentState::Approved, 0)
    );
    for _ in 0..2 {
        assert_eq!(
            client.capture(&attempt, soon()).await,
            Ok(PaymentOutcome::Captured)
        );
        assert_eq!(
            only_payment_of(&provider).await,
            (PaymentState::Captured, 12_50)
        );
    }
    let again = client.authorize(&attempt, &token("approve"), soon()).await;
    assert_eq!(again, Ok(PaymentOutcome::Captured));
    assert_eq!(
        client.void(&attempt, soon()).await,
        Ok(PaymentOutcome::Captured)
    );

    let refund = RefundKey(Uuid::now_v7());
    for _ in 0..2 {
        let refunded = client.refund(&attempt, refund, euros(12_00), soon()).await;
        assert_eq!(refunded, Ok(RefundOutcome::Refunded));
    }
    let too_much = client
        .refund(&attempt, RefundKey(Uuid::now_v7()), euros(51), soon())
        .await;
    let Err(Unsettled::Refused { code, .. }) = too_much else {
        panic!("{too_much:?}");
    };
    assert_eq!(code, Code::FailedPrecondition);
    assert_eq!(
        only_payment_of(&provider).await,
        (PaymentState::Captured, 50)
    );
}

#[tokio::test]
async fn declined_holds_nothing() {
    let provider = a_provider().await;
    let (client, attempt) = (client_of(&provider), an_attempt());
    let declined = Ok(PaymentOutcome::Declined(DeclineReason::InsufficientFunds));
    let answer = client.authorize(&attempt, &token("decline"), soon()).await;
    assert_eq!(answer, declined);
    assert_eq!(client.capture(&attempt, soon()).await, declined);
    assert_eq!(client.void(&attempt, soon()).await, declined);
    assert_eq!(client.standing(&attempt, soon()).await, declined);
    assert_eq!(
        only_payment_of(&provider).await,
        (PaymentState::Declined, 0)
    );
}

#[tokio::test]
async fn a_declined_capture_takes_nothing() {
    let provider = a_provider().await;
    let (client, attempt) = (client_of(&provider), an_attempt());
    let approved = client
        .authorize(&attempt, &token("decline-capture"), soon())
        .await;
    assert_eq!(approved, Ok(PaymentOutcome::Approved));
    let declined = Ok(PaymentOutcome::Declined(DeclineReason::InsufficientFunds));
    assert_eq!(client.capture(&attempt, soon()).await, declined);
    assert_eq!(
        only_payment_of(&provider).await,
        (PaymentState::Declined, 0)
    );
}

/// `timeout` keeps each first answer back, `lost-answer` loses it: asking again brings it.
#[tokio::test]
async fn answers_that_do_not_come_are_asked_for_again_and_nothing_is_done_twice() {
    for steer in ["timeout", "lost-answer"] {
        let provider = a_provider().await;
        let (client, attempt) = (client_of(&provider), an_attempt());
        let approved = client.authorize(&attempt, &token(steer), soon()).await;
        assert_eq!(approved, Ok(PaymentOutcome::Approved), "{steer}");
        assert_eq!(
            client.capture(&attempt, soon()).await,
            Ok(PaymentOutcome::Captured),
            "{steer}"
        );
        let refund = RefundKey(Uuid::now_v7());
        let refunded = client.refund(&attempt, refund, euros(50), soon()).await;
        assert_eq!(refunded, Ok(RefundOutcome::Refunded), "{steer}");
        assert_eq!(
            only_payment_of(&provider).await,
            (PaymentState::Captured, 12_00),
            "{steer}"
        );

        let unwanted = an_attempt();
        let approved = client.authorize(&unwanted, &token(steer), soon()).await;
        assert_eq!(approved, Ok(PaymentOutcome::Approved), "{steer}");
        assert_eq!(
            client.void(&unwanted, soon()).await,
            Ok(PaymentOutcome::Voided),
            "{steer}"
        );
    }
}

/// With time for only one answer the outcome is unknown; it is determined afterwards.
#[tokio::test]
async fn without_time_to_ask_again_it_is_unresolved_and_settled_later() {
    let provider = a_provider().await;
    let (client, attempt) = (client_of(&provider), an_attempt());
    let deadline = Instant::now() + Duration::from_millis(300);
    let unresolved = client
        .authorize(&attempt, &token("timeout"), deadline)
        .await;
    assert_eq!(
        unresolved,
        Err(Unsettled::Unresolved(UnresolvedReason::NoAnswer))
    );
    assert_eq!(
        client.standing(&attempt, soon()).await,
        Ok(PaymentOutcome::Approved)
    );
    assert_eq!(
        client.void(&attempt, soon()).await,
        Ok(PaymentOutcome::Voided)
    );
    assert_eq!(only_payment_of(&provider).await, (PaymentState::Voided, 0));
}

#[tokio::test]
async fn slow_is_pending_until_it_is_decided() {
    let provider = a_provider().await;
    let (client, attempt) = (client_of(&provider), an_attempt());
    let start = Instant::now();
    let slow = client
        .authorize(&attempt, &token("slow:1500ms"), soon())
        .await;
    assert_eq!(slow, Ok(PaymentOutcome::Approved));
    assert!(start.elapsed() >= Duration::from_millis(1_500));

    let undecided = an_attempt();
    let no_answer = Err(Unsettled::Unresolved(UnresolvedReason::NoAnswer));
    let mut pending = no_answer.clone();
    // The last answer decides, which a busy machine may delay.
    for _ in 0..5 {
        let deadline = Instant::now() + Duration::from_secs(2);
        pending = client
            .authorize(&undecided, &token("slow:1h"), deadline)
            .await;
        if pending != no_answer {
            break;
        }
    }
    assert_eq!(
        pending,
        Err(Unsettled::Unresolved(UnresolvedReason::Pending))
    );
    assert_eq!(
        client.void(&undecided, soon()).await,
        Ok(PaymentOutcome::Voided)
    );
    let late = client
        .authorize(&undecided, &token("slow:1h"), soon())
        .await;
    assert_eq!(late, Ok(PaymentOutcome::Voided));
}

#[tokio::test]
async fn nonsense_is_never_taken_for_money() {
    let provider = a_provider().await;
    let (client, attempt) = (client_of(&provider), an_attempt());
    let nonsense = Err(Unsettled::Unresolved(UnresolvedReason::ProtocolViolation(
        "another amount",
    )));
    let answer = client.authorize(&attempt, &token("nonsense"), soon()).await;
    assert_eq!(answer, nonsense);
    assert_eq!(client.standing(&attempt, soon()).await, nonsense);
    assert_eq!(
        client.void(&attempt, soon()).await,
        Ok(PaymentOutcome::Voided)
    );
    assert_eq!(only_payment_of(&provider).await, (PaymentState::Voided, 0));
}

/// A payment that was taken under a token.
async fn taken(client: &Client, steer: &str) -> Attempt {
    let attempt = an_attempt();
    let approved = client.authorize(&attempt, &token(steer), soon()).await;
    assert_eq!(approved, Ok(PaymentOutcome::Approved), "{steer}");
    assert_eq!(
        client.capture(&attempt, soon()).await,
        Ok(PaymentOutcome::Captured)
    );
    attempt
}

#[tokio::test]
async fn a_declined_refund_gives_nothing_back() {
    let provider = a_provider().await;
    let client = client_of(&provider);
    let attempt = taken(&client, "decline-refund").await;
    let refund = RefundKey(Uuid::now_v7());
    for _ in 0..2 {
        let declined = client.refund(&attempt, refund, euros(12_00), soon()).await;
        assert_eq!(declined, Ok(RefundOutcome::Declined));
    }
    assert_eq!(
        only_payment_of(&provider).await,
        (PaymentState::Captured, 12_50)
    );
}

#[tokio::test]
async fn a_nonsensical_refund_is_not_accepted_until_a_repeat_is_correct() {
    let provider = a_provider().await;
    let client = client_of(&provider);
    let attempt = taken(&client, "nonsense-refund").await;
    let refund = RefundKey(Uuid::now_v7());
    let ask = || client.refund(&attempt, refund, euros(12_00), soon());
    let nonsense = UnresolvedReason::ProtocolViolation("another amount refunded");
    assert_eq!(ask().await, Err(Unsettled::Unresolved(nonsense)));
    assert_eq!(ask().await, Ok(RefundOutcome::Refunded));
    assert_eq!(
        only_payment_of(&provider).await,
        (PaymentState::Captured, 50)
    );
}

#[tokio::test]
async fn an_unknown_token_is_refused_and_the_tokens_are_named() {
    let provider = a_provider().await;
    let (client, attempt) = (client_of(&provider), an_attempt());
    let refused = client.authorize(&attempt, &token("gold"), soon()).await;
    let Err(Unsettled::Refused { code, message }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(code, Code::InvalidArgument);
    for named in [
        "approve",
        "slow:<duration>",
        "decline-refund",
        "nonsense-refund",
    ] {
        assert!(message.contains(named), "{message}");
    }
    assert_eq!(books_of(&provider).await, []);
}

#[tokio::test]
async fn a_void_comes_before_a_late_authorize() {
    let provider = a_provider().await;
    let (client, attempt) = (client_of(&provider), an_attempt());
    let not_arrived = client.standing(&attempt, soon()).await;
    assert_eq!(
        not_arrived,
        Err(Unsettled::Unresolved(UnresolvedReason::NotArrived))
    );
    assert_eq!(
        client.void(&attempt, soon()).await,
        Ok(PaymentOutcome::Voided)
    );
    let late = client.authorize(&attempt, &token("approve"), soon()).await;
    assert_eq!(late, Ok(PaymentOutcome::Voided));
    assert_eq!(
        client.capture(&attempt, soon()).await,
        Ok(PaymentOutcome::Voided)
    );
    assert_eq!(only_payment_of(&provider).await, (PaymentState::Voided, 0));
}

/// Spawned, as the service does it: so the client's futures must be `Send`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_repeats_at_once_have_one_effect() {
    let provider = a_provider().await;
    let attempt = an_attempt();
    let refund = RefundKey(Uuid::now_v7());
    let copies: Vec<_> = (0..32)
        .map(|_| {
            let client = client_of(&provider);
            tokio::spawn(async move {
                let approved = client.authorize(&attempt, &token("approve"), soon()).await;
                assert!(
                    matches!(
                        approved,
                        Ok(PaymentOutcome::Approved | PaymentOutcome::Captured)
                    ),
                    "{approved:?}"
                );
                assert_eq!(
                    client.capture(&attempt, soon()).await,
                    Ok(PaymentOutcome::Captured)
                );
                let refunded = client.refund(&attempt, refund, euros(10_00), soon()).await;
                assert_eq!(refunded, Ok(RefundOutcome::Refunded));
            })
        })
        .collect();
    for copy in copies {
        copy.await.expect("no panic");
    }
    assert_eq!(
        only_payment_of(&provider).await,
        (PaymentState::Captured, 2_50)
    );
}
