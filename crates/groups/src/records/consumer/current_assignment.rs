//! What a member owns.

use super::OwnedPartitions;
use crate::records::{Reader, RecordError, Writer};

/// What a member owns, and on which way it is to what it shall own. Kind 8.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CurrentAssignment {
    /// The epoch that is expected in its heartbeats; [`CurrentAssignment::AWAY`] for a static member that has left for a
    /// while.
    pub epoch: i32,
    /// The epoch before that: the answer that told the newer one may have been lost.
    pub previous_epoch: i32,
    /// On which way it is.
    pub state: MemberState,
    /// What it owns and may keep.
    pub assigned: OwnedPartitions,
    /// What it owns and shall give up.
    pub revoking: OwnedPartitions,
}

/// On which way a member is to what it shall own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MemberState {
    /// It has reached the target assignment of its epoch.
    #[default]
    Stable,
    /// It has been asked to give partitions up and has not done so.
    UnrevokedPartitions,
    /// It waits for partitions that others have not given up.
    UnreleasedPartitions,
    /// A newer release has written a state that is not known here.
    Unknown,
}

impl MemberState {
    fn from_number(number: i8) -> Self {
        match number {
            0 => Self::Stable,
            1 => Self::UnrevokedPartitions,
            2 => Self::UnreleasedPartitions,
            _ => Self::Unknown,
        }
    }

    fn number(self) -> i8 {
        match self {
            Self::Stable => 0,
            Self::UnrevokedPartitions => 1,
            Self::UnreleasedPartitions => 2,
            Self::Unknown => 127,
        }
    }
}

impl CurrentAssignment {
    /// The epoch of a static member that has left for a while.
    pub const AWAY: i32 = -2;

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        let epoch = reader.i32()?;
        let previous_epoch = reader.i32()?;
        let state = MemberState::from_number(reader.i8()?);
        let assigned = OwnedPartitions::read(reader, epoch)?;
        let revoking = OwnedPartitions::read(reader, epoch)?;
        reader.skip_tagged_fields()?;
        Ok(Self { epoch, previous_epoch, state, assigned, revoking })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.i32(self.epoch);
        writer.i32(self.previous_epoch);
        writer.i8(self.state.number());
        self.assigned.write(writer, self.epoch);
        self.revoking.write(writer, self.epoch);
        writer.no_tagged_fields();
    }
}
