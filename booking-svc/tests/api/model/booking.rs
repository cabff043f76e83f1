//! A booking of the model: how it changes, what rejects a change, and how replies show it.

use std::collections::BTreeSet;

use proto::booking::v1::reserve_seats_request::Customer as Name;
use proto::booking::v1::{
    AreaLine, Booking as BookingReply, BookingLine, BookingState, CancelReason, FailureReason,
    PaymentState,
};
use service_kit::proto_convert;
use time::OffsetDateTime;

use super::ask::{Ask, Reserve};
use super::hall::{Instant, SECOND};
use super::payments::Attempt;
use super::rejection::Rejection;
use super::show::{AREA, Lot, PLACE_PRICE, PLACE_TIER, Terms, cost, money, row_of};

/// The default duration of a hold.
const HOLD_DEFAULT: i64 = 120 * SECOND;
/// The longest that a hold may last since it was made.
const LIFETIME_MAX: i64 = 1_800 * SECOND;

/// A booking of the model.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Booking {
    pub(super) id: String,
    pub(super) customer: Name,
    pub(super) state: BookingState,
    pub(super) version: i32,
    pub(super) has: Lot,
    /// Its price when it was confirmed.
    paid: i64,
    pub(super) created: Instant,
    pub(super) expires: Instant,
    confirmed: Option<Instant>,
    cancelled: Option<Instant>,
    failed: Option<Instant>,
    failure_reason: FailureReason,
    cancel_reason: CancelReason,
    reference: String,
    /// The newest attempt to pay it.
    pub(super) payment: Option<Attempt>,
}

impl Booking {
    /// Whether it has its seats at this moment.
    pub(super) fn is_live(&self, now: Instant) -> bool {
        match self.state {
            BookingState::Pending => now < self.expires,
            state => state == BookingState::Confirmed,
        }
    }

    fn has_expired(&self, now: Instant) -> bool {
        self.failure_reason == FailureReason::Expired
            || self.state == BookingState::Pending && self.expires <= now
    }

    fn etag(&self) -> String {
        format!("v{}", self.version)
    }

    fn since(&self) -> Instant {
        let ended = self.failed.or(self.cancelled).or(self.confirmed);
        ended.unwrap_or(self.created)
    }

    /// The refund due of what was paid, at the confirm or too late.
    pub(super) fn refund_due(&self) -> i64 {
        let kept = match self.state {
            BookingState::Confirmed => self.has.cost(),
            _ => 0,
        };
        self.paid - kept
    }

    /// Whether it is being paid.
    pub(super) fn is_being_paid(&self) -> bool {
        let attempt = self.payment.as_ref();
        attempt.is_some_and(|attempt| attempt.state == PaymentState::Started)
    }

    /// Whether its hold has expired and was failed.
    pub(super) fn was_let_lapse(&self) -> bool {
        self.failure_reason == FailureReason::Expired
    }

    /// When its hold ends, as error metadata writes it.
    pub(super) fn expires_text(&self) -> String {
        text(self.expires)
    }

    pub(super) fn why_it_failed(&self) -> String {
        name(self.failure_reason.as_str_name(), "FAILURE_REASON_")
    }

    /// The objection that it is in a state in which nothing more becomes of it.
    pub(super) fn is_in_another_state(&self) -> Rejection {
        let failed = self.state == BookingState::Failed;
        Rejection::BookingState {
            state: name(self.state.as_str_name(), "BOOKING_STATE_"),
            since: text(self.since()),
            failure_reason: failed.then(|| self.why_it_failed()),
        }
    }

    /// The booking as a read at this moment shows it, but for its payment.
    pub(super) fn seen_at(&self, terms: &Terms, now: Instant) -> BookingReply {
        let mut seen = self.clone();
        if seen.state == BookingState::Pending && seen.has_expired(now) {
            seen.fail(self.expires, FailureReason::Expired);
        }
        seen.reply(terms)
    }

    /// The booking as a reply shows it, without its payment.
    pub(super) fn reply(&self, terms: &Terms) -> BookingReply {
        let line = |label: &String| {
            let row = row_of(label).expect("it has seats of the hall");
            BookingLine {
                seat_label: label.clone(),
                section: row.section.to_owned(),
                row: row.name.to_owned(),
                price_tier: row.tier.to_owned(),
                price: Some(money(row.price)),
            }
        };
        let time = |at: Instant| proto_convert::timestamp(instant(at));
        let refund_due = self.refund_due();
        let mut reply = BookingReply {
            booking_id: self.id.clone(),
            show_id: terms.show_id.clone(),
            customer_id: match (terms.linked(&self.customer), &self.customer) {
                (Some(id), _) => id.to_owned(),
                (None, Name::CustomerId(own)) => own.clone(),
                (None, Name::Email(_)) => String::new(),
            },
            email: match &self.customer {
                Name::CustomerId(_) => String::new(),
                Name::Email(email) => email.clone(),
            },
            state: self.state.into(),
            failure_reason: self.failure_reason.into(),
            lines: self.has.seats.iter().map(line).collect(),
            area_lines: self.area_line().into_iter().collect(),
            total: Some(money(self.has.cost())),
            create_time: Some(time(self.created)),
            expire_time: Some(time(self.expires)),
            confirm_time: self.confirmed.map(time),
            cancel_time: self.cancelled.map(time),
            fail_time: self.failed.map(time),
            etag: self.etag(),
            refund_due: (refund_due > 0).then(|| money(refund_due)),
            cancel_reason: self.cancel_reason.into(),
            ..BookingReply::default()
        };
        reply.payment_reference.clone_from(&self.reference);
        reply
    }
}

impl Booking {
    fn area_line(&self) -> Option<AreaLine> {
        let Lot { places, .. } = self.has;
        (places > 0).then(|| AreaLine {
            area: AREA.to_owned(),
            quantity: places,
            price_tier: PLACE_TIER.to_owned(),
            price: Some(money(PLACE_PRICE)),
        })
    }

    pub(super) fn hold(id: &str, asked: &Reserve, now: Instant) -> Self {
        let hold = asked.hold_seconds.map(|seconds| seconds * SECOND);
        Self {
            id: id.to_owned(),
            customer: asked.customer.clone().expect("everybody says who they are"),
            state: BookingState::Pending,
            version: 1,
            has: asked.wanted.clone(),
            paid: 0,
            created: now,
            expires: now + hold.unwrap_or(HOLD_DEFAULT),
            confirmed: None,
            cancelled: None,
            failed: None,
            failure_reason: FailureReason::Unspecified,
            cancel_reason: CancelReason::Unspecified,
            reference: String::new(),
            payment: None,
        }
    }

    pub(super) fn confirm(&mut self, now: Instant, reference: &str) {
        self.state = BookingState::Confirmed;
        self.confirmed = Some(now);
        self.paid = self.has.cost();
        reference.clone_into(&mut self.reference);
        self.failed = None;
        self.failure_reason = FailureReason::Unspecified;
    }

    /// The money was taken, but the booking had ended.
    pub(super) fn pay_too_late(&mut self) {
        self.paid = self.has.cost();
    }

    pub(super) fn cancel(&mut self, now: Instant, reason: CancelReason) {
        self.state = BookingState::Cancelled;
        self.cancelled = Some(now);
        self.cancel_reason = reason;
    }

    pub(super) fn fail(&mut self, at: Instant, reason: FailureReason) {
        self.state = BookingState::Failed;
        self.failed = Some(at);
        self.failure_reason = reason;
    }

    fn misses(&self, given: &BTreeSet<String>) -> Option<Rejection> {
        let missing: BTreeSet<_> = given.difference(&self.has.seats).cloned().collect();
        (!missing.is_empty()).then_some(Rejection::NotInBooking(missing))
    }

    /// The objections to a command that lie in the booking itself.
    pub(super) fn objections(
        &self,
        ask: &Ask,
        etag: &str,
        pays: bool,
        now: Instant,
    ) -> Vec<Rejection> {
        if self.has_expired(now) {
            return vec![Rejection::HoldExpired(text(self.expires))];
        }
        let may_be_confirmed = matches!(ask, Ask::Cancel { .. } | Ask::Swap { .. });
        let mut objections = Vec::new();
        if !(self.state == BookingState::Pending
            || self.state == BookingState::Confirmed && may_be_confirmed)
        {
            objections.push(self.is_in_another_state());
        }
        if let Some(attempt) = self.payment.as_ref().filter(|_| self.is_being_paid()) {
            objections.push(Rejection::PaymentPending(attempt.key.to_string()));
        }
        if !etag.is_empty() && etag != self.etag() {
            objections.push(Rejection::EtagMismatch(self.etag()));
        }
        match ask {
            Ask::Confirm { .. } if ask.token().is_some() => {
                let is_too_old = self.payment.is_some() && now > self.created + LIFETIME_MAX;
                objections.extend(is_too_old.then_some(Rejection::LifetimeExceeded));
            }
            Ask::Confirm { .. } if pays => objections.push(Rejection::PaymentRequired),
            Ask::Cancel { given, .. } => {
                objections.extend(self.misses(&given.seats));
                if given.places > self.has.places {
                    objections.push(Rejection::PlacesNotInBooking(self.has.places));
                }
            }
            Ask::Swap { from, .. } => objections.extend(self.misses(from)),
            Ask::Extend { hold_seconds, .. } => {
                let ends = self.expires.max(now + hold_seconds * SECOND);
                if ends > (self.created + LIFETIME_MAX).max(self.expires) {
                    objections.push(Rejection::LifetimeExceeded);
                }
            }
            _ => {}
        }
        if let Ask::Swap { from, to, .. } = ask {
            let dearer = cost(to) - cost(from);
            if self.state == BookingState::Confirmed && dearer > 0 {
                objections.push(Rejection::SwapCostsMore(dearer));
            }
        }
        objections
    }
}

/// The instant of a time of the database.
pub(super) fn instant(at: Instant) -> OffsetDateTime {
    let nanos = i128::from(at) * 1_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos).expect("it is near now")
}

/// A time as error metadata writes it.
fn text(at: Instant) -> String {
    proto_convert::rfc3339(instant(at))
}

fn name(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_owned()
}
