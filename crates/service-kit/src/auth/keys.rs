//! The issuer's public keys: read from a JWKS (RFC 7517) or from PEM.
//!
//! Invariant: a key has one algorithm, and it is asymmetric. A token cannot choose another.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Header};
use rustls_pki_types::pem::{PemObject as _, SectionKind};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// The most keys of a set. Issuers have two or three.
const KEYS_MAX: usize = 32;
/// The most keys that are tried for a token that names none.
const TRIES_MAX: usize = 4;
/// The modulus of an RSA key, in bytes: 2048 to 8192 bits, which ring verifies by.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;
/// A coordinate of P-256, and a key of Ed25519, in bytes.
const POINT_BYTES: usize = 32;

/// A public key.
#[derive(Debug, Clone)]
pub(super) struct Key {
    id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
}

/// The keys that tokens may be signed by.
#[derive(Debug, Clone)]
pub(super) struct KeySet {
    keys: Vec<Key>,
    /// A hash of what it was read from: another set has another.
    digest: [u8; 32],
}

/// What to do about a key that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unusable {
    /// Refuse the whole set: somebody here has written it.
    Refuse,
    /// Go on without it: an issuer also publishes keys for other purposes.
    Skip,
}

impl KeySet {
    /// Reads a JWKS, or else PEM.
    ///
    /// # Errors
    ///
    /// What is wrong with it. It names the `kid` of a key, and nothing else of it.
    pub(super) fn read(text: &[u8], unusable: Unusable) -> Result<Self, String> {
        let keys = if text.trim_ascii_start().starts_with(b"{") {
            of_jwks(text, unusable)?
        } else {
            of_pem(text)?
        };
        match keys.len() {
            0 => Err("there is no key that can be used: RS256, ES256 or EdDSA".to_owned()),
            1..=KEYS_MAX => Ok(Self {
                keys,
                digest: Sha256::digest(text).into(),
            }),
            _ => Err(format!("there are more than {KEYS_MAX} keys")),
        }
    }

    /// Whether both were read from the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.digest == other.digest
    }

    /// The keys that may have signed a token with this header: the one that it names; or else
    /// those of its algorithm, where either of them has no id.
    pub(super) fn for_header(&self, header: &Header) -> impl Iterator<Item = &Key> {
        let may_be = |key: &&Key| {
            key.algorithm == header.alg
                && (key.id == header.kid || key.id.is_none() || header.kid.is_none())
        };
        self.keys.iter().filter(may_be).take(TRIES_MAX)
    }
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<serde_json::Value>,
}

/// A JSON Web Key, as far as it concerns us.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    /// The secret part, which does not belong into a set of public keys.
    d: Option<serde::de::IgnoredAny>,
}

fn of_jwks(text: &[u8], unusable: Unusable) -> Result<Vec<Key>, String> {
    let set: Jwks = serde_json::from_slice(text).map_err(|error| {
        // Its own text could quote a part of a key.
        format!("it is no JWKS (line {})", error.line())
    })?;
    let mut keys = Vec::new();
    for (place, key) in set.keys.into_iter().enumerate() {
        let name = key.get("kid").and_then(|kid| kid.as_str());
        let name = name.map_or_else(|| format!("keys[{place}]"), |kid| format!("key {kid:?}"));
        let key = Jwk::deserialize(key)
            .map_err(|_| "it is no JWK".to_owned())
            .and_then(key_of);
        match key {
            Ok(key) => keys.push(key),
            Err(why) if unusable == Unusable::Refuse => return Err(format!("{name}: {why}")),
            Err(why) => tracing::debug!(key = name, why, "a key of the issuer is not for us"),
        }
    }
    Ok(keys)
}

fn key_of(jwk: Jwk) -> Result<Key, String> {
    if jwk.d.is_some() {
        return Err("it is a private key; give the public one".to_owned());
    }
    if jwk
        .purpose
        .as_deref()
        .is_some_and(|purpose| purpose != "sig")
    {
        return Err("its use is not \"sig\"".to_owned());
    }
    let (algorithm, decoding) = match (&*jwk.kty, jwk.crv.as_deref()) {
        ("RSA", _) => {
            let (n, e) = (part("n", jwk.n.as_ref())?, part("e", jwk.e.as_ref())?);
            (Algorithm::RS256, rsa(&n, &e)?)
        }
        ("EC", Some("P-256")) => {
            let (x, y) = (part("x", jwk.x.as_ref())?, part("y", jwk.y.as_ref())?);
            if x.len() != POINT_BYTES || y.len() != POINT_BYTES {
                return Err("x and y must be 32 bytes".to_owned());
            }
            let point = [&[4][..], &x, &y].concat();
            (Algorithm::ES256, DecodingKey::from_ec_der(&point))
        }
        ("OKP", Some("Ed25519")) => {
            let x = part("x", jwk.x.as_ref())?;
            if x.len() != POINT_BYTES {
                return Err("x must be 32 bytes".to_owned());
            }
            (Algorithm::EdDSA, DecodingKey::from_ed_der(&x))
        }
        _ => return Err("it must be RSA, EC with P-256, or OKP with Ed25519".to_owned()),
    };
    // RFC 9864 calls EdDSA with this curve "Ed25519".
    let known = jwk.alg.as_deref();
    let fits = known.is_none_or(|alg| match algorithm {
        Algorithm::RS256 => alg == "RS256",
        Algorithm::ES256 => alg == "ES256",
        _ => alg == "EdDSA" || alg == "Ed25519",
    });
    if !fits {
        return Err(format!("its alg must be {algorithm:?}"));
    }
    Ok(Key {
        id: jwk.kid,
        algorithm,
        decoding,
    })
}

fn part(name: &str, text: Option<&String>) -> Result<Vec<u8>, String> {
    let text = text.ok_or_else(|| format!("it has no {name}"))?;
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(text);
    decoded.map_err(|_| format!("its {name} is not base64url"))
}

fn rsa(n: &[u8], e: &[u8]) -> Result<DecodingKey, String> {
    // ring takes no zeros in front.
    let significant = |bytes: &[u8]| {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        bytes[zeros..].to_vec()
    };
    let (n, e) = (significant(n), significant(e));
    if !MODULUS_BYTES.contains(&n.len()) || e.is_empty() {
        return Err("an RSA key must have 2048 to 8192 bits".to_owned());
    }
    Ok(DecodingKey::from_rsa_raw_components(&n, &e))
}

fn of_pem(text: &[u8]) -> Result<Vec<Key>, String> {
    let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(text);
    let keys = sections.enumerate().map(|(place, section)| {
        let number = place + 1;
        match section {
            Ok((SectionKind::PublicKey, der)) => {
                let key = key_of_info(&der);
                key.map_err(|why| format!("PEM block {number}: {why}"))
            }
            Ok(_) => Err(format!("PEM block {number} is no PUBLIC KEY")),
            Err(_) => Err(format!("PEM block {number} cannot be read")),
        }
    });
    let keys: Vec<Key> = keys.collect::<Result<_, _>>()?;
    if keys.is_empty() {
        return Err("it is neither a JWKS nor PEM".to_owned());
    }
    Ok(keys)
}

/// DER's tags.
const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
const INTEGER: u8 = 0x02;
/// The contents of an `AlgorithmIdentifier` of RFC 5280 that is rsaEncryption.
const RSA: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
/// Of id-ecPublicKey with prime256v1.
const P256: &[u8] = &[
    6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7,
];
/// Of id-Ed25519.
const ED25519: &[u8] = &[6, 3, 0x2b, 0x65, 0x70];

/// The key of a `SubjectPublicKeyInfo` (RFC 5280).
fn key_of_info(der: &[u8]) -> Result<Key, String> {
    let parts = || {
        let (info, _) = element(der, SEQUENCE)?;
        let (algorithm, rest) = element(info, SEQUENCE)?;
        let (bits, _) = element(rest, BIT_STRING)?;
        // How many bits of the last byte are not used: none of a key.
        Some((algorithm, bits.strip_prefix(&[0])?))
    };
    let (algorithm, key) = parts().ok_or("it is no public key")?;
    let (algorithm, decoding) = match algorithm {
        RSA => {
            let numbers = || {
                let (numbers, _) = element(key, SEQUENCE)?;
                let (n, rest) = element(numbers, INTEGER)?;
                let (e, _) = element(rest, INTEGER)?;
                Some((n, e))
            };
            let (n, e) = numbers().ok_or("it is no RSA key")?;
            (Algorithm::RS256, rsa(n, e)?)
        }
        P256 if key.len() == 1 + 2 * POINT_BYTES && key[0] == 4 => {
            (Algorithm::ES256, DecodingKey::from_ec_der(key))
        }
        ED25519 if key.len() == POINT_BYTES => (Algorithm::EdDSA, DecodingKey::from_ed_der(key)),
        _ => return Err("it must be RSA, EC with P-256, or Ed25519".to_owned()),
    };
    Ok(Key {
        id: None,
        algorithm,
        decoding,
    })
}

/// The contents of a DER element with this tag, and what is behind it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let rest = der.strip_prefix(&[tag])?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => (usize::from(*rest.first()?), &rest[1..]),
        0x82 => {
            let (bytes, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*bytes)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests;
