//! The APIs of a cluster's administration in every version that is offered, as far as one node goes: what is refused is
//! refused with Kafka's code, item by item.

use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::client::topic_name;
use crate::every_version::Offered;
use crate::node::Node;

fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

/// Partitions and the brokers that are to hold them.
type Assigned<'a> = &'a [(i32, &'a [i32])];

/// Expects the topic `t` with three partitions.
pub(crate) async fn administration(offered: &mut Offered) {
    reassignments(offered).await;
    elections(offered).await;
    directories(offered).await;
    quorum(offered).await;
    features(offered).await;
    resources(offered).await;
}

async fn reassignments(offered: &mut Offered) {
    let alteration = |_| {
        use alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
        let to = |index, replicas: Option<Vec<i32>>| {
            ReassignablePartition::default()
                .with_partition_index(index)
                .with_replicas(replicas.map(|ids| ids.into_iter().map(BrokerId).collect()))
        };
        let partitions =
            vec![to(0, Some(vec![1])), to(1, None), to(2, Some(vec![9])), to(2, Some(vec![1, 1])), to(3, None)];
        let topic =
            |name, partitions| ReassignableTopic::default().with_name(topic_name(name)).with_partitions(partitions);
        AlterPartitionReassignmentsRequest::default()
            .with_timeout_ms(60_000)
            .with_topics(vec![topic("t", partitions), topic("absent", vec![to(0, Some(vec![1]))])])
    };
    offered
        .each(alteration, |version, response: AlterPartitionReassignmentsResponse| {
            assert_eq!((response.error_code, response.allow_replication_factor_change), (0, true), "{version}");
            let codes = |topic: usize| -> Vec<i16> {
                response.responses[topic].partitions.iter().map(|partition| partition.error_code).collect()
            };
            assert_eq!((codes(0), codes(1)), (vec![0, 85, 39, 39, 3], vec![3]), "{version}");
            let messages = response.responses[0].partitions.iter().map(|partition| partition.error_message.is_some());
            assert_eq!(messages.collect::<Vec<_>>(), [false, true, true, true, true], "{version}");
        })
        .await;
    for topics in [None, Some(vec![("t", vec![0, 1, 7]), ("absent", vec![0])])] {
        let asked = |_| {
            use list_partition_reassignments_request::ListPartitionReassignmentsTopics;
            let topics = topics.as_ref().map(|topics| {
                let topic = |(name, partitions): &(&str, Vec<i32>)| {
                    ListPartitionReassignmentsTopics::default()
                        .with_name(topic_name(name))
                        .with_partition_indexes(partitions.clone())
                };
                topics.iter().map(topic).collect()
            });
            ListPartitionReassignmentsRequest::default().with_topics(topics)
        };
        offered
            .each(asked, |_, response: ListPartitionReassignmentsResponse| {
                assert_eq!((response.error_code, response.topics.len()), (0, 0), "nothing moves");
            })
            .await;
    }
}

async fn elections(offered: &mut Offered) {
    use elect_leaders_request::TopicPartitions;
    for kind in [0, 1, 7] {
        let asked = |version| {
            let topic = |name, partitions: &[i32]| {
                TopicPartitions::default().with_topic(topic_name(name)).with_partitions(partitions.to_vec())
            };
            let request = ElectLeadersRequest::default()
                .with_timeout_ms(60_000)
                .with_topic_partitions(Some(vec![topic("t", &[0, 9]), topic("absent", &[0])]));
            if version < 1 { request } else { request.with_election_type(kind) }
        };
        offered
            .each(asked, |version, response: ElectLeadersResponse| {
                let codes: Vec<Vec<i16>> = response
                    .replica_election_results
                    .iter()
                    .map(|topic| topic.partition_result.iter().map(|partition| partition.error_code).collect())
                    .collect();
                if version >= 1 && kind == 7 {
                    assert_eq!((response.error_code, codes), (42, vec![vec![42, 42], vec![42]]));
                } else {
                    assert_eq!((response.error_code, codes), (0, vec![vec![84, 3], vec![3]]), "{kind} in {version}");
                }
            })
            .await;
    }
    offered
        .each(
            |_| ElectLeadersRequest::default().with_timeout_ms(60_000).with_topic_partitions(None),
            |_, response: ElectLeadersResponse| {
                let told = (response.error_code, response.replica_election_results.len());
                assert_eq!(told, (0, 0), "where no election is needed, nothing is told");
            },
        )
        .await;
}

async fn directories(offered: &mut Offered) {
    let asked = |_| {
        use alter_replica_log_dirs_request::{AlterReplicaLogDir, AlterReplicaLogDirTopic};
        let topic = |name| AlterReplicaLogDirTopic::default().with_name(topic_name(name)).with_partitions(vec![0]);
        let directory = AlterReplicaLogDir::default()
            .with_path(text("/no/such/directory"))
            .with_topics(vec![topic("t"), topic("absent")]);
        AlterReplicaLogDirsRequest::default().with_dirs(vec![directory])
    };
    offered
        .each(asked, |version, response: AlterReplicaLogDirsResponse| {
            let told: Vec<(&str, i16)> =
                response.results.iter().map(|topic| (&**topic.topic_name, topic.partitions[0].error_code)).collect();
            assert_eq!(told, [("absent", 3), ("t", 57)], "{version}");
        })
        .await;
}

async fn quorum(offered: &mut Offered) {
    let asked = |_| {
        use describe_quorum_request::{PartitionData, TopicData};
        let topic = |name| {
            TopicData::default().with_topic_name(topic_name(name)).with_partitions(vec![PartitionData::default()])
        };
        DescribeQuorumRequest::default().with_topics(vec![topic("__cluster_metadata"), topic("t")])
    };
    offered
        .each(asked, |version, response: DescribeQuorumResponse| {
            assert_eq!((response.error_code, response.topics[1].partitions[0].error_code), (0, 3), "{version}");
            let metadata = &response.topics[0].partitions[0];
            let voters: Vec<i32> = metadata.current_voters.iter().map(|voter| voter.replica_id.0).collect();
            assert_eq!((metadata.error_code, metadata.leader_id.0, voters), (0, 1, vec![1]), "{version}");
            assert!(metadata.high_watermark > 0 && metadata.current_voters[0].log_end_offset > 0, "{version}");
            assert_eq!(metadata.current_voters[0].replica_directory_id.is_nil(), version < 2);
            assert_eq!(response.nodes.len(), usize::from(version >= 2));
        })
        .await;
    for (cluster, code) in [(Some("MkU3OEVBNTcwNTJENDM2Qg"), 104), (None, 126)] {
        offered
            .each(
                |_| {
                    AddRaftVoterRequest::default()
                        .with_cluster_id(cluster.map(text))
                        .with_timeout_ms(60_000)
                        .with_voter_id(1)
                        .with_voter_directory_id(Uuid::nil())
                },
                |_, response: AddRaftVoterResponse| assert_eq!(response.error_code, code, "{response:?}"),
            )
            .await;
    }
    for (cluster, voter, code) in [(Some("MkU3OEVBNTcwNTJENDM2Qg"), 1, 104), (None, 9, 127), (None, -1, 42)] {
        offered
            .each(
                |_| {
                    RemoveRaftVoterRequest::default()
                        .with_cluster_id(cluster.map(text))
                        .with_voter_id(BrokerId(voter).0)
                        .with_voter_directory_id(Uuid::from_u128(7))
                },
                |_, response: RemoveRaftVoterResponse| assert_eq!(response.error_code, code, "{response:?}"),
            )
            .await;
    }
}

async fn features(offered: &mut Offered) {
    for (name, level, code) in [
        ("metadata.level", 2, 0),
        ("metadata.level", 1, 95),
        ("group.version", 1, 0),
        ("group.version", 0, 95),
        ("metadata.version", 27, 95),
    ] {
        let asked = |version| {
            let key = update_features_request::FeatureUpdateKey::default()
                .with_feature(text(name))
                .with_max_version_level(level);
            UpdateFeaturesRequest::default().with_timeout_ms(60_000).with_feature_updates(vec![if version < 1 {
                key
            } else {
                key.with_upgrade_type(1)
            }])
        };
        offered
            .each(asked, |version, response: UpdateFeaturesResponse| {
                let each: Vec<i16> = response.results.iter().map(|result| result.error_code).collect();
                let expected = if version < 2 { (0, vec![code]) } else { (code, vec![]) };
                assert_eq!((response.error_code, each), expected, "{name} in {version}");
            })
            .await;
    }
    offered
        .each(
            |_| UnregisterBrokerRequest::default().with_broker_id(BrokerId(1)),
            |_, response: UnregisterBrokerResponse| assert_eq!(response.error_code, 42, "it is running"),
        )
        .await;
    offered
        .each(
            |_| UnregisterBrokerRequest::default().with_broker_id(BrokerId(9)),
            |_, response: UnregisterBrokerResponse| assert_eq!(response.error_code, 102, "nobody knows it"),
        )
        .await;
}

async fn resources(offered: &mut Offered) {
    for (types, expected) in [
        (vec![], vec![(2, "__consumer_offsets"), (2, "t"), (4, "1")]),
        (vec![4], vec![(4, "1")]),
        (vec![8, 16, 32], vec![]),
        (vec![2, 7], vec![]),
    ] {
        let asked = |version| {
            let request = ListConfigResourcesRequest::default();
            if version < 1 { request } else { request.with_resource_types(types.clone()) }
        };
        offered
            .each(asked, |version, response: ListConfigResourcesResponse| {
                let told: Vec<(i8, &str)> = response
                    .config_resources
                    .iter()
                    .filter(|resource| !resource.resource_name.starts_with("created."))
                    .map(|resource| (resource.resource_type, &*resource.resource_name))
                    .collect();
                // Version 0 asks for subscriptions to clients' metrics, of which there are none.
                let code = if version >= 1 && types.contains(&7) { 35 } else { 0 };
                assert_eq!(response.error_code, code, "{types:?} in {version}");
                assert_eq!(told, if version < 1 { vec![] } else { expected.clone() }, "{types:?} in {version}");
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_versions_of_apis_come_with_the_levels_of_features() {
    let node = Node::start().await;
    let mut client = node.client().await;
    for version in 0..=4 {
        let response = client.call(version, &ApiVersionsRequest::default()).await;
        let supported: Vec<(&str, i16, i16)> = response
            .supported_features
            .iter()
            .map(|feature| (&*feature.name, feature.min_version, feature.max_version))
            .collect();
        let finalized: Vec<(&str, i16)> =
            response.finalized_features.iter().map(|feature| (&*feature.name, feature.max_version_level)).collect();
        if version < 3 {
            assert_eq!((supported, finalized), (vec![], vec![]));
        } else {
            assert_eq!(supported, [("metadata.level", 1, 2), ("group.version", 1, 1)]);
            assert_eq!(finalized, [("metadata.level", 2), ("group.version", 1)]);
            assert!(response.finalized_features_epoch >= 0);
        }
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn assignments_by_hand_are_checked() {
    use create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
    let node = Node::start().await;
    let mut client = node.client().await;
    let assigned = |assignments: Assigned<'_>| -> Vec<CreatableReplicaAssignment> {
        let assignment = |&(partition, brokers): &(i32, &[i32])| {
            CreatableReplicaAssignment::default()
                .with_partition_index(partition)
                .with_broker_ids(brokers.iter().copied().map(BrokerId).collect())
        };
        assignments.iter().map(assignment).collect()
    };
    let cases: [(&str, Assigned<'_>, i16); 6] = [
        ("good", &[(0, &[1]), (1, &[1])], 0),
        ("unknown", &[(0, &[9])], 39),
        ("twice", &[(0, &[1, 1])], 39),
        ("gap", &[(0, &[1]), (2, &[1])], 39),
        ("double", &[(0, &[1]), (0, &[1])], 39),
        ("empty", &[(0, &[])], 39),
    ];
    let topics = cases.iter().map(|(name, assignments, _)| {
        CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(-1)
            .with_replication_factor(-1)
            .with_assignments(assigned(assignments))
    });
    let request = CreateTopicsRequest::default().with_topics(topics.collect()).with_timeout_ms(60_000);
    let response = client.call(7, &request).await;
    for ((name, _, code), result) in cases.iter().zip(&response.topics) {
        assert_eq!((&**result.name, result.error_code), (*name, *code), "{:?}", result.error_message);
    }
    let cases: [(&[&[i32]], i16); 4] = [(&[&[9]], 39), (&[&[1], &[1]], 39), (&[&[1, 1]], 39), (&[&[1]], 0)];
    for (assignments, code) in cases {
        use create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
        let assignments = assignments.iter().map(|brokers| {
            CreatePartitionsAssignment::default().with_broker_ids(brokers.iter().copied().map(BrokerId).collect())
        });
        let topic = CreatePartitionsTopic::default()
            .with_name(topic_name("good"))
            .with_count(3)
            .with_assignments(Some(assignments.collect()));
        let request = CreatePartitionsRequest::default().with_topics(vec![topic]).with_timeout_ms(60_000);
        let response = client.call(3, &request).await;
        assert_eq!(response.results[0].error_code, code, "{:?}", response.results[0].error_message);
    }
    node.stop().await;
}
