//! What of a log is known to be durable, beside its records.

use crate::epochs::LeaderEpochs;

/// What of a log is known to be durable, beside its records. Behind the lock of whoever makes more of it so.
#[derive(Debug)]
pub(crate) struct Durable {
    /// What `leader-epoch-checkpoint` holds.
    pub(crate) epochs: EpochsOnDisk,
    /// Whether the log's directory itself and its identity have been synced.
    pub(crate) identity: bool,
}

/// What is known of `leader-epoch-checkpoint`.
#[derive(Debug)]
pub(crate) enum EpochsOnDisk {
    /// There is none: recovery reads the epochs from the batches.
    Absent,
    /// It says this, and a crash of the machine may take it back.
    Written(LeaderEpochs),
    /// It says this whatever happens.
    Durable(LeaderEpochs),
    /// It is damaged, or writing it failed: the file may have been replaced or not.
    Unknown,
}

impl EpochsOnDisk {
    /// Whether a crash of the machine leaves these epochs, as far as the file has to tell of any.
    pub(super) fn are_durable(&self, epochs: &LeaderEpochs) -> bool {
        match self {
            Self::Durable(durable) => durable == epochs,
            Self::Absent => epochs.entries().is_empty(),
            Self::Written(_) | Self::Unknown => false,
        }
    }

    /// Whether a crash of the process leaves these epochs.
    pub(super) fn are_written(&self, epochs: &LeaderEpochs) -> bool {
        matches!(self, Self::Written(written) if written == epochs) || self.are_durable(epochs)
    }
}
