use std::cell::Cell;
use std::future::pending;

use model::Amount;
use uuid::Uuid;

use super::*;
use crate::values::PaymentKey;

const ANSWER_MAX: Duration = Duration::from_secs(3);

fn attempt() -> Attempt {
    let euro = "EUR".parse().expect("a currency");
    Attempt {
        key: PaymentKey(Uuid::from_u128(7)),
        amount: Amount::new(100, euro).expect("an amount"),
    }
}

/// The provider's reaction to the nth call, from 0.
enum Does {
    Answers(Reading<u32>),
    Fails(Code),
    IsSilent,
}

/// Asks for this long; returns the result, the number of calls, and the time that it took.
async fn asked(
    time: Duration,
    does: impl Fn(u32) -> Does,
) -> (Result<u32, Unsettled>, u32, Duration) {
    asked_with(None, time, does).await
}

/// The same, where a token is sent along.
async fn asked_with(
    token: Option<PaymentToken>,
    time: Duration,
    does: impl Fn(u32) -> Does,
) -> (Result<u32, Unsettled>, u32, Duration) {
    let attempt = attempt();
    let start = Instant::now();
    let question = Question {
        verb: "test",
        attempt: &attempt,
        token: token.as_ref(),
        answer_max: ANSWER_MAX,
        deadline: start + time,
    };
    let asks = Cell::new(0);
    let call = async |time: Duration| {
        assert!(time <= ANSWER_MAX);
        let n = asks.replace(asks.get() + 1);
        match does(n) {
            Does::Answers(reading) => Ok(reading),
            Does::Fails(code) => Err(Status::new(code, "no such token: tok_12345678")),
            Does::IsSilent => pending().await,
        }
    };
    let result = question.ask(call, |reading| reading).await;
    (result, asks.get(), start.elapsed())
}

const MINUTE: Duration = Duration::from_secs(60);
const NO_ANSWER: Unsettled = Unsettled::Unresolved(UnresolvedReason::NoAnswer);

#[tokio::test(start_paused = true)]
async fn it_asks_again_until_there_is_an_answer() {
    let (result, asks, time) = asked(MINUTE, |n| match n {
        0 => Does::Fails(Code::Unavailable),
        1 => Does::IsSilent,
        2 => Does::Answers(Reading::Pending),
        _ => Does::Answers(Reading::Settled(5)),
    })
    .await;
    assert_eq!((result, asks), (Ok(5), 4));
    // One answer was waited for, and the pauses between were short.
    assert!(time < ANSWER_MAX + Duration::from_secs(1), "{time:?}");
}

#[tokio::test(start_paused = true)]
async fn silence_ends_at_the_deadline_and_is_unresolved() {
    let time = Duration::from_secs(10);
    let (result, asks, took) = asked(time, |_| Does::IsSilent).await;
    assert_eq!(result, Err(NO_ANSWER));
    assert_eq!(asks, 4, "each was waited for");
    assert!(
        took >= time && took < time + Duration::from_millis(5),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn without_time_nothing_is_asked() {
    let (result, asks, _) = asked(Duration::ZERO, |_| Does::Answers(Reading::Settled(5))).await;
    assert_eq!((result, asks), (Err(NO_ANSWER), 0));
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_stays_pending_is_reported_as_pending() {
    let (result, ..) = asked(MINUTE, |_| Does::Answers(Reading::Pending)).await;
    assert_eq!(
        result,
        Err(Unsettled::Unresolved(UnresolvedReason::Pending))
    );
}

#[tokio::test(start_paused = true)]
async fn nonsense_is_unresolved_at_once() {
    let (result, asks, _) =
        asked(MINUTE, |_| Does::Answers(Reading::ProtocolViolation("odd"))).await;
    assert_eq!(
        result,
        Err(Unsettled::Unresolved(UnresolvedReason::ProtocolViolation(
            "odd"
        )))
    );
    assert_eq!(asks, 1);
}

#[tokio::test(start_paused = true)]
async fn only_the_refusal_of_a_first_call_says_that_nothing_was_done() {
    for code in [
        Code::InvalidArgument,
        Code::NotFound,
        Code::FailedPrecondition,
        Code::Unauthenticated,
        Code::PermissionDenied,
    ] {
        let (result, asks, _) = asked(MINUTE, |_| Does::Fails(code)).await;
        let message = UNQUOTED.to_owned();
        assert_eq!(
            (result, asks),
            (Err(Unsettled::Refused { code, message }), 1)
        );
        for first in [Does::Fails(Code::Unavailable), Does::IsSilent] {
            let first = Cell::new(Some(first));
            let (result, asks, _) =
                asked(MINUTE, |_| first.take().unwrap_or(Does::Fails(code))).await;
            assert_eq!((result, asks), (Err(NO_ANSWER), 2), "{code:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_other_code_is_asked_about_again() {
    for code in [
        Code::Cancelled,
        Code::Unknown,
        Code::DeadlineExceeded,
        Code::AlreadyExists,
        Code::ResourceExhausted,
        Code::Aborted,
        Code::OutOfRange,
        Code::Unimplemented,
        Code::Internal,
        Code::Unavailable,
        Code::DataLoss,
    ] {
        let (result, asks, _) = asked(MINUTE, |n| match n {
            0 => Does::Fails(code),
            _ => Does::Answers(Reading::Settled(5)),
        })
        .await;
        assert_eq!((result, asks), (Ok(5), 2), "{code:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_does_not_ask_without_end() {
    let (result, asks, time) = asked(MINUTE * 60 * 24, |_| Does::Fails(Code::Unavailable)).await;
    assert_eq!((result, asks), (Err(NO_ANSWER), ASKS_MAX));
    assert!(time <= PAUSE_MAX * ASKS_MAX, "{time:?}");
}

#[tokio::test(start_paused = true)]
async fn an_error_that_quotes_the_token_is_not_repeated() {
    let refuses = |_| Does::Fails(Code::InvalidArgument);
    let token = PaymentToken::try_from("tok_12345678".to_owned()).expect("a token");
    for (token, said) in [(Some(token), "no such token: …"), (None, UNQUOTED)] {
        let (refused, _, _) = asked_with(token, MINUTE, refuses).await;
        let Err(Unsettled::Refused { message, .. }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(message, said);
    }
}
