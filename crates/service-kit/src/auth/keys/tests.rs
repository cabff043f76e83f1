//! Keys of each kind, as JWK and as PEM.

use jsonwebtoken::{Validation, decode, decode_header};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use serde_json::{Value, json};
use test_harness::issuer::{claims, encoded, jwks, unsigned};

use super::*;

/// An RSA key of 2048 bits that nobody has the private part of, and a token that it signed.
const RSA_N: &str = "v4vUOp9vLRgFa1nzqDttZGVU4l0GQWV8d6ZvfGtHnu4EjTh2gH2CV30eg5bpjfTWzbOnAeoOLIxwivfhp_OW\
     E-UpPNyfP6rGQbID-zFIVytSamsV3BG_FK_vpN6ZBTGQXu7yR5wXG1C2Mx50nklsFt3-e__XaRkqiajdyYL4\
     4hcKmWq2LaC5Cl8oI0rsVQoyLaHcjtQNmb3PgBgJGrVpR8555eXBqOD3LJyFNOPI0r5DERnVHJpxa6JImQJG\
     9sSd0fjv1s_HXwxnBj0MOE2fjAon5MIRiM4qKVeGk1agCYDyrof9cMXVzWbwvmPmKYyB8vlNDiKY2tfGP3J-\
     iXpi5w";
const RSA_PEM: &str = "\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAv4vUOp9vLRgFa1nzqDtt
ZGVU4l0GQWV8d6ZvfGtHnu4EjTh2gH2CV30eg5bpjfTWzbOnAeoOLIxwivfhp/OW
E+UpPNyfP6rGQbID+zFIVytSamsV3BG/FK/vpN6ZBTGQXu7yR5wXG1C2Mx50nkls
Ft3+e//XaRkqiajdyYL44hcKmWq2LaC5Cl8oI0rsVQoyLaHcjtQNmb3PgBgJGrVp
R8555eXBqOD3LJyFNOPI0r5DERnVHJpxa6JImQJG9sSd0fjv1s/HXwxnBj0MOE2f
jAon5MIRiM4qKVeGk1agCYDyrof9cMXVzWbwvmPmKYyB8vlNDiKY2tfGP3J+iXpi
5wIDAQAB
-----END PUBLIC KEY-----
";
const RSA_TOKEN: &str = "eyJhbGciOiAiUlMyNTYiLCAia2lkIjogInJzYSJ9.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlIiwgImF\
     1ZCI6ICJ0aWNrZXRpbmciLCAic3ViIjogImFubiIsICJleHAiOiA0MTAyNDQ0ODAwLCAicm9sZXMiOiBbInN\
     0YWZmIl19.K2rb0zRg7pVti0QzBcivCVkW7U2vdHCqO8qfpzafkSqYgXwiVrFvVQJ6oxVm7-4u3-Y7IdMjWt\
     OzkR_uPdFH6V3rGQRFUzUEfHRarojnG_uSWDJw_x_y3kjR7MJG3HX9-BwCuJhFQFWdDKR9kNkuIg-rdpqMrw\
     hNhJR9AAvyxSQS37i-zIKQuvy9jd6maMegKkMxorzPgS-Hzn0mGQEP1WUOVj8k8eNg5FaiZRAE96AnVehrSV\
     jYlMnf0rjs9uxpQTNGdmDXqyFZMUTE5pGGvgji98MdFemfHamWHQqsZkKvMFINA-C7nhTXeSpmhAzH4OEmcc\
     VGyL6HWMG5pJsy2w";

/// Whether a key of the set has signed the token.
fn is_signed_by(keys: &str, token: &str) -> bool {
    super::super::ring_provider::install();
    let keys = KeySet::read(keys.as_bytes(), Unusable::Refuse).expect("keys");
    let header = decode_header(token).expect("a header");
    keys.for_header(&header).any(|key| {
        let mut validation = Validation::new(key.algorithm);
        validation.validate_aud = false;
        decode::<Value>(token, &key.decoding, &validation).is_ok()
    })
}

fn pem(info: &[u8]) -> String {
    let text = base64::prelude::BASE64_STANDARD.encode(info);
    format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
}

/// The keys, in each form, have signed the token, and no other.
fn check(keys: &[String], token: &str) {
    for keys in keys {
        assert!(is_signed_by(keys, token), "{keys}");
        let (message, signature) = token.rsplit_once('.').expect("three parts");
        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(signature).expect("base64");
        bytes[7] ^= 1;
        let forged = format!("{message}.{}", encoded(&bytes));
        assert!(!is_signed_by(keys, &forged), "{keys}");
    }
}

#[test]
fn rs256_is_verified() {
    let jwk = json!({"kty": "RSA", "kid": "rsa", "n": RSA_N, "e": "AQAB"});
    check(&[jwks(&[jwk]), RSA_PEM.to_owned()], RSA_TOKEN);
}

#[test]
fn es256_is_verified() {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("random numbers");
    let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).expect("a key");
    let point = key.public_key().as_ref();
    let message = unsigned(&json!({"alg": "ES256", "kid": "ec"}), &claims("ann", &[]));
    let signature = key
        .sign(&random, message.as_bytes())
        .expect("random numbers");
    let token = format!("{message}.{}", encoded(signature.as_ref()));
    let jwk = json!({
        "kty": "EC", "crv": "P-256", "kid": "ec",
        "x": encoded(&point[1..33]), "y": encoded(&point[33..]),
    });
    let info = [&[0x30, 0x59, 0x30, 0x13][..], P256, &[3, 0x42, 0], point].concat();
    check(&[jwks(&[jwk]), pem(&info)], &token);
}

#[test]
fn eddsa_is_verified() {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("random numbers");
    let key = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("a key");
    let point = key.public_key().as_ref();
    let message = unsigned(&json!({"alg": "EdDSA"}), &claims("ann", &[]));
    let token = format!(
        "{message}.{}",
        encoded(key.sign(message.as_bytes()).as_ref())
    );
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": encoded(point)});
    let info = [&[0x30, 0x2a, 0x30, 5][..], ED25519, &[3, 0x21, 0], point].concat();
    check(&[jwks(&[jwk]), pem(&info)], &token);
}

#[test]
fn keys_for_other_purposes_are_left_out_where_an_issuer_publishes_them() {
    let good = json!({"kty": "RSA", "kid": "rsa", "n": RSA_N, "e": "AQAB"});
    let bad = [
        json!({"kty": "RSA", "kid": "enc", "use": "enc", "n": RSA_N, "e": "AQAB"}),
        json!({"kty": "RSA", "kid": "long", "alg": "RS512", "n": RSA_N, "e": "AQAB"}),
        json!({"kty": "RSA", "kid": "short", "n": "AQAB", "e": "AQAB"}),
        json!({"kty": "EC", "crv": "P-521", "kid": "big", "x": "AA", "y": "AA"}),
        json!({"kty": "EC", "crv": "P-256", "kid": "flat", "x": "AA", "y": "AA"}),
        json!({"kty": "OKP", "crv": "X25519", "kid": "dh", "x": "AA"}),
        json!({"kty": 7}),
    ];
    for bad in bad {
        let set = jwks(&[bad, good.clone()]);
        assert!(
            KeySet::read(set.as_bytes(), Unusable::Refuse).is_err(),
            "{set}"
        );
        let keys = KeySet::read(set.as_bytes(), Unusable::Skip).expect("the good one");
        assert_eq!(keys.keys.len(), 1);
    }
    let many = jwks(&vec![good; KEYS_MAX + 1]);
    assert!(KeySet::read(many.as_bytes(), Unusable::Skip).is_err());
}

#[test]
fn what_is_cut_off_is_no_key() {
    let whole: Vec<u8> = [&[0x30, 0x2a, 0x30, 5][..], ED25519, &[3, 0x21, 0], &[7; 32]].concat();
    assert!(key_of_info(&whole).is_ok());
    for length in 0..whole.len() {
        assert!(key_of_info(&whole[..length]).is_err(), "{length}");
    }
    for place in 0..whole.len() - 32 {
        let mut other = whole.clone();
        other[place] ^= 0x80;
        assert!(key_of_info(&other).is_err(), "{place}");
    }
}
