//! How much one caller may hold without buying it.
//!
//! A caller that holds, lets go and holds again can keep the seats of a show from everybody. So the
//! holds of each subject are counted: those that are open, and the time for which it held what it
//! did not buy. A hold counts from when it is asked for, so calls at once do not exceed a limit, and
//! counts until it surely has ended if its outcome is not known.
//!
//! Each instance counts what came through it, in memory: the limits of two are twice as high, and a
//! restart forgets. To count in the database would cost every reserve a lock.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{BookingId, ShowId};
use tokio::time::Instant;

use crate::domain::Subject;

/// The most subjects that are counted at once. Those that hold nothing and have wasted nothing make
/// room for others; if there are none, new ones are refused.
const SUBJECTS_MAX: usize = 100_000;
/// The most open holds that are counted, of all subjects.
const HOLDS_MAX: usize = 1_000_000;
/// The most open holds of a subject, if no limit is set.
const OPEN_MAX: u32 = 1_000;
/// How long nobody looks again for those that make room.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);
/// The steps in which the window moves on.
const STEPS: u32 = 16;

/// The limits of one subject.
#[derive(Debug, Clone, Copy)]
pub struct HoldLimitTerms {
    /// Its open holds of one show.
    pub per_show_max: Option<u32>,
    /// Its open holds in all.
    pub open_max: Option<u32>,
    /// How long it may hold within a window without buying, all holds added up.
    pub unsold: Option<UnsoldTerms>,
}

impl HoldLimitTerms {
    /// Whether there is a limit.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.per_show_max.is_some() || self.open_max.is_some() || self.unsold.is_some()
    }
}

/// A limit on the time for which a subject holds what it does not buy.
#[derive(Debug, Clone, Copy)]
pub struct UnsoldTerms {
    /// The time, all holds added up.
    pub time_max: Duration,
    /// Within what.
    pub window: Duration,
}

/// Why a subject may hold nothing more now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldLimit {
    /// It has this many open holds of the show.
    PerShow(u32),
    /// It has this many open holds.
    Open(u32),
    /// It has held for this long without buying.
    Unsold(Duration),
    /// Too many subjects hold something.
    Subjects,
}

/// A subject that may hold nothing more, and when that can change at the earliest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyHolds {
    /// Which limit it is.
    pub limit: HoldLimit,
    /// When the first of its holds ends, or time leaves the window.
    pub retry_after: Duration,
}

/// Counts the holds of subjects.
#[derive(Debug)]
pub struct HoldLimits {
    terms: HoldLimitTerms,
    subjects_max: usize,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    subjects: HashMap<Subject, Holder>,
    /// Whose each open hold is.
    bookings: HashMap<BookingId, Subject>,
    last_key: u64,
    /// When those were looked for last that make room.
    swept_at: Option<Instant>,
}

#[derive(Debug, Default)]
struct Holder {
    open: Vec<Open>,
    /// The hold time that was not bought, by the step in which the hold ended; oldest first.
    unsold: VecDeque<(Instant, Duration)>,
}

#[derive(Debug)]
struct Open {
    key: u64,
    show_id: ShowId,
    booking_id: Option<BookingId>,
    began_at: Instant,
    ends_at: Instant,
}

/// A hold that is asked for. Dropped, it counts until it would have ended.
#[derive(Debug)]
#[must_use]
pub struct Asked<'a> {
    limits: &'a HoldLimits,
    subject: Subject,
    key: u64,
}

impl HoldLimits {
    /// Counts by these terms.
    #[must_use]
    pub fn new(terms: HoldLimitTerms) -> Self {
        Self::for_subjects(terms, SUBJECTS_MAX)
    }

    fn for_subjects(terms: HoldLimitTerms, subjects_max: usize) -> Self {
        Self {
            terms,
            subjects_max,
            counted: Mutex::default(),
        }
    }

    /// Counts a hold that is asked for, of at most this length.
    ///
    /// # Errors
    ///
    /// If the subject is at a limit.
    pub fn ask(
        &self,
        subject: &Subject,
        show_id: ShowId,
        length: Duration,
    ) -> Result<Asked<'_>, TooManyHolds> {
        let now = Instant::now();
        let mut counted = self.counted();
        counted.make_room(subject, self, now)?;
        counted.last_key += 1;
        let key = counted.last_key;
        counted.end_lapsed(subject, self.terms, now);
        let holder = counted.subjects.entry(Arc::clone(subject)).or_default();
        holder.check(self.terms, show_id, length, now)?;
        holder.open.push(Open {
            key,
            show_id,
            booking_id: None,
            began_at: now,
            ends_at: now + length,
        });
        Ok(Asked {
            limits: self,
            subject: Arc::clone(subject),
            key,
        })
    }

    /// A hold became a sale: its time was not wasted.
    pub fn bought(&self, booking_id: BookingId) {
        self.counted().close(booking_id);
    }

    /// A hold was given up.
    pub fn given_up(&self, booking_id: BookingId) {
        let now = Instant::now();
        let mut counted = self.counted();
        if let Some((subject, open)) = counted.close(booking_id)
            && let Some(unsold) = self.terms.unsold
            && let Some(holder) = counted.subjects.get_mut(&subject)
        {
            holder.waste(unsold, open.began_at, now.min(open.ends_at), now);
        }
    }

    /// A hold lasts for this long from now.
    pub fn extended(&self, booking_id: BookingId, length: Duration) {
        let mut counted = self.counted();
        let Counted {
            subjects, bookings, ..
        } = &mut *counted;
        let holder = bookings
            .get(&booking_id)
            .and_then(|subject| subjects.get_mut(subject));
        if let Some(open) = holder.and_then(|holder| holder.of(booking_id)) {
            open.ends_at = open.ends_at.max(Instant::now() + length);
        }
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked<'_> {
    /// It was granted, for this long from now.
    pub fn granted(self, booking_id: BookingId, length: Duration) {
        let mut counted = self.limits.counted();
        let is_known = counted.bookings.contains_key(&booking_id);
        let Some(holder) = counted.subjects.get_mut(&self.subject) else {
            return;
        };
        if is_known {
            // The answer to a repeat: the hold was counted when it was made.
            holder.open.retain(|open| open.key != self.key);
            return;
        }
        if let Some(open) = holder.open.iter_mut().find(|open| open.key == self.key) {
            open.booking_id = Some(booking_id);
            open.ends_at = Instant::now() + length;
            counted.bookings.insert(booking_id, self.subject);
        }
    }

    /// It was surely not granted.
    pub fn refused(self) {
        if let Some(holder) = self.limits.counted().subjects.get_mut(&self.subject) {
            holder.open.retain(|open| open.key != self.key);
        }
    }
}

impl Counted {
    fn make_room(
        &mut self,
        subject: &Subject,
        limits: &HoldLimits,
        now: Instant,
    ) -> Result<(), TooManyHolds> {
        let has_room = |counted: &Self| {
            let is_new = !counted.subjects.contains_key(subject);
            counted.bookings.len() < HOLDS_MAX
                && !(is_new && counted.subjects.len() >= limits.subjects_max)
        };
        if has_room(self) {
            return Ok(());
        }
        // Not at each call while it is full.
        if self.swept_at.is_some_and(|at| now - at < SWEEP_PAUSE) {
            return Err(TooManyHolds {
                limit: HoldLimit::Subjects,
                retry_after: SWEEP_PAUSE,
            });
        }
        self.swept_at = Some(now);
        let subjects: Vec<_> = self.subjects.keys().map(Arc::clone).collect();
        for subject in subjects {
            self.end_lapsed(&subject, limits.terms, now);
        }
        self.subjects.retain(|_, holder| !holder.is_idle());
        if has_room(self) {
            return Ok(());
        }
        Err(TooManyHolds {
            limit: HoldLimit::Subjects,
            retry_after: SWEEP_PAUSE,
        })
    }

    /// Ends the holds of a subject whose time is over, and forgets what has left the window.
    fn end_lapsed(&mut self, subject: &Subject, terms: HoldLimitTerms, now: Instant) {
        let Some(holder) = self.subjects.get_mut(subject) else {
            return;
        };
        let (over, open) = std::mem::take(&mut holder.open)
            .into_iter()
            .partition(|open| open.ends_at <= now);
        holder.open = open;
        let over: Vec<Open> = over;
        for open in over {
            if let Some(unsold) = terms.unsold {
                holder.waste(unsold, open.began_at, open.ends_at, now);
            }
            if let Some(booking_id) = open.booking_id {
                self.bookings.remove(&booking_id);
            }
        }
        if let Some(unsold) = terms.unsold {
            holder.forget(unsold, now);
        }
    }

    /// Takes an open hold out.
    fn close(&mut self, booking_id: BookingId) -> Option<(Subject, Open)> {
        let subject = self.bookings.remove(&booking_id)?;
        let holder = self.subjects.get_mut(&subject)?;
        let is_it = |open: &Open| open.booking_id == Some(booking_id);
        let place = holder.open.iter().position(is_it)?;
        let open = holder.open.swap_remove(place);
        Some((subject, open))
    }
}

impl Holder {
    fn check(
        &self,
        terms: HoldLimitTerms,
        show_id: ShowId,
        length: Duration,
        now: Instant,
    ) -> Result<(), TooManyHolds> {
        let of_show = || self.open.iter().filter(|open| open.show_id == show_id);
        let refused = |limit, until: Option<Instant>| {
            let retry_after = until.map_or(Duration::ZERO, |until| until - now);
            Err(TooManyHolds { limit, retry_after })
        };
        if let Some(max) = terms.per_show_max
            && of_show().count() >= max as usize
        {
            let ends = of_show().map(|open| open.ends_at).min();
            return refused(HoldLimit::PerShow(max), ends);
        }
        let max = terms.open_max.unwrap_or(OPEN_MAX);
        if self.open.len() >= max as usize {
            let ends = self.open.iter().map(|open| open.ends_at).min();
            return refused(HoldLimit::Open(max), ends);
        }
        let Some(unsold) = terms.unsold else {
            return Ok(());
        };
        // Open holds count as if they were given up when they end.
        let open = self.open.iter().map(|open| open.ends_at - open.began_at);
        let wasted = self.unsold.iter().map(|(_, time)| *time);
        if open.chain(wasted).sum::<Duration>() + length <= unsold.time_max {
            return Ok(());
        }
        let leaves = self.unsold.front().map(|(step, _)| *step + unsold.window);
        let ends = self.open.iter().map(|open| open.ends_at).min();
        refused(HoldLimit::Unsold(unsold.time_max), leaves.or(ends))
    }

    fn waste(&mut self, terms: UnsoldTerms, began_at: Instant, ended_at: Instant, now: Instant) {
        let time = ended_at.saturating_duration_since(began_at);
        match self.unsold.back_mut() {
            Some((step, sum)) if now < *step + terms.window / STEPS => *sum += time,
            _ => self.unsold.push_back((now, time)),
        }
        self.forget(terms, now);
    }

    fn forget(&mut self, terms: UnsoldTerms, now: Instant) {
        while let Some((step, _)) = self.unsold.front()
            && *step + terms.window <= now
        {
            self.unsold.pop_front();
        }
    }

    fn of(&mut self, booking_id: BookingId) -> Option<&mut Open> {
        let mut open = self.open.iter_mut();
        open.find(|open| open.booking_id == Some(booking_id))
    }

    fn is_idle(&self) -> bool {
        self.open.is_empty() && self.unsold.is_empty()
    }
}

#[cfg(test)]
mod tests;
