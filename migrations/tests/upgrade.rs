//! Upgrades of databases that hold data.
//!
//! A test per migration that touches rows, or could: it makes a database as the version before
//! left it, puts rows into it, upgrades it, and checks the result.

use std::path::Path;
use std::time::Duration;

use migrations::{Passwords, up};
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use test_harness::postgres::{OWNER, TestDatabase, empty_database};
use tokio::sync::Mutex;

const WAIT: Duration = Duration::from_secs(10);

/// A database as the version before this one left it.
async fn before(version: i64) -> TestDatabase {
    // Roles belong to the whole cluster, and two migrations that set one at once collide.
    static TURN: Mutex<()> = Mutex::const_new(());
    let _turn = TURN.lock().await;
    let database = empty_database().await;
    let pool = PgPool::connect(&database.url(OWNER)).await;
    let pool = pool.expect("a connection");
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/sql"));
    let mut older = Migrator::new(folder).await.expect("the migrations");
    let migrations = older.migrations.to_mut();
    migrations.retain(|migration| migration.version < version);
    older.run(&pool).await.expect("the older schema");
    pool.close().await;
    database
}

/// Brings it to the newest version, as a release does.
async fn upgrade(database: &TestDatabase) {
    let at = migrations::database(&database.url(OWNER)).expect("a URL");
    let applied = up(&at, &Passwords::unchanged(), WAIT).await.expect("up");
    assert!(!applied.is_empty(), "nothing was upgraded");
}

#[tokio::test]
async fn a_log_that_is_in_use_is_not_emptied_for_its_first_statistics() {
    let database = before(7).await;
    let owner = database.owner().await;
    let event = "INSERT INTO booking.transitions (show_id, booking_id, version, verb, to_state, \
                 made_at, actor, request_id, fingerprint) \
                 VALUES (gen_random_uuid(), gen_random_uuid(), 1, 'RESERVE', 'PENDING', now(), \
                 'test', gen_random_uuid(), 1)";
    owner.batch_execute(event).await.expect("an event");
    upgrade(&database).await;
    let count = "SELECT count(*) FROM booking.transitions";
    let row = owner.query_one(count, &[]).await.expect("a count");
    assert_eq!(row.get::<_, i64>(0), 1);
}
