//! A topic's name, and what may be one.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// The longest name in bytes. Kafka's limit: a directory name is at most 255 bytes, less room for `-<partition>` and
/// the suffix of a deleted directory.
pub(crate) const MAX_LENGTH: usize = 249;

/// A valid topic name: 1 to 249 of `a-z A-Z 0-9 . _ -`, and neither `.` nor `..`. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicName(Arc<str>);

/// Why a text is no topic name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TopicNameError {
    /// There is nothing in it.
    #[error("the topic name is empty")]
    Empty,
    /// It names a directory itself.
    #[error("the topic name cannot be '.' or '..'")]
    Dots,
    /// It is too long.
    #[error("the topic name is {0} characters long; at most 249 are allowed")]
    TooLong(usize),
    /// It has a character outside the rules.
    #[error("the topic name contains '{0}'; only ASCII letters, digits, '.', '_' and '-' are allowed")]
    IllegalCharacter(char),
}

impl TopicName {
    /// Checks `name` against the rules.
    ///
    /// # Errors
    /// [`TopicNameError`] says which rule it breaks.
    pub fn new(name: &str) -> Result<Self, TopicNameError> {
        match name {
            "" => return Err(TopicNameError::Empty),
            "." | ".." => return Err(TopicNameError::Dots),
            _ => {}
        }
        if let Some(illegal) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))) {
            return Err(TopicNameError::IllegalCharacter(illegal));
        }
        if name.len() > MAX_LENGTH {
            return Err(TopicNameError::TooLong(name.len()));
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is one of the topics that coordinators keep their state in; clients may read them, never write them.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        matches!(self.as_str(), "__consumer_offsets" | "__transaction_state")
    }

    /// The form in which two names collide: `.` and `_` are the same in metric names, so Kafka refuses a topic whose
    /// name differs from an existing one only in these.
    #[must_use]
    pub fn collision_key(&self) -> String {
        self.0.replace('.', "_")
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for TopicName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for TopicName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_kafka_accepts() {
        for name in ["a", "orders", "orders.v1_x-Y", "...", &"x".repeat(MAX_LENGTH)] {
            assert_eq!(TopicName::new(name).map(|n| n.to_string()), Ok(name.to_owned()));
        }
    }

    #[test]
    fn refuses_what_kafka_refuses() {
        assert_eq!(TopicName::new(""), Err(TopicNameError::Empty));
        assert_eq!(TopicName::new("."), Err(TopicNameError::Dots));
        assert_eq!(TopicName::new(".."), Err(TopicNameError::Dots));
        assert_eq!(TopicName::new("a/b"), Err(TopicNameError::IllegalCharacter('/')));
        assert_eq!(TopicName::new("größe"), Err(TopicNameError::IllegalCharacter('ö')));
        assert_eq!(TopicName::new(&"x".repeat(250)), Err(TopicNameError::TooLong(250)));
    }
}
