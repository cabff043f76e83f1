//! The channel binding `tls-server-end-point` (RFC 5929): by it SCRAM makes sure that the server
//! which knows the password is the one at the other end of the TLS connection.

use sha2::{Digest as _, Sha256, Sha384, Sha512};

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// 1.2.840.113549.1.1: RSA with PKCS #1, the hash in the last byte.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
/// 1.2.840.10045.4.3: ECDSA with SHA-2, the hash in the last byte.
const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
/// 1.2.840.10045.4.1: ECDSA with SHA-1.
const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01];

/// The hash of a certificate by the hash that it is signed with, which is SHA-256 for the weaker
/// ones. None where that is not defined, as for Ed25519: then there is no channel binding.
pub(super) fn tls_server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let hash: fn(&[u8]) -> Vec<u8> = match signature_algorithm(certificate)? {
        ECDSA_SHA1 => sha256,
        algorithm => match algorithm.split_last()? {
            // MD5, SHA-1, SHA-256.
            (4 | 5 | 11, RSA) | (2, ECDSA) => sha256,
            (12, RSA) | (3, ECDSA) => |bytes| Sha384::digest(bytes).to_vec(),
            (13, RSA) | (4, ECDSA) => |bytes| Sha512::digest(bytes).to_vec(),
            _ => return None,
        },
    };
    Some(hash(certificate))
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

/// The object identifier of what a certificate is signed with: the first member of the second
/// member of the certificate.
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (members, _) = contents(certificate, SEQUENCE)?;
    let (_to_be_signed, after) = contents(members, SEQUENCE)?;
    let (algorithm, _) = contents(after, SEQUENCE)?;
    contents(algorithm, OBJECT_IDENTIFIER).map(|(identifier, _)| identifier)
}

/// The contents of the DER value that `bytes` begin with, if it has that tag; and what follows it.
fn contents(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, length], mut rest) = bytes.split_first_chunk::<2>()?;
    let mut length = usize::from(length);
    if length >= 0x80 {
        // The length's own length; certificates are below 16 MB.
        let (digits, after) = rest.split_at_checked(length - 0x80)?;
        if digits.len() > 3 {
            return None;
        }
        let digits = digits.iter();
        length = digits.fold(0, |length, digit| length << 8 | usize::from(*digit));
        rest = after;
    }
    (found == tag).then(|| rest.split_at_checked(length))?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a certificate is outside, signed with an algorithm.
    fn certificate(algorithm: &[u8]) -> Vec<u8> {
        let value = |tag: u8, inside: &[u8]| {
            let length = u16::try_from(inside.len()).expect("short").to_be_bytes();
            [&[tag, 0x82], &length[..], inside].concat()
        };
        let identifier = value(OBJECT_IDENTIFIER, algorithm);
        let to_be_signed = value(SEQUENCE, &[7; 300]);
        value(
            SEQUENCE,
            &[to_be_signed, value(SEQUENCE, &identifier)].concat(),
        )
    }

    #[test]
    fn the_hash_is_that_of_the_signature_and_sha_256_for_weaker_ones() {
        for (family, last, length) in [
            (RSA, 4, Some(32)),
            (RSA, 5, Some(32)),
            (RSA, 11, Some(32)),
            (RSA, 12, Some(48)),
            (RSA, 13, Some(64)),
            // PSS has its hash in a parameter.
            (RSA, 10, None),
            (ECDSA, 2, Some(32)),
            (ECDSA, 3, Some(48)),
            (ECDSA, 4, Some(64)),
            (&ECDSA_SHA1[..6], 1, Some(32)),
            // Ed25519.
            (&[0x2b, 0x65][..], 0x70, None),
        ] {
            let certificate = certificate(&[family, &[last]].concat());
            let hash = tls_server_end_point(&certificate);
            assert_eq!(hash.map(|hash| hash.len()), length, "{family:?} {last}");
        }
    }

    #[test]
    fn what_is_no_certificate_has_none() {
        let whole = certificate(&[RSA, &[11]].concat());
        for length in 0..whole.len() {
            assert_eq!(tls_server_end_point(&whole[..length]), None, "{length}");
        }
        assert_eq!(tls_server_end_point(&[0x30, 0xff, 0, 0]), None);
    }
}
