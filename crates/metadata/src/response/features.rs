//! What became of the cluster's features.

use crate::ItemError;

/// What became of one feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdatedFeature {
    /// Its name.
    pub name: String,
    /// Done, or why not.
    pub result: Result<(), ItemError>,
}
