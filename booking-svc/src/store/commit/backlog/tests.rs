use model::ShowId;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::*;
use crate::store::commit::batch::Answer;

/// A backlog with a batch of `count` orders, and the receivers of their callers.
fn a_batch(orders: usize) -> (Backlog, Batch, Vec<oneshot::Receiver<Answer>>) {
    let queue = Queue::new();
    let show_id = ShowId::generate();
    let mut answers = Vec::new();
    for _ in 0..orders {
        let (answer, answered) = oneshot::channel();
        let deadline = Instant::now() + Duration::from_secs(60);
        let order = PendingOrder::expiry_of(BookingId::generate(show_id), deadline).order;
        let waiting = PendingOrder::new(order, deadline, answer);
        queue.push(waiting).expect("room");
        answers.push(answered);
    }
    let mut backlog = Backlog::default();
    let batch = backlog.next(&queue.acquire());
    assert_eq!(batch.orders.len(), orders);
    (backlog, batch, answers)
}

/// The next batch, from the backlog alone.
fn next(backlog: &mut Backlog) -> Batch {
    backlog.next(&Queue::new().acquire())
}

fn answers(answers: Vec<oneshot::Receiver<Answer>>) -> Vec<Option<OrderError>> {
    let error = |mut answer: oneshot::Receiver<Answer>| answer.try_recv().ok()?.err();
    answers.into_iter().map(error).collect()
}

#[tokio::test]
async fn without_a_connection_only_batches_in_doubt_are_retried() {
    let (mut backlog, batch, receivers) = a_batch(2);
    backlog.requeue(batch, BatchError::NoConnection);
    assert!(backlog.is_empty());
    let unavailable = Some(OrderError::DatabaseUnavailable);
    assert_eq!(
        answers(receivers),
        [unavailable.clone(), unavailable.clone()]
    );

    // A batch whose locks were sent behind a lost COMMIT is not in doubt.
    for committing in [false, true] {
        let (mut backlog, batch, receivers) = a_batch(1);
        backlog.requeue(batch, BatchError::ConnectionLost { committing });
        let batch = next(&mut backlog);
        assert_eq!(batch.expects_replays(), committing);
        backlog.requeue(batch, BatchError::NoConnection);
        assert_eq!(backlog.is_empty(), !committing);
        let expected = unavailable.clone().filter(|_| !committing);
        assert_eq!(answers(receivers), [expected]);
    }
}

#[tokio::test]
async fn a_possible_commit_stays_in_doubt_in_both_halves() {
    let (mut backlog, batch, _receivers) = a_batch(3);
    backlog.requeue(batch, BatchError::ConnectionLost { committing: true });
    let batch = next(&mut backlog);
    backlog.requeue(batch, BatchError::Timeout);
    let batch = next(&mut backlog);
    backlog.requeue(batch, BatchError::Fault("ours".to_owned()));
    let bisect = [next(&mut backlog), next(&mut backlog)];
    assert_eq!(bisect.each_ref().map(|half| half.orders.len()), [1, 2]);
    assert!(bisect.iter().all(|half| half.expects_replays()));
    assert!(bisect.iter().all(|half| half.pause().is_zero()));
}

#[tokio::test]
async fn a_replay_is_looked_up_at_once_and_retries_are_bounded() {
    let (mut backlog, batch, receivers) = a_batch(1);
    backlog.requeue(batch, BatchError::CopyMet);
    let mut batch = next(&mut backlog);
    assert!(batch.expects_replays() && batch.pause().is_zero());
    for _ in 1..ATTEMPTS_MAX {
        backlog.requeue(batch, BatchError::CopyMet);
        batch = next(&mut backlog);
        assert!(batch.is_empty() || !batch.pause().is_zero());
    }
    assert!(batch.is_empty() && backlog.is_empty());
    assert_eq!(answers(receivers), [Some(OrderError::Contention)]);
}

#[tokio::test]
async fn nothing_follows_a_commit_while_few_wait_or_something_has_failed() {
    let (mut backlog, batch, _receivers) = a_batch(4);
    let queue = Queue::new();
    let order = || PendingOrder::expiry_of(BookingId::generate(ShowId::generate()), Instant::now());
    queue.push(order()).expect("room");
    assert!(backlog.behind(&batch, &queue).is_none());
    queue.push(order()).expect("room");
    let (next, _turn) = backlog.behind(&batch, &queue).expect("half as many wait");
    assert_eq!(next.orders.len(), 2);
    backlog.requeue(next, BatchError::Timeout);
    (0..4).for_each(|_| queue.push(order()).expect("room"));
    assert!(backlog.behind(&batch, &queue).is_none());
}
