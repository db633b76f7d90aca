//! Topics as they are shown.

use levada_client::{CreatedTopic, ListedOffset, PartitionDescription, TopicListing};
use levada_types::BrokerId;
use serde::Serialize;

use crate::output::counted;

/// A topic that was created.
#[derive(Debug, Serialize)]
pub(super) struct CreatedView {
    name: String,
    /// Absent if the topic was only checked.
    id: Option<String>,
    partitions: i32,
    replication_factor: i32,
}

impl CreatedView {
    pub(super) fn new(name: String, created: &CreatedTopic, validate_only: bool) -> Self {
        Self {
            name,
            id: (!validate_only).then(|| created.id.to_string()),
            partitions: created.partition_count,
            replication_factor: created.replication_factor,
        }
    }

    pub(super) fn text(&self) -> String {
        let Self { name, id, partitions, replication_factor } = self;
        let shape = format!("partitions {partitions}, replication factor {replication_factor}");
        match id {
            Some(id) => format!("topic {name} ({id}) created: {shape}"),
            None => format!("topic {name} would be created: {shape}"),
        }
    }
}

/// A topic in a list.
#[derive(Debug, Serialize)]
pub(super) struct ListedView {
    name: String,
    id: String,
    partitions: i32,
    replication_factor: i32,
    internal: bool,
}

impl ListedView {
    pub(super) fn new(topic: TopicListing) -> Self {
        Self {
            id: topic.id.to_string(),
            name: topic.name,
            partitions: topic.partition_count,
            replication_factor: topic.replication_factor,
            internal: topic.internal,
        }
    }

    pub(super) fn row(&self) -> [String; 4] {
        [self.name.clone(), self.partitions.to_string(), self.replication_factor.to_string(), self.id.clone()]
    }
}

/// A partition of a topic.
#[derive(Debug, Serialize)]
pub(super) struct PartitionView {
    partition: i32,
    /// Absent if there is no leader at the moment.
    leader: Option<i32>,
    leader_epoch: i32,
    pub(super) replicas: Vec<i32>,
    /// Without a leader: those that were in sync last and may come back complete.
    pub(super) isr: Vec<i32>,
    /// Not in sync, but they hold everything that was acknowledged.
    elr: Vec<i32>,
    /// Their broker or their directory is down.
    offline: Vec<i32>,
    adding: Vec<i32>,
    removing: Vec<i32>,
    pub(super) min_isr: u32,
    possible_losses: u32,
    under_replicated: bool,
    under_min_isr: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_start_offset: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_offset: Option<i64>,
}

/// The columns of [`PartitionView::row`], without those of the offsets.
pub(super) const PARTITION_COLUMNS: [&str; 8] =
    ["PARTITION", "LEADER", "LEADER EPOCH", "REPLICAS", "IN SYNC", "ELIGIBLE", "OFFLINE", "STATE"];

impl PartitionView {
    pub(super) fn new(partition: PartitionDescription) -> Self {
        let ids = |ids: Vec<BrokerId>| ids.into_iter().map(|broker| broker.0).collect();
        let in_sync = if partition.leader.is_some() { partition.isr.len() } else { 0 };
        // Those that a reassignment brings in are not missed before they have come.
        let factor = partition.replicas.len() - partition.adding.len().min(partition.replicas.len());
        Self {
            partition: partition.partition,
            leader: partition.leader.map(|broker| broker.0),
            leader_epoch: partition.leader_epoch.0,
            under_replicated: in_sync < factor.max(1),
            under_min_isr: in_sync < partition.min_isr as usize,
            replicas: ids(partition.replicas),
            isr: ids(partition.isr),
            elr: ids(partition.elr),
            offline: ids(partition.offline),
            adding: ids(partition.adding),
            removing: ids(partition.removing),
            min_isr: partition.min_isr,
            possible_losses: partition.possible_losses,
            log_start_offset: None,
            end_offset: None,
        }
    }

    /// Whether it has its leader and all its replicas in sync.
    pub(super) fn is_healthy(&self) -> bool {
        !self.under_replicated && !self.under_min_isr
    }

    /// Adds where the partition starts and ends, if that is known of it.
    pub(super) fn add_offsets(&mut self, starts: &[ListedOffset], ends: &[ListedOffset]) {
        let of = |offsets: &[ListedOffset]| {
            offsets.iter().find(|found| found.partition == self.partition).map(|found| found.offset)
        };
        (self.log_start_offset, self.end_offset) = (of(starts), of(ends));
    }

    /// Its columns; two more if offsets were asked for.
    pub(super) fn row(&self) -> Vec<String> {
        let mut row = vec![
            self.partition.to_string(),
            self.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string()),
            self.leader_epoch.to_string(),
            joined(&self.replicas),
            joined(&self.isr),
            joined(&self.elr),
            joined(&self.offline),
            self.state(),
        ];
        if let Some((start, end)) = self.log_start_offset.zip(self.end_offset) {
            row.extend([start.to_string(), end.to_string()]);
        }
        row
    }

    /// How it fares, in words.
    fn state(&self) -> String {
        let mut state = Vec::new();
        match (self.leader, self.under_min_isr, self.under_replicated) {
            (None, ..) => state.push("no leader: neither written nor read".to_owned()),
            (_, true, _) => state.push(format!("acks=all refused: fewer in sync than {}", self.min_isr)),
            (_, false, true) => state.push("under-replicated".to_owned()),
            (_, false, false) => {}
        }
        if !self.adding.is_empty() || !self.removing.is_empty() {
            let part = |word: &str, ids: &[i32]| {
                if ids.is_empty() { String::new() } else { format!(" {word} {}", joined(ids)) }
            };
            state.push(format!("moving{}{}", part("to", &self.adding), part("off", &self.removing)));
        }
        if self.possible_losses > 0 {
            let times = counted(self.possible_losses as usize, "election", "elections");
            state.push(format!("{times} may have lost acknowledged records"));
        }
        if state.is_empty() { "ok".to_owned() } else { state.join(", ") }
    }
}

fn joined(ids: &[i32]) -> String {
    match ids {
        [] => "-".to_owned(),
        ids => ids.iter().map(i32::to_string).collect::<Vec<_>>().join(","),
    }
}

#[cfg(test)]
mod tests {
    use levada_types::LeaderEpoch;

    use super::*;

    fn partition(leader: Option<i32>, isr: &[i32], min_isr: u32) -> PartitionDescription {
        let ids = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect();
        PartitionDescription {
            partition: 0,
            leader: leader.map(BrokerId),
            leader_epoch: LeaderEpoch(1),
            replicas: ids(&[1, 2, 3]),
            isr: ids(isr),
            elr: Vec::new(),
            offline: Vec::new(),
            adding: Vec::new(),
            removing: Vec::new(),
            min_isr,
            possible_losses: 0,
        }
    }

    #[test]
    fn the_state_says_what_a_client_meets() {
        let state = |partition| PartitionView::new(partition).state();
        assert_eq!(state(partition(Some(1), &[1, 2, 3], 2)), "ok");
        assert_eq!(state(partition(Some(1), &[1, 2], 2)), "under-replicated");
        assert_eq!(state(partition(Some(1), &[1], 2)), "acks=all refused: fewer in sync than 2");
        let leaderless = PartitionView::new(partition(None, &[1, 2, 3], 2));
        assert!(leaderless.state().starts_with("no leader") && !leaderless.is_healthy());
    }

    #[test]
    fn a_replica_that_is_only_coming_is_not_missed() {
        let moving = PartitionDescription {
            adding: vec![BrokerId(3)],
            removing: vec![BrokerId(1)],
            ..partition(Some(1), &[1, 2], 2)
        };
        let view = PartitionView::new(moving);
        assert!(view.is_healthy());
        assert_eq!(view.state(), "moving to 3 off 1");
    }
}
