//! Why one item of a command was refused.

use std::fmt;

use levada_types::ErrorCode;

/// One item's refusal: the code a Kafka client gets and a sentence that says what is wrong with this item and, where it
/// can, what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemError {
    /// Kafka's code for it; never [`ErrorCode::None`].
    pub code: ErrorCode,
    /// What is wrong, in words.
    pub message: String,
}

impl ItemError {
    /// A refusal with this code and sentence.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A refusal that has no more to say than the code's own sentence.
    #[must_use]
    pub fn of(code: ErrorCode) -> Self {
        Self::new(code, code.message())
    }

    /// Kafka's code for it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.code
    }
}

impl fmt::Display for ItemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl std::error::Error for ItemError {}
