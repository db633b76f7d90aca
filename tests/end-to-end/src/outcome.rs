//! What a step of a test returns.

use std::error::Error;

/// The result of a step: whatever went wrong, said in words.
pub type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// A failure that says `message`.
pub fn fail<T>(message: impl Into<String>) -> Outcome<T> {
    Err(message.into().into())
}
