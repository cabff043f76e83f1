//! The program: its command line, its file, its stop.

use std::time::Duration;

use proto::payment::v1::ListPaymentsRequest;
use service_kit::health;
use test_harness::errors::reason;
use test_harness::eventually;
use test_harness::process::{Process, run};

use crate::stage::{a_captured_payment, a_key, a_provider, authorize, refund};

/// Above the grace of a call that would not end by itself.
const STOP_MAX: Duration = Duration::from_secs(25);
const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_bad_value_is_one_line_and_exit_code_2() {
    for (arguments, named) in [
        (["--listen", "nowhere"], "--listen"),
        (["--payments-max", "0"], "--payments-max"),
        (["--call-timeout", "0s"], "1 to 3600 seconds"),
        (["health", "--nothing"], "--nothing"),
    ] {
        let output = run("payment-sim", &arguments).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{arguments:?}: {errors}");
        assert!(errors.contains(named), "{arguments:?}: {errors}");
    }
}

#[tokio::test]
async fn it_serves_health_and_stops_while_answers_are_held_back() {
    let (mut process, client) = a_provider(&[]).await;
    let service = "ticketing.payment.v1.PaymentProvider";
    for asked in ["", service, "liveness"] {
        let answer = health::ask(process.address(), asked, Duration::from_secs(2)).await;
        assert_eq!(answer, Ok(()), "{asked:?}");
    }
    let mut waiting = Vec::new();
    for token in ["timeout", "slow:1h"] {
        let mut client = client.clone();
        let request = authorize(&a_key(), token, 100);
        waiting.push(tokio::spawn(async move { client.authorize(request).await }));
    }
    let both = "both payments arrived";
    eventually(SOON, both, async || {
        let page = client
            .clone()
            .list_payments(ListPaymentsRequest::default())
            .await;
        page.is_ok_and(|page| page.get_ref().payments.len() == 2)
    })
    .await;
    process.terminate();
    for answer in waiting {
        let status = answer.await.expect("no panic").expect_err("no answer");
        assert_eq!(reason(&status), "SHUTTING_DOWN");
    }
    let status = process.wait(STOP_MAX).await;
    assert_eq!(status.code(), Some(0), "{status}");
}

#[tokio::test]
async fn a_state_file_has_one_user_and_is_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state");
    let arguments = ["--state", state.to_str().expect("a path of text")];
    let (mut process, mut client) = a_provider(&arguments).await;
    let key = a_captured_payment(&mut client).await;
    client
        .refund(refund(&key, &a_key(), 30))
        .await
        .expect("refunded");
    let before = client.list_payments(ListPaymentsRequest::default()).await;

    let output = run(
        "payment-sim",
        &[arguments[0], arguments[1], "--listen", "127.0.0.1:0"],
    )
    .await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("in use by another process"), "{errors}");

    process.terminate();
    assert_eq!(process.wait(STOP_MAX).await.code(), Some(0));
    let (_process, mut client) = a_provider(&arguments).await;
    let after = client.list_payments(ListPaymentsRequest::default()).await;
    let payments = after.expect("a page").into_inner().payments;
    assert_eq!(payments, before.expect("a page").into_inner().payments);
    assert_eq!(payments.len(), 1);
}

#[tokio::test]
async fn a_state_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state");
    std::fs::write(&state, "gold\n").expect("a file");
    for (path, named) in [
        (state, "line 1"),
        (folder.path().join("none/state"), "none/state"),
    ] {
        let path = path.to_str().expect("a path of text").to_owned();
        let output = run(
            "payment-sim",
            &["--state", &path, "--listen", "127.0.0.1:0"],
        )
        .await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        let last = errors.lines().last().unwrap_or_default();
        assert!(last.contains(named), "{errors}");
    }
}

#[tokio::test]
async fn it_serves_and_stops_without_a_reader_of_its_log() {
    let mut process = Process::start_unread("payment-sim", &[]).await;
    process.terminate();
    let status = process.wait(STOP_MAX).await;
    assert_eq!(status.code(), Some(0), "{status}");
}
