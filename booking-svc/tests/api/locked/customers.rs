//! Locks that a change of a customer needs: changes use the pool, like all reads.

use proto::booking::v1::reserve_seats_request::Customer;
use proto::booking::v1::{ListSeatsRequest, UpdateCustomerRequest};

use super::*;
use crate::customers::{Customers, by, changing, client_of, create, get, new, update};

/// Concurrent callers that need a locked row: many more than the pool has connections.
const CALLERS: usize = 40;

/// The longest that a read and a change of another customer took, until `released`.
async fn goes_on(stage: &Stage, show: &str, released: &Cell<bool>) -> Duration {
    let mut client = client_of(&stage.system.booking);
    let mut bookings = stage.client();
    let mut other = new(&mut client, by("other@example.org")).await;
    let mut longest = Duration::ZERO;
    for number in 0_u32.. {
        let began = Instant::now();
        let page = ListSeatsRequest {
            show_id: show.to_owned(),
            ..Default::default()
        };
        let read = bookings.list_seats(page).await;
        read.unwrap_or_else(|status| panic!("{}", describe(&status)));
        get(&mut client, &other.customer_id).await;
        other.phone = format!("+49 {number}");
        other.etag.clear();
        other = update(&mut client, changing(&other, &["phone"])).await;
        create(&mut client, by(&format!("c{number}@example.org"))).await;
        longest = longest.max(began.elapsed());
        if released.get() {
            break;
        }
        sleep(Duration::from_millis(2)).await;
    }
    longest
}

/// Sends `call` many times at once while `holder` holds a lock that it needs.
async fn assert_apart(
    stage: &mut Stage,
    (holder, what): (Holder, &str),
    call: impl AsyncFn(Duration) -> Result<(), Status>,
) {
    let show = stage.a_show(SEATS).await;
    let released = Cell::new(false);
    let calls = async {
        let impatient = join_all((0..CALLERS).map(|_| async {
            for _ in 0..2 {
                let status = call(IMPATIENT).await.expect_err(what);
                assert_error(&status, Code::Aborted, "CONTENTION");
                assert!(has_retry_info(&status), "{}", describe(&status));
            }
        }));
        let patient = async {
            let outcome = call(PATIENT).await;
            outcome.unwrap_or_else(|status| panic!("{what}: {}", describe(&status)));
        };
        let releasing = async {
            impatient.await;
            holder.release().await;
        };
        // Longer than one call waits, so it is sent after the first of the others.
        let patient = async {
            sleep(IMPATIENT).await;
            patient.await;
        };
        join!(releasing, patient);
        released.set(true);
    };
    let ((), longest) = join!(calls, goes_on(stage, &show, &released));
    println!("{what}: a read and changes of others took {longest:?} at most");
    assert!(longest < OTHERS_MAX, "{what}: others waited {longest:?}");
    crate::stage::assert_faultless(&mut stage.system.booking);
    test_harness::invariants::assert_hold(&stage.system.database).await;
}

async fn send_update(
    client: &Customers,
    deadline: Duration,
    request: UpdateCustomerRequest,
) -> Result<(), Status> {
    let answer = client
        .clone()
        .update_customer(within(request, deadline))
        .await;
    answer.map(drop)
}

#[tokio::test]
async fn a_customer() {
    let mut stage = Stage::start().await;
    let mut client = client_of(&stage.system.booking);
    let mut ann = new(&mut client, by("ann@example.org")).await;
    ann.phone = "+49 89 1".to_owned();
    ann.etag.clear();
    let lock = "SELECT FROM booking.customers WHERE email = 'ann@example.org' FOR UPDATE";
    let holder = Holder::of(&stage, lock).await;
    let call = async |deadline| {
        let request = UpdateCustomerRequest {
            request_id: Uuid::new_v4().to_string(),
            ..changing(&ann, &["phone"])
        };
        send_update(&client, deadline, request).await
    };
    assert_apart(&mut stage, (holder, "a customer"), call).await;
    let now = get(&mut client.clone(), &ann.customer_id).await;
    assert_eq!(now.phone, "+49 89 1");
}

/// The lock of another transaction that takes the address.
#[tokio::test]
async fn a_locked_address_of_a_reserving_customer() {
    let mut stage = Stage::start().await;
    let lock = "SELECT pg_advisory_xact_lock(
        hashtextextended('booking.customers ' || 'ann@example.org', 0))";
    let holder = Holder::of(&stage, lock).await;
    let show = stage.a_show(SEATS).await;
    let seats = Cell::new(0);
    let bookings = stage.client();
    let call = async |deadline| {
        seats.set(seats.get() + 1);
        let mut request = seat(&show, &format!("A-{}", seats.get()));
        request.customer = Some(Customer::Email("ann@example.org".to_owned()));
        send_reserve(bookings.clone(), deadline, request).await
    };
    assert_apart(&mut stage, (holder, "an address"), call).await;
    let made = "SELECT count(*) FROM booking.customers WHERE email = 'ann@example.org'";
    assert_eq!(stage.count(made).await, 1);
}
