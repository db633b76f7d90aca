//! An invariant that did not hold.

use levada_types::{BrokerId, LeaderEpoch, Offset};

/// Which invariant was violated, where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Invariant 1.
    #[error("invariant 1: what was committed at offset {offset} is another record at broker {broker}, or gone")]
    CommittedChanged {
        /// At which replica.
        broker: BrokerId,
        /// The first such offset.
        offset: Offset,
    },
    /// Invariant 1.
    #[error("invariant 1: broker {broker} counts as complete and ends at {end}, below the committed {committed}")]
    CommittedMissing {
        /// Which replica.
        broker: BrokerId,
        /// Its log end.
        end: Offset,
        /// What is committed.
        committed: Offset,
    },
    /// Invariant 2.
    #[error("invariant 2: brokers {one} and {other} agree on (offset {agreed}, epoch) and differ at {differs}")]
    HistoriesDiffer {
        /// One replica.
        one: BrokerId,
        /// Another.
        other: BrokerId,
        /// Where they agree.
        agreed: Offset,
        /// An earlier offset, where they do not.
        differs: Offset,
    },
    /// Invariant 3.
    #[error("invariant 3: brokers {one} and {other} both lead in epoch {epoch}")]
    TwoLeaders {
        /// One leader.
        one: BrokerId,
        /// The other.
        other: BrokerId,
        /// The epoch.
        epoch: LeaderEpoch,
    },
    /// Invariant 4.
    #[error("invariant 4: leader {leader} moved its high watermark to {high_watermark} and broker {member} has less")]
    CommittedWithoutMember {
        /// Which leader.
        leader: BrokerId,
        /// To where.
        high_watermark: Offset,
        /// A member of the committed or the proposed set.
        member: BrokerId,
    },
    /// Invariant 4.
    #[error("invariant 4: leader {leader} moved its high watermark with {in_sync} of {minimum} replicas in sync")]
    CommittedUnderMinimum {
        /// Which leader.
        leader: BrokerId,
        /// How many its image has in sync.
        in_sync: usize,
        /// How many it needs.
        minimum: usize,
    },
    /// Invariant 4.
    #[error("invariant 4: leader {leader} acknowledged up to {end} with its high watermark at {high_watermark}")]
    AcknowledgedUncommitted {
        /// Which leader.
        leader: BrokerId,
        /// What it acknowledged.
        end: Offset,
        /// What is committed.
        high_watermark: Offset,
    },
    /// Invariant 5.
    #[error("invariant 5: leader {leader} moved its high watermark back from {from} to {to}")]
    WentBack {
        /// Which leader.
        leader: BrokerId,
        /// From where.
        from: Offset,
        /// To where.
        to: Offset,
    },
    /// Invariant 5.
    #[error("invariant 5: broker {broker} has its high watermark {high_watermark} beyond its log end {end}")]
    BeyondEnd {
        /// Which replica.
        broker: BrokerId,
        /// Its high watermark.
        high_watermark: Offset,
        /// Its log end.
        end: Offset,
    },
    /// Invariant 5.
    #[error("invariant 5: leader {leader} told {latest} as the latest offset before its epoch's start {start}")]
    LatestUnknown {
        /// Which leader.
        leader: BrokerId,
        /// What it told.
        latest: Offset,
        /// Where its epoch starts.
        start: Offset,
    },
    /// Invariant 6.
    #[error("invariant 6: leader {leader} acts on an in-sync set that its image does not have")]
    ChangedWithoutController {
        /// Which leader.
        leader: BrokerId,
    },
    /// Invariant 6.
    #[error("invariant 6: broker {member} came into sync at {end} and had to have {needed}")]
    EnteredTooEarly {
        /// Who entered.
        member: BrokerId,
        /// The end that counts.
        end: Offset,
        /// The greater of the leader's high watermark and its epoch's start.
        needed: Offset,
    },
    /// Invariant 6.
    #[error("invariant 6: broker {member} is in sync under another registration than its current one")]
    OtherIncarnation {
        /// Who.
        member: BrokerId,
    },
    /// Invariant 7.
    #[error("invariant 7: broker {broker} lost bytes, counts as complete and ends at {end}, below {committed}")]
    DamagedInSync {
        /// Which replica.
        broker: BrokerId,
        /// Its log end.
        end: Offset,
        /// What is committed.
        committed: Offset,
    },
    /// Invariant 8.
    #[error("invariant 8: the leader epochs that broker {broker} keeps are not those of its log")]
    EpochsDiffer {
        /// Which replica.
        broker: BrokerId,
    },
}
