//! An issuer of tokens: keys of its own, and tokens that they sign. For tests, and for a system
//! that runs on a developer's machine.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

/// The issuer of the tokens that [`claims`] makes.
pub const ISSUER: &str = "https://id.ticketing.test";
/// Whom they are for.
pub const AUDIENCE: &str = "ticketing";
/// How long they are valid, in seconds.
const VALID_SECONDS: u64 = 60 * 60;

/// An issuer with one key, of Ed25519.
#[derive(Debug)]
pub struct Issuer {
    key_id: String,
    key: Ed25519KeyPair,
    pkcs8: Vec<u8>,
}

impl Issuer {
    /// One with a new key of this id.
    ///
    /// # Panics
    ///
    /// If the system has no random numbers.
    #[must_use]
    pub fn new(key_id: &str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
        let pkcs8 = pkcs8.expect("random numbers");
        Self::from_pkcs8(key_id, pkcs8.as_ref()).expect("a key of ring's own")
    }

    /// One with the key of an earlier one.
    ///
    /// # Errors
    ///
    /// If it is no key of Ed25519.
    pub fn from_pkcs8(key_id: &str, pkcs8: &[u8]) -> anyhow::Result<Self> {
        let key = Ed25519KeyPair::from_pkcs8(pkcs8);
        Ok(Self {
            key_id: key_id.to_owned(),
            key: key.map_err(|error| anyhow::anyhow!("no key of Ed25519: {error}"))?,
            pkcs8: pkcs8.to_owned(),
        })
    }

    /// Its private key, to be kept.
    #[must_use]
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// Its public key, as a JWK.
    #[must_use]
    pub fn jwk(&self) -> Value {
        json!({
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
            "kid": self.key_id, "x": encoded(self.key.public_key().as_ref()),
        })
    }

    /// A token with these claims.
    #[must_use]
    pub fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": self.key_id});
        self.signed(&header, claims)
    }

    /// The same with another header.
    #[must_use]
    pub fn signed(&self, header: &Value, claims: &Value) -> String {
        let message = unsigned(header, claims);
        let signature = self.key.sign(message.as_bytes());
        format!("{message}.{}", encoded(signature.as_ref()))
    }
}

/// A JWKS of these keys.
#[must_use]
pub fn jwks(keys: &[Value]) -> String {
    json!({"keys": keys}).to_string()
}

/// The claims of a token that is valid from now on, for an hour.
#[must_use]
pub fn claims(subject: &str, roles: &[&str]) -> Value {
    let now = now();
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "roles": roles,
        "iat": now, "nbf": now, "exp": now + VALID_SECONDS,
    })
}

/// Seconds since 1970.
///
/// # Panics
///
/// If the clock is before that.
#[must_use]
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("a clock after 1970").as_secs()
}

/// The part of a token that is signed.
#[must_use]
pub fn unsigned(header: &Value, claims: &Value) -> String {
    let [header, claims] = [header, claims].map(|part| encoded(part.to_string().as_bytes()));
    format!("{header}.{claims}")
}

/// As parts of tokens are written.
#[must_use]
pub fn encoded(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
