//! Which broker: the operator's number for it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A broker's number, unique in the cluster and kept across restarts. Never negative for a broker that exists; Kafka's
/// protocol uses -1 for "none", which is `Option::None` here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BrokerId(pub i32);

impl fmt::Display for BrokerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
