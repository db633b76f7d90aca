//! Why a command came to nothing, or nobody knows to what.

use std::time::Duration;

use levada_types::ErrorCode;

/// A command was not answered by the active controller.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// No active controller took it within the time. Nothing was done.
    #[error("no active controller took the command within {}; nothing was done{}", humane(*.waited), because(.last))]
    NoController {
        /// How long it was tried.
        waited: Duration,
        /// What the last attempt met.
        last: String,
    },
    /// The controller may have done it: the connection broke, leadership changed or the time passed meanwhile.
    #[error("the outcome of the command is unknown{}; look at the metadata before trying again", because(.last))]
    Unknown {
        /// What happened.
        last: String,
    },
    /// The controller cannot read the command. Nothing was done.
    #[error("the controller refused the command{}", because(.reason))]
    Refused {
        /// What it said.
        reason: String,
    },
    /// The controller's answer cannot be read, which a peer of another version might cause. The command was decided.
    #[error("the controller's answer cannot be read{}", because(.reason))]
    Unreadable {
        /// What is wrong with it.
        reason: String,
    },
}

impl SubmitError {
    /// Kafka's code for it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NoController { .. } => ErrorCode::RequestTimedOut,
            Self::Unknown { .. } => ErrorCode::RequestTimedOut,
            Self::Refused { .. } => ErrorCode::InvalidRequest,
            Self::Unreadable { .. } => ErrorCode::UnknownServerError,
        }
    }
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(" ({reason})") }
}

fn humane(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}
