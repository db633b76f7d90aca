//! What was written is read as it was, and what cannot be read is refused.

use std::sync::Arc;

use levada_metadata::{
    AlterConfigsMode, AlteredConfig, AlteredPartition, BalancedLeaders, BrokerRegistration, Command, ConfigAlteration,
    ConfigChange, ConfigResource, ConfigTarget, ControllerId, ControllerRegistration, Coordinator, CoordinatorKind,
    CreatedPartitions, CreatedTopic, DeletedTopic, Delta, ElectedLeader, Election, Endpoint, EndpointProtocol, Entry,
    FeatureChange, FeatureUpdate, IsrMember, IsrProposal, ItemError, LeaderRecovery, LevelRange, LogElection,
    ManualAssignment, MetadataLevel, MorePartitions, NamedPartition, NewBroker, NewCoordinator, NewShards, NewTopic,
    Partition, ProducerIdBlock, Reassigned, Reassignment, Rebalance, Replica, ReplicaDirectory, ReplicaEnd, Response,
    RunPosition, TopicCreation, TopicRef, UpdatedFeature, Voter, Waiver,
};
use levada_types::{
    BrokerEpoch, BrokerId, ClusterId, CoordinatorEpoch, DirectoryId, ErrorCode, LeaderEpoch, PartitionEpoch, TopicId,
    TopicName,
};
use prost::Message;
use uuid::Uuid;

use super as pb;
use super::ConversionError;

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn endpoints() -> Vec<Endpoint> {
    let protocols = [
        EndpointProtocol::Plaintext,
        EndpointProtocol::Ssl,
        EndpointProtocol::SaslPlaintext,
        EndpointProtocol::SaslSsl,
        EndpointProtocol::Grpc,
        EndpointProtocol::GrpcTls,
    ];
    let endpoint = |(n, protocol)| Endpoint { listener: format!("L{n}"), host: "h".to_owned(), port: n, protocol };
    (9092..).zip(protocols).map(endpoint).collect()
}

fn new_broker() -> NewBroker {
    NewBroker {
        id: BrokerId(7),
        incarnation: id(1),
        replaces: Some(BrokerEpoch(3)),
        boot_id: Some("boot".to_owned()),
        clean_shutdown_epoch: Some(BrokerEpoch(4)),
        closed_directories: vec![(DirectoryId(id(2)), BrokerEpoch(4)), (DirectoryId(id(3)), BrokerEpoch(3))],
        cluster_id: Some(ClusterId(id(11))),
        directories: vec![DirectoryId(id(2)), DirectoryId(id(3))],
        has_offline_directory: true,
        has_lost_bytes: true,
        endpoints: endpoints(),
        internal_address: "memory:b".to_owned(),
        rack: Some("r".to_owned()),
        levels: LevelRange::SUPPORTED,
    }
}

fn registration() -> BrokerRegistration {
    BrokerRegistration {
        id: BrokerId(7),
        epoch: BrokerEpoch(5),
        incarnation: id(1),
        boot_id: None,
        directories: vec![DirectoryId(id(2))],
        endpoints: endpoints(),
        internal_address: "b:1".to_owned(),
        rack: None,
        levels: LevelRange::SUPPORTED,
        fenced: true,
        stopping: true,
        draining: true,
    }
}

fn controller() -> ControllerRegistration {
    ControllerRegistration {
        id: ControllerId(3),
        directory: DirectoryId(id(4)),
        internal_address: "c:1".to_owned(),
        levels: LevelRange::SUPPORTED,
    }
}

fn partitions() -> [Partition; 2] {
    let led = Partition {
        replicas: vec![
            Replica { broker: BrokerId(7), directory: DirectoryId(id(2)) },
            Replica { broker: BrokerId(8), directory: DirectoryId::UNASSIGNED },
        ],
        isr: vec![IsrMember { broker: BrokerId(7), epoch: BrokerEpoch(5) }],
        elr: vec![BrokerId(8)],
        last_complete: Vec::new(),
        leader: Some(BrokerId(7)),
        leader_epoch: LeaderEpoch(3),
        partition_epoch: PartitionEpoch(9),
        recovery: LeaderRecovery::Recovering,
        adding: vec![BrokerId(8)],
        removing: vec![BrokerId(7)],
        possible_losses: 2,
    };
    let waiting = Partition {
        isr: Vec::new(),
        elr: vec![BrokerId(7), BrokerId(8)],
        last_complete: vec![BrokerId(8)],
        leader: None,
        ..led.clone()
    };
    [led, waiting]
}

fn coordinator() -> Coordinator {
    let NewCoordinator { kind, incarnation, name, internal_address, levels } = new_coordinator();
    Coordinator { epoch: CoordinatorEpoch(5), kind, incarnation, name, internal_address, levels }
}

fn new_coordinator() -> NewCoordinator {
    NewCoordinator {
        kind: CoordinatorKind::Group,
        incarnation: id(6),
        name: "group-0".to_owned(),
        internal_address: "memory:g-0".to_owned(),
        levels: LevelRange::SUPPORTED,
    }
}

fn deltas() -> Vec<Delta> {
    let topic = TopicId(id(10));
    let mut deltas = vec![
        Delta::ClusterCreated { cluster_id: ClusterId(id(11)) },
        Delta::LevelFinalized { level: MetadataLevel(1) },
        Delta::BrokerRegistered { broker: Arc::new(registration()) },
        Delta::BrokerChanged { id: BrokerId(7), epoch: BrokerEpoch(5), fenced: false, stopping: true },
        Delta::BrokerDraining { id: BrokerId(7), draining: true },
        Delta::BrokerUnregistered { id: BrokerId(7), epoch: BrokerEpoch(5) },
        Delta::RebalanceSet { rebalance: None },
        Delta::RebalanceSet { rebalance: Some(Rebalance { throttle: Some(7) }) },
        Delta::BrokerEpochsGiven { last: BrokerEpoch(9) },
        Delta::CoordinatorRegistered { coordinator: Arc::new(coordinator()) },
        Delta::CoordinatorRemoved { epoch: CoordinatorEpoch(5) },
        Delta::CoordinatorEpochsGiven { last: CoordinatorEpoch(9) },
        Delta::ShardTopicSet { kind: CoordinatorKind::Group, topic, replication_factor: 3 },
        Delta::ShardOwned { kind: CoordinatorKind::Group, shard: 2, owner: Some(CoordinatorEpoch(5)) },
        Delta::ShardOwned { kind: CoordinatorKind::Transaction, shard: 0, owner: None },
        Delta::ControllerUnregistered { id: ControllerId(3) },
        Delta::VotersChanged { voters: vec![Voter { id: ControllerId(3), directory: DirectoryId(id(4)) }] },
        Delta::BrokerDirectoriesChanged { id: BrokerId(7), epoch: BrokerEpoch(5), online: vec![DirectoryId(id(3))] },
        Delta::ControllerRegistered { controller: Arc::new(controller()) },
        Delta::TopicCreated { id: topic, name: TopicName::new("orders").unwrap() },
        Delta::TopicDeleted { id: topic },
        Delta::ProducerIdsAllocated { next: 2_000 },
    ];
    let set = |(index, p): (i32, Partition)| Delta::PartitionSet { topic, index, partition: Arc::new(p) };
    deltas.extend((0..).zip(partitions()).map(set));
    let resources = [ConfigResource::Topic(topic), ConfigResource::Broker(BrokerId(7)), ConfigResource::DefaultBroker];
    for resource in resources {
        for value in [Some("1".to_owned()), Some(String::new()), None] {
            deltas.push(Delta::ConfigSet { resource, name: "retention.ms".to_owned(), value });
        }
    }
    deltas
}

fn proposal() -> IsrProposal {
    IsrProposal {
        topic: TopicId(id(10)),
        partition: 2,
        leader_epoch: LeaderEpoch(3),
        partition_epoch: PartitionEpoch(9),
        isr: vec![IsrMember { broker: BrokerId(7), epoch: BrokerEpoch(5) }],
        incomplete: vec![BrokerId(8)],
        recovery: LeaderRecovery::Recovering,
    }
}

fn altered_partition() -> AlteredPartition {
    let proposal = proposal();
    AlteredPartition {
        leader: Some(BrokerId(7)),
        leader_epoch: proposal.leader_epoch,
        isr: proposal.isr,
        recovery: proposal.recovery,
        partition_epoch: PartitionEpoch(10),
    }
}

fn named() -> NamedPartition {
    NamedPartition { topic: "orders".to_owned(), partition: 2 }
}

fn log_election(waiver: Waiver) -> LogElection {
    let end =
        ReplicaEnd { broker: BrokerId(7), broker_epoch: BrokerEpoch(5), last_epoch: LeaderEpoch(-1), log_end: 12 };
    LogElection { topic: TopicId(id(10)), partition: 2, leader_epoch: LeaderEpoch(3), ends: vec![end], waiver }
}

fn reassignment(replicas: Option<Vec<BrokerId>>) -> Reassignment {
    Reassignment { topic: TopicRef::Id(TopicId(id(10))), partition: 2, replicas }
}

fn commands() -> Vec<Command> {
    let (broker, epoch) = (BrokerId(7), BrokerEpoch(5));
    let new_topic = NewTopic {
        name: "orders".to_owned(),
        partitions: None,
        replication_factor: Some(-2),
        assignments: vec![ManualAssignment { partition: -1, brokers: vec![BrokerId(-3), broker] }],
        configs: vec![("a".to_owned(), "b".to_owned())],
    };
    let targets = [ConfigTarget::Topic("t".to_owned()), ConfigTarget::Broker(broker), ConfigTarget::DefaultBroker];
    let text = || "x".to_owned();
    let changes =
        [ConfigChange::Set(text()), ConfigChange::Delete, ConfigChange::Append(text()), ConfigChange::Subtract(text())];
    let alteration = |target| ConfigAlteration {
        target,
        changes: changes.iter().map(|change| ("name".to_owned(), change.clone())).collect(),
    };
    let assignment = ReplicaDirectory { topic: TopicId(id(10)), partition: 2, directory: DirectoryId(id(2)) };
    vec![
        Command::RegisterBroker(new_broker()),
        Command::UnfenceBroker { id: broker, epoch },
        Command::FenceBroker { id: broker, epoch },
        Command::StopBroker { id: broker, epoch },
        Command::DrainBroker { id: broker, drain: true },
        Command::SetRebalance { rebalance: None },
        Command::SetRebalance { rebalance: Some(Rebalance { throttle: Some(7) }) },
        Command::UnregisterBroker { id: broker },
        Command::UnregisterController { id: ControllerId(3) },
        Command::SetVoters { voters: vec![Voter { id: ControllerId(3), directory: DirectoryId(id(4)) }] },
        Command::AlterPartition { broker, epoch, partitions: vec![proposal()] },
        Command::ElectLeaders { election: Election::Preferred, partitions: None },
        Command::ElectLeaders { election: Election::Unclean, partitions: Some(vec![named()]) },
        Command::BalanceLeaders { allowed_percentage: 10 },
        Command::ElectFromLogs {
            elections: [Waiver::AllReturned, Waiver::UncleanByConfig, Waiver::UncleanByHand].map(log_election).to_vec(),
        },
        Command::AlterPartitionReassignments {
            reassignments: [None, Some(vec![BrokerId(-1), broker])].map(reassignment).to_vec(),
            allow_factor_change: true,
        },
        Command::UpdateFeatures {
            updates: [FeatureChange::Upgrade, FeatureChange::SafeDowngrade, FeatureChange::UnsafeDowngrade]
                .map(|change| FeatureUpdate { name: "metadata.level".to_owned(), level: -1, change })
                .to_vec(),
            validate_only: true,
        },
        Command::ReportDirectories { id: broker, epoch, online: vec![DirectoryId(id(2))], has_offline_directory: true },
        Command::RegisterController(controller()),
        Command::RegisterCoordinator(new_coordinator()),
        Command::RemoveCoordinator { epoch: CoordinatorEpoch(5) },
        Command::CreateShards(NewShards {
            kind: CoordinatorKind::Transaction,
            partitions: -1,
            replication_factor: 3,
            configs: vec![("a".to_owned(), "b".to_owned())],
        }),
        Command::CreateTopics { topics: vec![new_topic], validate_only: true },
        Command::DeleteTopics { topics: vec![TopicRef::Name("t".to_owned()), TopicRef::Id(TopicId(id(10)))] },
        Command::CreatePartitions {
            topics: vec![MorePartitions { name: text(), count: -4, assignments: vec![vec![broker], Vec::new()] }],
            validate_only: false,
        },
        Command::AlterConfigs {
            resources: targets.map(alteration).to_vec(),
            mode: AlterConfigsMode::Full,
            validate_only: true,
        },
        Command::AllocateProducerIds { broker, epoch },
        Command::AssignReplicasToDirs { broker, epoch, assignments: vec![assignment] },
    ]
}

fn responses() -> Vec<Response> {
    let error = || ItemError::new(ErrorCode::StaleBrokerEpoch, "why");
    let created = CreatedTopic { id: TopicId(id(10)), partitions: 3, replication_factor: 2 };
    let creations = [Ok(created.clone()), Err(error())].map(|result| TopicCreation { name: "t".to_owned(), result });
    let deleted = [(Some("t".to_owned()), Ok(())), (None, Err(error()))].map(|(name, result)| DeletedTopic {
        name,
        id: TopicId(id(10)),
        result,
    });
    let extended = [Ok(()), Err(error())].map(|result| CreatedPartitions { name: "t".to_owned(), result });
    let altered = [Ok(()), Err(error())].map(|result| AlteredConfig { target: ConfigTarget::DefaultBroker, result });
    vec![
        Response::RegisterBroker(Ok(BrokerEpoch(5))),
        Response::RegisterBroker(Err(error())),
        Response::UnfenceBroker(Ok(())),
        Response::FenceBroker(Err(error())),
        Response::StopBroker(Ok(3)),
        Response::StopBroker(Err(error())),
        Response::SetRebalance(Ok(())),
        Response::DrainBroker(Ok(())),
        Response::UnregisterBroker(Err(error())),
        Response::UnregisterController(Ok(())),
        Response::SetVoters(Err(error())),
        Response::AlterPartition(Err(error())),
        Response::AlterPartition(Ok(vec![Ok(altered_partition()), Err(error())])),
        Response::ElectLeaders(
            [Ok(BrokerId(7)), Err(error())].map(|result| ElectedLeader { partition: named(), result }).to_vec(),
        ),
        Response::BalanceLeaders(BalancedLeaders { moved: 3, left: 4 }),
        Response::ElectFromLogs(vec![Ok(BrokerId(7)), Err(error())]),
        Response::AlterPartitionReassignments(
            [Ok(()), Err(error())]
                .map(|result| Reassigned { topic: TopicRef::Name("t".to_owned()), partition: 2, result })
                .to_vec(),
        ),
        Response::UpdateFeatures(
            [Ok(()), Err(error())].map(|result| UpdatedFeature { name: "f".to_owned(), result }).to_vec(),
        ),
        Response::ReportDirectories(Err(error())),
        Response::RegisterController(Err(error())),
        Response::RegisterCoordinator(Ok(CoordinatorEpoch(5))),
        Response::RegisterCoordinator(Err(error())),
        Response::RemoveCoordinator(Ok(())),
        Response::CreateShards(Ok(created)),
        Response::CreateShards(Err(error())),
        Response::CreateTopics(creations.to_vec()),
        Response::DeleteTopics(deleted.to_vec()),
        Response::CreatePartitions(extended.to_vec()),
        Response::AlterConfigs(altered.to_vec()),
        Response::AllocateProducerIds(Ok(ProducerIdBlock { first: 1_000, len: 1_000 })),
        Response::AllocateProducerIds(Err(error())),
        Response::AssignReplicasToDirs(Ok(vec![Ok(()), Err(error())])),
        Response::AssignReplicasToDirs(Err(error())),
    ]
}

#[test]
fn entries_are_read_as_they_were_written() {
    let position = RunPosition { barrier: 40, number: 2 };
    for entry in [Entry::Barrier, Entry::Deltas { position, deltas: deltas() }] {
        let bytes = pb::Entry::from(&entry).encode_to_vec();
        assert_eq!(pb::Entry::read(&bytes), Ok(entry));
    }
}

#[test]
fn commands_and_responses_are_read_as_they_were_written() {
    for command in commands() {
        let bytes = pb::Command::from(&command).encode_to_vec();
        assert_eq!(pb::Command::decode(bytes.as_slice()).unwrap().try_into(), Ok(command));
    }
    for response in responses() {
        let bytes = pb::Response::from(&response).encode_to_vec();
        assert_eq!(pb::Response::decode(bytes.as_slice()).unwrap().try_into(), Ok(response));
    }
}

#[test]
fn what_a_newer_version_wrote_is_refused_not_skipped() {
    let newer = pb::Entry { version: pb::ENTRY_VERSION + 1, ..pb::Entry::from(&Entry::Barrier) };
    let error = pb::Entry::read(&newer.encode_to_vec()).unwrap_err();
    assert!(matches!(error, ConversionError::UnknownVersion { version: 2, newest: 1, .. }), "{error}");
    assert_eq!(error.code(), ErrorCode::UnsupportedVersion);
    // A kind that this build does not know decodes to no kind at all.
    assert_eq!(Delta::try_from(pb::Delta { kind: None }), Err(ConversionError::UnknownKind("a metadata delta")));
    let unknown_field = [0xfa, 0x7f, 0x00];
    let delta = pb::Delta::decode(&unknown_field[..]).unwrap();
    assert!(Delta::try_from(delta).is_err());
    assert!(pb::SnapshotHeader { version: 2, ..pb::SnapshotHeader::default() }.check_version().is_err());
}

#[test]
fn malformed_fields_are_refused() {
    let partition = || pb::Partition::from(&partitions()[0]);
    let short_id = pb::TopicDeleted { id: vec![1, 2, 3].into() };
    let short = pb::Delta { kind: Some(pb::delta::Kind::TopicDeleted(short_id)) };
    assert!(matches!(Delta::try_from(short), Err(ConversionError::IdLength { len: 3, .. })));
    assert!(Partition::try_from(pb::Partition { replicas: Vec::new(), ..partition() }).is_err());
    assert!(Partition::try_from(pb::Partition { leader: Some(-1), ..partition() }).is_err());
    let named = |name: &str| pb::TopicCreated { id: vec![0; 16].into(), name: name.to_owned() };
    let bad_name = pb::Delta { kind: Some(pb::delta::Kind::TopicCreated(named("a/b"))) };
    assert!(matches!(Delta::try_from(bad_name), Err(ConversionError::TopicName(_))));
    let port = pb::Endpoint { port: 70_000, protocol: 1, ..pb::Endpoint::default() };
    assert!(matches!(Endpoint::try_from(port), Err(ConversionError::OutOfRange { value: 70_000, .. })));
    let protocol = pb::Endpoint { port: 1, protocol: 77, ..pb::Endpoint::default() };
    assert!(Endpoint::try_from(protocol).is_err());
    assert!(Command::try_from(pb::Command::default()).is_err());
}

#[test]
fn an_error_code_that_this_build_does_not_know_is_still_an_error() {
    for code in [0, 9_999, i32::MAX] {
        let error = ItemError::from(pb::ItemError { code, message: "why".to_owned() });
        assert_eq!(error.code, ErrorCode::UnknownServerError);
    }
}
