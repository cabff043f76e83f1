//! Seats by their labels: which of them an error names, and that it arrives however long
//! they are.

use proto::catalog::v1::RowBlock;
use proto::catalog::v1::create_show_request::Seats;
use system_tests::errors::{describe, fields, subjects};
use system_tests::system::{layout, names, reserve, show};
use tonic::Code;

use crate::stage::Stage;

#[tokio::test]
async fn unknown_labels_are_all_named() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let mut client = stage.client();
    let labels = ["A-0", "A-1", "A-4", "a-2", "", "A-01", "🎫"];
    let call = reserve(&mut client, &show, &labels, "ann");
    let status = stage
        .refused(call, Code::InvalidArgument, "UNKNOWN_SEATS")
        .await;
    let wanted = [0, 2, 3, 4, 5, 6].map(|place| format!("seat_labels[{place}]"));
    assert_eq!(fields(&status), wanted);

    // As many as fit a header: usual ones all do.
    for (length, named) in [(1, 100), (60, 20)] {
        let labels = (0..100).map(|n| format!("{n}{}", "é".repeat(length)));
        let labels: Vec<String> = labels.collect();
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let call = reserve(&mut client, &show, &labels, "ann");
        let status = stage
            .refused(call, Code::InvalidArgument, "UNKNOWN_SEATS")
            .await;
        assert!(fields(&status).len() >= named, "{}", describe(&status));
    }

    // One alone may not burst it.
    let endless = "x".repeat(1_000_000);
    for labels in [vec![&*endless], vec![&*endless, &*endless]] {
        let call = reserve(&mut client, &show, &labels, "ann");
        let outcome = call.await.expect_err("no such seat");
        assert_eq!(
            outcome.code(),
            Code::InvalidArgument,
            "{}",
            describe(&outcome)
        );
    }
    stage.assert_sound().await;
}

#[tokio::test]
async fn however_long_the_labels_are_that_are_taken_the_error_arrives() {
    let mut stage = Stage::start().await;
    // As many as fit a header are named.
    for (length, fill, named) in [(2, "x", 100), (37, "x", 60), (37, "座", 25)] {
        let fill = fill.repeat(length);
        let labels: Vec<String> = (0..100).map(|n| format!("{n:03}{fill}")).collect();
        let mut layout = layout(1);
        layout.sections[0].rows[0] = RowBlock {
            runs: vec![names((0..100).map(|n| format!("{n:03}")))],
            label_format: format!("{{seat}}{fill}"),
            ..Default::default()
        };
        let mut wanted = show(1);
        wanted.seats = Some(Seats::Layout(layout));
        let show = stage.create(wanted).await;
        let refs: Vec<&str> = labels.iter().map(String::as_str).collect();
        stage.reserve(&show, &refs).await;
        let mut client = stage.client();
        let call = reserve(&mut client, &show, &refs, "bob");
        let status = stage
            .refused(call, Code::FailedPrecondition, "SEATS_UNAVAILABLE")
            .await;
        let told = subjects(&status);
        assert!(told.len() >= named, "{} of {fill}", told.len());
        assert_eq!(told, labels[..told.len()]);
        assert!(
            status.message().ends_with("and 95 more"),
            "{}",
            status.message()
        );
    }
    stage.assert_sound().await;
}
