//! The check of a history, first part: the log, one entry after another, through the model.
//! Each entry must be legal when its turn comes, belong to a call that got a reply for it, and
//! leave what the reply says.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use proto::booking::v1::{Booking as BookingReply, BookingState};
use uuid::Uuid;

use super::ask::Ask;
use super::hall::{Hall, Instant};
use super::history::{Call, Entry, History, Move};
use super::payments;

/// The show from one change to the next.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub(super) hall: Arc<Hall>,
    /// The booking that the change was made to; none of the show.
    pub(super) changed: Option<String>,
    /// When the change was made: nobody can have seen it before.
    pub(super) at: Instant,
    /// When it was certainly visible: a reply had shown it. If that is not known, never.
    pub(super) seen: Instant,
}

enum Change<'a> {
    Logged(&'a Entry),
    Moved(&'a Move),
    Cancelled,
}

/// The show at every moment of its history, the first before anything happened.
pub(super) fn replay(history: &History) -> Result<Vec<Moment>, String> {
    let mut changes: Vec<(Instant, Change<'_>)> = Vec::new();
    changes.extend(history.cancelled_at.map(|at| (at, Change::Cancelled)));
    changes.extend(
        history
            .moves
            .iter()
            .map(|moved| (moved.at, Change::Moved(moved))),
    );
    changes.extend(
        history
            .log
            .iter()
            .map(|entry| (entry.at, Change::Logged(entry))),
    );
    // Stable: the entries of one transaction stay in order.
    changes.sort_by_key(|(at, _)| *at);

    let reply = Answers::of(history)?;
    let mut hall = Hall::new(&history.terms);
    let first = Moment {
        hall: Arc::new(hall.clone()),
        changed: None,
        at: Instant::MIN,
        seen: Instant::MIN,
    };
    let mut moments = vec![first];
    for (at, change) in changes {
        let (changed, seen) = match change {
            Change::Cancelled => {
                hall.cancelled = true;
                (None, Instant::MAX)
            }
            Change::Moved(moved) => {
                let booking = hall
                    .bookings
                    .get_mut(&moved.booking)
                    .ok_or("moved: unknown")?;
                if booking.version != moved.version {
                    return Err(format!("{moved:?} of another version: {booking:?}"));
                }
                (booking.created, booking.expires) = (moved.created, moved.expires);
                (Some(moved.booking.clone()), moved.ended)
            }
            Change::Logged(entry) => {
                let seen = enter(&mut hall, entry, &reply, history)?;
                (Some(entry.booking.clone()), seen)
            }
        };
        moments.push(Moment {
            hall: Arc::new(hall.clone()),
            changed,
            at,
            seen,
        });
    }
    reply.all_entered(history)?;
    Ok(moments)
}

/// The granted calls, by their log entry.
struct Answers<'a> {
    by_id: HashMap<Uuid, Vec<(&'a Call, &'a BookingReply)>>,
    /// By booking and etag.
    without_id: HashMap<(&'a str, &'a str), (&'a Call, &'a BookingReply)>,
}

impl<'a> Answers<'a> {
    fn of(history: &'a History) -> Result<Self, String> {
        let mut answers = Self {
            by_id: HashMap::new(),
            without_id: HashMap::new(),
        };
        for call in &history.calls {
            let Ok(reply) = &call.outcome else { continue };
            if let Some(id) = call.request_id {
                answers.by_id.entry(id).or_default().push((call, reply));
                continue;
            }
            let key = (&*reply.booking_id, &*reply.etag);
            if let Some((other, _)) = answers.without_id.insert(key, (call, reply)) {
                return Err(format!("one change in two replies: {call:?} and {other:?}"));
            }
        }
        Ok(answers)
    }

    /// The calls that got a reply for an entry: those under its id, or one without any.
    fn to(&self, entry: &Entry) -> Result<Vec<(&'a Call, &'a BookingReply)>, String> {
        let etag = format!("v{}", entry.version);
        let without_id = self.without_id.get(&(&*entry.booking, &*etag));
        match (self.by_id.get(&entry.request_id), without_id) {
            (Some(calls), None) => Ok(calls.clone()),
            (None, call) => Ok(call.copied().into_iter().collect()),
            both => Err(format!("{entry:?} was granted twice: {both:?}")),
        }
    }

    /// Every answer is about an entry of the log.
    fn all_entered(&self, history: &History) -> Result<(), String> {
        let ids: BTreeSet<Uuid> = history.log.iter().map(|entry| entry.request_id).collect();
        let versions: BTreeSet<(&str, String)> = history
            .log
            .iter()
            .map(|entry| (&*entry.booking, format!("v{}", entry.version)))
            .collect();
        if let Some(id) = self.by_id.keys().find(|id| !ids.contains(id)) {
            return Err(format!("granted, but not in the log: {id}"));
        }
        let mut keys = self.without_id.keys();
        match keys.find(|(id, etag)| !versions.contains(&(*id, (*etag).to_owned()))) {
            Some(key) => Err(format!("granted, but not in the log: {key:?}")),
            None => Ok(()),
        }
    }
}

/// Applies an entry; returns when a reply had shown it.
fn enter(
    hall: &mut Hall,
    entry: &Entry,
    answers: &Answers<'_>,
    history: &History,
) -> Result<Instant, String> {
    let Entry {
        booking: id, at, ..
    } = entry;
    let before = hall.bookings.get(id).map(|booking| booking.state);
    let mut seen = Instant::MAX;
    let verb = match &*entry.verb {
        "EXPIRE" => hall.expire(id, *at).map(|()| "EXPIRE")?,
        "VOID" => hall.void(id, *at).map(|()| "VOID")?,
        "PAY" => hall.begin_attempt(entry, history)?,
        _ if hall.is_end_of_attempt(entry) => hall.end_attempt(entry, history)?,
        _ => {
            let replies = answers.to(entry)?;
            let in_time = |(call, _): &&(&Call, _)| (call.began..=call.ended).contains(at);
            // Of copies at both doors one was let in where one need not pay, if that is asked here.
            let in_time = replies.iter().filter(in_time).copied();
            let Some((author, first_reply)) = in_time.min_by_key(|(call, _)| call.pays) else {
                return Err(format!(
                    "no call in progress got a reply for {entry:?}: {replies:?}"
                ));
            };
            if author.ask.booking().is_some_and(|(of, _)| of != id) {
                return Err(format!(
                    "{entry:?} is about another booking than {author:?}"
                ));
            }
            let Some(ask) = author.ask.with_chosen(first_reply) else {
                return Err(format!("chosen was what nobody asked for: {author:?}"));
            };
            let objections = hall.objections(&ask, author.pays, *at);
            if !objections.is_empty() {
                return Err(format!(
                    "{author:?} is in the log in spite of {objections:?}"
                ));
            }
            let verb = hall.carry_out(&ask, *at, id);
            let expected = hall.bookings[id].reply(&hall.terms);
            let moved = history
                .moves
                .iter()
                .filter(|moved| moved.booking == *id && moved.at > *at);
            let moved_at = moved.map(|moved| moved.at).min();
            for (call, reply) in replies {
                check_reply(&expected, &author.ask, call, reply, entry, moved_at)?;
                seen = seen.min(call.ended);
            }
            if let Some(request_id) = author.request_id {
                hall.granted.insert(request_id, author.ask.clone());
            }
            verb
        }
    };
    let after = &hall.bookings[id];
    let name = |state: BookingState| {
        state
            .as_str_name()
            .trim_start_matches("BOOKING_STATE_")
            .to_owned()
    };
    let expected = (verb, after.version, before.map(name), name(after.state));
    let entered = (
        &*entry.verb,
        entry.version,
        entry.from.clone(),
        entry.to.clone(),
    );
    if expected == entered {
        Ok(seen)
    } else {
        Err(format!("{entry:?}, where the model has {expected:?}"))
    }
}

/// Checks that a granted call got the reply that the model expects.
fn check_reply(
    expected: &BookingReply,
    ask: &Ask,
    call: &Call,
    reply: &BookingReply,
    entry: &Entry,
    moved_at: Option<Instant>,
) -> Result<(), String> {
    if call.ask != *ask {
        return Err(format!("{call:?} got a reply for {ask:?}, another body"));
    }
    if call.ended < entry.at {
        return Err(format!("{call:?} got its reply before {entry:?} was made"));
    }
    let mut expected = expected.clone();
    // A replay gets the reply of the first call; but times that were moved since, as no customer
    // can do, may be the current ones.
    if moved_at.is_some_and(|at| at < call.ended) {
        expected.create_time = reply.create_time;
        expected.expire_time = reply.expire_time;
    }
    if expected == payments::without_payment(reply) {
        Ok(())
    } else {
        Err(format!(
            "{call:?} got\n{reply:?}, where the model has\n{expected:?}"
        ))
    }
}
