use futures_util::FutureExt as _;
use model::ShowId;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::*;
use crate::domain::Requester;
use crate::store::commit::batch::{Answer, OrderError};

/// A call that waits for the answer to its order.
struct Call {
    id: BookingId,
    answer: oneshot::Receiver<Answer>,
}

impl Call {
    fn error(&mut self) -> Option<OrderError> {
        self.answer.try_recv().ok()?.err()
    }
}

const SOON: Duration = Duration::from_secs(60);

/// An order about a booking, whose caller waits that long.
fn order_about(id: BookingId, time: Duration) -> (PendingOrder, Call) {
    let (answer, answered) = oneshot::channel();
    let order = Order {
        show_id: id.show(),
        request_id: Uuid::now_v7(),
        repeatable: true,
        fingerprint: 0,
        requester: Requester::unnamed(),
        command: Command::Cancel {
            booking_id: id,
            version: None,
        },
    };
    let waiting = PendingOrder::new(order, Instant::now() + time, answer);
    let answer = answered;
    (waiting, Call { id, answer })
}

fn orders(count: usize) -> (Vec<PendingOrder>, Vec<Call>) {
    let show_id = ShowId::generate();
    let made = (0..count).map(|_| order_about(BookingId::generate(show_id), SOON));
    made.unzip()
}

fn batch_of(orders: Vec<PendingOrder>) -> Batch {
    let mut batch = Batch::default();
    orders.into_iter().for_each(|waiting| batch.push(waiting));
    batch
}

async fn next(queue: &ContentionQueue) -> Batch {
    queue.next().await.expect("it is open")
}

fn ids(batch: &Batch) -> Vec<BookingId> {
    let ids = batch.orders.iter().map(|order| order.command.booking_id());
    ids.flatten().collect()
}

fn blocked_at(place: usize, id: BookingId) -> Blocked {
    let keys = vec![LockKey::Booking(id)];
    Blocked { place, keys }
}

/// A queue in which an order waits for the lock of its booking.
async fn one_blocked() -> (ContentionQueue, Call) {
    let queue = ContentionQueue::default();
    let (order, call) = order_about(BookingId::generate(ShowId::generate()), SOON);
    queue.take_over(batch_of(vec![order]), false);
    let mut batch = next(&queue).await;
    queue.keep_blocked(&mut batch, vec![blocked_at(0, call.id)]);
    assert!(batch.is_empty());
    queue.tried(false);
    (queue, call)
}

#[tokio::test(start_paused = true)]
async fn no_lock_is_remembered_while_no_order_waits() {
    let queue = ContentionQueue::default();
    let max = Duration::from_secs(1);
    assert_eq!(queue.lock_wait(max), max);
    let (mut waiting, _calls) = orders(1);
    assert!(queue.divert(waiting.remove(0)).is_some());
    assert!(queue.next().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn orders_from_a_commit_worker_are_tried_at_once_without_waiting_for_locks() {
    let queue = ContentionQueue::default();
    let began = Instant::now();
    let (waiting, calls) = orders(3);
    let (batch, ()) = futures_util::join!(next(&queue), async {
        queue.take_over(batch_of(waiting), true);
    });
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert!(batch.is_at_once() && batch.expects_replays());
    assert_eq!(
        ids(&batch),
        calls.iter().map(|call| call.id).collect::<Vec<_>>()
    );
}

#[tokio::test(start_paused = true)]
async fn locked_orders_stay_and_hold_up_no_others() {
    let queue = ContentionQueue::default();
    let (waiting, calls) = orders(3);
    queue.take_over(batch_of(waiting), false);
    let mut batch = next(&queue).await;
    queue.keep_blocked(&mut batch, vec![blocked_at(1, calls[1].id)]);
    assert_eq!(ids(&batch), [calls[0].id, calls[2].id]);
    queue.tried(true);
    // Orders that need the same lock come here, and no others do.
    let (same, _same) = order_about(calls[1].id, SOON);
    let (other, _other) = order_about(calls[0].id, SOON);
    assert!(queue.divert(same).is_none());
    assert!(queue.divert(other).is_some());
    assert_eq!(queue.lock_wait(SOON), LOCK_WAIT_MAX);
    assert_eq!(ids(&next(&queue).await), [calls[1].id; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_was_free_is_not_taken_any_more() {
    let (queue, call) = one_blocked().await;
    let (same, _same) = order_about(call.id, SOON);
    assert!(queue.divert(same).is_none());
    let mut batch = next(&queue).await;
    assert_eq!(batch.orders.len(), 2);
    queue.keep_blocked(&mut batch, Vec::new());
    let (same, _same) = order_about(call.id, SOON);
    assert!(queue.divert(same).is_some());
    queue.tried(true);
    assert_eq!(queue.lock_wait(SOON), SOON);
}

#[tokio::test(start_paused = true)]
async fn the_pause_grows_with_failed_rounds_but_not_for_new_orders() {
    let (queue, call) = one_blocked().await;
    let mut pauses = Vec::new();
    for _ in 0..6 {
        let began = Instant::now();
        let mut batch = next(&queue).await;
        pauses.push(began.elapsed().as_millis());
        queue.keep_blocked(&mut batch, vec![blocked_at(0, call.id)]);
        queue.tried(false);
    }
    assert_eq!(pauses, [5, 10, 20, 40, 50, 50]);
    let began = Instant::now();
    let (new, _new) = orders(1);
    queue.take_over(batch_of(new), false);
    assert_eq!(next(&queue).await.orders.len(), 2);
    assert_eq!(began.elapsed(), Duration::ZERO);

    // The same for orders that arrive while a batch is being tried.
    let (new, _new) = orders(1);
    queue.take_over(batch_of(new), false);
    queue.tried(false);
    assert_eq!(next(&queue).await.orders.len(), 1);
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_answered_in_time() {
    let queue = ContentionQueue::default();
    let show_id = ShowId::generate();
    let id = BookingId::generate(show_id);
    let times = [200, 2_000, 60_000].map(Duration::from_millis);
    let (mut waiting, mut calls): (Vec<_>, Vec<_>) =
        times.map(|time| order_about(id, time)).into_iter().unzip();
    let (void, mut voided) = order_about(id, SOON);
    let command = Command::Void { booking_id: id };
    let order = Order {
        command,
        ..void.order
    };
    waiting.push(PendingOrder { order, ..void });
    queue.take_over(batch_of(waiting), false);
    let began = Instant::now();
    let mut answered = [None; 4];
    while answered.contains(&None) && began.elapsed() < 2 * WAIT_MAX {
        let batch = futures_util::future::select(
            Box::pin(queue.next()),
            Box::pin(tokio::time::sleep(PAUSE_MAX)),
        );
        if let futures_util::future::Either::Left((Some(mut batch), _)) = batch.await {
            let all = 0..batch.orders.len();
            queue.keep_blocked(&mut batch, all.map(|place| blocked_at(place, id)).collect());
            queue.tried(false);
        }
        for (call, answered) in calls.iter_mut().chain([&mut voided]).zip(&mut answered) {
            if let Some(error) = call.error() {
                assert_eq!(error, OrderError::Contention);
                *answered = Some(began.elapsed());
            }
        }
    }
    let expected = [150, 1_500, 5_000, 500].map(Duration::from_millis);
    for (answered, expected) in answered.into_iter().zip(expected) {
        let answered = answered.expect("a limit");
        assert!(
            (expected..=expected + PAUSE_MAX).contains(&answered),
            "{answered:?} instead of {expected:?}"
        );
    }
    assert!(queue.next().now_or_never().is_none());
    assert_eq!(queue.lock_wait(SOON), SOON);
}

#[tokio::test(start_paused = true)]
async fn an_order_without_its_caller_is_dropped() {
    let (queue, call) = one_blocked().await;
    drop(call);
    let gone = futures_util::future::select(
        Box::pin(queue.next()),
        Box::pin(tokio::time::sleep(WAIT_MAX)),
    );
    assert!(matches!(gone.await, futures_util::future::Either::Right(_)));
    assert_eq!(queue.lock_wait(SOON), SOON);
}

#[tokio::test(start_paused = true)]
async fn a_few_find_out_for_all_that_wait_for_the_same_lock() {
    let (queue, call) = one_blocked().await;
    let mut calls = Vec::new();
    for _ in 0..100 {
        let (same, call) = order_about(call.id, SOON);
        assert!(queue.divert(same).is_none());
        calls.push(call);
    }
    let mut batch = next(&queue).await;
    assert_eq!(batch.orders.len(), PROBES_MAX);
    queue.keep_blocked(&mut batch, Vec::new());
    queue.tried(true);
    assert_eq!(next(&queue).await.orders.len(), 101 - PROBES_MAX);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_written_is_tried_in_halves() {
    let queue = ContentionQueue::default();
    let (waiting, calls) = orders(8);
    queue.take_over(batch_of(waiting), true);
    // A commit worker's has yet to try its locks.
    for size in [8, 4, 2, 1] {
        let mut alone = Vec::new();
        for _ in 0..8 / size {
            let batch = next(&queue).await;
            assert_eq!(batch.orders.len(), size);
            alone.extend(ids(&batch));
            queue.take_over(batch, true);
            queue.tried(false);
        }
        assert_eq!(alone, calls.iter().map(|call| call.id).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_bounded_and_answers_all_when_it_is_closed() {
    let (queue, mut first) = one_blocked().await;
    for _ in 1..WAITING_MAX {
        let (same, call) = order_about(first.id, SOON);
        assert!(queue.divert(same).is_none());
        std::mem::forget(call);
    }
    let (same, mut call) = order_about(first.id, SOON);
    assert!(queue.divert(same).is_none());
    assert_eq!(call.error(), Some(OrderError::Contention));
    assert_eq!(first.error(), None);
    queue.close();
    assert_eq!(first.error(), Some(OrderError::Contention));
    assert!(queue.next().await.is_none());
    let (late, mut call) = orders(1);
    queue.take_over(batch_of(late), false);
    assert_eq!(call[0].error(), Some(OrderError::Contention));
}
