//! The parts of a show that a caller chooses, each of which cannot be invalid once it exists.

use model::{PriceDescription, PriceList, is_hidden, normalize};

use super::layout::{LayoutId, NewLayout};
use super::rules::{SaleRules, TimeZone};
use super::schedule::Schedule;
use super::show::ShowType;

/// The most characters of a show's name; it has one at least.
pub const NAME_CHARS_MAX: usize = 200;
/// The most characters of a venue; it may be empty.
pub const VENUE_CHARS_MAX: usize = 200;
/// The most characters of an organiser; it may be empty.
pub const ORGANISER_CHARS_MAX: usize = 64;

/// A show that is to be created.
#[derive(Debug)]
pub struct NewShow {
    /// Its name.
    pub name: ShowName,
    /// Its kind.
    pub show_type: ShowType,
    /// When it takes place, and when it is on sale.
    pub schedule: Schedule,
    /// The time zone of its place.
    pub time_zone: TimeZone,
    /// Where.
    pub venue: Venue,
    /// Who organises it.
    pub organiser: Organiser,
    /// Its seats and their prices.
    pub seats: NewSeats,
    /// The rules of its sale.
    pub rules: SaleRules,
    /// Whether it waits for its publishing.
    pub is_draft: bool,
}

/// The seats of a new show, and their prices.
#[derive(Debug)]
pub enum NewSeats {
    /// An existing layout; whether the prices fit it is checked later.
    Of(LayoutId, PriceDescription),
    /// A layout that is created with the show, and prices that fit it.
    Own(NewLayout, PriceList),
}

/// The fault of a text. Its message is for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextProblem {
    /// Too short or too long.
    #[error("must have {min} to {max} characters")]
    Length {
        /// The fewest characters.
        min: usize,
        /// The most.
        max: usize,
    },
    /// White space around it, or an invisible character in it.
    #[error("must not begin or end with white space, nor have characters that cannot be seen")]
    Shape,
}

/// The normalised text, if its length in characters is allowed for a name.
fn check_text(mut text: String, min: usize, max: usize) -> Result<String, TextProblem> {
    normalize(&mut text);
    let chars = text.chars().count();
    if chars < min || chars > max {
        return Err(TextProblem::Length { min, max });
    }
    if text.trim() != text || text.chars().any(is_hidden) {
        return Err(TextProblem::Shape);
    }
    Ok(text)
}

/// The name of a show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShowName(String);

impl ShowName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ShowName {
    type Error = TextProblem;

    fn try_from(name: String) -> Result<Self, TextProblem> {
        check_text(name, 1, NAME_CHARS_MAX).map(Self)
    }
}

/// Where a show takes place; may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Venue(String);

impl Venue {
    /// The venue as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Venue {
    type Error = TextProblem;

    fn try_from(venue: String) -> Result<Self, TextProblem> {
        check_text(venue, 0, VENUE_CHARS_MAX).map(Self)
    }
}

/// Who organises a show; may be empty.
///
/// Compared byte by byte, so only characters that have one form are allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Organiser(String);

/// A text that cannot be an organiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 0 to 64 of the characters a-z, A-Z, 0-9, \"-\", \"_\" and \".\"")]
pub struct InvalidOrganiser;

impl Organiser {
    /// The organiser as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Organiser {
    type Error = InvalidOrganiser;

    fn try_from(name: String) -> Result<Self, InvalidOrganiser> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.len() <= ORGANISER_CHARS_MAX && name.chars().all(is_allowed) {
            Ok(Self(name))
        } else {
            Err(InvalidOrganiser)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn organisers_have_length_and_characters() {
        let organiser = |name: &str| Organiser::try_from(name.to_owned()).is_ok();
        for name in [
            "",
            "globe",
            "Globe-Theatre_1.uk",
            &"a".repeat(ORGANISER_CHARS_MAX),
        ] {
            assert!(organiser(name), "{name:?}");
        }
        for name in [
            " ",
            "a b",
            "ä",
            "a/b",
            "a\n",
            &"a".repeat(ORGANISER_CHARS_MAX + 1),
        ] {
            assert!(!organiser(name), "{name:?}");
        }
    }

    #[test]
    fn names_have_length_and_shape() {
        let name = |text: &str| ShowName::try_from(text.to_owned()).map(|_| ());
        assert_eq!(name("x"), Ok(()));
        assert_eq!(name(&"ä".repeat(NAME_CHARS_MAX)), Ok(()));
        let length = Err(TextProblem::Length {
            min: 1,
            max: NAME_CHARS_MAX,
        });
        assert_eq!(name(""), length);
        assert_eq!(name(&"ä".repeat(NAME_CHARS_MAX + 1)), length);
        for shape in [
            " x",
            "x ",
            " ",
            "a\nb",
            "a\0b",
            "\u{2003}x",
            "a\u{202e}b",
            "a\u{200b}",
        ] {
            assert_eq!(name(shape), Err(TextProblem::Shape), "{shape:?}");
        }
        assert!(Venue::try_from(String::new()).is_ok());
        let decomposed = ShowName::try_from("Ma\u{308}rchen".to_owned());
        assert_eq!(decomposed, ShowName::try_from("Märchen".to_owned()));
    }
}
