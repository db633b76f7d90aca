//! The settings that throttle replicas while they move (KIP-73).

/// The broker settings that say how many bytes per second throttled replicas may take: at the leader, at the follower.
#[must_use]
pub fn replication_rates() -> [&'static str; 2] {
    ["leader.replication.throttled.rate", "follower.replication.throttled.rate"]
}

/// The topic settings that name the replicas which are throttled: at the leader, at the follower.
#[must_use]
pub fn replicas_throttled() -> [&'static str; 2] {
    ["leader.replication.throttled.replicas", "follower.replication.throttled.replicas"]
}
