//! Tokens, good and bad, and keys in a file.

mod issuer_server;

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use http::Request;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use test_harness::eventually;
use test_harness::issuer::{AUDIENCE, ISSUER, Issuer, claims, encoded, jwks, now, unsigned};
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;
use tonic_types::StatusExt as _;

use super::*;

const RESERVE: &str = "/ticketing.booking.v1.BookingService/ReserveSeats";
const LIST_SEATS: &str = "/ticketing.booking.v1.BookingService/ListSeats";
const CREATE_SHOW: &str = "/ticketing.catalog.v1.CatalogService/CreateShow";
/// A limit on what should take milliseconds.
const SOON: Duration = Duration::from_secs(10);

fn args() -> AuthArgs {
    AuthArgs {
        issuer: Some(ISSUER.to_owned()),
        audience: Some(AUDIENCE.to_owned()),
        roles_claim: "roles".to_owned(),
        customer_claim: "sub".to_owned(),
        ..Default::default()
    }
}

fn file_of(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("a file of ours");
    file
}

fn with_keys(path: &Path) -> Result<Option<Auth>, String> {
    Auth::new(&AuthArgs {
        keys: Some(path.to_owned()),
        ..args()
    })
}

fn auth(text: &str) -> Auth {
    let file = file_of(text);
    let auth = with_keys(file.path()).expect("keys");
    auth.expect("it is on")
}

fn soon() -> Instant {
    Instant::now() + SOON
}

/// What becomes of a call with these values of `authorization`.
async fn admitted(auth: &Auth, path: &str, headers: &[&str]) -> Result<Option<Caller>, String> {
    let mut request = Request::post(path);
    for value in headers {
        request = request.header(AUTHORIZATION, *value);
    }
    let (mut head, ()) = request.body(()).expect("a request").into_parts();
    match auth.admit(&mut head, soon()).await {
        Ok(()) => Ok(head.extensions.remove()),
        Err(error) => Err(reason(error)),
    }
}

fn reason(error: ApiError) -> String {
    let status = Status::from(error);
    let info = status.get_details_error_info().expect("an ErrorInfo");
    info.reason
}

async fn with_token(auth: &Auth, token: &str) -> Result<Option<Caller>, String> {
    admitted(auth, RESERVE, &[&format!("Bearer {token}")]).await
}

#[tokio::test]
async fn a_valid_token_lets_its_roles_in_and_says_who_calls() {
    let issuer = Issuer::new("one");
    let auth = auth(&jwks(&[issuer.jwk()]));
    let mut claims = claims("ann", &["customer", "staff"]);
    claims["azp"] = "web".into();
    claims["email"] = "ann@example.org".into();
    let token = issuer.token(&claims);
    let caller = with_token(&auth, &token).await.expect("admitted");
    let caller = caller.expect("a caller");
    let identity = caller.identity();
    assert_eq!(identity.subject, "ann");
    assert_eq!(identity.customer_id.as_deref(), Some("ann"));
    assert_eq!(identity.client_id.as_deref(), Some("web"));
    assert_eq!(identity.email, None, "nobody has verified it");
    claims["email_verified"] = true.into();
    let caller = with_token(&auth, &issuer.token(&claims)).await;
    let caller = caller.expect("admitted").expect("a caller");
    let email = caller.identity().email.as_deref();
    assert_eq!(email, Some("ann@example.org"));

    let bearer = format!("bEaReR {token}");
    assert!(admitted(&auth, CREATE_SHOW, &[&bearer]).await.is_ok());
    assert!(matches!(admitted(&auth, LIST_SEATS, &[]).await, Ok(None)));
}

#[tokio::test]
async fn who_is_a_customer_only_has_what_is_theirs_and_others_have_all() {
    let issuer = Issuer::new("one");
    let auth = auth(&jwks(&[issuer.jwk()]));
    for (roles, is_customer) in [
        (&["customer"][..], true),
        // At the door, which reserves nothing.
        (&["customer", "door"], true),
        (&["customer", "staff"], false),
        (&["service"], false),
    ] {
        let token = issuer.token(&claims("ann", roles));
        let caller = with_token(&auth, &token).await.expect("admitted");
        let mut request = tonic::Request::new(());
        request.extensions_mut().insert(caller.expect("a caller"));
        assert_eq!(
            Caller::customer_of(&request).is_some(),
            is_customer,
            "{roles:?}"
        );
    }
}

#[tokio::test]
async fn what_is_no_token_or_not_enough_is_refused() {
    let issuer = Issuer::new("one");
    let auth = auth(&jwks(&[issuer.jwk()]));
    let good = format!("Bearer {}", issuer.token(&claims("ann", &["customer"])));
    let door = format!("Bearer {}", issuer.token(&claims("ann", &["door"])));
    let none = format!("Bearer {}", issuer.token(&claims("ann", &["boss"])));
    for (headers, expected) in [
        (&[][..], "TOKEN_MISSING"),
        (&[""], "TOKEN_MISSING"),
        (&["Bearer"], "TOKEN_MISSING"),
        (&["Bearer "], "TOKEN_MISSING"),
        (&["Basic YTpi"], "TOKEN_MISSING"),
        (&["Bearer garbage"], "TOKEN_INVALID"),
        (&["Bearer a.b.c"], "TOKEN_INVALID"),
        (&[&good, &good], "TOKEN_INVALID"),
        (&[&door], "ROLE_REQUIRED"),
        (&[&none], "ROLE_REQUIRED"),
    ] {
        let refused = admitted(&auth, RESERVE, headers).await;
        assert_eq!(refused.expect_err("refused"), expected, "{headers:?}");
    }
    for path in [
        "/ticketing.booking.v1.BookingService/reserveseats",
        "/ticketing.booking.v1.BookingService/ReserveSeats/",
        "/ticketing.booking.v1.BookingService/Reserve%53eats",
        "/ticketing.booking.v1.BookingService//ReserveSeats",
        "/ticketing.",
    ] {
        let refused = admitted(&auth, path, &[&good]).await;
        assert_eq!(refused.expect_err(path), "UNKNOWN_METHOD");
    }
}

#[tokio::test]
async fn bad_tokens_are_refused() {
    let issuer = Issuer::new("one");
    let auth = auth(&jwks(&[issuer.jwk()]));
    let changed = |name: &str, value: Value| {
        let mut claims = claims("ann", &["customer"]);
        claims[name] = value;
        issuer.token(&claims)
    };
    let without = |name: &str| {
        let mut claims = claims("ann", &["customer"]);
        claims.as_object_mut().expect("an object").remove(name);
        issuer.token(&claims)
    };
    let good = claims("ann", &["customer"]);
    let signed = |header: Value| issuer.signed(&header, &good);
    let other = Issuer::new("one");
    let public = issuer.jwk()["x"].as_str().expect("a key").to_owned();
    let by_hmac = |alg: &str| {
        let message = unsigned(&json!({"alg": alg, "kid": "one"}), &good);
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, public.as_bytes());
        let signature = ring::hmac::sign(&key, message.as_bytes());
        format!("{message}.{}", encoded(signature.as_ref()))
    };
    let none = |alg: &str| format!("{}.", unsigned(&json!({"alg": alg}), &good));
    let token = issuer.token(&good);
    let (message, signature) = token.rsplit_once('.').expect("three parts");
    let (header, _) = message.split_once('.').expect("two parts");
    let more = encoded(claims("ann", &["admin"]).to_string().as_bytes());
    let long = changed("padding", "x".repeat(100_000).into());
    for (token, expected) in [
        (changed("exp", (now() - 120).into()), "TOKEN_EXPIRED"),
        (changed("exp", "soon".into()), "TOKEN_INVALID"),
        (without("exp"), "TOKEN_INVALID"),
        (changed("nbf", (now() + 120).into()), "TOKEN_INVALID"),
        (changed("iss", "https://other".into()), "TOKEN_INVALID"),
        (without("iss"), "TOKEN_INVALID"),
        (changed("aud", "another".into()), "TOKEN_INVALID"),
        (changed("aud", json!([])), "TOKEN_INVALID"),
        (without("aud"), "TOKEN_INVALID"),
        (changed("sub", "".into()), "TOKEN_INVALID"),
        (without("sub"), "TOKEN_INVALID"),
        (none("none"), "TOKEN_INVALID"),
        (none("None"), "TOKEN_INVALID"),
        (none("EdDSA"), "TOKEN_INVALID"),
        (by_hmac("HS256"), "TOKEN_INVALID"),
        (by_hmac("EdDSA"), "TOKEN_INVALID"),
        (
            signed(json!({"alg": "ES256", "kid": "one"})),
            "TOKEN_INVALID",
        ),
        (
            signed(json!({"alg": "EdDSA", "kid": "two"})),
            "TOKEN_INVALID",
        ),
        (
            signed(json!({"alg": "EdDSA", "kid": "one", "crit": ["x"], "x": 1})),
            "TOKEN_INVALID",
        ),
        (other.token(&good), "TOKEN_INVALID"),
        (format!("{header}.{more}.{signature}"), "TOKEN_INVALID"),
        (format!("{token}x"), "TOKEN_INVALID"),
        (long, "TOKEN_INVALID"),
    ] {
        let refused = with_token(&auth, &token).await;
        let head: String = token.chars().take(400).collect();
        assert_eq!(refused.expect_err(&head), expected, "{head}");
    }
    let both = json!([AUDIENCE, "another"]);
    assert!(with_token(&auth, &changed("aud", both)).await.is_ok());
    assert!(with_token(&auth, &without("nbf")).await.is_ok());
    let just_now = changed("exp", (now() - 5).into());
    assert!(with_token(&auth, &just_now).await.is_ok(), "clocks differ");
}

#[tokio::test]
async fn nothing_of_a_token_is_in_the_error() {
    let issuer = Issuer::new("one");
    let auth = auth(&jwks(&[issuer.jwk()]));
    let token = Issuer::new("secret-kid").token(&claims("secret-ann", &["customer"]));
    let mut headers = HeaderMap::new();
    let value = format!("Bearer {token}");
    headers.insert(AUTHORIZATION, value.parse().expect("a header"));
    let error = auth.identify(&headers, soon()).await.expect_err("refused");
    let text = format!("{error:?} {:?}", Status::from(error.clone()));
    for part in token.split('.').chain(["secret"]) {
        assert!(!text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn a_token_that_is_remembered_ends_with_its_time_and_with_its_key() {
    let (issuer, next) = (Issuer::new("one"), Issuer::new("two"));
    let mut file = file_of(&jwks(&[issuer.jwk()]));
    let pace = Pace::all(Duration::from_millis(10));
    let args = AuthArgs {
        keys: Some(file.path().to_owned()),
        ..args()
    };
    let auth = Auth::with_pace(&args, Some(pace))
        .expect("keys")
        .expect("it is on");
    let (stop, _keeping) = keep(&auth);
    let mut short = claims("ann", &["customer"]);
    // It has a second or two of its leeway left.
    short["exp"] = (now() - 28).into();
    let short = issuer.token(&short);
    assert!(with_token(&auth, &short).await.is_ok());
    eventually(SOON, "a remembered token expires", async || {
        with_token(&auth, &short).await.err().as_deref() == Some("TOKEN_EXPIRED")
    })
    .await;

    let token = issuer.token(&claims("ann", &["customer"]));
    assert!(with_token(&auth, &token).await.is_ok());
    let text = jwks(&[next.jwk()]);
    file.as_file_mut().set_len(0).expect("a file of ours");
    std::fs::write(file.path(), text).expect("a file of ours");
    eventually(
        SOON,
        "a key that was taken away ends its tokens",
        async || with_token(&auth, &token).await.is_err(),
    )
    .await;
    let token = next.token(&claims("ann", &["customer"]));
    assert!(with_token(&auth, &token).await.is_ok());
    std::fs::write(file.path(), "{").expect("a file of ours");
    let looks = auth.0.keeper.known().looks;
    eventually(SOON, "the file is looked at", async || {
        auth.0.keeper.known().looks > looks + 1
    })
    .await;
    assert!(
        with_token(&auth, &token).await.is_ok(),
        "the last good keys stay"
    );
    stop.cancel();
}

/// Keeps the keys up to date until the token is cancelled, or the task is dropped.
fn keep(auth: &Auth) -> (CancellationToken, AbortOnDropHandle<()>) {
    let (auth, stop) = (auth.clone(), CancellationToken::new());
    let until = stop.clone();
    let keeping = tokio::spawn(async move { auth.keep_keys(&until).await });
    (stop, AbortOnDropHandle::new(keeping))
}

#[test]
fn keys_that_cannot_be_used_are_an_error_that_names_the_file_and_the_key() {
    let issuer = Issuer::new("one");
    let mut private = issuer.jwk();
    private["d"] = "c2VjcmV0".into();
    for (text, expected) in [
        (String::new(), "neither a JWKS nor PEM"),
        ("{".to_owned(), "no JWKS"),
        (jwks(&[]), "no key that can be used"),
        (jwks(&[private]), "key \"one\": it is a private key"),
        (
            jwks(&[json!({"kty": "oct", "kid": "mac", "k": "c2VjcmV0"})]),
            "key \"mac\": it must be RSA",
        ),
        (jwks(&[json!({"kid": "odd"})]), "key \"odd\": it is no JWK"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
            "PEM block 1 is no PUBLIC KEY",
        ),
    ] {
        let file = file_of(&text);
        let error = with_keys(file.path()).expect_err(expected);
        let name = format!("--auth-keys {}: ", file.path().display());
        assert!(
            error.starts_with(&name) && error.contains(expected),
            "{error}"
        );
        assert!(!error.contains("c2VjcmV0"), "{error}");
    }
    let error = with_keys(Path::new("/nothing")).expect_err("no file");
    assert!(error.starts_with("--auth-keys /nothing: "), "{error}");
}

#[test]
fn off_it_asks_nobody() {
    let off = Auth::new(&AuthArgs::default()).expect("every method has a rule");
    assert!(off.is_none());
}
