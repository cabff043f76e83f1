//! The problems of a description, with their paths.

use std::fmt;
use std::ops::Deref;

use crate::text::is_hidden;

/// The most problems that are described; the others are counted.
pub const PROBLEMS_MAX: usize = 50;

/// Something wrong with a description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The path below the layout or the price list, as "sections\[2\].rows\[0\].names.list".
    pub path: String,
    /// What the value must be, or what is wrong with it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Problems, in the order of the description: the first [`PROBLEMS_MAX`], and
/// the number of further ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    first: Vec<Problem>,
    omitted: usize,
}

impl Problems {
    /// The number of further problems.
    #[must_use]
    pub fn omitted(&self) -> usize {
        self.omitted
    }

    pub(crate) fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.note(|| (path.into(), message.into()));
    }

    /// Adds a problem, whose path and message are not made if it is only counted.
    pub(crate) fn note<P, M>(&mut self, problem: impl FnOnce() -> (P, M))
    where
        P: Into<String>,
        M: Into<String>,
    {
        if self.first.len() < PROBLEMS_MAX {
            let (path, message) = problem();
            self.first.push(Problem {
                path: path.into(),
                message: message.into(),
            });
        } else {
            self.omitted += 1;
        }
    }

    /// Adds what is wrong, if anything is.
    pub(crate) fn check(&mut self, result: Result<(), String>, path: impl FnOnce() -> String) {
        if let Err(message) = result {
            self.add(path(), message);
        }
    }

    /// `Ok` if nothing is wrong so far.
    pub(crate) fn none_so_far(&mut self) -> Result<(), Self> {
        if self.first.is_empty() {
            Ok(())
        } else {
            Err(std::mem::take(self))
        }
    }
}

impl Deref for Problems {
    type Target = [Problem];

    fn deref(&self) -> &[Problem] {
        &self.first
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter()
    }
}

impl From<Vec<Problem>> for Problems {
    fn from(first: Vec<Problem>) -> Self {
        Self { first, omitted: 0 }
    }
}

/// All problems in one line, for who can do nothing about them.
pub(crate) fn in_words(problems: &[Problem]) -> String {
    let words: Vec<_> = problems.iter().map(ToString::to_string).collect();
    words.join("; ")
}

/// What every name and label keeps: its length, and nothing that cannot be seen.
pub(crate) fn check_name(name: &str, min: usize, max: usize) -> Result<(), String> {
    let chars = name.chars().count();
    if chars < min || chars > max {
        return Err(format!("must have {min} to {max} characters"));
    }
    if name.trim() != name || name.chars().any(is_hidden) {
        let message = "must not begin or end with a space, nor have characters that cannot be seen";
        return Err(message.to_owned());
    }
    Ok(())
}
