//! Why a group did not answer.

use std::time::Duration;

use levada_types::ErrorCode;
use thiserror::Error;

use super::Failure;

/// A request to a group has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GroupClientError {
    /// No coordinator took it within the time. Nothing was done, unless it is the same when it is done twice.
    #[error("no coordinator took the request within {} ms: {reason}", .waited.as_millis())]
    NotAsked {
        /// Kafka's code for it, which clients try again on.
        code: ErrorCode,
        /// How long it was tried.
        waited: Duration,
        /// What the last attempt met.
        reason: String,
    },
    /// The coordinator may have done it: the connection broke, or the shard changed hands or the time passed meanwhile.
    #[error("whether the request was carried out is unknown: {reason}")]
    Unknown {
        /// What happened.
        reason: String,
    },
    /// The coordinator cannot read the request, or its answer cannot be read: a peer of another version might cause it.
    #[error("the request cannot be carried out: {reason}")]
    Refused {
        /// What is wrong.
        reason: String,
    },
}

impl GroupClientError {
    /// Kafka's code for it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotAsked { code, .. } => *code,
            // As in Kafka, whose clients look for the coordinator again and try once more.
            Self::Unknown { .. } => ErrorCode::CoordinatorNotAvailable,
            Self::Refused { .. } => ErrorCode::UnknownServerError,
        }
    }
}

impl Failure {
    pub(super) fn not_asked(self, waited: Duration) -> GroupClientError {
        let code = match self.code {
            known @ (ErrorCode::NotCoordinator | ErrorCode::CoordinatorLoadInProgress) => known,
            _ => ErrorCode::CoordinatorNotAvailable,
        };
        GroupClientError::NotAsked { code, waited, reason: self.reason }
    }

    pub(super) fn unknown(self) -> GroupClientError {
        GroupClientError::Unknown { reason: self.reason }
    }
}
