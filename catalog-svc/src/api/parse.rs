//! The fields that several requests share, parsed into values that cannot be invalid.

use std::ops::RangeInclusive;

use model::{ShowId, normalize};
use prost::Message;
use prost_types::Timestamp;
use proto::catalog::v1 as pb;
use service_kit::fingerprint::fingerprint_of_body;
use service_kit::{FieldViolations, proto_convert};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::{HoldLength, Limit, OrphanRule, ShowState, ShowType, TimeZone};
use crate::store::{Mutation, RequestKey};

/// The most characters of an etag that is compared at all; ours are shorter.
const ETAG_CHARS_MAX: usize = 64;

/// The id of a show, or a violation. A UUID that no show can have parses; the look-up then finds no
/// such show.
pub(super) fn show_id(violations: &mut FieldViolations, path: &str, text: &str) -> Option<ShowId> {
    violations.take(path, ShowId::asked_for(text))
}

/// A caller's request id.
pub(super) fn request_id(violations: &mut FieldViolations, text: &str) -> Option<Uuid> {
    violations
        .take("request_id", proto_convert::request_id(text))
        .flatten()
}

/// The key under which a mutation's result is stored, if its caller sent a request id. `body` is the
/// request without that id.
pub(super) fn request_key<M: Mutation>(
    id: Option<Uuid>,
    body: &impl Message,
) -> Option<RequestKey> {
    let id = id?;
    let fingerprint = fingerprint_of_body(M::VERB, body);
    Some(RequestKey { id, fingerprint })
}

/// An etag, if one was given.
pub(super) fn etag(violations: &mut FieldViolations, path: &str, text: String) -> Option<String> {
    if text.len() > ETAG_CHARS_MAX {
        violations.add(path, "is not an etag of a show");
    }
    (!text.is_empty()).then_some(text)
}

/// The revision that a read must be as new as at least.
pub(super) fn min_revision(violations: &mut FieldViolations, revision: i64) -> Option<i64> {
    if revision < 0 {
        violations.add("min_revision", "must not be negative");
    }
    (revision >= 0).then_some(revision)
}

/// A text to search names for, within this many characters, folded like the names; none if it is
/// empty.
pub(super) fn sought(
    violations: &mut FieldViolations,
    path: &str,
    mut text: String,
    chars: RangeInclusive<usize>,
) -> Option<String> {
    normalize(&mut text);
    if text.is_empty() {
        return None;
    }
    if !chars.contains(&text.chars().count()) || text.contains('\0') {
        let (min, max) = (chars.start(), chars.end());
        violations.add(
            path,
            format!("must have {min} to {max} characters, without NUL"),
        );
    }
    Some(text)
}

/// An instant, if one was given.
pub(super) fn time(
    violations: &mut FieldViolations,
    path: &str,
    time: Option<&Timestamp>,
) -> Option<OffsetDateTime> {
    violations.take(path, proto_convert::instant(time?))
}

/// An instant that must be given.
pub(super) fn required_time(
    violations: &mut FieldViolations,
    path: &str,
    given: Option<&Timestamp>,
) -> Option<OffsetDateTime> {
    if given.is_none() {
        violations.add(path, "must be set");
    }
    time(violations, path, given)
}

/// A kind of show; none if it is not set.
pub(super) fn show_type(
    violations: &mut FieldViolations,
    path: &str,
    number: i32,
) -> Option<ShowType> {
    match pb::ShowType::try_from(number) {
        Ok(pb::ShowType::Unspecified) => None,
        Ok(pb::ShowType::Movie) => Some(ShowType::Movie),
        Ok(pb::ShowType::Concert) => Some(ShowType::Concert),
        Ok(pb::ShowType::Bus) => Some(ShowType::Bus),
        Ok(pb::ShowType::Appointment) => Some(ShowType::Appointment),
        Ok(pb::ShowType::Other) => Some(ShowType::Other),
        Err(_) => {
            violations.add(path, "is not a known kind of show");
            None
        }
    }
}

/// The kind of a show: any other if it is not set.
pub(super) fn show_type_or_default(
    violations: &mut FieldViolations,
    path: &str,
    number: i32,
) -> Option<ShowType> {
    if number == i32::from(pb::ShowType::Unspecified) {
        return Some(ShowType::Other);
    }
    show_type(violations, path, number)
}

/// A state; none if it is not set.
pub(super) fn show_state(
    violations: &mut FieldViolations,
    path: &str,
    number: i32,
) -> Option<ShowState> {
    match pb::ShowState::try_from(number) {
        Ok(pb::ShowState::Unspecified) => None,
        Ok(pb::ShowState::Draft) => Some(ShowState::Draft),
        Ok(pb::ShowState::OnSale) => Some(ShowState::OnSale),
        Ok(pb::ShowState::Paused) => Some(ShowState::Paused),
        Ok(pb::ShowState::Closed) => Some(ShowState::Closed),
        Ok(pb::ShowState::Cancelled) => Some(ShowState::Cancelled),
        Err(_) => {
            violations.add(path, "is not a known state");
            None
        }
    }
}

/// A rule for orphans; `OFF` if it is not set.
pub(super) fn orphan_rule(
    violations: &mut FieldViolations,
    path: &str,
    number: i32,
) -> Option<OrphanRule> {
    match pb::OrphanRule::try_from(number) {
        Ok(pb::OrphanRule::Unspecified | pb::OrphanRule::Off) => Some(OrphanRule::Off),
        Ok(pb::OrphanRule::Warn) => Some(OrphanRule::Warn),
        Ok(pb::OrphanRule::Strict) => Some(OrphanRule::Strict),
        Err(_) => {
            violations.add(path, "is not a known rule");
            None
        }
    }
}

/// A time zone; UTC if it is not set.
pub(super) fn time_zone(
    violations: &mut FieldViolations,
    path: &str,
    name: String,
) -> Option<TimeZone> {
    if name.is_empty() {
        return Some(TimeZone::default());
    }
    violations.take(path, name.try_into())
}

/// The duration of holds; `Some(None)` if it is not set.
pub(super) fn hold(
    violations: &mut FieldViolations,
    path: &str,
    length: Option<&prost_types::Duration>,
) -> Option<Option<HoldLength>> {
    let Some(length) = length else {
        return Some(None);
    };
    let length = violations.take(path, proto_convert::duration(length))?;
    violations.take(path, length.try_into()).map(Some)
}

/// A limit; `Some(None)` if it is 0.
pub(super) fn limit<const MAX: u32>(
    violations: &mut FieldViolations,
    path: &str,
    number: i32,
) -> Option<Option<Limit<MAX>>> {
    violations.take(path, Limit::of(number))
}
