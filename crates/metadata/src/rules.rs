//! The rules of the metadata that can be broken on purpose, to show that somebody notices.

/// One rule, broken. A simulator that runs the shipped code with one of these and reports nothing is blind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Defect {
    /// A write that was refused ends no run: what comes next is decided on a state that never came to be.
    DecidedOnRefused,
    /// A restarted incarnation of a broker keeps the epoch of the one before.
    RestartKeepsEpoch,
    /// A broker that may have lost bytes stays in sync and eligible.
    LossUnnoticed,
    /// A partition gets a new leader in the leader epoch of the old one.
    LeaderEpochNotRaised,
    /// Whoever is live may lead, be it complete or not.
    AnybodyLeads,
    /// A partition without a leader forgets who was complete when it had one.
    LastCompleteForgotten,
    /// Eligible replicas stay so when the minimum changes under which they earned it.
    EligibleOverNewMinimum,
    /// Eligible replicas stay so when the high watermark moves without them.
    EligibleOverFullSet,
    /// A proposal may name a member under a registration that is not its current one.
    EntryWithoutBrokerEpoch,
    /// A proposal may build on a state of the partition that is not the newest.
    ProposalOnOldState,
    /// A replica that its leader has seen to lack committed records stays eligible.
    IncompleteStaysEligible,
    /// A reassignment takes out those who go before those who come are in sync.
    ReassignedTooEarly,
    /// A shard passes to another coordinator under the leader epoch that the one before has it under.
    ShardPassedUnfenced,
}

impl Defect {
    /// Every one of them.
    pub const ALL: [Self; 13] = [
        Self::DecidedOnRefused,
        Self::RestartKeepsEpoch,
        Self::LossUnnoticed,
        Self::LeaderEpochNotRaised,
        Self::AnybodyLeads,
        Self::LastCompleteForgotten,
        Self::EligibleOverNewMinimum,
        Self::EligibleOverFullSet,
        Self::EntryWithoutBrokerEpoch,
        Self::ProposalOnOldState,
        Self::IncompleteStaysEligible,
        Self::ReassignedTooEarly,
        Self::ShardPassedUnfenced,
    ];
}

/// The rules that decisions and the proposer keep: all of them, in the product.
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
