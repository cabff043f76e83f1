//! Converts rejections and errors into the contract's errors. The only place in this service that
//! makes an error for a caller, except for fields that do not parse.

use std::borrow::Cow;
use std::time::Duration;

use proto::errors::v1::ErrorReason;
use service_kit::api_error::some_of;
use service_kit::{ApiError, proto_convert};
use tonic::Code;

use super::{choices, payment};
use crate::catalog::CatalogError;
use crate::commands::CommandError;
use crate::domain::choose::Unmet;
use crate::domain::{CustomerRefusal, FailureReason, Rejection, Taken};
use crate::hold_limits::{HoldLimit, TooManyHolds};
use crate::sales::SalesError;
use crate::store::{CustomerError, OrderError, StoreError};

/// A label of the caller's can be of any length; its index in the request identifies it as well.
const LABEL_IN_MESSAGE_BYTES_MAX: usize = 16;

impl From<TooManyHolds> for ApiError {
    fn from(too_many: TooManyHolds) -> Self {
        let (scope, limit, message) = match too_many.limit {
            HoldLimit::PerShow(max) => (
                "show",
                max.to_string(),
                format!("a caller has at most {max} open holds of a show: buy or cancel one"),
            ),
            HoldLimit::Open(max) => (
                "all",
                max.to_string(),
                format!("a caller has at most {max} open holds: buy or cancel one"),
            ),
            HoldLimit::Unsold(max) => (
                "unsold",
                format!("{}s", max.as_secs()),
                format!("a caller may hold for {max:?} without buying, and that is used up"),
            ),
            HoldLimit::Subjects => (
                "server",
                String::new(),
                "too many callers hold something".to_owned(),
            ),
        };
        let reason = ErrorReason::HoldLimitExceeded;
        Self::quota_until(reason, "caller", message, too_many.retry_after)
            .with("limit", limit)
            .with("scope", scope)
    }
}

impl From<Rejection> for ApiError {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::ShowNotFound(id) => {
                Self::not_found(ErrorReason::ShowNotFound, "there is no such show")
                    .with("show_id", id)
            }
            Rejection::BookingNotFound(id) => {
                Self::not_found(ErrorReason::BookingNotFound, "there is no such booking")
                    .with("booking_id", id)
            }
            Rejection::ShowNotOnSale(id, state, opens_at) => {
                let state = state.as_str();
                let opens = opens_at.map(proto_convert::rfc3339);
                let until = opens.as_ref().map(|at| format!(" until {at}"));
                let until = until.unwrap_or_default();
                let error = Self::precondition(
                    ErrorReason::ShowNotOnSale,
                    "SHOW_STATE",
                    format!("the show is not on sale: it is {state}{until}"),
                    vec![(id.to_string(), format!("is {state}{until}"))],
                )
                .with("show_id", id)
                .with("state", state);
                match opens {
                    Some(at) => error.with("sales_open_time", at),
                    None => error,
                }
            }
            Rejection::ShowStarted(id, start_at) => {
                let start = proto_convert::rfc3339(start_at);
                Self::precondition(
                    ErrorReason::ShowStarted,
                    "SHOW_STARTED",
                    format!("the show started at {start}"),
                    vec![(id.to_string(), format!("started at {start}"))],
                )
                .with("show_id", id)
                .with("start_time", start)
            }
            Rejection::TooManySeats(limit) => {
                let message = format!("a booking of this show has at most {limit} seats");
                let reason = ErrorReason::SeatsPerBookingExceeded;
                Self::quota(reason, "seat_labels", message).with("limit", limit)
            }
            Rejection::TooManyPlaces(limit) => {
                let message =
                    format!("a booking of this show has at most {limit} seats and places");
                let reason = ErrorReason::SeatsPerBookingExceeded;
                Self::quota(reason, "places", message).with("limit", limit)
            }
            Rejection::AreasFull(show_id, areas) => areas_full(areas).with("show_id", show_id),
            Rejection::CustomerHasTooMany { limit, taken } => {
                let left = usize::from(limit).saturating_sub(taken);
                let message = format!(
                    "a customer has at most {limit} places of this show: {taken} are taken, {left} are left"
                );
                let reason = ErrorReason::PlacesPerCustomerExceeded;
                Self::quota(reason, "customer", message)
                    .with("limit", limit)
                    .with("taken", taken)
                    .with("left", left)
            }
            Rejection::SeatsUnavailable(show_id, seats) => {
                seats_unavailable(seats).with("show_id", show_id)
            }
            Rejection::HoldExpired(id, expires_at) => {
                let expired = proto_convert::rfc3339(expires_at);
                Self::precondition(
                    ErrorReason::HoldExpired,
                    "HOLD_EXPIRED",
                    format!("the hold ended at {expired}"),
                    vec![(id.to_string(), format!("its hold ended at {expired}"))],
                )
                .with("booking_id", id)
                .with("expire_time", expired)
            }
            Rejection::BookingState {
                booking_id,
                state,
                failure_reason,
                since,
            } => {
                let state = state.as_str();
                let since = proto_convert::rfc3339(since);
                let error = Self::precondition(
                    ErrorReason::BookingState,
                    "BOOKING_STATE",
                    format!("the booking has been {state} since {since}"),
                    vec![(booking_id.to_string(), format!("has been {state} since {since}"))],
                )
                .with("booking_id", booking_id)
                .with("state", state)
                .with("since_time", since);
                match failure_reason.map(FailureReason::as_str) {
                    Some(reason) => error.with("failure_reason", reason),
                    None => error,
                }
            }
            Rejection::VersionMismatch(_, version) => Self::new(
                Code::Aborted,
                ErrorReason::EtagMismatch,
                "the booking has changed since the etag was read",
            )
            .with("etag", format!("v{version}")),
            Rejection::NotInBooking(id, labels) => {
                let message = format!("not in the booking: {}", some_of(&labels));
                let subject = |label| (label, "is not in the booking".to_owned());
                Self::precondition(
                    ErrorReason::SeatsNotInBooking,
                    "SEAT_NOT_IN_BOOKING",
                    message,
                    labels.into_iter().map(subject).collect(),
                )
                .with("booking_id", id)
            }
            Rejection::PlacesNotInBooking(id, areas) => {
                let names: Vec<_> = areas.iter().map(|(area, _)| area.as_str()).collect();
                let message = format!("the booking has fewer places in: {}", some_of(&names));
                let subject = |(area, has)| (area, format!("has {has} places in the booking"));
                Self::precondition(
                    ErrorReason::SeatsNotInBooking,
                    "PLACES_NOT_IN_BOOKING",
                    message,
                    areas.into_iter().map(subject).collect(),
                )
                .with("booking_id", id)
            }
            Rejection::LifetimeExceeded { booking_id, left } => {
                let most = format!("can last at most {} from now", minutes(left));
                Self::precondition(
                    ErrorReason::HoldLifetimeExceeded,
                    "HOLD_LIFETIME",
                    format!("the hold {most}"),
                    vec![(booking_id.to_string(), most)],
                )
                .with("booking_id", booking_id)
                .with("left_ms", left.as_millis())
            }
            Rejection::SwapCostsMore {
                booking_id,
                by,
                currency,
            } => Self::precondition(
                ErrorReason::SwapCostsMore,
                "SWAP_COSTS_MORE",
                format!(
                    "the new seats cost {by} minor units of {currency} more, and the booking is paid"
                ),
                vec![(booking_id.to_string(), format!("would cost {by} more"))],
            )
            .with("booking_id", booking_id)
            .with("minor_units", by)
            .with("currency_code", currency),
            Rejection::RequestIdReused => request_id_reused(),
            Rejection::ChoiceUnavailable(
                show_id,
                Unmet {
                    wish,
                    largest_party,
                },
            ) => {
                let most = match largest_party {
                    0 => "no matching seats are available".to_owned(),
                    most => format!("matching seats are available for at most {most}"),
                };
                let path = format!("choices[{wish}]");
                Self::precondition(
                    ErrorReason::ChoiceUnavailable,
                    "CHOICE_UNAVAILABLE",
                    format!("{path}: {most}"),
                    vec![(path, most)],
                )
                .with("show_id", show_id)
                .with("choice", wish)
                .with("largest_party", largest_party)
            }
            Rejection::OrphanSeats(show_id, labels) => {
                let message = match labels.as_slice() {
                    [label] => format!("this would leave an orphan: seat {label}"),
                    labels => format!("this would leave orphans: {}", some_of(labels)),
                };
                let subject = |label| (label, "would be left an orphan".to_owned());
                Self::precondition(
                    ErrorReason::OrphanSeats,
                    "ORPHAN_SEAT",
                    message,
                    labels.into_iter().map(subject).collect(),
                )
                .with("show_id", show_id)
            }
            Rejection::PaymentPending(id, key) => payment::pending(id, key),
            Rejection::PaymentRequired(id) => payment::required(id),
        }
    }
}

/// A duration for people, in whole seconds.
fn minutes(length: Duration) -> String {
    let seconds = length.as_secs();
    format!("{} min {} s", seconds / 60, seconds % 60)
}

impl From<CustomerRefusal> for ApiError {
    fn from(rejection: CustomerRefusal) -> Self {
        match rejection {
            CustomerRefusal::NotFound(id) => {
                let error =
                    Self::not_found(ErrorReason::CustomerNotFound, "there is no such customer");
                match id {
                    Some(id) => error.with("customer_id", id),
                    None => error,
                }
            }
            CustomerRefusal::EmailTaken(id) => Self::precondition(
                ErrorReason::CustomerEmailTaken,
                "EMAIL_TAKEN",
                "another customer has this e-mail address",
                vec![(
                    "customer.email".to_owned(),
                    "is another customer's".to_owned(),
                )],
            )
            .with("customer_id", id),
            CustomerRefusal::VersionMismatch(version) => Self::new(
                Code::Aborted,
                ErrorReason::EtagMismatch,
                "the customer has changed since the etag was read",
            )
            .with("etag", format!("v{version}")),
            CustomerRefusal::RequestIdReused => request_id_reused(),
            CustomerRefusal::HasBookings {
                booking_id,
                is_upcoming,
            } => {
                let why = match is_upcoming {
                    true => "is confirmed for a show that has not started",
                    false => "is held or being paid",
                };
                Self::precondition(
                    ErrorReason::CustomerHasBookings,
                    "CUSTOMER_HAS_BOOKINGS",
                    format!("the customer cannot be erased yet: a booking {why}"),
                    vec![(booking_id.to_string(), why.to_owned())],
                )
                .with("booking_id", booking_id)
            }
        }
    }
}

fn request_id_reused() -> ApiError {
    ApiError::bad_request(
        ErrorReason::RequestIdReused,
        vec![(
            "request_id".to_owned(),
            "was used before for another request".to_owned(),
        )],
    )
}

fn seats_unavailable(seats: Vec<(String, Taken)>) -> ApiError {
    let labels: Vec<_> = seats.iter().map(|(label, _)| label.as_str()).collect();
    let message = format!("seats not available: {}", some_of(&labels));
    let subjects = seats.into_iter().map(|(label, taken)| {
        let how = match taken {
            Taken::Held => "is held",
            Taken::Booked => "is booked",
            Taken::Blocked => "is not for sale",
        };
        (label, how.to_owned())
    });
    ApiError::precondition(
        ErrorReason::SeatsUnavailable,
        "SEAT_UNAVAILABLE",
        message,
        subjects.collect(),
    )
}

fn areas_full(areas: Vec<(String, u32)>) -> ApiError {
    let (first, left) = areas.first().cloned().unwrap_or_default();
    let more = areas.len().saturating_sub(1);
    let more = (more > 0).then(|| format!(", and {more} more have too few"));
    let message = format!(
        "{first:?} has {left} places left{}",
        more.unwrap_or_default()
    );
    let subjects = areas
        .into_iter()
        .map(|(area, left)| (area, format!("has {left} places left")));
    ApiError::precondition(
        ErrorReason::AreaFull,
        "AREA_FULL",
        message,
        subjects.collect(),
    )
    .with("area", first)
    .with("left", left)
}

impl From<CommandError> for ApiError {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Rejected(rejection) => rejection.into(),
            CommandError::Sales(error) => error.into(),
            CommandError::Customer(error) => error.into(),
            CommandError::Undecided(error) => error.into(),
            CommandError::Misnamed(misnamed) => choices::misnamed(misnamed),
            CommandError::Payment(error) => error.into(),
            CommandError::PaymentNotOffered => payment::not_offered(),
            CommandError::UnknownSeats { field, seats } => {
                let violations = seats.into_iter().map(|(place, label)| {
                    (format!("{field}[{place}]"), names_nothing("seat", &label))
                });
                Self::bad_request(ErrorReason::UnknownSeats, violations.collect())
            }
            CommandError::HoldTooLong(longest) => Self::invalid_field(
                "hold_duration",
                format!("must be at most {longest:?}, as long as the show's holds last"),
            ),
            CommandError::TooManyHolds(too_many) => too_many.into(),
            CommandError::UnknownAreas(areas) => {
                let violations = areas.into_iter().map(|(place, area)| {
                    let message = names_nothing("area", &area);
                    (format!("places[{place}].area"), message)
                });
                Self::bad_request(ErrorReason::UnknownAreas, violations.collect())
            }
        }
    }
}

/// That a name is no seat's, or no area's.
fn names_nothing(what: &str, name: &str) -> String {
    if name.len() <= LABEL_IN_MESSAGE_BYTES_MAX {
        format!("no {what} {name:?}")
    } else {
        format!("names no {what}")
    }
}

impl From<OrderError> for ApiError {
    fn from(error: OrderError) -> Self {
        match error {
            OrderError::Overloaded => Self::overloaded("too many requests wait"),
            OrderError::DeadlineExceeded => Self::deadline_exceeded(),
            OrderError::DatabaseUnavailable => Self::database_unavailable().because(
                "the commit workers could not write it; see their log lines for the cause",
            ),
            OrderError::Contention | OrderError::SaleChanged | OrderError::PicksTaken(_) => {
                Self::contention()
            }
            OrderError::ShuttingDown => Self::shutting_down(),
            OrderError::OutcomeUnknown => Self::outcome_unknown(),
            OrderError::Fault(fault) => Self::internal(&fault),
        }
    }
}

impl From<SalesError> for ApiError {
    fn from(error: SalesError) -> Self {
        match error {
            SalesError::Store(error) => error.into(),
            SalesError::NotFound(id) => Rejection::ShowNotFound(id).into(),
            SalesError::Catalog(error @ (CatalogError::Unavailable(_) | CatalogError::Away(_))) => {
                catalog_unavailable(
                    "booking-svc does not know the show yet, and the catalog cannot be reached",
                )
                .because_of(&error)
            }
            SalesError::Stale(stale) => {
                catalog_unavailable("booking-svc has no recent data from the catalog and sells nothing until it has; retry")
                    .because_of(&stale)
            }
            SalesError::Catalog(error @ CatalogError::Malformed(_)) => Self::internal(&error),
        }
    }
}

fn catalog_unavailable(message: impl Into<Cow<'static, str>>) -> ApiError {
    ApiError::retry(
        Code::Unavailable,
        ErrorReason::CatalogUnavailable,
        message,
        service_kit::api_error::RETRY_AFTER,
    )
}

impl From<CustomerError> for ApiError {
    fn from(error: CustomerError) -> Self {
        match error {
            CustomerError::Rejected(rejection) => rejection.into(),
            CustomerError::Contention => Self::contention(),
            CustomerError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Db(error) => error.into(),
            StoreError::BadRow(error) => Self::internal(&error),
            StoreError::TooManySeats(error) => Self::internal(&error),
            StoreError::OtherEpoch => catalog_unavailable("another catalog was accepted just now"),
        }
    }
}
