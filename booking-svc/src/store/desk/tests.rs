use model::ShowId;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::*;
use crate::store::batch::Answer;

/// A desk with a batch of so many orders, and how their callers hear of them.
fn a_batch(orders: usize) -> (Desk, Batch, Vec<oneshot::Receiver<Answer>>) {
    let queue = Queue::new();
    let show_id = ShowId::generate();
    let mut answers = Vec::new();
    for _ in 0..orders {
        let (answer, answered) = oneshot::channel();
        let deadline = Instant::now() + Duration::from_secs(60);
        let order = Waiting::expiry_of(BookingId::generate(show_id), deadline).order;
        let waiting = Waiting::new(order, deadline, answer);
        queue.push(waiting).expect("room");
        answers.push(answered);
    }
    let mut desk = Desk::default();
    let batch = desk.next(&queue.own_turn());
    assert_eq!(batch.orders.len(), orders);
    (desk, batch, answers)
}

/// What comes next, from the desk alone.
fn next(desk: &mut Desk) -> Batch {
    desk.next(&Queue::new().own_turn())
}

fn answers(answers: Vec<oneshot::Receiver<Answer>>) -> Vec<Option<LaneError>> {
    let told = |mut answer: oneshot::Receiver<Answer>| answer.try_recv().ok()?.err();
    answers.into_iter().map(told).collect()
}

#[tokio::test]
async fn without_a_connection_only_what_is_in_doubt_is_tried_again() {
    let (mut desk, batch, told) = a_batch(2);
    desk.take_back(batch, Trouble::NoConnection);
    assert!(desk.is_empty());
    let unavailable = Some(LaneError::DatabaseUnavailable);
    assert_eq!(answers(told), [unavailable.clone(), unavailable.clone()]);

    // One whose locks were sent behind a COMMIT that was lost has nothing to doubt.
    for committing in [false, true] {
        let (mut desk, batch, told) = a_batch(1);
        desk.take_back(batch, Trouble::ConnectionLost { committing });
        let batch = next(&mut desk);
        assert_eq!(batch.copies_likely(), committing);
        desk.take_back(batch, Trouble::NoConnection);
        assert_eq!(desk.is_empty(), !committing);
        let expected = unavailable.clone().filter(|_| !committing);
        assert_eq!(answers(told), [expected]);
    }
}

#[tokio::test]
async fn a_doubt_stays_whatever_comes_after_and_in_both_halves() {
    let (mut desk, batch, _told) = a_batch(3);
    desk.take_back(batch, Trouble::ConnectionLost { committing: true });
    let batch = next(&mut desk);
    desk.take_back(batch, Trouble::Timeout);
    let batch = next(&mut desk);
    desk.take_back(batch, Trouble::Fault("ours".to_owned()));
    let halves = [next(&mut desk), next(&mut desk)];
    assert_eq!(halves.each_ref().map(|half| half.orders.len()), [1, 2]);
    assert!(halves.iter().all(|half| half.copies_likely()));
    assert!(halves.iter().all(|half| half.pause().is_zero()));
}

#[tokio::test]
async fn a_copy_is_looked_up_at_once_and_what_goes_on_failing_is_given_up() {
    let (mut desk, batch, told) = a_batch(1);
    desk.take_back(batch, Trouble::CopyMet);
    let mut batch = next(&mut desk);
    assert!(batch.copies_likely() && batch.pause().is_zero());
    for _ in 1..ATTEMPTS_MAX {
        desk.take_back(batch, Trouble::CopyMet);
        batch = next(&mut desk);
        assert!(batch.is_empty() || !batch.pause().is_zero());
    }
    assert!(batch.is_empty() && desk.is_empty());
    assert_eq!(answers(told), [Some(LaneError::Contention)]);
}

#[tokio::test]
async fn nothing_follows_a_commit_while_few_wait_or_something_has_failed() {
    let (mut desk, batch, _told) = a_batch(4);
    let queue = Queue::new();
    let order = || Waiting::expiry_of(BookingId::generate(ShowId::generate()), Instant::now());
    queue.push(order()).expect("room");
    assert!(desk.behind(&batch, &queue).is_none());
    queue.push(order()).expect("room");
    let (next, _turn) = desk.behind(&batch, &queue).expect("half as many wait");
    assert_eq!(next.orders.len(), 2);
    desk.take_back(next, Trouble::Timeout);
    (0..4).for_each(|_| queue.push(order()).expect("room"));
    assert!(desk.behind(&batch, &queue).is_none());
}
