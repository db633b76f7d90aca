//! The rules of replication that can be broken on purpose, to show that somebody notices.

/// One rule, broken. A simulator that runs the shipped code with one of these and reports nothing is blind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Defect {
    /// A follower acknowledges a frame before it is appended.
    AckBeforeAppend,
    /// A follower keeps its tail although it diverges from the leader's log.
    NoTruncation,
    /// A follower takes a late frame of an earlier session.
    OldSessionFrames,
    /// A leader counts a late acknowledgement of an earlier session.
    OldSessionAcks,
    /// A leader takes an attach that is not newer than the last one.
    OldSessionAttach,
    /// An attach does not lower what the leader believes of the follower.
    AttachKeepsPosition,
    /// An attach counts as acknowledgement before it was checked for divergence.
    PositionBeforeCheck,
    /// The high watermark does not wait for replicas whose entry is proposed.
    HighWatermarkIgnoresProposed,
    /// The high watermark does not wait for members that have not attached to this leader yet.
    HighWatermarkSkipsUnknown,
    /// The high watermark moves although fewer members are in sync than the minimum.
    HighWatermarkUnderMinimum,
    /// The high watermark of a topic with the fsync option counts what is not flushed.
    HighWatermarkByUnflushedEnd,
    /// A follower trusts the leader's high watermark beyond its own end.
    HighWatermarkBeyondOwnEnd,
    /// A new leader takes everything in its log for committed.
    LeaderCommitsItsLog,
    /// A follower may enter the in-sync set below the start of the leader's epoch.
    EntryWithoutEpochStart,
    /// A follower may enter the in-sync set below the high watermark.
    EntryBelowHighWatermark,
    /// A follower of a topic with the fsync option may enter by what it has not flushed.
    EntryByUnflushedEnd,
    /// The leader shrinks the in-sync set without the controller.
    ShrinkWithoutController,
    /// The leader takes a proposal of unknown outcome for a refused one.
    UnknownMeansRefused,
    /// `acks=all` is answered as soon as the leader itself has the records.
    AcknowledgeOwnAppend,
    /// A duplicate is answered although its original is not committed.
    DuplicateAtOnce,
    /// "Latest" is answered before the high watermark has reached the start of the leader's epoch.
    LatestBeforeEpochStart,
}

impl Defect {
    /// Every one of them.
    pub const ALL: [Self; 21] = [
        Self::AckBeforeAppend,
        Self::NoTruncation,
        Self::OldSessionFrames,
        Self::OldSessionAcks,
        Self::OldSessionAttach,
        Self::AttachKeepsPosition,
        Self::PositionBeforeCheck,
        Self::HighWatermarkIgnoresProposed,
        Self::HighWatermarkSkipsUnknown,
        Self::HighWatermarkUnderMinimum,
        Self::HighWatermarkByUnflushedEnd,
        Self::HighWatermarkBeyondOwnEnd,
        Self::LeaderCommitsItsLog,
        Self::EntryWithoutEpochStart,
        Self::EntryBelowHighWatermark,
        Self::EntryByUnflushedEnd,
        Self::ShrinkWithoutController,
        Self::UnknownMeansRefused,
        Self::AcknowledgeOwnAppend,
        Self::DuplicateAtOnce,
        Self::LatestBeforeEpochStart,
    ];
}

/// The rules that a replica keeps: all of them, in the product.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules {
    #[cfg(any(test, feature = "defects"))]
    broken: Option<Defect>,
}

impl Rules {
    /// All rules but one.
    #[cfg(any(test, feature = "defects"))]
    #[must_use]
    pub const fn breaking(defect: Defect) -> Self {
        Self { broken: Some(defect) }
    }

    /// Whether this rule is broken. Without the feature `defects` it never is, and the compiler knows.
    #[cfg(any(test, feature = "defects"))]
    pub(crate) fn breaks(self, defect: Defect) -> bool {
        self.broken == Some(defect)
    }

    #[cfg(not(any(test, feature = "defects")))]
    pub(crate) const fn breaks(self, _defect: Defect) -> bool {
        false
    }
}
