//! A customer's record, for bookings of any show.
//!
//! Nothing in here but ids, versions and times may be logged: the rest is personal.

use std::fmt;
use std::str::FromStr;

use model::{BookingId, is_hidden};
use time::OffsetDateTime;
use uuid::Uuid;

use super::email::Email;

/// The fewest digits of a telephone number.
const PHONE_DIGITS_MIN: usize = 3;
/// The most characters of a telephone number.
const PHONE_CHARS_MAX: usize = 32;
/// The characters allowed between the digits of a telephone number.
const PHONE_SIGNS: &str = " +-()./";

/// The id of a customer. It names no show, since a customer books many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomerId(Uuid);

/// A customer as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerRecord {
    /// Its id.
    pub id: CustomerId,
    /// 1 when it is made; each update adds 1.
    pub version: i32,
    /// Its e-mail address, which no other customer has.
    pub email: String,
    /// How it is called; may be empty.
    pub display_name: String,
    /// Its telephone number; may be empty.
    pub phone: String,
    /// Its id in the caller's own books; may be empty.
    pub external_reference: String,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was changed last.
    pub updated_at: OffsetDateTime,
}

/// A customer to be found or created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCustomer {
    /// Its e-mail address: a customer that has it is the one.
    pub email: Email,
    /// How it is called.
    pub display_name: DisplayName,
    /// Its telephone number.
    pub phone: Phone,
    /// Its id in the caller's own books.
    pub external_reference: ExternalReference,
}

/// New values for some of a customer's fields; unset fields stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CustomerPatch {
    /// Another address.
    pub email: Option<Email>,
    /// Another name.
    pub display_name: Option<DisplayName>,
    /// Another telephone number.
    pub phone: Option<Phone>,
    /// Another id in the caller's own books.
    pub external_reference: Option<ExternalReference>,
}

/// A change of a customer that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerUpdate {
    /// Which one.
    pub id: CustomerId,
    /// The version it must still have.
    pub version: Option<i32>,
    /// The changes.
    pub patch: CustomerPatch,
}

/// Why a customer was not found or not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CustomerRefusal {
    /// There is no such customer; with the id, if that was the key.
    NotFound(Option<CustomerId>),
    /// Another customer has the address that this one was to get.
    EmailTaken(CustomerId),
    /// It has another version, this one.
    VersionMismatch(i32),
    /// The request id was used for another body.
    RequestIdReused,
    /// It cannot be erased while it has this booking.
    HasBookings {
        /// One of them.
        booking_id: BookingId,
        /// Whether that is a ticket of a show that has not started; else it is held, or being paid.
        is_upcoming: bool,
    },
}

/// The fault of a text. Its message is for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CustomerProblem {
    /// No telephone number.
    #[error(
        "must be empty or a telephone number: at most {PHONE_CHARS_MAX} digits, spaces and \
         \"+-()./\", at least {PHONE_DIGITS_MIN} digits"
    )]
    Phone,
    /// Too long, or with a line break or an invisible character.
    #[error("must have at most {0} characters, no invisible ones, and no white space at its ends")]
    Line(usize),
}

/// A telephone number as it is written by hand; may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Phone(String);

/// A line of text of at most `CHARS_MAX` characters; may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line<const CHARS_MAX: usize>(String);

/// How a customer is called.
pub type DisplayName = Line<200>;
/// A customer's id in the caller's own books.
pub type ExternalReference = Line<128>;

impl NewCustomer {
    /// A new customer with nothing but an address.
    #[must_use]
    pub fn by(email: Email) -> Self {
        Self {
            email,
            display_name: Line::default(),
            phone: Phone::default(),
            external_reference: Line::default(),
        }
    }
}

impl CustomerId {
    /// A new id. Ids of one process sort by the time they were made.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id as a UUID.
    #[must_use]
    pub fn uuid(self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for CustomerId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl FromStr for CustomerId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(Self).map_err(|_| {
            if text.is_empty() {
                "is empty"
            } else {
                "must be a UUID"
            }
        })
    }
}

impl fmt::Display for CustomerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Phone {
    type Err = CustomerProblem;

    fn from_str(text: &str) -> Result<Self, CustomerProblem> {
        let digits = text.chars().filter(char::is_ascii_digit).count();
        let signs = text.chars().filter(|c| PHONE_SIGNS.contains(*c)).count();
        let is_one = digits >= PHONE_DIGITS_MIN
            && digits + signs == text.chars().count()
            && digits + signs <= PHONE_CHARS_MAX
            && text.trim() == text;
        if text.is_empty() || is_one {
            Ok(Self(text.to_owned()))
        } else {
            Err(CustomerProblem::Phone)
        }
    }
}

impl<const CHARS_MAX: usize> FromStr for Line<CHARS_MAX> {
    type Err = CustomerProblem;

    fn from_str(text: &str) -> Result<Self, CustomerProblem> {
        let fits = text.chars().count() <= CHARS_MAX
            && text.trim() == text
            && !text.chars().any(is_hidden);
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(CustomerProblem::Line(CHARS_MAX))
        }
    }
}

/// Access to the text, to store or compare it.
macro_rules! text {
    ($($type:ty $(, const $length:ident)?;)*) => {
        $(impl$(<const $length: usize>)? $type {
            /// It as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        })*
    };
}

text! {
    Phone;
    Line<CHARS_MAX>, const CHARS_MAX;
}

impl CustomerPatch {
    /// `customer` with this patch applied. The writer sets its version and time.
    #[must_use]
    pub fn apply(&self, customer: CustomerRecord) -> CustomerRecord {
        let or = |new: Option<&str>, old: String| new.map_or(old, ToOwned::to_owned);
        CustomerRecord {
            email: or(self.email.as_ref().map(Email::as_str), customer.email),
            display_name: or(
                self.display_name.as_ref().map(Line::as_str),
                customer.display_name,
            ),
            phone: or(self.phone.as_ref().map(Phone::as_str), customer.phone),
            external_reference: or(
                self.external_reference.as_ref().map(Line::as_str),
                customer.external_reference,
            ),
            ..customer
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_telephone_number_has_digits_and_a_few_signs() {
        for right in ["", "112", "+49 (89) 123-45/67.8", &"1".repeat(32)] {
            assert_eq!(right.parse::<Phone>().expect("a number").as_str(), right);
        }
        for wrong in [
            "12",
            "+--",
            "call me 112",
            " 112",
            "１１２",
            &"1".repeat(33),
        ] {
            assert_eq!(
                wrong.parse::<Phone>(),
                Err(CustomerProblem::Phone),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_line_is_short_and_one_line() {
        assert!("é".repeat(4).parse::<Line<4>>().is_ok());
        for wrong in ["ééééé", " a", "a ", "a\nb", "\u{7}", "a\u{202e}"] {
            assert_eq!(wrong.parse::<Line<4>>(), Err(CustomerProblem::Line(4)));
        }
    }
}
