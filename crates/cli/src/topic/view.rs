//! Topics as they are shown.

use levada_client::{CreatedTopic, ListedOffset, PartitionDescription, TopicListing};
use serde::Serialize;

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
    pub(super) isr: Vec<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_start_offset: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_offset: Option<i64>,
}

impl PartitionView {
    pub(super) fn new(partition: PartitionDescription) -> Self {
        Self {
            partition: partition.partition,
            leader: partition.leader.map(|broker| broker.0),
            leader_epoch: partition.leader_epoch.0,
            replicas: partition.replicas.into_iter().map(|broker| broker.0).collect(),
            isr: partition.isr.into_iter().map(|broker| broker.0).collect(),
            log_start_offset: None,
            end_offset: None,
        }
    }

    /// Adds where the partition starts and ends, if that is known of it.
    pub(super) fn add_offsets(&mut self, starts: &[ListedOffset], ends: &[ListedOffset]) {
        let of = |offsets: &[ListedOffset]| {
            offsets.iter().find(|found| found.partition == self.partition).map(|found| found.offset)
        };
        (self.log_start_offset, self.end_offset) = (of(starts), of(ends));
    }

    /// Its columns; the last two only if offsets were asked for.
    pub(super) fn row(&self) -> Vec<String> {
        let mut row = vec![
            self.partition.to_string(),
            self.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string()),
            self.leader_epoch.to_string(),
            joined(&self.replicas),
            joined(&self.isr),
        ];
        if let Some((start, end)) = self.log_start_offset.zip(self.end_offset) {
            row.extend([start.to_string(), end.to_string()]);
        }
        row
    }
}

fn joined(ids: &[i32]) -> String {
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}
