//! Who makes a request, and what it may name.

use std::sync::Arc;

use proto::errors::v1::ErrorReason;
use service_kit::ApiError;
use service_kit::auth::{Caller, Identity};
use sha2::{Digest as _, Sha256};
use tonic::{Code, Request};

use crate::domain::{Buyer, Customer, Requester, SERVICE_ACTOR};

/// The most characters of an actor, as the log has room for.
const ACTOR_CHARS_MAX: usize = 128;
/// The names by which the log calls the services that write it.
const SERVICES: [&str; 2] = [SERVICE_ACTOR, "expiry-worker"];

/// Who makes a request.
pub(super) fn of<T>(request: &Request<T>) -> Arc<Requester> {
    let Some(caller) = Caller::of(request) else {
        return Requester::unnamed();
    };
    Arc::new(Requester {
        buyer: buyer_of(request),
        subject: None,
        actor: actor(caller.identity()).into(),
    })
}

/// What the log calls a caller: its subject, and the program that got its token. No two callers have
/// the same, and none has that of a service: what could be read as another's gets a hash of both.
fn actor(identity: &Identity) -> String {
    let subject = identity.subject.as_str();
    let client = identity.client_id.as_deref().filter(|it| !it.is_empty());
    let plain = match client {
        Some(client) => format!("{subject} ({client})"),
        None => subject.to_owned(),
    };
    let is_special = |char: char| char.is_control() || "()…".contains(char);
    let is_clear = !subject.contains(is_special)
        && !client.is_some_and(|client| client.contains(is_special))
        && !SERVICES.contains(&plain.as_str())
        && plain.chars().count() <= ACTOR_CHARS_MAX;
    if is_clear {
        return plain;
    }
    let mut hash = Sha256::new();
    hash.update(subject.len().to_be_bytes());
    hash.update(subject);
    hash.update(client.unwrap_or_default());
    let hash = format!("…{:032x}", u128_of(&hash.finalize()));
    let room = ACTOR_CHARS_MAX - hash.chars().count();
    // PostgreSQL's texts have no NUL, and a line of the log is one line.
    let shown = plain.chars().take(room);
    let shown = shown.map(|char| if char.is_control() { '?' } else { char });
    shown.collect::<String>() + &hash
}

/// The first half of a hash.
fn u128_of(hash: &[u8]) -> u128 {
    hash[..16]
        .iter()
        .fold(0, |number, byte| number << 8 | u128::from(*byte))
}

/// The same, with whose holds its holds are counted with.
pub(super) fn counted<T>(request: &Request<T>) -> Arc<Requester> {
    let mut requester = of(request);
    if let Some(subject) = Caller::subject_of(request) {
        Arc::make_mut(&mut requester).subject = Some(subject.into());
    }
    requester
}

/// The customer that makes a request; none if the caller may act for any customer.
fn buyer_of<T>(request: &Request<T>) -> Option<Buyer> {
    let identity = Caller::customer_of(request)?;
    // An address that is none here was surely never booked by.
    let email = identity.email.as_deref().and_then(|it| it.parse().ok());
    Some(Buyer::new(identity.customer_id.as_deref(), email.as_ref()))
}

/// Whether the caller may name a customer.
pub(super) fn check(requester: &Requester, customer: &Customer) -> Result<(), ApiError> {
    match &requester.buyer {
        Some(buyer) if !buyer.is(customer) => Err(other_customer(match customer {
            Customer::Id(_) => "customer_id",
            Customer::Email(_) => "email",
        })),
        _ => Ok(()),
    }
}

/// PERMISSION_DENIED, as the field names what is not the customer's own.
pub(super) fn other_customer(field: &'static str) -> ApiError {
    let message = format!("{field}: a customer's token is for that customer's own bookings");
    let error = ApiError::new(Code::PermissionDenied, ErrorReason::OtherCustomer, message);
    error.with("field", field)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use service_kit::auth::access::Roles;

    use super::*;

    fn actor_of(subject: &str, client: Option<&str>) -> String {
        actor(&Identity {
            subject: subject.to_owned(),
            roles: Roles::NONE,
            customer_id: None,
            email: None,
            client_id: client.map(ToOwned::to_owned),
        })
    }

    #[test]
    fn an_actor_is_the_subject_and_its_client() {
        assert_eq!(actor_of("ann", Some("web-shop")), "ann (web-shop)");
        assert_eq!(actor_of("ann", None), "ann");
        assert_eq!(actor_of("ann", Some("")), "ann");
        let longest = "é".repeat(ACTOR_CHARS_MAX);
        assert_eq!(actor_of(&longest, None), longest);
    }

    #[test]
    fn no_two_callers_have_the_same_actor_and_none_has_that_of_a_service() {
        let long = "é".repeat(ACTOR_CHARS_MAX + 1);
        let longer = "é".repeat(ACTOR_CHARS_MAX + 2);
        let cut = actor_of(&long, None);
        let callers = [
            ("ann", Some("web")),
            ("ann (web)", None),
            ("ann (web", Some("x")),
            ("a\0b", None),
            ("a?b", None),
            (SERVICE_ACTOR, None),
            ("expiry-worker", None),
            (&long, None),
            (&longer, None),
            (&long, Some("web")),
            (&cut, None),
        ];
        let actors: Vec<_> = callers
            .map(|(subject, client)| actor_of(subject, client))
            .into();
        for actor in &actors {
            assert!(actor.chars().count() <= ACTOR_CHARS_MAX, "{actor}");
            assert!(!actor.contains(char::is_control), "{actor:?}");
            assert!(!SERVICES.contains(&actor.as_str()), "{actor}");
        }
        let different: HashSet<_> = actors.iter().collect();
        assert_eq!(different.len(), callers.len(), "{actors:?}");
    }
}
