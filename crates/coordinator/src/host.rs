//! What the shards of one process share.

use std::sync::{Arc, OnceLock};

use levada_metadata::CoordinatorKind;
use levada_peers::{Lease, MetadataWatch};
use levada_service::net::Network;
use levada_shard::Rules;

use crate::clock::Clock;
use crate::leader::{Confirmer, Leaders};
use crate::loads::Loads;
use crate::telemetry::ShardTelemetry;
use levada_shard::machine::Limits;

/// What the shards of one process share.
pub(crate) struct Host {
    pub(crate) limits: Limits,
    pub(crate) rules: Rules,
    pub(crate) metadata: MetadataWatch,
    pub(crate) leaders: Leaders,
    pub(crate) confirmer: Confirmer,
    pub(crate) loads: Loads,
    pub(crate) clock: Clock,
    pub(crate) telemetry: ShardTelemetry,
    lease: OnceLock<Arc<Lease>>,
}

impl Host {
    pub(crate) fn new(kind: CoordinatorKind, limits: Limits, network: &Network, metadata: MetadataWatch) -> Self {
        let leaders = Leaders::new(network);
        Self {
            limits,
            rules: Rules::default(),
            confirmer: Confirmer::new(leaders.clone(), metadata.clone()),
            loads: Loads::new(std::thread::available_parallelism().map_or(1, usize::from)),
            metadata,
            leaders,
            clock: Clock::start(),
            telemetry: ShardTelemetry::new(kind),
            lease: OnceLock::new(),
        }
    }

    /// From now on `lease` says whether this process may answer; the first one stays.
    pub(crate) fn hold(&self, lease: Arc<Lease>) {
        // A process has one session in its life.
        drop(self.lease.set(lease));
    }

    /// Whether the session with the controller lasts, by the clock.
    pub(crate) fn is_in_charge(&self) -> bool {
        self.lease.get().is_some_and(|lease| lease.is_current())
    }
}
