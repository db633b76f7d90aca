//! Why one partition of a request failed.

use levada_log::AppendError;
use levada_records::BatchError;
use levada_types::{BrokerId, ErrorCode, LeaderEpoch};

/// Who leads a partition now, told with the error so that the client need not refresh its metadata (KIP-951).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderHint {
    /// The leader, if there is one.
    pub leader: Option<BrokerId>,
    /// Its leader epoch.
    pub epoch: LeaderEpoch,
}

/// Why one partition of a request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}{}", .message.as_ref().map(|m| format!(" ({m})")).unwrap_or_default())]
pub struct PartitionError {
    /// Kafka's code for it; never `ErrorCode::None`.
    pub code: ErrorCode,
    /// What is wrong in this case, where the code's own text says too little.
    pub message: Option<String>,
    /// The current leader, with NOT_LEADER_OR_FOLLOWER and FENCED_LEADER_EPOCH.
    pub leader: Option<LeaderHint>,
    /// The record that a batch was refused for, where it was one record: its number within the batch, from 0 (KIP-467).
    pub record: Option<i32>,
}

impl From<ErrorCode> for PartitionError {
    fn from(code: ErrorCode) -> Self {
        Self { code, message: None, leader: None, record: None }
    }
}

impl From<AppendError> for PartitionError {
    fn from(error: AppendError) -> Self {
        let record = match &error {
            AppendError::Batch(BatchError::MalformedRecord { index, .. } | BatchError::MissingKey { index }) => {
                Some(*index)
            }
            _ => None,
        };
        Self { record, ..Self::new(error.code(), error.to_string()) }
    }
}

impl PartitionError {
    /// An error that says what is wrong in this case.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..code.into() }
    }

    /// An error that names the leader to turn to.
    pub fn with_leader(code: ErrorCode, leader: LeaderHint) -> Self {
        Self { leader: Some(leader), ..code.into() }
    }
}
