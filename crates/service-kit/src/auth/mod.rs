//! Who calls, and whether they may.
//!
//! A call brings a token (JWT) of the trusted issuer. Its signature, issuer, audience and
//! times are verified here, and its roles are compared with the rule that stands at the method in
//! the contract ([`access`]), before the call's message is read. Handlers ask [`Caller::of`] what
//! the caller may see.
//!
//! Invariants: with authentication on, no path without a rule reaches a handler; and no part of a
//! token is logged or repeated in an error.

pub mod access;
mod args;
mod bearer;
mod fetch;
mod keeper;
mod keys;
mod ring_provider;
mod token;

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use proto::auth::v1::Role;
use proto::errors::v1::ErrorReason;
use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Code;

pub use self::args::AuthArgs;
pub use self::bearer::Bearer;
pub use self::fetch::KeysUrl;
pub use self::token::Identity;

use self::access::{Roles, Rule, Rules};
use self::keeper::{Keeper, Known, Pace};
use self::token::{Refusal, Terms, Verified};
use crate::api_error::{ApiError, RETRY_AFTER};
use crate::connection::Connection;
use crate::server::peer_of;

/// The longest token, in bytes. The headers of a request are 8 KiB at most: a longer one would leave
/// no room for the others, and be refused without a reason.
const TOKEN_BYTES_MAX: usize = 7 * 1024;
/// The most tokens that are remembered, so that those that come again are not verified again. What
/// is kept of each is part of a token that the issuer has signed: mostly some 100 bytes.
const VERIFIED_MAX: usize = 10_000;

/// Asks callers for tokens.
#[derive(Clone)]
pub(crate) struct Auth(Arc<Inner>);

struct Inner {
    rules: Rules,
    terms: Terms,
    keeper: Keeper,
    /// By the SHA-256 of the token: what is remembered is no token.
    verified: Cache<[u8; 32], Verified>,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").finish_non_exhaustive()
    }
}

/// Who makes a call, and by which of the method's roles; in the extensions of each request whose
/// method asks for a token.
#[derive(Debug, Clone)]
pub struct Caller {
    identity: Arc<Identity>,
    granted: Roles,
}

impl Caller {
    /// One that has `granted` of the roles that its method is for.
    #[must_use]
    pub fn new(identity: Arc<Identity>, granted: Roles) -> Self {
        Self { identity, granted }
    }

    /// Who makes a request; none if callers are not asked for a token, or not by this method.
    #[must_use]
    pub fn of<T>(request: &tonic::Request<T>) -> Option<&Self> {
        request.extensions().get()
    }

    /// Who makes a request, if it is a customer and nothing else that the method is for: it is for
    /// them alone what is their own.
    #[must_use]
    pub fn customer_of<T>(request: &tonic::Request<T>) -> Option<&Identity> {
        let caller = Self::of(request)?;
        caller.is_customer_alone().then_some(&*caller.identity)
    }

    /// Whether it is a customer and nothing else that the method is for.
    #[must_use]
    pub fn is_customer_alone(&self) -> bool {
        self.granted == Roles::of(Role::Customer)
    }

    /// Whose calls the request is counted with where one caller's calls are limited: the subject of
    /// its token, or without one the address that it comes from (of IPv6 the network, /64). None for
    /// a caller by another role than customer: those act for many.
    #[must_use]
    pub fn subject_of<T>(request: &tonic::Request<T>) -> Option<String> {
        match Self::of(request) {
            Some(_) => Self::customer_of(request).map(|it| format!("sub:{}", it.subject)),
            None => Connection::of(request).map(|it| format!("ip:{}", peer_of(it.peer().ip()))),
        }
    }

    /// What its token says.
    #[must_use]
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }
}

impl Auth {
    /// What asks callers for tokens, if the flags say so. The keys are kept only while
    /// [`Self::keep_keys`] runs.
    ///
    /// # Errors
    ///
    /// If a method of the contract has no rule, or the keys cannot be used. It names the flag.
    pub(crate) fn new(args: &AuthArgs) -> Result<Option<Self>, String> {
        Self::with_pace(args, None)
    }

    /// The same, where keys may be looked at more often than it is good for anybody but a test.
    fn with_pace(args: &AuthArgs, pace: Option<Pace>) -> Result<Option<Self>, String> {
        let rules = Rules::of_contract()?;
        let (Some(issuer), Some(audience)) = (&args.issuer, &args.audience) else {
            return Ok(None);
        };
        ring_provider::install();
        Ok(Some(Self(Arc::new(Inner {
            rules,
            terms: Terms::new(args, issuer, audience),
            keeper: Keeper::new(args, issuer, pace)?,
            verified: Cache::new(VERIFIED_MAX),
        }))))
    }

    /// Keeps the issuer's keys up to date until `stop`.
    pub(crate) async fn keep_keys(&self, stop: &CancellationToken) {
        self.0.keeper.run(stop).await;
    }

    /// Lets a call of the contract in, with its [`Caller`] in the extensions.
    ///
    /// # Errors
    ///
    /// Why it may not come in.
    pub(crate) async fn admit(&self, head: &mut Parts, deadline: Instant) -> Result<(), ApiError> {
        let wanted = match self.0.rules.of(head.uri.path()) {
            Some(Rule::Anyone) => return Ok(()),
            Some(Rule::OneOf(roles)) => roles,
            // Not left to the router: what has no rule here must not be found there.
            None => return Err(unknown_method()),
        };
        let identity = self.identify(&head.headers, deadline).await?;
        let granted = identity.roles.common(wanted);
        if granted == Roles::NONE {
            let message = format!("the call needs one of the roles {wanted}");
            let error = ApiError::new(Code::PermissionDenied, ErrorReason::RoleRequired, message);
            return Err(error.with("roles", wanted));
        }
        head.extensions.insert(Caller { identity, granted });
        Ok(())
    }

    /// Who sends a request with these headers, whatever their roles.
    ///
    /// # Errors
    ///
    /// If there is no valid token.
    pub(crate) async fn identify(
        &self,
        headers: &HeaderMap,
        deadline: Instant,
    ) -> Result<Arc<Identity>, ApiError> {
        let token = bearer_of(headers)?;
        let digest = Sha256::digest(token).into();
        if let Some(verified) = self.0.verified.get(&digest)
            && verified.generation == self.0.keeper.generation()
        {
            if unix_seconds() < verified.expires_at {
                return Ok(verified.identity);
            }
            self.0.verified.remove(&digest);
            return Err(expired());
        }
        let verified = self.verify(token, deadline).await?;
        let identity = Arc::clone(&verified.identity);
        self.0.verified.insert(digest, verified);
        Ok(identity)
    }

    async fn verify(&self, token: &str, deadline: Instant) -> Result<Verified, ApiError> {
        let Inner { terms, keeper, .. } = &*self.0;
        let known = keeper.known();
        let verdict = match judge(terms, token, &known) {
            // The issuer may have begun to sign by a new key.
            Err(Refusal::UnknownKey) => match keeper.newer(&known, deadline).await {
                Some(newer) => judge(terms, token, &newer),
                None => Err(Refusal::UnknownKey),
            },
            verdict => verdict,
        };
        verdict.map_err(|refusal| match refusal {
            Refusal::UnknownKey if keeper.known().keys.is_none() => no_keys(),
            Refusal::UnknownKey => invalid("its key is not known"),
            Refusal::Expired => expired(),
            Refusal::Invalid(why) => invalid(why),
        })
    }
}

/// Verifies a token with the keys that are known.
fn judge(terms: &Terms, token: &str, known: &Known) -> Result<Verified, Refusal> {
    let keys = known.keys.as_ref().ok_or(Refusal::UnknownKey)?;
    let (identity, expires_at) = terms.verify(token, keys)?;
    Ok(Verified {
        identity: Arc::new(identity),
        expires_at,
        generation: known.generation,
    })
}

/// The token of a request.
fn bearer_of(headers: &HeaderMap) -> Result<&str, ApiError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or_else(missing)?;
    if values.next().is_some() {
        return Err(invalid("there is more than one"));
    }
    let token = HeaderValue::to_str(value).ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then_some(token.trim())
    });
    match token {
        None | Some("") => Err(missing()),
        Some(token) if token.len() > TOKEN_BYTES_MAX => Err(invalid("it is too long")),
        Some(token) => Ok(token),
    }
}

fn unix_seconds() -> u64 {
    // A clock before 1970 is one at which no token has begun.
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

fn unauthenticated(reason: ErrorReason, message: &'static str) -> ApiError {
    ApiError::new(Code::Unauthenticated, reason, message)
}

fn missing() -> ApiError {
    unauthenticated(
        ErrorReason::TokenMissing,
        "the call needs a token: send the header authorization as Bearer TOKEN",
    )
}

fn invalid(why: &'static str) -> ApiError {
    unauthenticated(ErrorReason::TokenInvalid, "the token is not valid").because(why)
}

fn expired() -> ApiError {
    unauthenticated(
        ErrorReason::TokenExpired,
        "the token has expired: get another one",
    )
}

fn no_keys() -> ApiError {
    ApiError::retry(
        Code::Unavailable,
        ErrorReason::TokenKeysUnavailable,
        "the keys of the tokens' issuer could not be fetched yet; try again",
        RETRY_AFTER,
    )
    // Whoever has no token could fill the log by it; the keeper's own line says why.
    .as_callers_doing()
}

fn unknown_method() -> ApiError {
    ApiError::new(
        Code::Unimplemented,
        ErrorReason::UnknownMethod,
        "no such method",
    )
}

#[cfg(test)]
mod tests;
