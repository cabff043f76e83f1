//! Detects disturbances of the machine, for tests that measure time: its wall clock is
//! set, or it stalls for a while.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// The pause between two checks.
const PAUSE: Duration = Duration::from_millis(5);
/// The least change of the wall clock against the steady one that is noted.
const STEP_MIN: Duration = Duration::from_millis(1);
/// The shortest gap between two checks that counts as a stall.
const STALL_MIN: Duration = Duration::from_millis(100);
/// How long reading both clocks may take for them to be of one moment.
const READING_MAX: Duration = Duration::from_micros(200);

/// Watches from here on at the latest; the moment to ask about later.
pub fn watch() -> Instant {
    drop(look());
    Instant::now()
}

/// Whether the wall clock was set back since a moment since which it is watched.
#[must_use]
pub fn stepped_back(since: Instant) -> bool {
    look().steps_back.iter().any(|at| *at >= since)
}

/// How long the machine stood still since a moment since which it is watched.
#[must_use]
pub fn stalled(since: Instant) -> Duration {
    let seen = look();
    let stalls = seen.stalls.iter();
    stalls
        .map(|(from, until)| until.saturating_duration_since(since.max(*from)))
        .sum()
}

/// The disturbances so far.
struct Seen {
    at: Instant,
    /// The wall clock at the last check.
    wall: SystemTime,
    steps_back: Vec<Instant>,
    stalls: Vec<(Instant, Instant)>,
}

fn look() -> MutexGuard<'static, Seen> {
    static SEEN: OnceLock<Mutex<Seen>> = OnceLock::new();
    let seen = SEEN.get_or_init(|| {
        thread::spawn(|| {
            loop {
                thread::sleep(PAUSE);
                drop(look());
            }
        });
        Mutex::new(Seen::at(clocks()))
    });
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.look();
    seen
}

impl Seen {
    fn at((at, wall): (Instant, SystemTime)) -> Self {
        Self {
            at,
            wall,
            steps_back: Vec::new(),
            stalls: Vec::new(),
        }
    }

    fn look(&mut self) {
        let (at, wall) = clocks();
        let passed = at - self.at;
        if passed >= STALL_MIN {
            self.stalls.push((self.at, at));
        }
        if wall + STEP_MIN <= self.wall + passed {
            self.steps_back.push(at);
        }
        (self.at, self.wall) = (at, wall);
    }
}

/// Both clocks at one moment.
fn clocks() -> (Instant, SystemTime) {
    loop {
        let (at, wall) = (Instant::now(), SystemTime::now());
        if at.elapsed() <= READING_MAX {
            return (at, wall);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_back_and_a_stall_are_noted_and_nothing_else() {
        let (now, wall) = clocks();
        let seen = |ago: Duration, wall: SystemTime| {
            let at = now.checked_sub(ago).expect("it has run for long");
            let mut seen = Seen::at((at, wall));
            seen.look();
            (seen.steps_back.len(), seen.stalls.len())
        };
        let (short, long) = (PAUSE, 10 * STALL_MIN);
        assert_eq!(seen(short, wall - short), (0, 0));
        assert_eq!(seen(long, wall - long), (0, 1));
        assert_eq!(seen(short, wall + 2 * short), (1, 0));
        // Set forward.
        assert_eq!(seen(short, wall - long), (0, 0));
    }
}
