//! Old request ids are forgotten.

use std::time::Duration;

use test_harness::eventually;
use uuid::Uuid;

use super::{ann, client_of, create};
use crate::stage::{Stage, assert_quiet};

/// A service sweeps when it starts; this is for a busy machine.
const SWEPT_MAX: Duration = Duration::from_secs(10);

const OLD: &str = "
    SELECT count(*) FROM booking.customer_requests
    WHERE created_at < clock_timestamp() - interval '24 hours'";
const ALL: &str = "SELECT count(*) FROM booking.customer_requests";
const INSERT: &str = "
    INSERT INTO booking.customer_requests
    SELECT gen_random_uuid(), n, '{}', true, clock_timestamp() - interval '24 hours 1 minute'
    FROM generate_series(1, 1700) AS n;
    INSERT INTO booking.customer_requests
    SELECT gen_random_uuid(), n, '{}', true, clock_timestamp() - interval '23 hours 50 minutes'
    FROM generate_series(1, 7) AS n";

#[tokio::test]
async fn requests_are_kept_for_a_day() {
    let mut stage = Stage::start().await;
    let mut client = client_of(&stage.system.booking);
    let mut request = ann();
    request.request_id = Uuid::new_v4().to_string();
    let first = create(&mut client, request.clone()).await;
    stage.run(INSERT).await;
    assert_eq!(stage.count(OLD).await, 1700);
    // Two replicas sweep at once.
    let ((mut one, _), (mut other, _)) = futures_util::join!(stage.another(), stage.another());
    eventually(SWEPT_MAX, "old requests are swept", async || {
        stage.count(OLD).await == 0
    })
    .await;
    assert_eq!(stage.count(ALL).await, 8);
    assert_eq!(create(&mut client, request.clone()).await, first);

    // Once its id is deleted, the call is a new one.
    stage.run("DELETE FROM booking.customer_requests").await;
    let again = create(&mut client, request).await;
    assert!(!again.created);
    assert_eq!(again.customer, first.customer);
    assert_quiet(&mut one);
    assert_quiet(&mut other);
    stage.assert_sound().await;
}
