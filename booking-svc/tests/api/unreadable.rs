//! Unreadable rows hold up no others in background tasks.

use std::time::Duration;

use proto::catalog::v1::DeleteShowRequest;
use test_harness::eventually;

use crate::stage::Stage;

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn an_unreadable_sale_or_answer_is_logged_and_the_others_are_processed() {
    let stage = Stage::start().await;
    let [cancelled, deleted] = [stage.a_show(2).await, stage.a_show(2).await];
    let bought = stage.buy(&cancelled, &["A-1"]).await;
    // Before every show's id, and no show's id itself.
    let nobody = "00000000-0000-0000-0000-000000000001";
    let spoil = format!(
        "INSERT INTO booking.sales (show_id, revision, state, start_at, layout, prices, seat_count)
         VALUES ('{nobody}', 1, 'CANCELLED', now(), '{{}}', '{{}}', 1);
         INSERT INTO booking.answers VALUES ('{nobody}', 1, true, '{{}}')"
    );
    stage.run(&spoil).await;
    stage.cancel_show(&cancelled).await;
    eventually(SOON, "the booking of the cancelled show ends", async || {
        stage.get(&bought.booking_id).await.state() != bought.state()
    })
    .await;
    let request = DeleteShowRequest {
        show_id: deleted,
        ..Default::default()
    };
    let answered = stage.system.catalog_client().delete_show(request).await;
    answered.expect("the catalog has the answer");

    let log = stage.system.booking.log();
    let mut errors = log.lines().filter(|line| line.contains(" ERROR "));
    assert!(errors.clone().count() >= 2, "{log}");
    assert!(errors.all(|line| line.contains(nobody)), "{log}");
}
