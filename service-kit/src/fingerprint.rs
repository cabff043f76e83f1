//! A hash of a call's verb and body, stored beside its request id: the same id with another
//! body is refused. Stable across processes and releases, since it is compared with what
//! another one has stored.

use sha2::{Digest, Sha256};

/// Hashes the parts of a request. Each part is framed by its length, so that ("ab", "c")
/// and ("a", "bc") differ.
#[must_use]
pub fn fingerprint<'a>(verb: &str, parts: impl IntoIterator<Item = &'a [u8]>) -> i64 {
    let mut hash = Sha256::new();
    hash.update(verb);
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let mut head = [0; 8];
    head.copy_from_slice(&hash.finalize()[..8]);
    i64::from_be_bytes(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_framed_and_the_value_is_stable() {
        assert_ne!(
            fingerprint("v", [b"ab".as_slice(), b"c"]),
            fingerprint("v", [b"a".as_slice(), b"bc"])
        );
        assert_eq!(
            fingerprint("reserve", [b"A-1".as_slice()]),
            -4_604_911_510_188_585_690
        );
    }
}
