//! A show in a separate database, its seats, and holds that end when a test says.

use clap::Parser as _;
use expiry_worker::config::Cli;
use expiry_worker::sweep::Sweeper;
use model::{BookingId, ShowId};
use test_harness::invariants;
use test_harness::postgres::{self, TestDatabase};
use test_harness::process::Process;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

const SHOW: &str = "
    WITH sale AS (
        INSERT INTO booking.sales (show_id, revision, state, start_at, layout, prices, seat_count)
        VALUES ($1, 1, 'ON_SALE', now() + interval '1 day', '{}', '{}', $2)
        RETURNING show_id, seat_count
    )
    INSERT INTO booking.show_seats (show_id, ordinal)
    SELECT show_id, generate_series(0, seat_count - 1) FROM sale";
const HOLD: &str = "
    INSERT INTO booking.bookings (show_id, booking_id, state, version, customer_id,
        seat_ordinals, seat_prices, seat_tiers, total, currency, created_at, expires_at)
    SELECT $1, $2, 'PENDING', 1, 'ann', $3::integer[], array_fill(7::bigint, ARRAY[cardinality($3)]),
        array_fill('VIP'::text, ARRAY[cardinality($3)]), 7 * cardinality($3), 'EUR', ends - interval '120 s', ends
    FROM (SELECT clock_timestamp() + make_interval(secs => $4) AS ends) AS hold";
const OWN: &str = "
    UPDATE booking.show_seats SET booking_id = $2 WHERE show_id = $1 AND ordinal = ANY ($3)";
const LOG: &str = "
    INSERT INTO booking.transitions (show_id, booking_id, version, verb, from_state, to_state,
        made_at, actor, request_id, fingerprint)
    VALUES ($1, $2, 1, 'RESERVE', NULL, 'PENDING', clock_timestamp(), 'test', gen_random_uuid(), 0)";
/// Every table that the worker may write, as one text.
const DIGEST: &str = "
    SELECT concat_ws(' ',
        (SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM booking.bookings AS t),
        (SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM booking.show_seats AS t),
        (SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM booking.show_areas AS t),
        (SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM booking.transitions AS t))";

/// A show with seats, and a connection as the database's owner.
pub(crate) struct Hall {
    /// The owner's connection.
    pub(crate) owner: Client,
    /// The show.
    pub(crate) show: ShowId,
    /// Its database.
    pub(crate) database: TestDatabase,
}

/// How a booking stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Its state and its failure's reason.
    pub(crate) state: String,
    /// Its version.
    pub(crate) version: i32,
    /// Whether it failed exactly when its hold ended.
    pub(crate) failed_at_its_end: Option<bool>,
    /// How many seats it owns.
    pub(crate) seats: i64,
    /// How many transitions it has of the worker's making.
    pub(crate) expiries: i64,
}

impl Standing {
    /// A stale booking after the worker has failed it.
    pub(crate) fn expired() -> Self {
        Self {
            state: "FAILED EXPIRED".to_owned(),
            version: 2,
            failed_at_its_end: Some(true),
            seats: 0,
            expiries: 1,
        }
    }
}

impl Hall {
    /// A show with that many seats.
    pub(crate) async fn new(seats: i32) -> Self {
        let database = postgres::database().await;
        let owner = database.owner().await;
        let show = ShowId::generate();
        let made = owner.execute(SHOW, &[&show.uuid(), &seats]).await;
        made.expect("a show");
        let hall = Self {
            owner,
            show,
            database,
        };
        // As if the sale had come from a catalog.
        hall.run("UPDATE catalog.feed SET revision = 1").await;
        hall
    }

    /// A hold on seats that ends some seconds from now, or ended some ago.
    pub(crate) async fn hold(&self, seats: &[i32], ends_in: f64) -> BookingId {
        self.run("BEGIN").await;
        let id = self.insert_hold(seats, ends_in).await;
        self.run("COMMIT").await;
        id
    }

    /// That many holds of a seat each, from a seat on, that ended a minute ago; a worker sees
    /// all of them at once.
    pub(crate) async fn stale(&self, from: i32, count: i32) -> Vec<BookingId> {
        self.run("BEGIN").await;
        let mut ids = Vec::new();
        for seat in from..from + count {
            ids.push(self.insert_hold(&[seat], -60.0).await);
        }
        self.run("COMMIT").await;
        ids
    }

    async fn insert_hold(&self, seats: &[i32], ends_in: f64) -> BookingId {
        let id = BookingId::generate(self.show);
        let (show, booking) = (self.show.uuid(), id.uuid());
        let owner = &self.owner;
        let made = async {
            owner
                .execute(HOLD, &[&show, &booking, &seats, &ends_in])
                .await?;
            owner.execute(OWN, &[&show, &booking, &seats]).await?;
            owner.execute(LOG, &[&show, &booking]).await
        };
        made.await.expect("a hold");
        id
    }

    /// A sweeper in this process, with its own pool.
    pub(crate) fn sweeper(&self, batch_max: u16) -> Sweeper {
        let url = self.database.url("expiry_worker");
        let arguments = ["expiry-worker", "--database-url", &url];
        let cli = Cli::try_parse_from(arguments).expect("a command line");
        let database = cli.config.database.database("test").expect("a URL");
        Sweeper::new(database.pool(&cli.config.database), batch_max)
    }

    /// Sweeps once; how many it failed.
    pub(crate) async fn sweep(&self, batch_max: u16) -> u64 {
        let mut failed = 0;
        let stop = CancellationToken::new();
        let swept = self.sweeper(batch_max).run_once(&stop, &mut failed).await;
        swept.expect("a sweep");
        failed
    }

    /// A worker's process, with further arguments.
    pub(crate) async fn worker(&self, arguments: &[&str]) -> Process {
        let url = self.database.url("expiry_worker");
        let mut all = vec!["--database-url", &url];
        all.extend(arguments);
        Process::start("expiry-worker", &all).await
    }

    /// Runs statements as the owner.
    pub(crate) async fn run(&self, statements: &str) {
        let done = self.owner.batch_execute(statements).await;
        done.unwrap_or_else(|error| panic!("{statements}: {error}"));
    }

    /// The count of a query, on the owner's connection.
    pub(crate) async fn count(&self, query: &str) -> i64 {
        let row = self.owner.query_one(query, &[]).await;
        row.unwrap_or_else(|error| panic!("{query}: {error}"))
            .get(0)
    }

    /// All that a worker could have changed.
    pub(crate) async fn digest(&self) -> String {
        let row = self.owner.query_one(DIGEST, &[]).await;
        row.expect("a digest").get(0)
    }

    /// How a booking stands.
    pub(crate) async fn standing(&self, id: BookingId) -> Standing {
        let query = "
            SELECT concat_ws(' ', state, failure_reason), version, failed_at = expires_at,
                (SELECT count(*) FROM booking.show_seats AS s WHERE s.booking_id = b.booking_id),
                (SELECT count(*) FROM booking.transitions AS t
                 WHERE t.booking_id = b.booking_id AND t.verb = 'EXPIRE' AND t.version = b.version
                     AND t.from_state = 'PENDING' AND t.to_state = 'FAILED'
                     AND t.made_at >= b.expires_at AND t.actor = 'expiry-worker')
            FROM booking.bookings AS b WHERE booking_id = $1";
        let row = self.owner.query_one(query, &[&id.uuid()]).await;
        let row = row.expect("a booking");
        Standing {
            state: row.get(0),
            version: row.get(1),
            failed_at_its_end: row.get(2),
            seats: row.get(3),
            expiries: row.get(4),
        }
    }

    /// Asserts that the data is sound.
    pub(crate) async fn assert_sound(&self) {
        invariants::assert_hold(&self.database).await;
    }
}
