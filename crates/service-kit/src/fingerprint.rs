//! A hash of a call's command and body, stored with its request id: the same id with another
//! body is refused. Stable across processes and releases, since it is compared with what
//! another one has stored.

use prost::Message;
use sha2::{Digest, Sha256};

/// Hashes a request's body: the message without its request id, normalised. Protobuf writes each
/// value after its field's number, so no value can pass for one of another field. It writes equal
/// messages of the contract in equal bytes, also in later releases, whose new fields are not written
/// while they are unset.
#[must_use]
pub fn fingerprint_of_body(verb: &str, body: &impl Message) -> i64 {
    fingerprint(verb, [body.encode_to_vec().as_slice()])
}

/// Hashes the parts of a request. Each part is framed by its length, so that ("ab", "c")
/// and ("a", "bc") differ. The parts must be the same fields in each call of a verb: an optional
/// one needs a separate mark.
#[must_use]
pub fn fingerprint<'a>(verb: &'a str, parts: impl IntoIterator<Item = &'a [u8]>) -> i64 {
    let mut hash = Sha256::new();
    for part in std::iter::once(verb.as_bytes()).chain(parts) {
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
        assert_ne!(fingerprint("v", []), fingerprint("", [b"v".as_slice()]));
        assert_ne!(
            fingerprint("v", [b"ab".as_slice(), b"c"]),
            fingerprint("v", [b"a".as_slice(), b"bc"])
        );
        assert_eq!(
            fingerprint("reserve", [b"A-1".as_slice()]),
            1_162_400_936_674_504_854
        );
    }
}
