//! What a replica has to know of its partition, taken from an image.

use levada_metadata::{Image, Partition as Assignment};
use levada_replication::{IsrMember, PartitionView, ReplicaView};
use levada_types::TopicId;

/// The partition of `topic` that `assignment` describes, as of `image`. `fsync` says whether an acknowledgement means
/// fsynced there.
pub(crate) fn partition_view(image: &Image, topic: TopicId, assignment: &Assignment, fsync: bool) -> PartitionView {
    let replica = |replica: &levada_metadata::Replica| {
        let registration = image.broker(replica.broker);
        ReplicaView {
            broker: replica.broker,
            epoch: registration.map(|broker| broker.epoch),
            live: registration.is_some_and(|broker| broker.is_live() && broker.has_online(replica.directory)),
        }
    };
    let member = |member: &levada_metadata::IsrMember| IsrMember { broker: member.broker, epoch: member.epoch };
    PartitionView {
        leader: assignment.leader,
        leader_epoch: assignment.leader_epoch,
        partition_epoch: assignment.partition_epoch,
        replicas: assignment.replicas.iter().map(replica).collect(),
        isr: assignment.isr.iter().map(member).collect(),
        elr: assignment.elr.clone(),
        min_insync_replicas: image.min_isr(topic, assignment),
        fsync,
        recovering: assignment.recovery == levada_metadata::LeaderRecovery::Recovering,
    }
}
