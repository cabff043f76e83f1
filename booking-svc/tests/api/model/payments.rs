//! Payments in the model: an attempt begins, and ends with or without the money; the callers that
//! asked for it get its outcome, however often they ask.

use std::collections::BTreeMap;

use proto::booking::v1::{
    Booking as BookingReply, BookingState, FailureReason, Payment, PaymentState as State,
};
use proto::payment::v1::PaymentState as Books;
use service_kit::proto_convert;
use test_harness::eventually;
use uuid::Uuid;

use super::ask::Ask;
use super::booking::{Booking, instant};
use super::hall::{Hall, Instant, SECOND};
use super::history::{Call, Entry, History, Paid};
use super::justify::met;
use super::rejection::Rejection;
use super::replay::Moment;
use super::show::money;
use crate::payments::till::{SETTLED_MAX, Till};

/// How long an attempt may take, as the services are configured.
pub(super) const TIMEOUT: &str = "2s";
const TIMEOUT_MICROS: Instant = 2 * SECOND;
/// The payment tokens, by what the simulated provider does. The last two take as long as they can.
pub(super) const TOKENS: [&str; 8] = [
    "approve",
    "slow:150ms",
    "slow:300ms",
    "lost-answer",
    "decline",
    "decline-capture",
    "timeout",
    "slow:1h",
];

/// An attempt to pay.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Attempt {
    pub(super) key: Uuid,
    pub(super) state: State,
    amount: i64,
    started: Instant,
    deadline: Instant,
    /// Why no money was taken; empty if it was taken, or the outcome is unknown.
    reason: String,
}

/// A call that began an attempt.
#[derive(Debug, Clone)]
pub(super) struct Tried {
    pub(super) ask: Ask,
    pub(super) booking: String,
    key: Uuid,
    /// When the attempt ended, and with which outcome.
    end: Option<(Instant, Result<BookingReply, Rejection>)>,
}

impl Attempt {
    /// The payment as a reply shows it, if this much of it is to be refunded.
    fn reply(&self, refund: i64) -> Payment {
        let time = |at| Some(proto_convert::timestamp(instant(at)));
        let refund = if self.state == State::Captured {
            refund
        } else {
            0
        };
        Payment {
            state: self.state.into(),
            payment_key: self.key.to_string(),
            amount: Some(money(self.amount)),
            decline_reason: self.reason.clone(),
            refunded_amount: None,
            refund_due_amount: (refund > 0).then(|| money(refund)),
            start_time: time(self.started),
            deadline_time: time(self.deadline),
        }
    }
}

/// A payment without the difference between made and due refunds.
fn normal(reply: &Payment) -> Payment {
    let units = |money: &Option<_>| {
        money
            .as_ref()
            .map_or(0, |m: &proto::money::v1::Money| m.minor_units)
    };
    let (due, done) = (
        units(&reply.refund_due_amount),
        units(&reply.refunded_amount),
    );
    let shown = match (due, done) {
        (1.., _) => State::RefundRequired,
        (_, 1..) if done == units(&reply.amount) => State::Refunded,
        _ => State::Captured,
    };
    let mut normal = reply.clone();
    if reply.state() == shown {
        normal.set_state(State::Captured);
        normal.refunded_amount = None;
        normal.refund_due_amount = (due + done > 0).then(|| money(due + done));
    }
    normal
}

/// Whether a reply shows a booking's payment as it is.
pub(super) fn is_so(reply: &BookingReply, booking: &Booking) -> bool {
    let attempt = booking.payment.as_ref();
    let expected = attempt.map(|attempt| attempt.reply(booking.refund_due()));
    reply.payment.as_ref().map(normal) == expected
}

/// Whether a booking's payment was as the reply shows it at a moment of the call, which reads the
/// payment's current state.
pub(super) fn was_so(
    reply: &BookingReply,
    began: Instant,
    ended: Instant,
    moments: &[Moment],
) -> bool {
    let id = Some(&reply.booking_id);
    let own = |moment: &&Moment| moment.changed.as_ref() == id;
    let own: Vec<Moment> = moments.iter().filter(own).cloned().collect();
    met(began, ended, &own).into_iter().any(|(moment, _)| {
        let booking = moment.hall.bookings.get(&reply.booking_id);
        booking.is_some_and(|booking| is_so(reply, booking))
    })
}

impl Hall {
    /// Whether an entry is the end of an attempt.
    pub(super) fn is_end_of_attempt(&self, entry: &Entry) -> bool {
        let booking = self.bookings.get(&entry.booking);
        let key = booking.and_then(|b| Some(b.payment.as_ref()?.key));
        key == Some(entry.request_id)
    }

    /// Begins an attempt; the verb that the log must name.
    pub(super) fn begin_attempt(
        &mut self,
        entry: &Entry,
        history: &History,
    ) -> Result<&'static str, String> {
        let (id, at) = (&entry.booking, entry.at);
        let is_it = |call: &&Call| {
            call.request_id == Some(entry.request_id)
                && (call.began..=call.ended).contains(&at)
                && call.ask.token().is_some()
                && call.ask.booking().is_some_and(|(of, _)| of == id)
                && call.pays
                // Another body under the id, at the same time.
                && call.outcome != Err(Rejection::RequestIdReused)
                && self.objections(&call.ask, call.pays, at).is_empty()
        };
        let author = history.calls.iter().find(is_it);
        let author = author.ok_or(format!("nobody may have begun {entry:?}"))?;
        let booking = self.bookings.get_mut(id).ok_or("paid: unknown")?;
        let attempt = |paid: &&Paid| paid.booking == *id && paid.started == at;
        let paid = history.payments.iter().find(attempt);
        let paid = paid.ok_or(format!("not on record: {entry:?}"))?;
        let expected = (booking.has.cost(), at + TIMEOUT_MICROS);
        if (paid.amount, paid.deadline) != expected {
            return Err(format!("{paid:?}, where the model has {expected:?}"));
        }
        booking.version += 1;
        booking.expires += TIMEOUT_MICROS;
        booking.payment = Some(Attempt {
            key: paid.key,
            state: State::Started,
            amount: paid.amount,
            started: at,
            deadline: paid.deadline,
            reason: String::new(),
        });
        let tried = Tried {
            ask: author.ask.clone(),
            booking: id.clone(),
            key: paid.key,
            end: None,
        };
        self.tried.insert(entry.request_id, tried);
        self.granted.insert(entry.request_id, author.ask.clone());
        Ok("PAY")
    }

    /// Ends an attempt as recorded; returns the command that the log must name.
    pub(super) fn end_attempt(
        &mut self,
        entry: &Entry,
        history: &History,
    ) -> Result<&'static str, String> {
        let at = entry.at;
        let wrong = |what: &str| Err(format!("{what}: {entry:?}"));
        let Some(mut booking) = self.bookings.get(&entry.booking).cloned() else {
            return wrong("paid: unknown");
        };
        let under_way = booking.payment.as_mut();
        let under_way = under_way.filter(|attempt| attempt.state == State::Started);
        let paid = history
            .payments
            .iter()
            .find(|paid| paid.key == entry.request_id);
        let (Some(attempt), Some(paid)) = (under_way, paid) else {
            return wrong("the end of nothing");
        };
        if attempt.key != paid.key {
            return wrong("the end of another attempt");
        }
        let tried = self.tried.values_mut().find(|tried| tried.key == paid.key);
        let tried = tried.expect("it was begun");
        let token = tried.ask.token().expect("it was paid with one");
        let reason = paid.reason.as_deref();
        if !can_end(token, reason, at >= attempt.deadline) {
            return wrong(&format!("{token} cannot lead to {reason:?}"));
        }
        let deadline = attempt.deadline;
        attempt.reason = reason.unwrap_or_default().to_owned();
        attempt.state = match reason {
            Some(_) => State::Declined,
            None => State::Captured,
        };
        let state = booking.state;
        if state == BookingState::Pending && !booking.is_live(at) {
            return wrong("the hold had ended");
        }
        booking.version += 1;
        let verb = match reason {
            Some(_) => {
                if state == BookingState::Pending {
                    booking.expires = at + (booking.expires - deadline);
                }
                "DECLINE"
            }
            None if state == BookingState::Pending && !self.cancelled => {
                booking.confirm(at, "");
                "CONFIRM"
            }
            None if booking.was_let_lapse()
                && !self.cancelled
                && self.can_return(&booking, entry, history) =>
            {
                booking.confirm(at, "");
                "REINSTATE"
            }
            None => {
                if state == BookingState::Pending {
                    booking.fail(at, FailureReason::ShowCancelled);
                }
                booking.pay_too_late();
                "REPAY"
            }
        };
        let reply = self.outcome(&booking);
        self.bookings.insert(entry.booking.clone(), booking);
        let tried = self.tried.values_mut().find(|tried| tried.key == paid.key);
        tried.expect("it was begun").end = Some((at, reply));
        Ok(verb)
    }

    /// Whether a booking that has lost its seats and places can have them back.
    fn can_return(&self, booking: &Booking, entry: &Entry, history: &History) -> bool {
        let (has, at) = (&booking.has, entry.at);
        let are_free = self.taken(&has.seats, at).is_empty() && self.free_places(at) >= has.places;
        let have_room = self.too_many(&booking.customer, has.count(), at).is_none();
        are_free && have_room && !(entry.verb == "REPAY" && self.is_in_doubt(booking, at, history))
    }

    /// Whether another caller may be first, because of expired holds with places that are not
    /// failed yet; or because a person above the quota returns something at that moment.
    fn is_in_doubt(&self, booking: &Booking, at: Instant, history: &History) -> bool {
        let is_own = |id: &str| {
            self.terms
                .are_one(&self.bookings[id].customer, &booking.customer)
        };
        let gives_up = |call: &Call| match &call.ask {
            Ask::Cancel { booking, .. } => {
                (call.began..=call.ended).contains(&at) && is_own(booking)
            }
            _ => false,
        };
        booking.has.places > 0 && self.ended_places(at) > 0
            || self.terms.places_max.is_some() && history.calls.iter().any(gives_up)
    }

    /// The outcome for those who tried to pay a booking, now that the attempt has ended.
    fn outcome(&self, booking: &Booking) -> Result<BookingReply, Rejection> {
        let attempt = booking.payment.as_ref().expect("it has ended");
        match (attempt.state, booking.state) {
            (State::Captured, BookingState::Confirmed) => Ok(booking.reply(&self.terms)),
            (State::Captured, _) => Err(Rejection::PaymentTooLate(booking.why_it_failed())),
            (_, BookingState::Pending) => Err(Rejection::PaymentDeclined {
                reason: attempt.reason.clone(),
                expires: booking.expires_text(),
            }),
            _ if booking.was_let_lapse() => Err(Rejection::HoldExpired(booking.expires_text())),
            _ => Err(booking.is_in_another_state()),
        }
    }

    /// How much the provider must have kept of each attempt in the end, by its key.
    pub(super) fn money(&self) -> Vec<(Uuid, i64)> {
        let kept = |tried: &Tried| {
            let booking = &self.bookings[&tried.booking];
            let captured = booking
                .payment
                .as_ref()
                .filter(|attempt| attempt.key == tried.key && attempt.state == State::Captured);
            (
                tried.key,
                captured.map_or(0, |a| a.amount - booking.refund_due()),
            )
        };
        self.tried.values().map(kept).collect()
    }
}

/// Whether an attempt with a token may end so: with the money, or without it for a reason.
fn can_end(token: &str, reason: Option<&str>, is_late: bool) -> bool {
    match reason {
        Some("NOT_COMPLETED") => is_late,
        Some(_) => token.starts_with("decline"),
        None => !token.starts_with("decline") && token != "slow:1h",
    }
}

/// The attempt of a call, if it began one or replays one that did.
pub(super) fn tried<'a>(call: &Call, last: &'a Hall) -> Option<&'a Tried> {
    let tried = last.tried.get(call.request_id.as_ref()?)?;
    (tried.ask == call.ask && call.pays).then_some(tried)
}

/// Checks that every call that began an attempt got its outcome.
pub(super) fn check_outcomes(history: &History, last: &Hall) -> Result<(), String> {
    for call in &history.calls {
        let Some(tried) = tried(call, last) else {
            continue;
        };
        let (ended, expected) = match &tried.end {
            Some((at, reply)) => (*at, Some(reply)),
            None => (Instant::MAX, None),
        };
        let as_expected = match (&call.outcome, expected) {
            // Others may settle it later.
            (Err(Rejection::PaymentUnavailable), _) => ended > call.began,
            (Ok(reply), Some(Ok(expected))) => without_payment(reply) == without_payment(expected),
            (Err(rejection), Some(Err(expected))) => {
                // Times that were moved since may be shown as they are.
                let moved = history.moves.iter().any(|moved| {
                    moved.booking == tried.booking && (ended..call.ended).contains(&moved.at)
                });
                rejection == expected
                    || moved && rejection.without_times() == expected.without_times()
            }
            _ => false,
        };
        if !as_expected || ended > call.ended && call.outcome != Err(Rejection::PaymentUnavailable)
        {
            return Err(format!("{call:?}, where the model has {:?}", tried.end));
        }
    }
    Ok(())
}

/// A booking without its payment, which is always the current one, even in a replay.
pub(super) fn without_payment(reply: &BookingReply) -> BookingReply {
    BookingReply {
        payment: None,
        ..reply.clone()
    }
}

/// Waits until every refund due is made, and checks what the provider kept of each attempt.
pub(super) async fn assert_balanced(till: &Till, money: &BTreeMap<Uuid, i64>) {
    let due = "SELECT count(*) FROM booking.refunds WHERE state = 'DUE'";
    eventually(SETTLED_MAX, "all is given back", async || {
        till.stage.count(due).await == 0
    })
    .await;
    let mut kept = BTreeMap::new();
    for (key, (state, units)) in till.books().await {
        let ended = [Books::Captured, Books::Declined, Books::Voided];
        assert!(ended.contains(&state), "{key} is {state:?}");
        kept.insert(key.parse::<Uuid>().expect("a key of ours"), units);
    }
    let expected = money.iter().filter(|(_, units)| **units > 0);
    let expected: Vec<_> = expected.collect();
    let found: Vec<_> = kept.iter().filter(|(_, units)| **units > 0).collect();
    assert_eq!(found, expected, "what the provider has kept, and must have");
}
