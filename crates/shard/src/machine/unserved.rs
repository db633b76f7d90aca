//! Why a request was not served.

use levada_types::ErrorCode;

/// Why a request was not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Unserved {
    /// The shard is not this process's, as far as it knows. Nothing was done.
    #[error("this coordinator does not own the shard")]
    NotOwner,
    /// The shard is being loaded. Nothing was done.
    #[error("the shard is being loaded")]
    Loading,
    /// Too much waits already. Nothing was done.
    #[error("too many requests wait for this shard")]
    Overloaded,
    /// What it would have written is larger than one batch may be. Nothing was done.
    #[error("what it writes is larger than a batch may be")]
    TooLarge,
    /// The log did not take what it would have written. Nothing was done.
    #[error("the shard's log takes no records now: {0}")]
    NotTaken(ErrorCode),
    /// The shard loads again before it was answered: it may have been done.
    #[error("the shard had to load again before it answered")]
    Interrupted,
    /// This process has lost the shard before it was answered: it may have been done.
    #[error("the shard has gone to another coordinator before it was answered")]
    Moved,
}

impl Unserved {
    /// Whether certainly nothing was done, so that the request may be made again wherever it is.
    #[must_use]
    pub const fn is_certainly_undone(self) -> bool {
        !matches!(self, Self::Interrupted | Self::Moved)
    }

    /// Kafka's code for it. NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS and COORDINATOR_NOT_AVAILABLE say that nothing was
    /// done.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::NotOwner => ErrorCode::NotCoordinator,
            Self::Loading => ErrorCode::CoordinatorLoadInProgress,
            // As Kafka's coordinators answer when their log is too large a batch's or has too few replicas.
            Self::TooLarge => ErrorCode::UnknownServerError,
            Self::Overloaded | Self::NotTaken(_) => ErrorCode::CoordinatorNotAvailable,
            Self::Interrupted | Self::Moved => ErrorCode::RequestTimedOut,
        }
    }
}
