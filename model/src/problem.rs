//! What is wrong with a description, and where.

use std::fmt;

use crate::text::is_hidden;

/// The most problems that are told at once.
pub const PROBLEMS_MAX: usize = 20;

/// Something wrong with a description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The path below the layout or the price list, as "sections\[2\].rows\[0\].names.list".
    pub path: String,
    /// What it must be, or what is wrong with it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Collects problems, the first [`PROBLEMS_MAX`] of them.
#[derive(Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        if !self.is_full() {
            self.0.push(Problem {
                path: path.into(),
                message: message.into(),
            });
        }
    }

    /// Adds what is wrong, if anything is.
    pub(crate) fn check(&mut self, result: Result<(), String>, path: impl FnOnce() -> String) {
        if let Err(message) = result {
            self.add(path(), message);
        }
    }

    /// Whether looking for more is of no use.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= PROBLEMS_MAX
    }

    /// `Ok` if nothing is wrong so far.
    pub(crate) fn none_so_far(&mut self) -> Result<(), Vec<Problem>> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(std::mem::take(&mut self.0))
        }
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
