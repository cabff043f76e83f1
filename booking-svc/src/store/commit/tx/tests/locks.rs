//! The order of locks, which depends on the order of evaluation inside of statements, and on that
//! of the statements in a pipeline: each lock is withheld from a transaction in turn, and the test
//! checks which others it holds by then. And which locks are reported as taken.

use std::sync::Arc;
use std::time::Duration;

use clap::Parser as _;
use model::{
    Area, BookingId, LayoutDescription, PriceDescription, PriceList, RowBlock, SeatLayout, Section,
    Series, ShowId,
};
use test_harness::eventually;
use test_harness::postgres::{self, TestDatabase};
use time::OffsetDateTime;
use tokio_postgres::Client;
use uuid::Uuid;

use super::*;
use crate::config::Cli;
use crate::domain::{
    Booking, Command, Customer, OrphanRule, Picks, Places, QuotaHolder, Requester, Reservation,
    Sale, SaleState, Snapshot, Terms,
};
use crate::store::Store;
use crate::store::commit::lock_keys::LockKey;
use crate::store::commit::optimistic::OptimisticCache;

/// Longer than any test takes.
const LOCK_WAIT: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(20);
const FLOOR: &str = "Floor";

/// A show on sale, with a customer's limit of 5 places if it is `quota`.
fn a_show(quota: bool) -> Snapshot {
    let seats = (1..=4).map(|seat| seat.to_string().into());
    let rows = RowBlock {
        names: None,
        runs: vec![Series::List(seats.collect())],
        label_format: None,
    };
    let section = Section {
        name: "Stalls".into(),
        deck: "".into(),
        origin: None,
        rows: vec![rows],
    };
    let area = Area {
        name: FLOOR.into(),
        capacity: 100,
        deck: "".into(),
        origin: None,
    };
    let layout = SeatLayout::new(LayoutDescription {
        sections: vec![section],
        areas: vec![area],
        ..LayoutDescription::default()
    });
    let layout = layout.expect("a layout");
    let price = PriceDescription::single("EUR".parse().expect("a currency"), 100);
    Snapshot {
        show_id: ShowId::generate(),
        revision: 1,
        terms: Terms {
            state: SaleState::OnSale,
            start_at: OffsetDateTime::now_utc() + Duration::from_secs(86_400),
            sales_open_at: None,
            sales_close_at: None,
            hold: None,
            seats_per_booking_max: None,
            places_per_customer_max: quota.then_some(5),
            orphan_rule: OrphanRule::Off,
        },
        prices: PriceList::new(price, &layout).expect("one price"),
        layout,
        proposal: None,
    }
}

/// Two shows, by ascending id, and a commit worker's connection.
struct Hall {
    database: TestDatabase,
    owner: Client,
    connection: Arc<Connection>,
    pid: i32,
    sales: [Arc<Sale>; 2],
    optimistic: OptimisticCache,
}

impl Hall {
    async fn open(quota: bool) -> Self {
        let database = postgres::database().await;
        let owner = database.owner().await;
        let url = database.url("booking_svc");
        let cli = Cli::try_parse_from(["booking-svc", "--database-url", &url]);
        let args = cli.expect("a command line").config.database;
        let services = args.database("test").expect("a URL");
        let connection = Connection::open(&services).await.expect("a server");
        let store = Store::new(services.pool(&args));
        let mut sales = Vec::new();
        for snapshot in [a_show(quota), a_show(quota)] {
            store
                .apply(&snapshot, None, None)
                .await
                .expect("a new show");
            let sale = store.sale(snapshot.show_id).await.expect("a database");
            sales.push(Arc::new(sale.expect("the sale exists")));
        }
        sales.sort_unstable_by_key(|sale| sale.show_id);
        let pid = connection.client.query_one("SELECT pg_backend_pid()", &[]);
        let pid = pid.await.expect("an id").get(0);
        Self {
            database,
            owner,
            connection: Arc::new(connection),
            pid,
            sales: sales.try_into().expect("two"),
            optimistic: OptimisticCache::default(),
        }
    }

    /// An order for seats and a place of a show, the first or the second.
    fn reserve(&self, show: usize, ordinals: &[u32]) -> Order {
        let sale = Arc::clone(&self.sales[show]);
        let places = Places {
            area: FLOOR.into(),
            quantity: 1,
        };
        let reservation = Reservation {
            ordinals: ordinals.to_vec(),
            places: vec![places],
            picks: Picks::default(),
            around: None,
            customer: customer(),
            linked_customer: None,
            hold: Duration::from_secs(600),
            sell: false,
            payment_reference: None,
            sale,
        };
        self.order(show, Command::Reserve(reservation))
    }

    fn cancel(&self, show: usize, booking_id: BookingId) -> Order {
        let version = None;
        self.order(
            show,
            Command::Cancel {
                booking_id,
                version,
            },
        )
    }

    fn order(&self, show: usize, command: Command) -> Order {
        Order {
            show_id: self.sales[show].show_id,
            request_id: Uuid::new_v4(),
            repeatable: true,
            fingerprint: 0,
            requester: Requester::unnamed(),
            command,
        }
    }

    /// Has an order granted.
    async fn grant(&self, order: Order) -> Booking {
        let orders = [order];
        let locked = self
            .lock(
                &orders,
                LockMode::Wait {
                    expects_replays: false,
                },
            )
            .await
            .0;
        self.optimistic.observe_locked(&locked);
        let terms = WriteTerms {
            expects_replays: false,
            lock_wait: LOCK_WAIT,
            rejections: None,
        };
        let written = self.connection.write(&orders, locked, terms).await;
        let (outcomes, commit) = written.expect("nobody is in the way");
        commit.acknowledged().await.expect("it commits");
        self.optimistic.settled(&outcomes);
        let mut outcomes = outcomes.into_iter();
        outcomes.next().expect("one").expect("it can be had")
    }

    async fn lock(&self, orders: &[Order], mode: LockMode) -> (Locked, Vec<Blocked>) {
        let locked = self.connection.lock(orders, mode, LOCK_WAIT).await;
        locked.expect("nobody is in the way")
    }

    /// The optimistic plan of `orders`, after their rows were seen.
    async fn expected(&self, orders: &[Order]) -> OptimisticPlan {
        let (locked, _) = self
            .lock(
                orders,
                LockMode::Wait {
                    expects_replays: false,
                },
            )
            .await;
        self.connection.roll_back().await.expect("an end");
        self.optimistic.observe_locked(&locked);
        self.optimistic.of(orders).expect("all of it is known")
    }

    /// Asserts that `run` takes `locks` in their order.
    async fn assert_order<F>(&self, locks: &[Lock], run: impl Fn() -> F)
    where
        F: Future<Output = bool> + Send + 'static,
    {
        let (holder, looker) = (self.database.owner().await, self.database.owner().await);
        for (place, lock) in locks.iter().enumerate() {
            holder.batch_execute("BEGIN").await.expect("ours");
            assert!(lock.try_by(&holder).await, "{lock:?} is free");
            let running = tokio::spawn(run());
            let waits = format!(
                "SELECT count(*) FROM pg_stat_activity
                 WHERE pid = {} AND wait_event_type = 'Lock'",
                self.pid
            );
            eventually(SOON, &format!("it waits for {lock:?}"), async || {
                let row = self.owner.query_one(&waits, &[]).await;
                row.expect("a count").get::<_, i64>(0) == 1
            })
            .await;
            for (other_place, other) in locks.iter().enumerate() {
                looker.batch_execute("BEGIN").await.expect("ours");
                if other_place != place {
                    assert_eq!(
                        other.try_by(&looker).await,
                        other_place > place,
                        "{other:?} while it waits for {lock:?}"
                    );
                }
                looker.batch_execute("ROLLBACK").await.expect("ours");
            }
            let cancel = format!("SELECT pg_cancel_backend({})", self.pid);
            self.owner.execute(&cancel, &[]).await.expect("an owner");
            assert!(!running.await.expect("no panic"), "it was cancelled");
            self.connection.roll_back().await.expect("an end");
            holder.batch_execute("ROLLBACK").await.expect("ours");
        }
    }
}

fn customer() -> Customer {
    Customer::Id("ann".to_owned())
}

/// A lock of a transaction.
#[derive(Debug)]
enum Lock {
    Request(i32),
    Sale(ShowId),
    QuotaHolder(i64),
    Booking(BookingId),
    Area(ShowId),
    Seat(ShowId, u32),
    Payment(Uuid),
}

impl Lock {
    fn request(order: &Order) -> Self {
        Self::Request(lock_set::request_lock(
            order.show_id.uuid(),
            order.request_id,
        ))
    }

    /// Takes the lock, if no other session holds it.
    async fn try_by(&self, client: &Client) -> bool {
        let row = |row: String| format!("SELECT 1 FROM booking.{row} FOR UPDATE SKIP LOCKED");
        let statement = match self {
            Self::Request(key) => format!("SELECT 1 WHERE pg_try_advisory_xact_lock(1, {key})"),
            Self::QuotaHolder(key) => format!("SELECT 1 WHERE pg_try_advisory_xact_lock({key})"),
            Self::Sale(show) => row(format!("sales WHERE show_id = '{show}'")),
            Self::Booking(id) => row(format!("bookings WHERE booking_id = '{id}'")),
            Self::Area(show) => row(format!("show_areas WHERE show_id = '{show}'")),
            Self::Seat(show, ordinal) => row(format!(
                "show_seats WHERE show_id = '{show}' AND ordinal = {ordinal}"
            )),
            Self::Payment(key) => row(format!("payments WHERE payment_key = '{key}'")),
        };
        !client
            .query(&statement, &[])
            .await
            .expect("ours")
            .is_empty()
    }
}

/// Locks of orders that cancel a booking of the first show, with its seat 0, and reserve seats 1 and
/// 3 of the second.
fn in_order(hall: &Hall, orders: &[Order], cancelled: BookingId) -> Vec<Lock> {
    let [first, second] = [0, 1].map(|show: usize| hall.sales[show].show_id);
    let mut locks: Vec<Lock> = lock_set::request_locks(orders)
        .into_iter()
        .map(Lock::Request)
        .collect();
    locks.extend([first, second].map(Lock::Sale));
    locks.push(Lock::Booking(cancelled));
    locks.extend([first, second].map(Lock::Area));
    locks.extend([(first, 0), (second, 1), (second, 3)].map(|(show, seat)| Lock::Seat(show, seat)));
    locks
}

#[tokio::test]
async fn every_locking_transaction_uses_one_order() {
    let hall = Hall::open(true).await;
    let held = hall.grant(hall.reserve(0, &[0])).await.booking_id;
    // Not in the order in which they are locked.
    let orders = [hall.reserve(1, &[1, 3]), hall.cancel(0, held)];
    let mut locks = in_order(&hall, &orders, held);
    let holder = QuotaHolder::of(&customer(), None);
    let key = quota::lock_key(hall.sales[1].show_id, &holder);
    let sales = locks.iter().rposition(|lock| matches!(lock, Lock::Sale(_)));
    locks.insert(sales.expect("two") + 1, Lock::QuotaHolder(key));
    hall.assert_order(&locks, || {
        let (connection, orders) = (Arc::clone(&hall.connection), orders.clone());
        async move {
            let mode = LockMode::Wait {
                expects_replays: true,
            };
            connection.lock(&orders, mode, LOCK_WAIT).await.is_ok()
        }
    })
    .await;
}

#[tokio::test]
async fn optimistic_writes_lock_in_the_same_order() {
    let hall = Hall::open(false).await;
    let held = hall.grant(hall.reserve(0, &[0])).await.booking_id;
    let orders = [hall.reserve(1, &[1, 3]), hall.cancel(0, held)];
    let locks = in_order(&hall, &orders, held);
    let expected = Arc::new(hall.expected(&orders).await);
    assert!(!expected.counted_last);
    hall.assert_order(&locks, || write_expected(&hall, &orders, &expected))
        .await;
}

#[tokio::test]
async fn a_counter_that_is_counted_last_is_locked_last() {
    let hall = Hall::open(false).await;
    hall.grant(hall.reserve(0, &[])).await;
    let orders = [hall.reserve(1, &[]), hall.reserve(0, &[])];
    let [first, second] = [0, 1].map(|show: usize| hall.sales[show].show_id);
    let mut locks: Vec<Lock> = lock_set::request_locks(&orders)
        .into_iter()
        .map(Lock::Request)
        .collect();
    locks.extend([first, second].map(Lock::Sale));
    locks.extend([first, second].map(Lock::Area));
    let expected = Arc::new(hall.expected(&orders).await);
    assert!(expected.counted_last);
    hall.assert_order(&locks, || write_expected(&hall, &orders, &expected))
        .await;
}

/// Pays for a hold, in the rows alone.
const PAY: &str = "
    WITH paid AS (
        UPDATE booking.bookings
        SET state = 'CONFIRMED', version = 2, confirmed_at = clock_timestamp(),
            places_held_until = NULL, payment_key = $2, payment_state = 'CAPTURED'
        WHERE booking_id = $1
        RETURNING *
    )
    INSERT INTO booking.payments (show_id, payment_key, booking_id, state, amount, currency,
        started_at, deadline_at, settled_at, look_at)
    SELECT show_id, payment_key, booking_id, 'CAPTURED', total, currency, created_at, expires_at,
        confirmed_at, expires_at
    FROM paid";

/// The payments that an order writes are locked after all else.
#[tokio::test]
async fn what_is_written_of_a_payment_is_locked_last() {
    let hall = Hall::open(false).await;
    let sold = hall.grant(hall.reserve(0, &[0])).await.booking_id;
    let key = Uuid::new_v4();
    let paid = hall.owner.execute(PAY, &[&sold.uuid(), &key]).await;
    assert_eq!(paid.expect("a payment"), 1);
    let orders = [hall.cancel(0, sold)];
    let show = hall.sales[0].show_id;
    let locks = [
        Lock::request(&orders[0]),
        Lock::Sale(show),
        Lock::Booking(sold),
        Lock::Area(show),
        Lock::Seat(show, 0),
        Lock::Payment(key),
    ];
    hall.assert_order(&locks, || {
        let (connection, orders) = (Arc::clone(&hall.connection), orders.clone());
        async move {
            let mode = LockMode::Wait {
                expects_replays: false,
            };
            let Ok((locked, _)) = connection.lock(&orders, mode, LOCK_WAIT).await else {
                return false;
            };
            let terms = WriteTerms {
                expects_replays: false,
                lock_wait: LOCK_WAIT,
                rejections: None,
            };
            connection.write(&orders, locked, terms).await.is_ok()
        }
    })
    .await;
}

/// Writes an optimistic plan; returns whether it succeeded.
fn write_expected(
    hall: &Hall,
    orders: &[Order],
    expected: &Arc<OptimisticPlan>,
) -> impl Future<Output = bool> + Send + use<> {
    let (connection, expected) = (Arc::clone(&hall.connection), Arc::clone(expected));
    let orders = orders.to_vec();
    async move {
        let written = connection
            .write_expected(&orders, &expected, LOCK_WAIT)
            .await;
        written.is_ok()
    }
}

#[tokio::test]
async fn a_lock_that_is_not_free_at_once_is_named() {
    let hall = Hall::open(true).await;
    let held = hall.grant(hall.reserve(0, &[0])).await.booking_id;
    let [show, other_show] = [0, 1].map(|show: usize| hall.sales[show].show_id);
    // There is no such booking, and no such show; the last show is not locked.
    let mut nowhere = hall.cancel(0, BookingId::generate(ShowId::generate()));
    nowhere.show_id = nowhere.command.booking_id().expect("set").show();
    let orders = [
        hall.cancel(0, held),
        hall.reserve(0, &[1, 2]),
        hall.cancel(0, BookingId::generate(show)),
        nowhere,
        hall.reserve(1, &[1]),
    ];
    let missing = orders[2].command.booking_id().expect("set");
    let holder = QuotaHolder::of(&customer(), None);
    let area = LockKey::Area((show, FLOOR.into()));
    let sale = || vec![LockKey::Sale(show)];
    let of_second = |lock, key| (lock, vec![(1, vec![key])]);
    let cases = [
        of_second(
            Lock::request(&orders[1]),
            LockKey::Request(show, orders[1].request_id),
        ),
        of_second(
            Lock::QuotaHolder(quota::lock_key(show, &holder)),
            LockKey::QuotaHolder(show, holder),
        ),
        of_second(Lock::Seat(show, 2), LockKey::Seat(show, 2)),
        (Lock::Booking(held), vec![(0, vec![LockKey::Booking(held)])]),
        (Lock::Seat(show, 0), vec![(0, vec![LockKey::Parts(held)])]),
        (
            Lock::Area(show),
            vec![(0, vec![LockKey::Parts(held)]), (1, vec![area])],
        ),
        // The rows of a show whose sale is locked are unknown.
        (
            Lock::Sale(show),
            vec![
                (0, sale()),
                (1, sale()),
                (2, vec![LockKey::Sale(show), LockKey::Booking(missing)]),
            ],
        ),
        (Lock::Seat(other_show, 3), vec![]),
    ];
    for (lock, expected) in cases {
        hall.owner.batch_execute("BEGIN").await.expect("ours");
        assert!(lock.try_by(&hall.owner).await, "{lock:?} is free");
        let (_, blocked) = hall.lock(&orders, LockMode::NoWait).await;
        hall.connection.roll_back().await.expect("an end");
        hall.owner.batch_execute("ROLLBACK").await.expect("ours");
        let blocked = blocked.into_iter().map(|order| (order.place, order.keys));
        assert_eq!(blocked.collect::<Vec<_>>(), expected, "{lock:?}");
    }
}
