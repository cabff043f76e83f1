//! A secret in the wrong place of a command line, or in a variable, is never printed.

use test_harness::process::binary;
use test_harness::secrets::assert_kept;

async fn keeps(name: &'static str, verbs: &'static [&'static [&'static str]]) {
    let program = binary(name).await;
    let keeping = tokio::task::spawn_blocking(move || assert_kept(&program, verbs));
    keeping.await.expect("no panic");
}

#[tokio::test]
async fn catalog_svc_repeats_no_value() {
    keeps("catalog-svc", &[&[], &["health"]]).await;
}

#[tokio::test]
async fn booking_svc_repeats_no_value() {
    keeps("booking-svc", &[&[], &["health"]]).await;
}

#[tokio::test]
async fn expiry_worker_repeats_no_value() {
    keeps("expiry-worker", &[&[], &["health"]]).await;
}

#[tokio::test]
async fn payment_sim_repeats_no_value() {
    keeps("payment-sim", &[&[], &["health"]]).await;
}

#[tokio::test]
async fn migrate_repeats_no_value() {
    keeps("migrate", &[&["up"], &["status"], &["doctor"]]).await;
}
