//! Asking until there is an answer, or no time left.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::{Code, Status};

use crate::values::{Attempt, PaymentToken, UnresolvedReason, Unsettled};

const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// The most times that one question is asked, however much time there is.
const ASKS_MAX: u32 = 1_000;

/// Replaces a message that may quote a token.
const UNQUOTED: &str = "(not repeated: it may quote a token)";

/// The meaning of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading<T> {
    /// The outcome.
    Settled(T),
    /// The provider does not know yet.
    Pending,
    /// It cannot be true.
    ProtocolViolation(&'static str),
}

/// One question, as often as it takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    /// For the log.
    pub(crate) verb: &'static str,
    /// The attempt that it is about.
    pub(crate) attempt: &'a Attempt,
    /// The token that is sent along. The provider may quote it in an error, which must not be
    /// repeated. It may also quote the token of an earlier call, which is not known here.
    pub(crate) token: Option<&'a PaymentToken>,
    /// The longest to wait for one answer.
    pub(crate) answer_max: Duration,
    /// When there is no time left.
    pub(crate) deadline: Instant,
}

impl Question<'_> {
    /// Asks until an answer settles it. `call` is given the time it has.
    pub(crate) async fn ask<A, T, F>(
        &self,
        mut call: impl FnMut(Duration) -> F,
        read: impl Fn(A) -> Reading<T>,
    ) -> Result<T, Unsettled>
    where
        F: Future<Output = Result<A, Status>>,
    {
        let mut doubt = UnresolvedReason::NoAnswer;
        let mut pause = PAUSE_MIN;
        for asked_before in 0..ASKS_MAX {
            let start = Instant::now();
            let until = self.deadline.min(start + self.answer_max);
            if until <= start {
                break;
            }
            match timeout_at(until, call(until - start)).await {
                Ok(Ok(answer)) => match read(answer) {
                    Reading::Settled(value) => return Ok(value),
                    Reading::Pending => doubt = UnresolvedReason::Pending,
                    Reading::ProtocolViolation(why) => {
                        self.log_nonsense(why);
                        return Err(Unsettled::Unresolved(UnresolvedReason::ProtocolViolation(
                            why,
                        )));
                    }
                },
                // A refusal is about this call only: an earlier one may still take effect.
                Ok(Err(status)) if means_not_done(status.code()) => {
                    return Err(self.refused(&status, asked_before > 0));
                }
                Ok(Err(status)) => {
                    self.log_no_answer(&status);
                    doubt = UnresolvedReason::NoAnswer;
                }
                Err(_) => doubt = UnresolvedReason::NoAnswer,
            }
            sleep_until(self.deadline.min(Instant::now() + pause)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Err(Unsettled::Unresolved(doubt))
    }

    fn refused(&self, status: &Status, is_repeated: bool) -> Unsettled {
        self.log_no_answer(status);
        if is_repeated {
            return Unsettled::Unresolved(UnresolvedReason::NoAnswer);
        }
        Unsettled::Refused {
            code: status.code(),
            message: self.words(status),
        }
    }

    /// The provider's message, unless it may quote a token.
    fn words(&self, status: &Status) -> String {
        let words = self.token.map(|token| token.taken_out_of(status.message()));
        words.unwrap_or_else(|| UNQUOTED.to_owned())
    }

    fn log_no_answer(&self, status: &Status) {
        let (verb, key) = (self.verb, self.attempt.key);
        let (code, message) = (status.code(), self.words(status));
        tracing::debug!(verb, %key, ?code, message, "the payment provider did not do it, or did not answer");
    }

    fn log_nonsense(&self, why: &'static str) {
        let (verb, key) = (self.verb, self.attempt.key);
        tracing::error!(verb, %key, why, "the payment provider answers nonsense");
    }
}

/// Whether a call that was answered so has done nothing and never will. These are the codes
/// that the contract names; a few others could be trusted too, but not when a proxy or the
/// client's own library makes them up.
fn means_not_done(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument
            | Code::NotFound
            | Code::FailedPrecondition
            | Code::Unauthenticated
            | Code::PermissionDenied
    )
}

#[cfg(test)]
mod tests;
