//! The check of a history, second part: every rejection and every read must be true at a
//! moment between the call and its reply.

use std::collections::{BTreeMap, BTreeSet};

use proto::booking::v1::Booking as BookingReply;

use super::ask::{Ask, Reserve};
use super::booking::Booking;
use super::choice;
use super::hall::{Hall, Instant};
use super::history::{Call, History};
use super::rejection::Rejection;
use super::replay::Moment;
use super::{payments, people};

/// Every refusal and every read of a history has its moment.
pub(super) fn justify(history: &History, moments: &[Moment]) -> Result<(), String> {
    let last = &moments.last().expect("there is a first").hall;
    payments::check_outcomes(history, last)?;
    for call in &history.calls {
        if let Some(rejection) = call.ask.refused_at(call.pays) {
            if call.outcome != Err(rejection) {
                return Err(format!("not refused at this door: {call:?}"));
            }
            continue;
        }
        let rejection = match &call.outcome {
            Err(rejection) => rejection,
            Ok(reply) if payments::was_so(reply, call.began, call.ended, moments) => continue,
            Ok(_) => return Err(format!("reply with a payment that never was so: {call:?}")),
        };
        if payments::tried(call, last).is_some() {
            continue;
        }
        let justified = is_justified(call, rejection, history, moments)
            || repeats_a_refusal(call, rejection, history, moments);
        if !justified {
            return Err(format!("refused without a reason: {call:?}"));
        }
        if is_stored(rejection) {
            stays_refused(call, history)?;
        }
    }
    for look in &history.looks {
        if !was_so(&look.seen, look.began, look.ended, moments) {
            return Err(format!("seen, but never so: {look:?}"));
        }
    }
    Ok(())
}

/// The moments that a call or a read can have met, each with the times of it that make a difference.
pub(super) fn met(
    began: Instant,
    ended: Instant,
    moments: &[Moment],
) -> Vec<(&Moment, Vec<Instant>)> {
    let first = moments
        .iter()
        .rposition(|moment| moment.seen < began)
        .unwrap_or_default();
    let can_be_seen = moments[first..]
        .iter()
        .take_while(|moment| moment.at <= ended);
    can_be_seen
        .map(|moment| (moment, times(&moment.hall, began.max(moment.at), ended)))
        .collect()
}

/// The first and the last instant, and those between at which a hold ends.
fn times(hall: &Hall, from: Instant, to: Instant) -> Vec<Instant> {
    let ends = hall.bookings.values().map(|booking| booking.expires);
    let between = ends.filter(|end| (from..=to).contains(end));
    between
        .flat_map(|end| [end - 1, end])
        .chain([from, to])
        .filter(|at| *at >= from)
        .collect()
}

fn is_justified(call: &Call, rejection: &Rejection, history: &History, moments: &[Moment]) -> bool {
    let mut met = met(call.began, call.ended, moments);
    let granted = |moment: &Moment| {
        let id = call.request_id.as_ref();
        id.and_then(|id| moment.hall.granted.get(id)).cloned()
    };
    if *rejection == Rejection::RequestIdReused {
        let other = |(moment, _): &(&Moment, _)| granted(moment).is_some_and(|a| a != call.ask);
        return met.iter().any(other);
    }
    // Two requests under one id at once are not kept apart: each gets its own answer.
    let began_alone = met
        .first()
        .is_some_and(|(moment, _)| granted(moment).is_none());
    met.retain(|(moment, _)| match granted(moment) {
        None => true,
        Some(ask) => began_alone && ask != call.ask,
    });
    let at_once = |is_so: &dyn Fn(&Hall, Instant) -> bool| {
        met.iter()
            .any(|(moment, times)| times.iter().any(|at| is_so(&moment.hall, *at)))
    };
    match (rejection, &call.ask) {
        (Rejection::SeatsUnavailable(named), ask) => are_unavailable(named, ask, &met),
        (Rejection::AreaFull(left), Ask::Reserve(asked)) => {
            at_once(&|hall, now| area_is_full(call, asked, *left, hall, now, history))
        }
        (Rejection::TooManyPlaces { limit, taken, left }, Ask::Reserve(asked)) => {
            Some(*limit) == history.terms.places_max
                && *left == (limit - taken).max(0)
                && taken + asked.count() > *limit
                && people::was_counted(asked, *taken, &met)
        }
        (
            Rejection::ChoiceUnavailable {
                choice,
                largest_party,
            },
            Ask::Reserve(asked),
        ) => choice::was_unavailable(asked, *choice, *largest_party, &met),
        (_, ask) => at_once(&|hall, now| hall.objections(ask, call.pays, now).contains(rejection)),
    }
}

/// Whether these seats were taken, and all others free. A seat's owner is read without a lock, so
/// its status may be of an earlier moment than the rest: which seats are free is not.
fn are_unavailable(
    named: &BTreeMap<String, String>,
    ask: &Ask,
    met: &[(&Moment, Vec<Instant>)],
) -> bool {
    let Some(wanted) = ask.wanted() else {
        return false;
    };
    // Seats that somebody had during the call, and how.
    let mut taken: BTreeSet<(String, String)> = BTreeSet::new();
    met.iter().any(|(Moment { hall, .. }, times)| {
        times.iter().any(|now| {
            taken.extend(hall.taken(wanted, *now));
            taken.extend(held_for_a_while(hall, wanted, *now));
            let free = |label: &&String| hall.owner(label, *now).is_none();
            let mut others = wanted.iter().filter(|label| !named.contains_key(*label));
            let mut named = named.iter();
            others.all(|label| free(&label))
                && named.len() > 0
                && named.all(|(label, how)| taken.contains(&(label.clone(), how.clone())))
        })
    })
}

/// Seats that were taken at this moment count as held for those who waited for them, however they
/// were taken.
fn held_for_a_while(hall: &Hall, wanted: &BTreeSet<String>, now: Instant) -> Vec<(String, String)> {
    let held = |label: &String| (label.clone(), "is held".to_owned());
    wanted
        .iter()
        .filter(|label| hall.owner(label, now).is_some())
        .map(held)
        .collect()
}

/// Whether too few places were left. Those of expired holds count as taken by any other customer,
/// until the holds are failed.
fn area_is_full(
    call: &Call,
    asked: &Reserve,
    left: i32,
    hall: &Hall,
    now: Instant,
    history: &History,
) -> bool {
    let free = hall.free_places(now);
    let is_in_doubt = hall.ended_places(now) > 0;
    let returns = hall.bookings.values().filter(|b| b.is_being_paid());
    let returns: i32 = returns.map(|b| b.has.places).sum();
    let promised = history.calls.iter().map(|other| match &other.ask {
        Ask::Reserve(others) if are_at_once(call, other) => others.wanted.places,
        _ => 0,
    });
    (0..asked.wanted.places).contains(&left)
        && (left == free
            || is_in_doubt && left < free && free - left <= returns + promised.sum::<i32>())
}

/// Whether these are different calls that overlapped.
fn are_at_once(call: &Call, other: &Call) -> bool {
    !std::ptr::eq(call, other) && call.began <= other.ended && other.began <= call.ended
}

/// Whether a call repeats an earlier one under its id that was refused, or is about another
/// thing than that one.
fn repeats_a_refusal(
    call: &Call,
    rejection: &Rejection,
    history: &History,
    moments: &[Moment],
) -> bool {
    history.calls.iter().any(|first| {
        let Err(why) = &first.outcome else {
            return false;
        };
        let expected = if first.ask == call.ask {
            why
        } else {
            &Rejection::RequestIdReused
        };
        shares_id(first, call)
            && first.ask.refused_at(first.pays).is_none()
            && first.began <= call.ended
            && is_stored(why)
            && expected == rejection
            && is_justified(first, why, history, moments)
    })
}

/// A call that starts after a refusal under its id was returned is refused the same way; or as
/// another thing, if others used the id at the same time.
fn stays_refused(refused: &Call, history: &History) -> Result<(), String> {
    let others =
        |call: &&Call| shares_id(call, refused) && call.ask.refused_at(call.pays).is_none();
    let mut others = history.calls.iter().filter(others);
    let disputed = others.clone().any(|call| call.ask != refused.ask);
    let differs = |call: &&Call| {
        call.ask == refused.ask
            && call.began > refused.ended
            && call.outcome != refused.outcome
            && !(disputed && call.outcome == Err(Rejection::RequestIdReused))
    };
    match others.find(differs) {
        Some(call) => Err(format!("{refused:?}, but then {call:?}")),
        None => Ok(()),
    }
}

fn shares_id(one: &Call, other: &Call) -> bool {
    one.request_id.is_some() && one.request_id == other.request_id
}

/// Whether a refusal is one that is remembered.
fn is_stored(rejection: &Rejection) -> bool {
    !matches!(
        rejection,
        Rejection::RequestIdReused | Rejection::UnknownSeats(_) | Rejection::PaymentRequired
    )
}

/// Whether a booking was like this at a moment of a read, and its payment too.
pub(super) fn was_so(
    seen: &BookingReply,
    began: Instant,
    ended: Instant,
    moments: &[Moment],
) -> bool {
    let all_else = payments::without_payment(seen);
    // Only the booking's own: others may have been written in another order than decided.
    let id = Some(&seen.booking_id);
    let own = |moment: &&Moment| moment.changed.as_ref() == id;
    let own: Vec<Moment> = moments.iter().filter(own).cloned().collect();
    met(began, ended, &own)
        .into_iter()
        .any(|(Moment { hall, .. }, times)| {
            let booking = hall.bookings.get(&seen.booking_id);
            let is_so = |booking: &Booking| {
                let mut times = times.iter();
                payments::is_so(seen, booking)
                    && times.any(|now| booking.seen_at(&hall.terms, *now) == all_else)
            };
            booking.is_some_and(is_so)
        })
}
