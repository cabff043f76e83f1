//! E-mail addresses: one text for all spellings of one mailbox.

use std::str::FromStr;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use model::{is_hidden, nfc};

/// The most bytes of an address, as it is used where mail is sent.
const EMAIL_BYTES_MAX: usize = 254;
/// The most bytes before the "@".
const LOCAL_BYTES_MAX: usize = 64;
/// Characters allowed before the "@" besides letters and digits. Not those that need quotation
/// marks, which almost no mailbox has and many a typing error.
const LOCAL_SIGNS: &str = ".!#$%&'*+/=?^_`{|}~-";

/// An e-mail address as customers are found by it: in lower case and normalization form C, and its
/// domain in Unicode, without a dot at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(String);

/// Surely no e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be an e-mail address, such as \"ann@example.org\", of at most {EMAIL_BYTES_MAX} bytes, \
     {LOCAL_BYTES_MAX} of them before the @"
)]
pub struct EmailProblem;

impl Email {
    /// It as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = EmailProblem;

    /// Refuses only invalid addresses: whether mail arrives is not for this service to
    /// find out.
    fn from_str(text: &str) -> Result<Self, EmailProblem> {
        let parts = text.rsplit_once('@').and_then(|(local, domain)| {
            let domain = Domain::of(domain)?;
            Some((local_of(local)?, domain))
        });
        let (local, domain) = parts.ok_or(EmailProblem)?;
        if local.len() + 1 + domain.ascii_bytes > EMAIL_BYTES_MAX {
            return Err(EmailProblem);
        }
        Ok(Self(format!("{local}@{}", domain.unicode)))
    }
}

/// The part before the "@".
fn local_of(text: &str) -> Option<String> {
    // Again, as lower case is made letter by letter.
    let local = nfc(&nfc(text).to_lowercase()).into_owned();
    let is_valid = |char: char| {
        if char.is_ascii() {
            char.is_ascii_alphanumeric() || LOCAL_SIGNS.contains(char)
        } else {
            // Joiners and direction marks are invisible too.
            !is_hidden(char)
                && !char.is_whitespace()
                && !matches!(char, '\u{200c}'..='\u{200f}' | '\u{61c}')
        }
    };
    let fits = (1..=LOCAL_BYTES_MAX).contains(&local.len());
    (fits && local.chars().all(is_valid)).then_some(local)
}

/// The part after the "@".
struct Domain {
    unicode: String,
    /// How long it is where mail is sent.
    ascii_bytes: usize,
}

impl Domain {
    fn of(text: &str) -> Option<Self> {
        let (rules, hyphens) = (AsciiDenyList::STD3, Hyphens::CheckFirstLast);
        let length = DnsLength::VerifyAllowRootDot;
        let ascii = Uts46::new().to_ascii(text.as_bytes(), rules, hyphens, length);
        let ascii = ascii.ok()?;
        let ascii = ascii.strip_suffix('.').unwrap_or(&ascii);
        let (unicode, read) = Uts46::new().to_unicode(ascii.as_bytes(), rules, hyphens);
        read.ok()?;
        (!ascii.is_empty()).then(|| Self {
            unicode: unicode.into_owned(),
            ascii_bytes: ascii.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn is_read_as(text: &str, expected: &str) {
        assert_eq!(text.parse().as_ref().map(Email::as_str), Ok(expected));
    }

    #[test]
    fn all_spellings_of_a_mailbox_are_one() {
        is_read_as("Ann.B+x@Example.ORG", "ann.b+x@example.org");
        for spelling in [
            "ann@bücher.example",
            "Ann@BÜCHER.example",
            "ann@bu\u{308}cher.example",
            "ann@xn--bcher-kva.example",
            "ann@XN--BCHER-KVA.Example",
            "ann@bücher.example.",
            "ann@bücher．example",
            "ann@bücher。example",
        ] {
            is_read_as(spelling, "ann@bücher.example");
        }
        for spelling in ["zoë@b", "zoe\u{308}@b", "ZOË@B", "ZOE\u{308}@b."] {
            is_read_as(spelling, "zoë@b");
        }
        is_read_as("o'neil_{x}/y=z@a-b.c1", "o'neil_{x}/y=z@a-b.c1");
    }

    #[test]
    fn an_invalid_address_is_refused() {
        for wrong in [
            "",
            "@",
            "a@",
            "a@.",
            "@b",
            "ab",
            "a b@c",
            "a@b\n",
            "a@b c",
            "a@@x",
            "mailto:a@x",
            "a@x,b@x",
            "a@x;b@x",
            "Ann <a@x>",
            "a@<x>",
            "\"a b\"@x",
            "a\u{200b}@x",
            "a\u{202e}@x",
            "a@[127.0.0.1]",
            "a@x..y",
            "a@.x",
            "a@-x",
            "a@x_y",
            "a@xn--ascii-",
            "a＠x",
        ] {
            assert_eq!(wrong.parse::<Email>(), Err(EmailProblem), "{wrong:?}");
        }
    }

    #[test]
    fn lengths_are_those_of_the_address_where_mail_is_sent() {
        let fits = |text: String| text.parse::<Email>().is_ok();
        assert!(fits("a".repeat(64) + "@b"));
        assert!(!fits("a".repeat(65) + "@b"));
        assert!(fits("ä".repeat(32) + "@b"));
        assert!(!fits("ä".repeat(33) + "@b"));
        // In lower case the dotted I is two characters, of three bytes.
        assert!(!fits("İ".repeat(22) + "@b"));
        assert!(fits("a@".to_owned() + &"b".repeat(63)));
        assert!(!fits("a@".to_owned() + &"b".repeat(64)));
        let labels = |last: usize| format!("{0}.{0}.{0}.{1}", "b".repeat(59), "c".repeat(last));
        assert!(fits(format!("{}@{}", "a".repeat(20), labels(53))));
        assert!(!fits(format!("{}@{}", "a".repeat(20), labels(54))));
        // 40 letters, but 63 and more of them in ASCII.
        assert!(!fits("a@".to_owned() + &"歌舞伎座".repeat(15)));
    }

    proptest! {
        #[test]
        fn what_was_read_is_read_the_same_again(text in "\\PC{1,12}@\\PC{1,12}") {
            if let Ok(email) = text.parse::<Email>() {
                prop_assert_eq!(email.as_str().parse(), Ok(email.clone()));
                let chars = email.as_str().chars().count();
                prop_assert!((3..=EMAIL_BYTES_MAX).contains(&chars));
            }
        }

        #[test]
        fn letters_are_read_the_same_again(
            local in "[a-zA-ZäÄßİıΣςÅ\u{308}\u{301}.]{1,8}",
            domain in "[a-zA-ZäÄßİıΣς\u{308}-]{1,8}",
        ) {
            if let Ok(email) = format!("{local}@{domain}").parse::<Email>() {
                prop_assert_eq!(email.as_str().parse(), Ok(email.clone()));
            }
        }
    }
}
