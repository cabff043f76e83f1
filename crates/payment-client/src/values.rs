//! The requests to a provider, and their outcomes.

use std::collections::HashSet;
use std::fmt;

use model::Amount;
use tonic::Code;
use uuid::Uuid;

/// The most characters of a payment token.
pub const TOKEN_CHARS_MAX: usize = 1_024;

/// The key of one attempt to take money, made up and written down before the provider is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PaymentKey(pub Uuid);

/// The key of one refund, made up and written down before the provider is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RefundKey(pub Uuid);

/// One attempt to take money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Its key.
    pub key: PaymentKey,
    /// How much.
    pub amount: Amount,
}

/// The payment token, which only the provider interprets. A secret: it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PaymentToken(String);

/// A text that is no payment token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {TOKEN_CHARS_MAX} characters")]
pub struct TokenError;

/// The state of a payment, final or until we change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentOutcome {
    /// The amount is held for us.
    Approved,
    /// The amount was taken.
    Captured,
    /// Nothing was taken, nor is held.
    Declined(DeclineReason),
    /// Nothing is held, nor will be.
    Voided,
}

/// The outcome of a refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundOutcome {
    /// The payer gets the money.
    Refunded,
    /// It cannot be given back this way.
    Declined,
}

/// Why a payment was declined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeclineReason {
    /// For a reason that the provider does not name.
    Other,
    /// The payer has too little.
    InsufficientFunds,
    /// The card or account has expired, or was closed.
    Expired,
    /// The card or account is not what the payer said it is.
    Incorrect,
    /// Above a limit of the payer's.
    OverLimit,
    /// The payer would have to prove who they are.
    AuthenticationRequired,
    /// The provider takes it for fraud.
    SuspectedFraud,
    /// It cannot be paid in that currency.
    CurrencyNotSupported,
}

/// Why a call has no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsettled {
    /// The provider has refused the call and nothing was done by it; there was no other.
    #[error("the provider refused with {code:?}: {message}")]
    Refused {
        /// INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION, UNAUTHENTICATED or
        /// PERMISSION_DENIED.
        code: Code,
        /// The provider's own words.
        message: String,
    },
    /// It may or may not have been done, or may be done later. Keep it, and repeat it with the same key.
    #[error("unresolved: {0}")]
    Unresolved(UnresolvedReason),
}

/// Why the outcome is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnresolvedReason {
    /// There was no answer in time, or none that gives the outcome.
    #[error("no answer")]
    NoAnswer,
    /// The provider has not decided.
    #[error("the provider has not decided")]
    Pending,
    /// The provider has seen nothing under the key; it may be on its way.
    #[error("nothing has arrived yet")]
    NotArrived,
    /// The answer contradicts itself or the question.
    #[error("the answer is nonsense: {0}")]
    ProtocolViolation(&'static str),
}

/// This many characters of a token in a row count as a quote of it.
const QUOTED_CHARS_MIN: usize = 6;

impl TryFrom<String> for PaymentToken {
    type Error = TokenError;

    fn try_from(text: String) -> Result<Self, TokenError> {
        if (1..=TOKEN_CHARS_MAX).contains(&text.chars().count()) {
            Ok(Self(text))
        } else {
            Err(TokenError)
        }
    }
}

impl PaymentToken {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// A text with every quote of the token removed, whole or in part.
    pub(crate) fn taken_out_of(&self, text: &str) -> String {
        let (token, text): (Vec<_>, Vec<_>) = (self.0.chars().collect(), text.chars().collect());
        let quote = token.len().min(QUOTED_CHARS_MIN);
        let quotes: HashSet<_> = token.windows(quote).collect();
        let mut is_quoted = vec![false; text.len()];
        for (at, part) in text.windows(quote).enumerate() {
            if quotes.contains(part) {
                is_quoted[at..at + quote].fill(true);
            }
        }
        let mut rest = String::new();
        let mut was_quoted = false;
        for (char, is_quoted) in text.into_iter().zip(is_quoted) {
            if !is_quoted {
                rest.push(char);
            } else if !was_quoted {
                rest.push('…');
            }
            was_quoted = is_quoted;
        }
        rest
    }
}

impl fmt::Debug for PaymentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PaymentToken(secret)")
    }
}

impl fmt::Display for PaymentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for RefundKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_bounded_and_not_shown() {
        for bad in [String::new(), "x".repeat(TOKEN_CHARS_MAX + 1)] {
            assert_eq!(PaymentToken::try_from(bad), Err(TokenError));
        }
        let token = PaymentToken::try_from("ä".repeat(TOKEN_CHARS_MAX)).expect("a token");
        assert!(!format!("{token:?}").contains('ä'));
    }

    #[test]
    fn quotes_of_a_token_are_taken_out() {
        let token = PaymentToken::try_from("tok_4eC39Hq".to_owned()).expect("a token");
        for (text, rest) in [
            ("No such token: 'tok_4eC39Hq'", "No such token: '…'"),
            ("tok_4eC39Hqtok_4eC39Hq", "…"),
            (
                "token tok_4eC… is of another mode",
                "token …… is of another mode",
            ),
            (
                "ends with 9Hq, as C39Hq does",
                "ends with 9Hq, as C39Hq does",
            ),
            ("unknown token", "unknown token"),
            ("", ""),
        ] {
            assert_eq!(token.taken_out_of(text), rest);
        }
        let short = PaymentToken::try_from("ok".to_owned()).expect("a token");
        assert_eq!(short.taken_out_of("ok is no token"), "… is no t…en");
    }
}
