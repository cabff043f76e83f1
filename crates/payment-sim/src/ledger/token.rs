//! The tokens that determine the outcome of a payment.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The longest that a `slow` payment can take.
pub const SLOW_MAX: Duration = Duration::from_secs(3_600);

/// The outcome that a payment shall have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Token {
    /// `approve`: all goes well.
    Approve,
    /// `decline`: Authorize is declined.
    Decline,
    /// `slow:<duration>`: Authorize is approved only after so long.
    Slow(Duration),
    /// `timeout`: each mutation succeeds, but its caller never gets the answer.
    Timeout,
    /// `lost-answer`: each mutation succeeds, but its caller gets UNAVAILABLE.
    LostAnswer,
    /// `decline-capture`: Authorize is approved, and Capture declined.
    DeclineCapture,
    /// `decline-refund`: the money is taken, and every Refund declined.
    DeclineRefund,
    /// `nonsense`: everything succeeds, but answers report another amount than was asked for,
    /// until the payment is voided.
    Nonsense,
    /// `nonsense-refund`: everything succeeds, but the first answer to a Refund reports another
    /// amount than was asked for; a repeat reports the right one.
    NonsenseRefund,
}

/// A text that is no token. Its text is for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be \"approve\", \"decline\", \"slow:<duration>\" (up to 1h), \"timeout\", \
     \"lost-answer\", \"decline-capture\", \"decline-refund\", \"nonsense\" or \"nonsense-refund\""
)]
pub struct TokenError;

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        Ok(match text {
            "approve" => Self::Approve,
            "decline" => Self::Decline,
            "timeout" => Self::Timeout,
            "lost-answer" => Self::LostAnswer,
            "decline-capture" => Self::DeclineCapture,
            "decline-refund" => Self::DeclineRefund,
            "nonsense" => Self::Nonsense,
            "nonsense-refund" => Self::NonsenseRefund,
            other => {
                let duration = other.strip_prefix("slow:").ok_or(TokenError)?;
                let duration = humantime::parse_duration(duration).map_err(|_| TokenError)?;
                if duration > SLOW_MAX {
                    return Err(TokenError);
                }
                Self::Slow(duration)
            }
        })
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Approve => "approve",
            Self::Decline => "decline",
            Self::Slow(duration) => {
                return write!(f, "slow:{}", humantime::format_duration(*duration));
            }
            Self::Timeout => "timeout",
            Self::LostAnswer => "lost-answer",
            Self::DeclineCapture => "decline-capture",
            Self::DeclineRefund => "decline-refund",
            Self::Nonsense => "nonsense",
            Self::NonsenseRefund => "nonsense-refund",
        })
    }
}

impl TryFrom<String> for Token {
    type Error = TokenError;

    fn try_from(text: String) -> Result<Self, TokenError> {
        text.parse()
    }
}

impl From<Token> for String {
    fn from(token: Token) -> Self {
        token.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_survives_its_text() {
        for text in [
            "approve",
            "decline",
            "slow:1s 500ms",
            "timeout",
            "lost-answer",
            "decline-capture",
            "decline-refund",
            "nonsense",
            "nonsense-refund",
        ] {
            let token = text.parse::<Token>().expect(text);
            assert_eq!(token.to_string(), text);
        }
        assert_eq!("slow:1h".parse(), Ok(Token::Slow(SLOW_MAX)));
    }

    #[test]
    fn nothing_else_is_a_token() {
        for text in [
            "",
            "Approve",
            "approve ",
            "slow",
            "slow:",
            "slow:soon",
            "slow:61m",
        ] {
            assert_eq!(text.parse::<Token>(), Err(TokenError), "{text:?}");
        }
    }
}
