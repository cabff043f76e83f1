//! Names as they are searched for: whatever the case, and however they were typed.

use unicode_normalization::UnicodeNormalization as _;

/// The form in which a name and the text that is looked for in it are compared. Not by the
/// database: what its `lower` does depends on the locale that it was made with.
#[must_use]
pub fn folded(text: &str) -> String {
    // By way of upper case, which is the same for "ß" and "ss", and for the two sigmas.
    let upper = text.nfkc().flat_map(char::to_uppercase);
    let lower = upper.flat_map(char::to_lowercase).nfkc();
    // The Turkish capital letter with a dot.
    lower.collect::<String>().replace("i\u{307}", "i")
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
}
