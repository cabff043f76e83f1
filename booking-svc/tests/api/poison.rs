//! An order that breaks its transaction fails alone, whatever else is in its batch.

use std::iter;
use std::time::Duration;

use futures_util::future::join_all;
use test_harness::errors::{assert_error, describe, metadata};
use test_harness::eventually;
use test_harness::system::{cancel, confirm, reserve};
use tonic::Code;

use crate::stage::Stage;

const REFUSE: &str = "
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'a secret of the database'; END $$";
const AT_THE_WRITE: &str = "
    CREATE TRIGGER refuse BEFORE INSERT ON booking.bookings
    FOR EACH ROW WHEN (NEW.customer_id LIKE 'poison%') EXECUTE FUNCTION refuse()";
const AT_THE_COMMIT: &str = "
    CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON booking.bookings DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.customer_id LIKE 'poison%') EXECUTE FUNCTION refuse()";

/// The number of bookings, and of the transactions that made them.
const BATCHES: &str = "
    SELECT count(DISTINCT written_in), count(*) FROM booking.transitions WHERE version = 1";

#[tokio::test]
async fn an_order_that_breaks_its_transaction_fails_alone() {
    poisoned(AT_THE_WRITE).await;
}

/// The locks of the next transaction have been sent by then.
#[tokio::test]
async fn an_order_that_breaks_its_commit_fails_alone() {
    poisoned(AT_THE_COMMIT).await;
}

/// The first order and two of those that gather behind it are poisoned.
async fn poisoned(trigger: &str) {
    let mut stage = Stage::that_waits_for_locks().await;
    let show = stage.a_show(40).await;
    stage.run(REFUSE).await;
    stage.run(trigger).await;
    // While the commit worker waits for a seat, orders gather behind it.
    let holder = stage.system.database.owner().await;
    let hold = "BEGIN; SELECT FROM booking.show_seats WHERE ordinal = 0 FOR UPDATE";
    holder.batch_execute(hold).await.expect("the first seat");
    let first = tokio::spawn({
        let (mut client, show) = (stage.client(), show.clone());
        async move { reserve(&mut client, &show, &["A-1"], "poison 1").await }
    });
    let waiting = "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND usename = 'booking_svc'
             AND wait_event_type = 'Lock'";
    eventually(
        Duration::from_secs(5),
        "the commit worker waits",
        async || stage.count(waiting).await == 1,
    )
    .await;
    let customers: Vec<String> = (2..=32)
        .map(|n| match n {
            9 | 21 => format!("poison {n}"),
            _ => format!("customer {n}"),
        })
        .collect();
    let orders = customers.iter().zip(2..).map(|(customer, n)| {
        let (mut client, show, customer) = (stage.client(), show.clone(), customer.clone());
        tokio::spawn(
            async move { reserve(&mut client, &show, &[&format!("A-{n}")], &customer).await },
        )
    });
    let orders: Vec<_> = orders.collect();
    // An answer on the same connection: what was sent before it has arrived.
    stage.system.seats(&show).await;
    holder.batch_execute("ROLLBACK").await.expect("ours");

    let mut ids = Vec::new();
    let all = iter::once(first).chain(orders);
    let customers = iter::once("poison 1").chain(customers.iter().map(String::as_str));
    for (outcome, customer) in join_all(all).await.into_iter().zip(customers) {
        match outcome.expect("no panic") {
            Ok(_) => assert!(!customer.starts_with("poison"), "{customer}"),
            Err(status) => {
                assert!(customer.starts_with("poison"), "{}", describe(&status));
                assert_error(&status, Code::Internal, "INTERNAL");
                assert!(
                    !describe(&status).contains("secret"),
                    "{}",
                    describe(&status)
                );
                ids.push(metadata(&status).remove("log_id").expect("asserted"));
            }
        }
    }
    assert_eq!(ids.len(), 3);
    let row = stage.owner.query_one(BATCHES, &[]).await.expect("counts");
    let (batches, bookings): (i64, i64) = (row.get(0), row.get(1));
    assert_eq!(bookings, 29);
    assert!(
        batches < bookings / 2,
        "{batches} transactions: nothing was batched"
    );

    // Logged once each, under the log id that the caller got.
    let log = stage.system.booking.log();
    let faults: Vec<_> = log
        .lines()
        .filter(|line| line.contains(" ERROR "))
        .collect();
    assert_eq!(faults.len(), 3, "{log}");
    for id in ids {
        let of_call = faults.iter().filter(|line| line.contains(&id)).count();
        assert_eq!(of_call, 1, "{id} in:\n{log}");
    }
    assert!(faults.iter().all(|line| line.contains("secret")), "{log}");
    stage.reserve(&show, &["A-1", "A-9", "A-21"]).await;
    test_harness::invariants::assert_hold(&stage.system.database).await;
    assert_eq!(stage.system.booking.ended(), None);
}

/// Its row has no total, which no row can have: the driver panics where it is read as a number.
#[tokio::test]
async fn an_order_that_makes_a_step_panic_fails_alone_and_the_worker_continues() {
    const ORDERS: usize = 24;
    let arguments = [
        "--commit-workers",
        "1",
        "--lock-wait-max",
        "5s",
        "--optimistic-writes",
        "false",
    ];
    let mut stage = Stage::with(&arguments).await;
    let show = stage.a_show(40).await;
    let spoiled = stage.reserve(&show, &["A-40"]).await;
    let spoil = "ALTER TABLE booking.bookings ALTER COLUMN total DROP NOT NULL;
        ALTER TABLE booking.bookings DROP CONSTRAINT is_sound;
        UPDATE booking.bookings SET total = NULL";
    stage.run(spoil).await;
    let holder = stage.system.database.owner().await;
    let hold = "BEGIN; SELECT FROM booking.show_seats WHERE ordinal = 0 FOR UPDATE";
    holder.batch_execute(hold).await.expect("the first seat");
    let reserving = |seat: usize| {
        let (mut client, show) = (stage.client(), show.clone());
        tokio::spawn(
            async move { reserve(&mut client, &show, &[&format!("A-{seat}")], "ann").await },
        )
    };
    let mut reserved = vec![reserving(1)];
    let waiting = "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND usename = 'booking_svc'
             AND wait_event_type = 'Lock'";
    eventually(Duration::from_secs(5), "the worker waits", async || {
        stage.count(waiting).await == 1
    })
    .await;
    reserved.extend((2..=ORDERS / 2).map(reserving));
    let confirming = tokio::spawn({
        let (mut client, id) = (stage.client(), spoiled.booking_id.clone());
        async move { confirm(&mut client, &id).await }
    });
    reserved.extend((ORDERS / 2 + 1..=ORDERS).map(reserving));
    // An answer on the same connection: what was sent before it has arrived.
    stage.system.seats(&show).await;
    holder.batch_execute("ROLLBACK").await.expect("ours");

    for outcome in join_all(reserved).await {
        let held = outcome.expect("no panic");
        held.unwrap_or_else(|status| panic!("{}", describe(&status)));
    }
    let status = confirming.await.expect("no panic");
    let status = status.expect_err("its row cannot be read");
    assert_error(&status, Code::Internal, "INTERNAL");
    let id = metadata(&status).remove("log_id").expect("asserted");
    let log = stage.system.booking.log();
    let mut errors = log.lines().filter(|line| line.contains(" ERROR "));
    assert!(errors.any(|line| line.contains(&id)), "{log}");

    let mend = "UPDATE booking.bookings SET total = 1250 WHERE total IS NULL";
    stage.run(mend).await;
    let sold = confirm(&mut stage.client(), &spoiled.booking_id).await;
    sold.unwrap_or_else(|status| panic!("{}", describe(&status)));
    assert_eq!(stage.system.booking.ended(), None);
    test_harness::invariants::assert_hold(&stage.system.database).await;
}

#[tokio::test]
async fn rows_that_contradict_each_other_are_not_written_over() {
    let stage = Stage::start().await;
    let show = stage.a_show(4).await;
    let one = stage.reserve(&show, &["A-1", "A-2"]).await;
    let other = stage.buy(&show, &["A-3"]).await;
    let mut client = stage.client();
    let fault = (Code::Internal, "INTERNAL");

    // A seat of one that the other has: giving the one up would free it.
    let wrong = format!(
        "UPDATE booking.show_seats SET booking_id = '{}' WHERE ordinal = 1",
        other.booking_id
    );
    stage.run(&wrong).await;
    let call = cancel(&mut client, &one.booking_id);
    stage.refused(call, fault.0, fault.1).await;
    let right = wrong.replace(&other.booking_id, &one.booking_id);
    stage.run(&right).await;

    // A seat without a row.
    let delete = "DELETE FROM booking.show_seats WHERE ordinal = 3";
    stage.run(delete).await;
    let call = reserve(&mut client, &show, &["A-4"], "bob");
    stage.refused(call, fault.0, fault.1).await;
    let insert = format!("INSERT INTO booking.show_seats VALUES ('{show}', 3)");
    stage.run(&insert).await;

    // Writes that touch fewer rows than were decided on.
    stage
        .run(
            "CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RETURN NULL; END $$",
        )
        .await;
    for table in ["bookings", "show_seats"] {
        stage
            .run(&format!(
                "CREATE TRIGGER skip BEFORE UPDATE ON booking.{table}
                 FOR EACH ROW EXECUTE FUNCTION skip()"
            ))
            .await;
        let call = cancel(&mut client, &one.booking_id);
        stage.refused(call, fault.0, fault.1).await;
        stage
            .run(&format!("DROP TRIGGER skip ON booking.{table}"))
            .await;
    }
    let over = cancel(&mut client, &one.booking_id).await;
    assert!(over.is_ok(), "{over:?}");
    let log = stage.system.booking.log();
    assert_eq!(log.matches(" ERROR ").count(), 4, "{log}");
    test_harness::invariants::assert_hold(&stage.system.database).await;
}
