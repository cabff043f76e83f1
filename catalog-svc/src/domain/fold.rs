//! Folds names for searches: ignores case, and the ways to type a character.

use std::iter::repeat_n;

use unicode_normalization::UnicodeNormalization as _;

/// The folded form in which a name and a search text are compared. Not computed by the
/// database: its `lower` depends on the locale that it was created with.
#[must_use]
pub fn folded(text: &str) -> String {
    // Through upper case, which is the same for "ß" and "ss", and for the two sigmas.
    let upper = text.nfkc().flat_map(char::to_uppercase);
    let lower = upper.flat_map(char::to_lowercase).nfkc();
    // The Turkish capital letter with a dot.
    let lower = lower.collect::<String>().replace("i\u{307}", "i");
    lower
        .chars()
        .flat_map(|char| repeat_n(char, if is_of_short_words(char) { 2 } else { 1 }))
        .collect()
}

/// Whether a character is of a script in which two make a usual word. Each is written twice, because
/// the index has no texts of fewer than three characters. Substrings of a name stay substrings.
fn is_of_short_words(char: char) -> bool {
    matches!(
        char,
        '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}'
            | '\u{20000}'..='\u{3ffff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_take_for_the_same_is_the_same() {
        for (one, other) in [
            ("MÄRCHEN", "ma\u{308}rchen"),
            ("Große Straße", "GROSSE STRASSE"),
            ("ΣΊΣΥΦΟΣ", "σίσυφος"),
            ("İSTANBUL", "istanbul"),
            ("Ｈａｌｌ　２", "hall 2"),
            ("Café ﬁn", "CAFÉ FIN"),
            ("ПЕРЕСТРОЙКА", "перестройка"),
        ] {
            assert_eq!(folded(one), folded(other));
        }
        assert_eq!(folded("50% off_x\\"), r"50% off_x\");
        assert_ne!(folded("März"), folded("Marz"));
    }

    #[test]
    fn a_folded_name_keeps_the_substrings_of_short_words() {
        let letters = ["座", "人", "a", "가"];
        let texts = (0..4_usize.pow(5)).map(|n| {
            let at = |place: u32| letters[n / 4_usize.pow(place) % 4];
            (0..5).map(at).collect::<String>()
        });
        let sought = ["座", "人人", "a人", "人a", "座人a", "가가", "人人人"];
        for text in texts {
            for part in sought {
                let is_found = folded(&text).contains(&folded(part));
                assert_eq!(is_found, text.contains(part), "{part} in {text}");
            }
        }
    }
}
