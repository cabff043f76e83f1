//! Series: counted and checked by arithmetic alone, so that a short description of very many
//! names costs nothing; then read by place, never expanded.

use std::fmt::{self, Write};

use super::description::{NUMBER_MAX, SEATS_MAX, SERIES_NAME_CHARS_MAX, SKIPPED_MAX, Series};
use crate::problem::{Problems, check_name};

const MINUTES_A_DAY: u32 = 24 * 60;
const LETTERS_MAX: usize = 3;

/// The index for reading a series by position.
#[derive(Debug)]
pub(super) struct Sequence {
    pub(super) count: u32,
    /// For the k-th name that is left out, how many are there before it. Ascending.
    gaps: Box<[u32]>,
}

impl Sequence {
    /// The empty name of a row without a name.
    pub(super) fn of_one() -> Self {
        Self::without_gaps(1)
    }

    /// Checks a series. It counts 0 if something is wrong with it.
    pub(super) fn of(series: &Series, path: &str, problems: &mut Problems) -> Self {
        let mut wrong = |field: &str, message: String| {
            problems.add(format!("{path}.{field}"), message);
            Self::without_gaps(0)
        };
        match series {
            Series::Numbers {
                first,
                last,
                step,
                skip,
            } => {
                for (field, value, min) in
                    [("first", first, 0), ("last", last, 0), ("step", step, 1)]
                {
                    if !(min..=NUMBER_MAX).contains(value) {
                        return wrong(
                            &format!("numbers.{field}"),
                            format!("must be {min} to {NUMBER_MAX}"),
                        );
                    }
                }
                if skip.len() > SKIPPED_MAX {
                    return wrong("numbers.skip", too_many_skipped());
                }
                let sequence = Self::skipping(*first, *last, *step, skip.iter().copied());
                if sequence.count == 0 {
                    return wrong("numbers.skip", nothing_is_left());
                }
                sequence
            }
            Series::Letters { first, last, skip } => {
                let upper = first.starts_with(|c: char| c.is_ascii_uppercase());
                let must_be = if upper {
                    "must be one to three upper-case letters, A to Z"
                } else {
                    "must be one to three letters, all upper-case or all lower-case, A to Z"
                };
                let of = |letters: &str| column_of(letters, upper);
                let Some(from) = of(first) else {
                    return wrong("letters.first", must_be.to_owned());
                };
                let Some(to) = of(last) else {
                    return wrong("letters.last", must_be.to_owned());
                };
                if skip.len() > SKIPPED_MAX {
                    return wrong("letters.skip", too_many_skipped());
                }
                if let Some(i) = skip.iter().position(|letters| of(letters).is_none()) {
                    return wrong(&format!("letters.skip[{i}]"), must_be.to_owned());
                }
                let skipped = skip.iter().filter_map(|letters| of(letters));
                let sequence = Self::skipping(from, to, 1, skipped);
                if sequence.count == 0 {
                    return wrong("letters.skip", nothing_is_left());
                }
                sequence
            }
            Series::Times {
                first,
                last,
                step_minutes,
            } => {
                let must_be = "must be a time of 24 hours, such as \"09:00\"";
                let Some(from) = minute_of(first) else {
                    return wrong("times.first", must_be.to_owned());
                };
                let Some(to) = minute_of(last) else {
                    return wrong("times.last", must_be.to_owned());
                };
                if to < from {
                    return wrong("times.last", "must not be before the first".to_owned());
                }
                if !(1..=MINUTES_A_DAY).contains(step_minutes) {
                    let message = format!("must be 1 to {MINUTES_A_DAY}");
                    return wrong("times.step_minutes", message);
                }
                Self::skipping(from, to, *step_minutes, [].into_iter())
            }
            Series::List(names) => {
                let count = u32::try_from(names.len()).unwrap_or(u32::MAX);
                if !(1..=SEATS_MAX).contains(&count) {
                    return wrong("list.names", format!("must be 1 to {SEATS_MAX} names"));
                }
                for (i, name) in names.iter().enumerate() {
                    let checked = check_name(name, 1, SERIES_NAME_CHARS_MAX);
                    problems.check(checked, || format!("{path}.list.names[{i}]"));
                }
                Self::without_gaps(count)
            }
        }
    }

    /// Writes the name in this place of `series`, which this was made of.
    pub(super) fn write(&self, series: &Series, place: u32, out: &mut impl Write) -> fmt::Result {
        let at = self.over_gaps(place);
        match series {
            Series::Numbers {
                first, last, step, ..
            } => write_number(moved(*first, *last, at * step), out),
            Series::Letters { first, last, .. } => {
                let upper = first.starts_with(|c: char| c.is_ascii_uppercase());
                let from = column_of(first, upper).ok_or(fmt::Error)?;
                let to = column_of(last, upper).ok_or(fmt::Error)?;
                write_column(moved(from, to, at), upper, out)
            }
            Series::Times {
                first,
                step_minutes,
                ..
            } => {
                let minute = minute_of(first).ok_or(fmt::Error)? + at * step_minutes;
                write!(out, "{:02}:{:02}", minute / 60, minute % 60)
            }
            Series::List(names) => out.write_str(names.get(at as usize).ok_or(fmt::Error)?),
        }
    }

    /// Bytes on the heap.
    pub(super) fn weight(&self) -> usize {
        size_of_val(&*self.gaps)
    }

    fn without_gaps(count: u32) -> Self {
        Self {
            count,
            gaps: Box::default(),
        }
    }

    /// From `first` to `last` by `step`, without those skipped. A skipped value that does not occur
    /// changes nothing: one pattern can serve rows of several lengths.
    fn skipping(first: u32, last: u32, step: u32, skipped: impl Iterator<Item = u32>) -> Self {
        let all = first.abs_diff(last) / step + 1;
        let place_of = |value: u32| {
            let between = (first.min(last)..=first.max(last)).contains(&value);
            let away = first.abs_diff(value);
            (between && away.is_multiple_of(step) && away / step < all).then_some(away / step)
        };
        let mut places: Vec<u32> = skipped.filter_map(place_of).collect();
        places.sort_unstable();
        places.dedup();
        let gaps: Box<[u32]> = places
            .into_iter()
            .zip(0..)
            .map(|(place, k)| place - k)
            .collect();
        let left_out = u32::try_from(gaps.len()).unwrap_or(all);
        Self {
            count: all - left_out,
            gaps,
        }
    }

    fn over_gaps(&self, place: u32) -> u32 {
        let before = self.gaps.partition_point(|&gap| gap <= place);
        place + u32::try_from(before).unwrap_or_default()
    }
}

impl Series {
    /// The minutes of the day at which its slots begin; none if it is not of times.
    pub fn minutes(&self) -> impl Iterator<Item = u32> + use<> {
        let times = match self {
            Self::Times {
                first,
                last,
                step_minutes,
            } => minute_of(first)
                .zip(minute_of(last))
                .zip(usize::try_from(*step_minutes).ok()),
            _ => None,
        };
        times
            .into_iter()
            .flat_map(|((from, to), step)| (from..=to).step_by(step.max(1)))
    }
}

/// The path of one name of a series below the series.
pub(super) fn path_of_name(series: &Series, place: u32) -> String {
    match series {
        Series::List(_) => format!(".list.names[{place}]"),
        Series::Numbers { .. } | Series::Letters { .. } | Series::Times { .. } => String::new(),
    }
}

fn too_many_skipped() -> String {
    format!("must be at most {SKIPPED_MAX} values")
}

fn nothing_is_left() -> String {
    "leaves nothing of the series".to_owned()
}

/// `away` from `first` in the direction of `last`.
fn moved(first: u32, last: u32, away: u32) -> u32 {
    if first <= last {
        first + away
    } else {
        first - away
    }
}

/// Of "A" 1, of "Z" 26, of "AA" 27.
fn column_of(letters: &str, upper: bool) -> Option<u32> {
    if letters.is_empty() || letters.len() > LETTERS_MAX {
        return None;
    }
    let base = if upper { b'A' } else { b'a' };
    letters.bytes().try_fold(0, |column, letter| {
        let digit = letter.checked_sub(base).filter(|digit| *digit < 26)?;
        Some(column * 26 + u32::from(digit) + 1)
    })
}

fn write_column(mut column: u32, upper: bool, out: &mut impl Write) -> fmt::Result {
    let base = if upper { b'A' } else { b'a' };
    let mut letters = [0; LETTERS_MAX];
    let mut start = LETTERS_MAX;
    while column > 0 {
        start = start.checked_sub(1).ok_or(fmt::Error)?;
        letters[start] = base + u8::try_from((column - 1) % 26).unwrap_or_default();
        column = (column - 1) / 26;
    }
    letters[start..]
        .iter()
        .try_for_each(|letter| out.write_char(char::from(*letter)))
}

/// As `write!`, at a fraction of its cost: labels are compared on the way of every reserve.
fn write_number(mut number: u32, out: &mut impl Write) -> fmt::Result {
    let mut digits = [b'0'; 10];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] += u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.write_str(std::str::from_utf8(&digits[start..]).unwrap_or_default())
}

fn minute_of(time: &str) -> Option<u32> {
    let (&[h1, h2, b':', m1, m2], true) = (time.as_bytes(), time.is_ascii()) else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(10);
    let hour = digit(h1)? * 10 + digit(h2)?;
    let minute = digit(m1)? * 10 + digit(m2)?;
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}
