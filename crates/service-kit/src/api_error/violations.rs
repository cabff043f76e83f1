//! Collects the violations of a request, so that the caller gets all of them at once.

use proto::errors::v1::ErrorReason;

use super::ApiError;

/// The most fields that are described; the others are counted. Fewer fit into an answer.
const FIELDS_MAX: usize = 100;

/// The violations of a request, field by field.
#[derive(Debug, Default)]
pub struct FieldViolations {
    first: Vec<(String, String)>,
    omitted: usize,
}

impl FieldViolations {
    /// Notes that the field at `path` is wrong.
    pub fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        if self.first.len() < FIELDS_MAX {
            self.first.push((path.into(), message.into()));
        } else {
            self.omitted += 1;
        }
    }

    /// Counts further violations without listing them.
    pub fn omit(&mut self, count: usize) {
        self.omitted += count;
    }

    /// The value of `parsed`, or a note that the field at `path` is wrong.
    pub fn take<T, E: ToString>(&mut self, path: &str, parsed: Result<T, E>) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(path, error.to_string());
                None
            }
        }
    }

    /// Whether nothing was noted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// Fails if anything was noted.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT with every violation.
    pub fn check(self) -> Result<(), ApiError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(self.into_error())
        }
    }

    /// The error, for code that knows that there is a violation.
    #[must_use]
    pub fn into_error(self) -> ApiError {
        ApiError::bad_request_of(ErrorReason::InvalidField, self.first, self.omitted)
    }
}
