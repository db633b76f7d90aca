//! One broken rule at one place.

use std::fmt;

/// One broken rule, with what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Violation {
    place: String,
    message: String,
}

impl Violation {
    /// `message` holds at `place`: a file, a file and line, or a package.
    pub(super) fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}
