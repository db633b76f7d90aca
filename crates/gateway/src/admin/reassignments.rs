//! Partitions that move to other brokers (KIP-455), and how far they have come.

use std::collections::{BTreeSet, HashMap};

use levada_broker::api::PartitionError;
use levada_metadata::{Command, Image, NamedPartition, Partition, Reassigned, Reassignment, Response, TopicRef};
use levada_proto::{status, v1};
use levada_types::{BrokerId, TopicIdPartition};

use super::{AdminService, neighbours, unexpected};
use crate::gateway::Gateway;
use crate::refusal::invalid;

pub(super) async fn alter(
    admin: &AdminService,
    request: v1::AlterPartitionReassignmentsRequest,
) -> Result<v1::AlterPartitionReassignmentsResponse, PartitionError> {
    let reassignment = |new: v1::NewReassignment| Reassignment {
        topic: TopicRef::Name(new.topic),
        partition: new.partition,
        replicas: Some(new.broker_ids.into_iter().map(BrokerId).collect()),
    };
    let reassignments = request.reassignments.into_iter().map(reassignment).collect();
    let results = submit(admin, reassignments, !request.keep_replication_factor).await?;
    Ok(v1::AlterPartitionReassignmentsResponse { results })
}

pub(super) async fn cancel(
    admin: &AdminService,
    request: v1::CancelPartitionReassignmentsRequest,
) -> Result<v1::CancelPartitionReassignmentsResponse, PartitionError> {
    let named: Vec<NamedPartition> = match request.partitions.is_empty() {
        true => ongoing(&admin.gateway.broker.image()).into_iter().map(|(named, _)| named).collect(),
        false => request.partitions.into_iter().map(named).collect(),
    };
    let cancelled =
        |at: NamedPartition| Reassignment { topic: TopicRef::Name(at.topic), partition: at.partition, replicas: None };
    let results = submit(admin, named.into_iter().map(cancelled).collect(), true).await?;
    Ok(v1::CancelPartitionReassignmentsResponse { results })
}

async fn submit(
    admin: &AdminService,
    reassignments: Vec<Reassignment>,
    allow_factor_change: bool,
) -> Result<Vec<v1::PartitionOutcome>, PartitionError> {
    let mut seen = BTreeSet::new();
    for reassignment in &reassignments {
        let TopicRef::Name(topic) = &reassignment.topic else { continue };
        if !seen.insert((topic, reassignment.partition)) {
            return Err(invalid(format!("partition {topic}-{} occurs twice", reassignment.partition)));
        }
    }
    if reassignments.is_empty() {
        return Ok(Vec::new());
    }
    let command = Command::AlterPartitionReassignments { reassignments, allow_factor_change };
    let Response::AlterPartitionReassignments(results) = admin.decide(command).await? else {
        return Err(unexpected());
    };
    Ok(results.into_iter().map(outcome).collect())
}

fn outcome(reassigned: Reassigned) -> v1::PartitionOutcome {
    let topic = match reassigned.topic {
        TopicRef::Name(name) => name,
        TopicRef::Id(id) => id.to_string(),
    };
    let error = reassigned.result.err().map(|error| status::error(error.code, error.message));
    v1::PartitionOutcome { topic, partition: reassigned.partition, error }
}

/// A partition as a command names it.
pub(super) fn named(at: v1::PartitionRef) -> NamedPartition {
    NamedPartition { topic: at.topic, partition: at.partition }
}

pub(super) async fn list(
    gateway: &Gateway,
    request: v1::ListPartitionReassignmentsRequest,
) -> Result<v1::ListPartitionReassignmentsResponse, PartitionError> {
    let image = gateway.broker.image();
    let asked: BTreeSet<NamedPartition> = request.partitions.into_iter().map(named).collect();
    let mut moving = ongoing(&image);
    moving.retain(|(named, _)| asked.is_empty() || asked.contains(named));
    let sizes = Sizes::ask(gateway, &image, &moving).await;
    let described = |(named, at): &(NamedPartition, TopicIdPartition)| {
        let partition = image.partition(at.topic_id, at.partition)?;
        Some(describe(&image, named, partition, &sizes))
    };
    Ok(v1::ListPartitionReassignmentsResponse { reassignments: moving.iter().filter_map(described).collect() })
}

/// Every reassignment under way, by name.
fn ongoing(image: &Image) -> Vec<(NamedPartition, TopicIdPartition)> {
    let with_name = |at: TopicIdPartition| {
        let topic = image.topic(at.topic_id)?.name().to_string();
        Some((NamedPartition { topic, partition: at.partition }, at))
    };
    let mut moving: Vec<_> = image.reassigning().filter_map(with_name).collect();
    moving.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    moving
}

/// How many bytes brokers hold of partitions.
#[derive(Default)]
struct Sizes(HashMap<(BrokerId, NamedPartition), i64>);

impl Sizes {
    /// Asks the leaders and those who are to come. What nobody told is missing.
    async fn ask(gateway: &Gateway, image: &Image, moving: &[(NamedPartition, TopicIdPartition)]) -> Self {
        let mut brokers = BTreeSet::new();
        for (_, at) in moving {
            let Some(partition) = image.partition(at.topic_id, at.partition) else { continue };
            brokers.extend(partition.leader.iter().chain(&partition.adding).map(|id| id.0));
        }
        if brokers.is_empty() {
            return Self::default();
        }
        let brokers: Vec<i32> = brokers.into_iter().collect();
        let of = |(at, _): &(NamedPartition, _)| v1::PartitionRef { topic: at.topic.clone(), partition: at.partition };
        let partitions: Vec<v1::PartitionRef> = moving.iter().map(of).collect();
        Self::read(neighbours::log_dirs_of(gateway, &brokers, &partitions).await)
    }

    fn read(told: Vec<v1::BrokerLogDirs>) -> Self {
        let mut sizes = HashMap::new();
        for broker in told {
            for replica in broker.log_dirs.into_iter().flat_map(|dir| dir.replicas).filter(|r| !r.is_future) {
                let at = NamedPartition { topic: replica.topic, partition: replica.partition };
                sizes.insert((BrokerId(broker.broker_id), at), replica.size_bytes);
            }
        }
        Self(sizes)
    }

    fn of(&self, broker: BrokerId, at: &NamedPartition) -> Option<i64> {
        self.0.get(&(broker, at.clone())).copied()
    }
}

fn describe(image: &Image, at: &NamedPartition, partition: &Partition, sizes: &Sizes) -> v1::OngoingReassignment {
    let ids = |ids: &[BrokerId]| ids.iter().map(|id| id.0).collect();
    let total_bytes = partition.leader.and_then(|leader| sizes.of(leader, at));
    let progress = |id: &BrokerId| v1::ReplicaProgress {
        broker_id: id.0,
        in_sync: partition.is_in_sync(*id),
        copied_bytes: sizes.of(*id, at),
        total_bytes,
    };
    v1::OngoingReassignment {
        topic: at.topic.clone(),
        partition: at.partition,
        replica_ids: partition.replicas.iter().map(|replica| replica.broker.0).collect(),
        adding_ids: ids(&partition.adding),
        removing_ids: ids(&partition.removing),
        leader_id: partition.leader.map(|leader| leader.0),
        isr_ids: partition.isr.iter().map(|member| member.broker.0).collect(),
        progress: partition.adding.iter().map(progress).collect(),
        stuck_because: stuck_because(image, partition),
    }
}

/// What holds a reassignment up, if it is not copying.
pub(super) fn stuck_because(image: &Image, partition: &Partition) -> Option<String> {
    if partition.leader.is_none() {
        return Some("the partition has no leader; start a broker of its in-sync set again".to_owned());
    }
    let down = partition.replicas.iter().find(|r| partition.adding.contains(&r.broker) && !image.is_online(r))?;
    Some(format!("broker {} is down, or its directory is; start it again, or cancel the reassignment", down.broker))
}

#[cfg(test)]
mod tests {
    use levada_types::DirectoryId;

    use super::*;

    fn dirs(broker_id: i32, size_bytes: i64, is_future: bool) -> v1::BrokerLogDirs {
        let replica = v1::LogDirReplica { topic: "t".to_owned(), partition: 0, size_bytes, offset_lag: 0, is_future };
        let dir = v1::LogDir { replicas: vec![replica], ..v1::LogDir::default() };
        v1::BrokerLogDirs { broker_id, log_dirs: vec![dir], error: None }
    }

    #[test]
    fn progress_is_the_new_replica_beside_the_leader_and_what_nobody_told_is_missing() {
        let replica = |id| levada_metadata::Replica { broker: BrokerId(id), directory: DirectoryId::UNASSIGNED };
        let partition = Partition {
            adding: vec![BrokerId(2), BrokerId(3)],
            ..Partition::new(vec![replica(2), replica(3), replica(1)], Vec::new(), BrokerId(1))
        };
        let at = NamedPartition { topic: "t".to_owned(), partition: 0 };
        let sizes = Sizes::read(vec![dirs(1, 100, false), dirs(2, 40, false), dirs(3, 99, true)]);
        let told = describe(&Image::new(), &at, &partition, &sizes);
        let progress: Vec<_> = told.progress.iter().map(|p| (p.broker_id, p.copied_bytes, p.total_bytes)).collect();
        assert_eq!(progress, [(2, Some(40), Some(100)), (3, None, Some(100))], "a future replica is another's");
        assert!(told.stuck_because.unwrap().contains("broker 2 is down"), "nobody is registered");
    }
}
