//! What a token says, once it is verified.

use std::sync::Arc;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::access::{Roles, role_named};
use super::args::AuthArgs;
use super::keys::KeySet;

/// How far the issuer's clock and ours may differ, in seconds.
const LEEWAY_SECONDS: u64 = 30;

/// Who calls, by a token that is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Whom the issuer knows the caller as: `sub`. Names a person, so it is not for the log.
    pub subject: String,
    /// What the caller is.
    pub roles: Roles,
    /// The customer id of a caller that is a customer.
    pub customer_id: Option<String>,
    /// Its e-mail address, if the issuer has verified it.
    pub email: Option<String>,
    /// The program that got the token: `azp`, or `client_id`.
    pub client_id: Option<String>,
}

/// A token that was verified.
#[derive(Debug, Clone)]
pub(super) struct Verified {
    pub(super) identity: Arc<Identity>,
    /// From when on it is expired, in seconds since 1970.
    pub(super) expires_at: u64,
    /// The generation of the keys that it was verified by.
    pub(super) generation: u64,
}

/// Why a token is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// None of the keys that are known can have signed it.
    UnknownKey,
    Expired,
    /// For another reason, in words for the log, which have nothing of the token.
    Invalid(&'static str),
}

/// What makes a token valid, and what is read from it.
#[derive(Debug)]
pub(super) struct Terms {
    issuer: String,
    audience: String,
    roles_claim: String,
    customer_claim: String,
}

impl Terms {
    pub(super) fn new(args: &AuthArgs, issuer: &str, audience: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            roles_claim: args.roles_claim.clone(),
            customer_claim: args.customer_claim.clone(),
        }
    }

    /// Who calls by this token, and until when (with the leeway), if one of the keys has signed it.
    pub(super) fn verify(&self, token: &str, keys: &KeySet) -> Result<(Identity, u64), Refusal> {
        let header = decode_header(token).map_err(|error| refusal(error.kind()))?;
        let mut outcome = Err(Refusal::UnknownKey);
        for key in keys.for_header(&header) {
            // The key's own algorithm: that of the header has only chosen among the keys.
            let mut validation = Validation::new(key.algorithm);
            validation.leeway = LEEWAY_SECONDS;
            validation.validate_nbf = true;
            validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
            validation.set_issuer(&[&self.issuer]);
            validation.set_audience(&[&self.audience]);
            let decoded = decode::<Map<String, Value>>(token, &key.decoding, &validation);
            outcome = match decoded {
                Ok(token) => return self.read(&token.claims),
                Err(error) => Err(refusal(error.kind())),
            };
            // With an unnamed key another one may fit; whatever else is wrong stays wrong.
            if outcome != Err(Refusal::Invalid(BAD_SIGNATURE)) {
                break;
            }
        }
        outcome
    }

    fn read(&self, claims: &Map<String, Value>) -> Result<(Identity, u64), Refusal> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let subject = text("sub").filter(|subject| !subject.is_empty());
        let subject = subject.ok_or(Refusal::Invalid("it has no subject"))?;
        let customer_id = claim(claims, &self.customer_claim).and_then(Value::as_str);
        // Some issuers write it as a text.
        let is_verified = match claims.get("email_verified") {
            Some(Value::Bool(verified)) => *verified,
            Some(Value::String(verified)) => verified == "true",
            _ => false,
        };
        let identity = Identity {
            subject: subject.to_owned(),
            roles: roles(claim(claims, &self.roles_claim)),
            customer_id: customer_id.map(ToOwned::to_owned),
            email: text("email").filter(|_| is_verified).map(ToOwned::to_owned),
            client_id: text("azp").or(text("client_id")).map(ToOwned::to_owned),
        };
        // It was checked to be a number; one with a fraction ends with its last whole second.
        let expires_at = claims.get("exp").and_then(|exp| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a float becomes the nearest integer that there is"
            )]
            exp.as_u64().or(exp.as_f64().map(|exp| exp as u64))
        });
        let expires_at = expires_at.ok_or(Refusal::Invalid("its exp is no number"))?;
        Ok((identity, expires_at.saturating_add(LEEWAY_SECONDS)))
    }
}

/// A claim by its name, or by a path with dots. A name may have dots itself, as those that are
/// URLs.
fn claim<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let mut parts = path.split('.');
    let first = claims.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

/// The roles in a list, or in a text with spaces between them. Others than ours are for others.
fn roles(claim: Option<&Value>) -> Roles {
    let names: Vec<&str> = match claim {
        Some(Value::String(text)) => text.split_whitespace().collect(),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let ours = names.into_iter().filter_map(role_named);
    ours.fold(Roles::NONE, Roles::with)
}

const BAD_SIGNATURE: &str = "its signature is not the key's";

fn refusal(kind: &ErrorKind) -> Refusal {
    match kind {
        ErrorKind::ExpiredSignature => Refusal::Expired,
        ErrorKind::InvalidSignature => Refusal::Invalid(BAD_SIGNATURE),
        ErrorKind::ImmatureSignature => Refusal::Invalid("its nbf lies ahead"),
        ErrorKind::InvalidIssuer => Refusal::Invalid("its issuer is another"),
        ErrorKind::InvalidAudience => Refusal::Invalid("it is for another audience"),
        ErrorKind::InvalidAlgorithm => Refusal::Invalid("its algorithm is not the key's"),
        ErrorKind::MissingRequiredClaim(_) => {
            Refusal::Invalid("it lacks one of exp, iss, aud and sub")
        }
        ErrorKind::InvalidClaimFormat(_) => Refusal::Invalid("a claim has a wrong form"),
        _ => Refusal::Invalid("it is no JWT"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn roles_are_a_list_or_a_text_at_any_depth() {
        let claims = json!({
            "roles": ["staff", "offline_access", 7],
            "scope": "openid customer  door",
            "realm_access": {"roles": ["admin"]},
            "https://tickets.example/roles": ["service"],
            "odd": {"roles": true},
        });
        let claims = claims.as_object().expect("an object");
        for (path, expected) in [
            ("roles", "staff"),
            ("scope", "customer,door"),
            ("realm_access.roles", "admin"),
            ("https://tickets.example/roles", "service"),
            ("odd.roles", ""),
            ("nothing.roles", ""),
            ("", ""),
        ] {
            let found = roles(claim(claims, path)).to_string();
            assert_eq!(found, expected, "{path}");
        }
    }
}
