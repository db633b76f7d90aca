//! What commands say about the cluster's features.

/// How a feature's level may change (KIP-584).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureChange {
    /// Only upwards.
    Upgrade,
    /// Downwards, if nothing is lost by it.
    SafeDowngrade,
    /// Downwards, whatever is lost by it.
    UnsafeDowngrade,
}

/// A feature that is to have another level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureUpdate {
    /// Its name, unchecked.
    pub name: String,
    /// The level it is to be at, unchecked.
    pub level: i16,
    /// Which way it may go.
    pub change: FeatureChange,
}
