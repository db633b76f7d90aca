//! What a process tells of its shards.

use std::time::Instant;

use levada_metadata::CoordinatorKind;
use levada_service::telemetry::LineLimit;
use levada_types::PartitionIndex;
use metrics::{Counter, Gauge, counter, gauge};

use levada_shard::machine::{News, Standing};

/// The metrics of the shards of one process, and its lines in the log.
pub(crate) struct ShardTelemetry {
    kind: CoordinatorKind,
    serving: Gauge,
    loading: Gauge,
    following: Gauge,
    loads: Counter,
    replayed: Counter,
    reloads: Counter,
    set_backs: Counter,
    pub(crate) appends: Counter,
    pub(crate) defects: Counter,
    lines: LineLimit,
}

impl ShardTelemetry {
    pub(crate) fn new(kind: CoordinatorKind) -> Self {
        let label = kind.to_string();
        let shards =
            |state: &'static str| gauge!("levada_coordinator_shards", "kind" => label.clone(), "state" => state);
        let count = |name: &'static str| counter!(name, "kind" => label.clone());
        Self {
            kind,
            serving: shards("serving"),
            loading: shards("loading"),
            following: shards("following"),
            loads: count("levada_coordinator_loads_total"),
            replayed: count("levada_coordinator_replayed_records_total"),
            reloads: count("levada_coordinator_reloads_total"),
            set_backs: count("levada_coordinator_set_backs_total"),
            appends: count("levada_coordinator_appends_total"),
            defects: count("levada_coordinator_defects_total"),
            lines: LineLimit::of_clients_faults(),
        }
    }

    /// How many shards do what.
    pub(crate) fn count(&self, standings: impl Iterator<Item = Standing>) {
        let (mut serving, mut loading, mut following) = (0u32, 0u32, 0u32);
        for standing in standings {
            match standing {
                Standing::Serving(_) => serving += 1,
                Standing::Loading => loading += 1,
                Standing::Following(_) => following += 1,
                Standing::Away => {}
            }
        }
        self.serving.set(serving);
        self.loading.set(loading);
        self.following.set(following);
    }

    /// Something has happened to a shard.
    pub(crate) fn tell(&self, shard: PartitionIndex, news: News) {
        let kind = self.kind;
        match news {
            News::Serves { from, to, replayed } => {
                self.loads.increment(1);
                self.replayed.increment(replayed);
                tracing::debug!(%kind, shard, from, to, replayed, "a shard serves");
            }
            News::LoadsAgain(why) => {
                self.reloads.increment(1);
                tracing::debug!(%kind, shard, why, "a shard loads again");
            }
            News::SetBack(code) => {
                self.set_backs.increment(1);
                if let Some(left_out) = self.lines.admit(Instant::now()) {
                    tracing::warn!(%kind, shard, %code, left_out, "a shard's log took no records; its clients try again");
                }
            }
            News::Damaged(what) => tracing::error!(%kind, shard, what, "a shard cannot be loaded; trying again"),
        }
    }
}
