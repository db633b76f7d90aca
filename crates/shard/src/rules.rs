//! The rules of coordinators that can be broken on purpose, to show that somebody notices.

/// One rule, broken. A simulator that runs the shipped code with one of these and reports nothing is blind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Defect {
    /// The leader takes an append of a session that a newer one has ended.
    LateAppend,
    /// The leader appends wherever its log ends.
    AppendAnywhere,
    /// An owner loads only what lies below the start of the leader epoch.
    LoadToEpochStart,
    /// An answer goes out as soon as it is decided, before what it was decided on is committed.
    AnswerUncommitted,
    /// An owner takes an append of unknown outcome for a refused one.
    UnknownMeansRefused,
    /// An owner takes an append of unknown outcome for a committed one.
    UnknownMeansCommitted,
    /// An owner whose append was refused keeps the state that it was decided on.
    RefusedKeepsState,
    /// An owner under a new leader epoch goes on with the state that it has.
    NoLoadUnderNewEpoch,
}

impl Defect {
    /// Every one of them.
    pub const ALL: [Self; 8] = [
        Self::LateAppend,
        Self::AppendAnywhere,
        Self::LoadToEpochStart,
        Self::AnswerUncommitted,
        Self::UnknownMeansRefused,
        Self::UnknownMeansCommitted,
        Self::RefusedKeepsState,
        Self::NoLoadUnderNewEpoch,
    ];
}

/// The rules that are kept: all of them, in the product.
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
    #[must_use]
    pub fn breaks(self, defect: Defect) -> bool {
        self.broken == Some(defect)
    }

    /// Whether this rule is broken, which it never is.
    #[cfg(not(any(test, feature = "defects")))]
    #[must_use]
    pub const fn breaks(self, _defect: Defect) -> bool {
        false
    }
}
