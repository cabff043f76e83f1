//! The check of a history, second part: whatever was refused or read must have been so at a
//! moment between the call and its answer.

use std::collections::BTreeSet;

use proto::booking::v1::{Booking as Told, BookingState};

use super::ask::{Ask, Reserve};
use super::booking::Booking;
use super::hall::{Hall, Instant};
use super::history::{Call, History};
use super::refusal::Refusal;
use super::replay::Moment;

/// Every refusal and every read of a history has its moment.
pub(super) fn justify(history: &History, moments: &[Moment]) -> Result<(), String> {
    for call in &history.calls {
        let Err(refusal) = &call.outcome else {
            continue;
        };
        let justified = is_justified(call, refusal, history, moments)
            || repeats_a_refusal(call, refusal, history, moments);
        if !justified {
            return Err(format!("refused without a reason: {call:?}"));
        }
        if sticks(refusal) {
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

fn is_justified(call: &Call, refusal: &Refusal, history: &History, moments: &[Moment]) -> bool {
    let met = met(call.began, call.ended, moments);
    // Seats that somebody had while the call was under way, and how.
    let mut taken: BTreeSet<(String, String)> = BTreeSet::new();
    met.into_iter().any(|(Moment { hall, .. }, times)| {
        let granted = call.request_id.and_then(|id| hall.granted.get(&id));
        if let Some(ask) = granted {
            return *ask != call.ask && *refusal == Refusal::RequestIdReused;
        }
        times.into_iter().any(|now| match refusal {
            // A seat's owner is read without a lock, so what is told of that may be of an
            // earlier moment than the rest: which seats are free is not.
            Refusal::SeatsUnavailable(told) => {
                let Some(wanted) = call.ask.wanted() else {
                    return false;
                };
                taken.extend(hall.taken(wanted, now));
                taken.extend(held_for_a_while(hall, wanted, now));
                let free = |label: &&String| hall.owner(label, now).is_none();
                wanted
                    .iter()
                    .filter(|label| !told.contains_key(*label))
                    .all(|label| free(&label))
                    && !told.is_empty()
                    && told
                        .iter()
                        .all(|(label, how)| taken.contains(&(label.clone(), how.clone())))
            }
            Refusal::AreaFull(left) => area_is_full(call, *left, hall, now, history),
            _ => hall.objections(&call.ask, now).contains(refusal),
        })
    })
}

/// Seats that were taken at this moment count as held for whoever waited for them, however they
/// were taken.
fn held_for_a_while(hall: &Hall, wanted: &BTreeSet<String>, now: Instant) -> Vec<(String, String)> {
    let held = |label: &String| (label.clone(), "is held".to_owned());
    wanted
        .iter()
        .filter(|label| hall.owner(label, now).is_some())
        .map(held)
        .collect()
}

/// Whether too few places were left. Those of holds that have ended count as gone to whoever else
/// wants them, until their end is written down.
fn area_is_full(call: &Call, left: i32, hall: &Hall, now: Instant, history: &History) -> bool {
    let free = hall.free_places(now);
    let has_ended = |b: &&Booking| b.state == BookingState::Pending && b.expires <= now;
    let places = |ask: &Ask| match ask {
        Ask::Reserve(Reserve { wanted, .. }) => wanted.places,
        _ => 0,
    };
    let ended = hall.bookings.values().filter(has_ended);
    let others = history.calls.iter().filter(|other| {
        !std::ptr::eq(*other, call) && other.began <= call.ended && call.began <= other.ended
    });
    let is_in_doubt = ended.map(|b| b.has.places).sum::<i32>() > 0;
    let promised = others.map(|other| places(&other.ask)).sum::<i32>();
    (0..places(&call.ask)).contains(&left)
        && (left == free || is_in_doubt && left < free && free - left <= promised)
}

/// Whether a call repeats an earlier one under its id that was refused, or is about another
/// thing than that one.
fn repeats_a_refusal(
    call: &Call,
    refusal: &Refusal,
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
            &Refusal::RequestIdReused
        };
        shares_id(first, call)
            && first.began <= call.ended
            && sticks(why)
            && expected == refusal
            && is_justified(first, why, history, moments)
    })
}

/// What begins under an id after a refusal of it was told is refused in the same way; or as
/// another thing, if others used the id at the same time.
fn stays_refused(refused: &Call, history: &History) -> Result<(), String> {
    let others = |call: &&Call| shares_id(call, refused);
    let mut others = history.calls.iter().filter(others);
    let disputed = others.clone().any(|call| call.ask != refused.ask);
    let differs = |call: &&Call| {
        call.ask == refused.ask
            && call.began > refused.ended
            && call.outcome != refused.outcome
            && !(disputed && call.outcome == Err(Refusal::RequestIdReused))
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
fn sticks(refusal: &Refusal) -> bool {
    !matches!(refusal, Refusal::RequestIdReused | Refusal::UnknownSeats(_))
}

/// Whether a booking was like this at a moment of a read.
pub(super) fn was_so(seen: &Told, began: Instant, ended: Instant, moments: &[Moment]) -> bool {
    // Only the booking's own: others may have been written in another order than decided.
    let id = Some(&seen.booking_id);
    let own = |moment: &&Moment| moment.changed.as_ref() == id;
    let own: Vec<Moment> = moments.iter().filter(own).cloned().collect();
    met(began, ended, &own)
        .into_iter()
        .any(|(Moment { hall, .. }, times)| {
            let booking = hall.bookings.get(&seen.booking_id);
            let is_so = |booking: &Booking| {
                times
                    .iter()
                    .any(|now| booking.seen_at(&hall.show_id, *now) == *seen)
            };
            booking.is_some_and(is_so)
        })
}
