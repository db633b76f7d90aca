//! What the replicas of a broker share: the ways out of their actors.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use levada_replication::{ReplicaConfig, Rules};
use levada_shard::AppendSession;
use levada_types::{BrokerEpoch, BrokerId};

use super::follow::Leaders;
use super::proposals::Proposals;
use super::serve::Followers;
use super::ticks::Restless;
use crate::BrokerOptions;
use crate::directories::ClosedLogs;
use crate::mandate::Mandate;
use crate::threads::Flushers;
use crate::throttle::Throttles;

/// How long a replica waits before it tries again what went unanswered or was refused, in milliseconds. Short against the
/// time in which a partition should have a new leader, long against a round trip.
pub(crate) const RETRY_MS: i64 = 100;

/// Session counters that one replica may use before the next one's begin: more attaches than a process lives to make.
const SESSIONS_PER_REPLICA: u64 = 1 << 32;

/// The ways out of a broker's actors. Nothing here waits for anybody.
pub(crate) struct Replication {
    broker: BrokerId,
    lag_time_max_ms: i64,
    /// Replicas that were opened.
    opened: AtomicU64,
    /// Append sessions that were opened, over all partitions.
    append_sessions: AtomicU64,
    /// Whether this broker may commit alone.
    pub(crate) mandate: Mandate,
    /// Those who fsync.
    pub(crate) flushers: Flushers,
    /// In-sync sets to be proposed.
    pub(crate) proposals: Proposals,
    /// Replicas that wait for something.
    pub(crate) restless: Restless,
    /// Replicas whose logs have to be opened anew.
    pub(crate) closed_logs: ClosedLogs,
    /// Bounds on catching up, and on moves.
    pub(crate) throttles: Throttles,
    /// Brokers that follow this one.
    pub(crate) followers: Followers,
    /// Brokers that this one follows.
    pub(crate) leaders: Leaders,
}

impl Replication {
    /// Of a broker with these options.
    pub(crate) fn new(options: &BrokerOptions, mandate: Mandate, flushers: Flushers) -> Arc<Self> {
        Arc::new(Self {
            broker: options.broker_id(),
            lag_time_max_ms: options.replica_lag_time_max_ms(),
            opened: AtomicU64::new(0),
            append_sessions: AtomicU64::new(0),
            mandate,
            flushers,
            proposals: Proposals::default(),
            restless: Restless::default(),
            closed_logs: ClosedLogs::default(),
            throttles: Throttles::default(),
            followers: Followers::default(),
            leaders: Leaders::new(options.replica_fetch_max_bytes()),
        })
    }

    /// What a new replica is told under the registration `broker_epoch`.
    pub(crate) fn replica_config(&self, broker_epoch: BrokerEpoch) -> ReplicaConfig {
        ReplicaConfig {
            broker: self.broker,
            broker_epoch,
            first_session: self.opened.fetch_add(1, Ordering::Relaxed).wrapping_mul(SESSIONS_PER_REPLICA),
            lag_time_max_ms: self.lag_time_max_ms,
            retry_ms: RETRY_MS,
            rules: Rules::default(),
        }
    }

    /// A number that no append session of this process has had. After a new start every partition that this broker leads has
    /// another leader epoch.
    pub(crate) fn next_append_session(&self) -> AppendSession {
        AppendSession(self.append_sessions.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// After how long out of touch a follower falls out of sync, in milliseconds.
    pub(crate) fn lag_time_max_ms(&self) -> i64 {
        self.lag_time_max_ms
    }
}
