//! A provider that crashes.

use std::collections::HashMap;
use std::time::Duration;

use payment_client::{Attempt, PaymentOutcome, UnresolvedReason, Unsettled};
use proto::payment::v1::PaymentState;
use test_harness::eventually;
use test_harness::process::Process;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::stage::{Client, an_attempt, books_of, client_of, kept, only_payment_of, soon, token};

/// Enough that each kill hits some in every stage.
const BUYERS: usize = 8;
const PAYMENTS_PER_BUYER: usize = 40;
const KILLS: usize = 4;

struct Durable {
    process: Process,
    _folder: tempfile::TempDir,
}

async fn a_durable_provider() -> Durable {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state");
    let state = state.to_str().expect("a path of text");
    Durable {
        process: Process::start("payment-sim", &["--state", state]).await,
        _folder: folder,
    }
}

#[tokio::test]
async fn what_was_approved_before_a_kill_can_be_taken_after_it() {
    let mut provider = a_durable_provider().await;
    let (client, attempt) = (client_of(&provider.process), an_attempt());
    let approved = client.authorize(&attempt, &token("approve"), soon()).await;
    assert_eq!(approved, Ok(PaymentOutcome::Approved));
    provider.process.kill9().await;
    provider.process.start_again().await;
    assert_eq!(
        client.standing(&attempt, soon()).await,
        Ok(PaymentOutcome::Approved)
    );
    assert_eq!(
        client.capture(&attempt, soon()).await,
        Ok(PaymentOutcome::Captured)
    );
    provider.process.kill9().await;
    provider.process.start_again().await;
    assert_eq!(
        client.capture(&attempt, soon()).await,
        Ok(PaymentOutcome::Captured)
    );
    let only = only_payment_of(&provider.process).await;
    assert_eq!(only, (PaymentState::Captured, 12_50));
}

#[tokio::test]
async fn a_void_that_came_first_outlives_a_kill() {
    let mut provider = a_durable_provider().await;
    let (client, attempt) = (client_of(&provider.process), an_attempt());
    assert_eq!(
        client.void(&attempt, soon()).await,
        Ok(PaymentOutcome::Voided)
    );
    provider.process.kill9().await;
    provider.process.start_again().await;
    let late = client.authorize(&attempt, &token("approve"), soon()).await;
    assert_eq!(late, Ok(PaymentOutcome::Voided));
}

#[tokio::test]
async fn an_unreachable_provider_is_retried_until_the_deadline() {
    let mut provider = a_durable_provider().await;
    let (client, attempt) = (client_of(&provider.process), an_attempt());
    provider.process.kill9().await;
    let start = Instant::now();
    let deadline = start + Duration::from_secs(1);
    let unresolved = client
        .authorize(&attempt, &token("approve"), deadline)
        .await;
    assert_eq!(
        unresolved,
        Err(Unsettled::Unresolved(UnresolvedReason::NoAnswer))
    );
    assert!(start.elapsed() >= Duration::from_secs(1));

    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.authorize(&attempt, &token("approve"), soon()).await }
    });
    provider.process.start_again().await;
    assert_eq!(
        asking.await.expect("no panic"),
        Ok(PaymentOutcome::Approved)
    );
}

/// Pays, and takes the money or lets it go; returns the final outcomes.
async fn a_buyer(client: Client) -> Vec<(Attempt, PaymentOutcome)> {
    let mut outcomes = Vec::new();
    for n in 0..PAYMENTS_PER_BUYER {
        let attempt = an_attempt();
        let steer = if n % 4 == 0 { "lost-answer" } else { "approve" };
        let approved = client.authorize(&attempt, &token(steer), soon()).await;
        assert_eq!(approved, Ok(PaymentOutcome::Approved));
        let (outcome, settled) = if n % 3 == 0 {
            (PaymentOutcome::Voided, client.void(&attempt, soon()).await)
        } else {
            (
                PaymentOutcome::Captured,
                client.capture(&attempt, soon()).await,
            )
        };
        assert_eq!(settled, Ok(outcome));
        outcomes.push((attempt, outcome));
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_among_many_payments_lose_none_and_take_none_twice() {
    let mut provider = a_durable_provider().await;
    let mut buyers = JoinSet::new();
    for _ in 0..BUYERS {
        buyers.spawn(a_buyer(client_of(&provider.process)));
    }
    for kill in 1..=KILLS {
        let payments = BUYERS * PAYMENTS_PER_BUYER * kill / (KILLS + 1);
        eventually(Duration::from_secs(60), "some payments", async || {
            books_of(&provider.process).await.len() >= payments
        })
        .await;
        provider.process.kill9().await;
        provider.process.start_again().await;
    }
    let outcomes: Vec<_> = buyers.join_all().await.into_iter().flatten().collect();
    let books = books_of(&provider.process).await;
    assert_eq!(outcomes.len(), BUYERS * PAYMENTS_PER_BUYER);
    assert_eq!(books.len(), outcomes.len());
    let books: HashMap<_, _> = books
        .iter()
        .map(|payment| (&*payment.payment_key, payment))
        .collect();
    for (attempt, outcome) in outcomes {
        let payment = books[attempt.key.to_string().as_str()];
        let (state, taken) = match outcome {
            PaymentOutcome::Captured => (PaymentState::Captured, attempt.amount.minor_units()),
            _ => (PaymentState::Voided, 0),
        };
        assert_eq!(
            (payment.state(), kept(payment)),
            (state, taken),
            "{payment:?}"
        );
    }
}
