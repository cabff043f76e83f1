//! Text that people type: in one form, and with nothing in it that cannot be seen.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// A text in Unicode's normalization form C, in which names and labels are kept and compared:
/// keyboards and systems write "é" as one character or as two, and it looks the same.
#[must_use]
pub fn nfc(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.nfc().collect())
    }
}

/// Brings a text into the form of [`nfc`].
pub fn normalize<T: AsRef<str> + From<String>>(text: &mut T) {
    if let Cow::Owned(other) = nfc(text.as_ref()) {
        *text = other.into();
    }
}

/// Whether a character cannot be seen, or changes how others are shown: control characters, breaks
/// of lines and paragraphs, spaces without a width, and what turns the direction of the text around
/// it. Those that join or part letters, as in Persian and in emoji, belong to words.
#[must_use]
pub fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{ad}' | '\u{200b}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_looking_texts_have_one_form() {
        assert_eq!(nfc("Ma\u{308}rchen"), "Märchen");
        assert_eq!(nfc("\u{212b}"), "Å");
        // The ligature is another text.
        assert_eq!(nfc("ﬁ"), "ﬁ");
        for kept in ["A-1", "Märchen", "歌舞伎"] {
            assert!(matches!(nfc(kept), Cow::Borrowed(_)), "{kept}");
        }
    }

    #[test]
    fn what_cannot_be_seen() {
        for hidden in "\0\n\t\u{7f}\u{200b}\u{2028}\u{202e}\u{2066}\u{feff}".chars() {
            assert!(is_hidden(hidden), "{hidden:?}");
        }
        for seen in "a ä\u{a0}\u{301}\u{200c}\u{200d}\u{200f}👩歌".chars() {
            assert!(!is_hidden(seen), "{seen:?}");
        }
    }

    proptest! {
        #[test]
        fn the_form_is_kept(text in "\\PC{0,20}") {
            let once = nfc(&text).into_owned();
            prop_assert_eq!(nfc(&once), once.as_str());
        }
    }
}
