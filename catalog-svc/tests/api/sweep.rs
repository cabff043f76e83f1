//! Old request ids are forgotten.

use catalog_svc::store::Store;
use test_harness::postgres;

use crate::support::{config, contents, execute};

#[tokio::test]
async fn requests_are_kept_for_a_day() {
    let database = postgres::database().await;
    execute(
        &database,
        "INSERT INTO catalog.requests
         SELECT gen_random_uuid(), n, '{}', clock_timestamp() - interval '24 hours 1 minute'
         FROM generate_series(1, 1700) n;
         INSERT INTO catalog.requests
         SELECT gen_random_uuid(), n, '{}', clock_timestamp() - interval '23 hours 59 minutes'
         FROM generate_series(1, 7) n",
    )
    .await;
    let config = config(&database.url("catalog_svc"));
    let database_of = config.database.database("test").expect("a URL");
    let store = || Store::new(&database_of, &config.database, None);
    let (one, other) = (store(), store());
    // Two replicas sweep at once.
    let (by_one, by_other) = futures_util::join!(one.sweep_once(), other.sweep_once());
    let (by_one, by_other) = (by_one.expect("swept"), by_other.expect("swept"));
    // A row that one was at, the other leaves to it.
    assert_eq!(
        by_one + by_other + one.sweep_once().await.expect("swept"),
        1700
    );
    assert_eq!(contents(&database).await, (0, 7, 0));
}
