//! Sales while the catalog is silent, is another one, or has lost the history that was
//! followed; and while one show cannot be written.

use std::time::{Duration, Instant};

use proto::booking::v1::Booking;
use proto::booking::v1::booking_service_client::BookingServiceClient;
use proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use proto::catalog::v1::{CancelShowRequest, PauseShowRequest};
use service_kit::health;
use test_harness::errors::{assert_error, describe, has_retry_info, reason};
use test_harness::eventually;
use test_harness::postgres::{self, OWNER, TestDatabase};
use test_harness::process::{Process, run};
use test_harness::system::{
    System, booking_client_of, cancel, catalog_client_of, confirm, reserve, show, start_catalog,
};
use tonic::transport::Channel;
use tonic::{Code, Status};

/// As booking-svc is set by default.
const STALENESS_MAX: Duration = Duration::from_secs(10);
/// A debug build on a busy machine.
const SOON: Duration = Duration::from_secs(15);
const HEALTH_TIMEOUT: Duration = Duration::from_secs(1);
const BOOKING_SERVICE: &str = "ticketing.booking.v1.BookingService";
const STATUS_QUO: [(&str, bool); 3] = [("", true), (BOOKING_SERVICE, false), ("liveness", true)];

type Bookings = BookingServiceClient<Channel>;
type Shows = CatalogServiceClient<Channel>;

async fn booking_svc(database: &TestDatabase, catalogs: &[&Process], more: &[&str]) -> Process {
    let url = database.url("booking_svc");
    let catalogs: Vec<_> = catalogs.iter().map(|it| it.internal_url()).collect();
    let catalogs = catalogs.join(",");
    let all = ["--database-url", &url, "--catalog-url", &catalogs];
    Process::start("booking-svc", &[&all[..], more].concat()).await
}

async fn a_show(catalog: &Process) -> String {
    let created = catalog_client_of(catalog).create_show(show(500)).await;
    let created = created.expect("a show").into_inner().show;
    created.expect("the answer has the show").show_id
}

async fn cancel_show(catalog: &mut Shows, show: &str) {
    let request = CancelShowRequest {
        show_id: show.to_owned(),
        ..Default::default()
    };
    catalog.cancel_show(request).await.expect("a show on sale");
}

/// Buys one seat after another.
struct Buyer {
    client: Bookings,
    show: String,
    next: u32,
    bought_at: Option<Instant>,
}

impl Buyer {
    fn of(booking: &Process, show: &str) -> Self {
        Self {
            client: booking_client_of(booking),
            show: show.to_owned(),
            next: 1,
            bought_at: None,
        }
    }

    async fn buy(&mut self) -> Result<Booking, Status> {
        let label = format!("A-{}", self.next);
        let booking = reserve(&mut self.client, &self.show, &[&label], "ann").await?;
        self.next += 1;
        self.bought_at = Some(Instant::now());
        Ok(booking)
    }

    /// Buys until it is refused; with which reason.
    async fn buy_until_refused(&mut self) -> Status {
        let deadline = Instant::now() + 2 * SOON;
        loop {
            match self.buy().await {
                Err(status) => return status,
                Ok(_) => assert!(Instant::now() < deadline, "it sells and sells"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a seat can be bought.
    async fn buys(&mut self) {
        eventually(SOON, "it sells", async || self.buy().await.is_ok()).await;
    }

    /// Waits until it is refused for this reason.
    async fn is_refused(&mut self, wanted: &str) {
        eventually(SOON, &format!("it is refused: {wanted}"), async || {
            self.buy()
                .await
                .is_err_and(|status| reason(&status) == wanted)
        })
        .await;
    }
}

async fn says(process: &Process, wanted: [(&str, bool); 3]) {
    for (service, serves) in wanted {
        let what = format!("{service:?} serves: {serves}");
        eventually(SOON, &what, async || {
            let asked = health::ask(process.address(), service, HEALTH_TIMEOUT).await;
            asked.is_ok() == serves
        })
        .await;
    }
}

#[tokio::test]
async fn with_a_second_catalog_a_frozen_one_is_left_within_seconds() {
    let database = postgres::database().await;
    let (frozen, other) = (
        start_catalog(&database).await,
        start_catalog(&database).await,
    );
    let booking = booking_svc(&database, &[&frozen, &other], &[]).await;
    let show = a_show(&other).await;
    let mut buyer = Buyer::of(&booking, &show);
    buyer.buys().await;
    frozen.freeze();
    let began = Instant::now();
    cancel_show(&mut catalog_client_of(&other), &show).await;
    let status = buyer.buy_until_refused().await;
    assert_error(&status, Code::FailedPrecondition, "SHOW_NOT_ON_SALE");
    let last = buyer
        .bought_at
        .map(|at| at.saturating_duration_since(began));
    print_figure(&format!(
        "from the freeze to the last ticket, with a second catalog: {last:?}"
    ));
    assert!(last.is_some_and(|last| last < STALENESS_MAX), "{last:?}");
    frozen.go_on();
}

#[tokio::test]
async fn a_silent_catalog_ends_sales_unless_stale_catalog_is_sell() {
    let database = postgres::database().await;
    let (frozen, other) = (
        start_catalog(&database).await,
        start_catalog(&database).await,
    );
    let booking = booking_svc(&database, &[&frozen], &[]).await;
    let sells = booking_svc(&database, &[&frozen], &["--stale-catalog", "sell"]).await;
    let (ended, goes_on) = (a_show(&other).await, a_show(&other).await);
    let mut buyer = Buyer::of(&booking, &ended);
    let mut steady = Buyer::of(&booking, &goes_on);
    let held = buyer.buy().await.expect("a new show");
    let kept = steady.buy().await.expect("a new show");

    frozen.freeze();
    let began = Instant::now();
    cancel_show(&mut catalog_client_of(&other), &ended).await;
    let status = buyer.buy_until_refused().await;
    assert_error(&status, Code::Unavailable, "CATALOG_UNAVAILABLE");
    assert!(has_retry_info(&status), "{}", describe(&status));
    let last = buyer
        .bought_at
        .map(|at| at.saturating_duration_since(began));
    print_figure(&format!(
        "from the freeze to the last ticket, with no other catalog: {last:?}"
    ));
    assert!(last.is_some_and(|last| last < STALENESS_MAX), "{last:?}");
    let confirmed = confirm(&mut buyer.client, &held.booking_id).await;
    let status = confirmed.expect_err("it would be a sale");
    assert_error(&status, Code::Unavailable, "CATALOG_UNAVAILABLE");
    let over = cancel(&mut steady.client, &kept.booking_id).await;
    over.expect("a hold can be cancelled");
    says(&booking, STATUS_QUO).await;
    let log = booking.log();
    assert_eq!(log.matches("nothing is sold").count(), 1, "{log}");
    // With `--stale-catalog sell` a cancelled show is still sold.
    let mut careless = Buyer::of(&sells, &ended);
    careless.next = buyer.next;
    careless.buy().await.expect("the operator's choice");
    says(&sells, STATUS_QUO.map(|(service, _)| (service, true))).await;

    frozen.go_on();
    steady.next += 1;
    steady.buys().await;
    buyer.is_refused("SHOW_NOT_ON_SALE").await;
    careless.is_refused("SHOW_NOT_ON_SALE").await;
    says(&booking, STATUS_QUO.map(|(service, _)| (service, true))).await;
}

#[tokio::test]
async fn a_show_that_cannot_be_written_holds_up_no_other_and_is_not_sold() {
    let system = System::start(0).await;
    let mut catalog = system.catalog_client();
    let owner = system.database.owner().await;
    let mut shows = Vec::new();
    for _ in 0..3 {
        let show = system.a_show(500).await;
        let mut buyer = Buyer::of(&system.booking, &show);
        buyer.buys().await;
        shows.push((show, buyer));
    }
    let [(locked, at_locked), (broken, at_broken), (other, at_other)] = &mut shows[..] else {
        unreachable!("there are three");
    };
    // Orders share the row with this lock; a change of the sale does not.
    let spoil = format!("UPDATE booking.sales SET numbering = '0' WHERE show_id = '{broken}'");
    let lock = format!("SELECT FROM booking.sales WHERE show_id = '{locked}' FOR KEY SHARE");
    for statement in [&*spoil, "BEGIN", &*lock] {
        owner.batch_execute(statement).await.expect("ours");
    }
    for show in [&*locked, &*broken] {
        let show_id = show.clone();
        let request = PauseShowRequest {
            show_id,
            ..Default::default()
        };
        catalog.pause_show(request).await.expect("a show on sale");
    }
    let began = Instant::now();
    cancel_show(&mut catalog, other).await;
    at_other.is_refused("SHOW_NOT_ON_SALE").await;
    print_figure(&format!(
        "another show's change beside a locked one: {:?}",
        began.elapsed()
    ));
    at_locked.is_refused("CATALOG_UNAVAILABLE").await;
    at_broken.is_refused("CATALOG_UNAVAILABLE").await;
    let behind = "SELECT here.revision < there.revision
         FROM booking.feed_cursor AS here, catalog.feed AS there";
    let behind = async || -> bool {
        let row = owner.query_one(behind, &[]).await.expect("a row");
        row.get(0)
    };
    assert!(behind().await, "what waits would not be sent again");
    let log = system.booking.log();
    for line in ["is locked by another session", "cannot be applied"] {
        assert_eq!(log.matches(line).count(), 1, "{line:?} in {log}");
    }

    owner.batch_execute("ROLLBACK").await.expect("ours");
    at_locked.is_refused("SHOW_NOT_ON_SALE").await;
    at_broken.is_refused("CATALOG_UNAVAILABLE").await;
    let mend = format!(
        "UPDATE booking.sales SET numbering = whole.numbering FROM booking.sales AS whole
         WHERE sales.show_id = '{broken}' AND whole.show_id = '{other}'"
    );
    owner.batch_execute(&mend).await.expect("ours");
    at_broken.is_refused("SHOW_NOT_ON_SALE").await;
    eventually(SOON, "the cursor is at the end", async || !behind().await).await;
}

#[tokio::test]
async fn a_show_that_the_catalog_cannot_read_is_not_sold_until_its_row_is_repaired() {
    let system = System::start(0).await;
    let owner = system.database.owner().await;
    let (spoiled, other) = (system.a_show(500).await, system.a_show(500).await);
    let mut at_spoiled = Buyer::of(&system.booking, &spoiled);
    let mut at_other = Buyer::of(&system.booking, &other);
    at_spoiled.buys().await;
    at_other.buys().await;
    // As a faulty release might have it: the new prices are no prices.
    let written = format!(
        "WITH next AS (UPDATE catalog.feed SET revision = revision + 1 RETURNING revision)
         UPDATE catalog.shows AS s
         SET revision = next.revision, prices = jsonb_build_object('was', s.prices)
         FROM next WHERE s.show_id = '{spoiled}'"
    );
    owner.batch_execute(&written).await.expect("ours");
    at_spoiled.is_refused("CATALOG_UNAVAILABLE").await;
    cancel_show(&mut system.catalog_client(), &other).await;
    at_other.is_refused("SHOW_NOT_ON_SALE").await;
    at_spoiled.is_refused("CATALOG_UNAVAILABLE").await;

    let mended =
        format!("UPDATE catalog.shows SET prices = prices -> 'was' WHERE show_id = '{spoiled}'");
    owner.batch_execute(&mended).await.expect("ours");
    at_spoiled.buys().await;
}

#[tokio::test]
async fn another_catalog_is_refused_until_it_is_accepted() {
    let (database, stranger) = (postgres::database().await, postgres::database().await);
    // Test databases are copies of one.
    let its_own = "UPDATE catalog.feed SET installation_id = gen_random_uuid()";
    let owner = stranger.owner().await;
    owner.batch_execute(its_own).await.expect("ours");
    let mut own = start_catalog(&database).await;
    let mut other = start_catalog(&stranger).await;
    let theirs = a_show(&other).await;
    other.kill9().await;
    let booking = booking_svc(
        &database,
        &[&own, &other],
        &["--catalog-staleness-max", "3s"],
    )
    .await;
    let ours = a_show(&own).await;
    let (mut at_ours, mut at_theirs) = (Buyer::of(&booking, &ours), Buyer::of(&booking, &theirs));
    at_ours.buys().await;
    own.kill9().await;
    other.start_again().await;
    at_ours.is_refused("CATALOG_UNAVAILABLE").await;
    let status = at_theirs.buy().await.expect_err("it is not ours");
    assert_error(&status, Code::Unavailable, "CATALOG_UNAVAILABLE");
    says(&booking, STATUS_QUO).await;
    assert_eq!(errors(&booking, "is another catalog"), 1);

    let url = database.url(OWNER);
    let output = accept(&url, &[]).await;
    assert!(
        output.contains("another catalog") && output.contains("--yes"),
        "{output}"
    );
    let owner = database.owner().await;
    let sales = "SELECT count(*) FROM booking.sales";
    let sales: i64 = owner.query_one(sales, &[]).await.expect("a row").get(0);
    assert_eq!(sales, 1, "nothing of it was applied");

    accept(&url, &["--yes"]).await;
    at_theirs.buys().await;
    at_ours.is_refused("SHOW_NOT_ON_SALE").await;
    says(&booking, STATUS_QUO.map(|(service, _)| (service, true))).await;
    let nothing = run(
        "migrate",
        &["accept-catalog", "--yes", "--database-url", &url],
    )
    .await;
    assert_eq!(nothing.status.code(), Some(1), "{nothing:?}");
}

#[tokio::test]
async fn a_catalog_that_was_restored_is_refused_until_it_is_accepted() {
    let database = postgres::database().await;
    let mut catalog = start_catalog(&database).await;
    let (kept, reopened) = (a_show(&catalog).await, a_show(&catalog).await);
    catalog.kill9().await;
    let backup = database.copy().await;
    let mut restored = start_catalog(&backup).await;
    restored.kill9().await;
    catalog.start_again().await;
    let catalogs = [&catalog, &restored];
    let booking = booking_svc(&database, &catalogs, &["--catalog-staleness-max", "3s"]).await;
    let lost = a_show(&catalog).await;
    let mut buyers = [&kept, &reopened, &lost].map(|show| Buyer::of(&booking, show));
    for buyer in &mut buyers {
        buyer.buys().await;
    }
    let mut client = catalog_client_of(&catalog);
    cancel_show(&mut client, &reopened).await;
    buyers[1].is_refused("SHOW_NOT_ON_SALE").await;

    // A restart that loses nothing needs no operator.
    catalog.kill9().await;
    catalog.start_again().await;
    buyers[0].buys().await;
    let newer = a_show(&catalog).await;
    Buyer::of(&booking, &newer).buys().await;
    let log = booking.log();
    assert!(!log.contains("has lost what was followed"), "{log}");

    catalog.kill9().await;
    restored.start_again().await;
    buyers[0].is_refused("CATALOG_UNAVAILABLE").await;
    assert_eq!(errors(&booking, "has lost what was followed"), 1);
    let url = database.url(OWNER);
    let output = accept(&url, &[]).await;
    assert!(
        output.contains("without the history that was followed"),
        "{output}"
    );
    buyers[0].is_refused("CATALOG_UNAVAILABLE").await;

    accept(&url, &["--yes"]).await;
    // Its revisions are below those that were copied before, and count.
    for buyer in &mut buyers[..2] {
        buyer.buys().await;
    }
    buyers[2].is_refused("SHOW_NOT_ON_SALE").await;
    cancel_show(&mut catalog_client_of(&restored), &kept).await;
    buyers[0].is_refused("SHOW_NOT_ON_SALE").await;
}

/// Prints a figure for a run with --nocapture.
#[allow(clippy::print_stdout)]
fn print_figure(figure: &str) {
    println!("{figure}");
}

/// How many errors in the log have these words.
fn errors(process: &Process, words: &str) -> usize {
    let log = process.log();
    let errors = log.lines().filter(|line| line.contains(" ERROR "));
    errors.filter(|line| line.contains(words)).count()
}

/// Runs `migrate accept-catalog`, and returns its output.
async fn accept(url: &str, more: &[&str]) -> String {
    let all = ["accept-catalog", "--database-url", url];
    let output = run("migrate", &[&all[..], more].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
