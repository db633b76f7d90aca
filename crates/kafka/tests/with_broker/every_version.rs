//! Every API that is offered is answered in every version that is offered.

use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Request, StrBytes};
use levada_broker::DEFAULT_QUEUED_BYTES;
use uuid::Uuid;

use crate::administration::administration;
use crate::client::{Client, batch, fetch, newest, produce, topic_name, unstamped};
use crate::groups::groups;
use crate::node::Node;

fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

pub(crate) struct Offered {
    pub(crate) client: Client,
    pub(crate) versions: Vec<(i16, i16, i16)>,
    pub(crate) tried: Vec<i16>,
}

impl Offered {
    async fn new(node: &Node) -> Self {
        let mut client = node.client().await;
        let response = client.call(3, &ApiVersionsRequest::default()).await;
        let versions = response.api_keys.iter().map(|api| (api.api_key, api.min_version, api.max_version)).collect();
        Self { client, versions, tried: Vec::new() }
    }

    /// Sends what `request` makes in each version offered, and checks each answer.
    pub(crate) async fn each<R: Request>(&mut self, request: impl AsyncRequest<R>, check: impl Fn(i16, R::Response)) {
        self.tried.push(R::KEY);
        let &(_, min, max) = self.versions.iter().find(|(key, _, _)| *key == R::KEY).unwrap();
        for version in min.max(R::VERSIONS.min)..=max {
            let response = self.client.call(version, &request.at(version)).await;
            check(version, response);
        }
    }
}

/// A request of a version.
pub(crate) trait AsyncRequest<R> {
    fn at(&self, version: i16) -> R;
}

impl<R, F: Fn(i16) -> R> AsyncRequest<R> for F {
    fn at(&self, version: i16) -> R {
        self(version)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_is_answered() {
    let node = Node::start().await;
    let mut offered = Offered::new(&node).await;
    let id = offered.client.create("t", 3).await;
    offered.client.append("t", 0, batch(b"first")).await;

    data(&mut offered, id).await;
    lookups(&mut offered, id).await;
    changes(&mut offered).await;
    configs(&mut offered).await;
    administration(&mut offered).await;
    groups(&mut offered, id).await;

    offered.tried.sort_unstable();
    offered.tried.dedup();
    let all: Vec<i16> = offered.versions.iter().map(|(key, _, _)| *key).collect();
    assert_eq!(offered.tried, all, "an API is offered that was not tried");
    node.stop().await;
}

async fn data(offered: &mut Offered, id: Uuid) {
    let request = |version| {
        let mut request = produce("t", 0, -1, batch(b"each version"));
        if version >= 13 {
            request.topic_data[0].topic_id = id;
            request.topic_data[0].name = TopicName::default();
        }
        request
    };
    offered
        .each(request, |version, response: ProduceResponse| {
            let topic = &response.responses[0];
            assert_eq!((topic.topic_id == id, &**topic.name == "t"), (version >= 13, version < 13));
            let partition = &topic.partition_responses[0];
            // One record before, and one in each version from 3 on.
            assert_eq!((partition.error_code, partition.base_offset), (0, i64::from(version) - 2), "{version}");
        })
        .await;
    let written = newest(ApiKey::Produce, &offered.versions) - 1;
    offered
        .each(
            |version| fetch(version, "t", id, &[(0, 0)]),
            |version, response: FetchResponse| {
                let partition = &response.responses[0].partitions[0];
                assert_eq!((partition.error_code, partition.high_watermark), (0, i64::from(written)), "{version}");
                let batches = unstamped(partition.records.clone().unwrap());
                assert_eq!(batches.len(), usize::try_from(written).unwrap(), "{version}");
                assert_eq!(batches[0], unstamped(batch(b"first"))[0], "{version}");
            },
        )
        .await;
    for (timestamp, offset) in [(-2, 0), (-1, i64::from(written)), (1_000, 0), (1_001, -1), (-3, 0)] {
        let position = |_| {
            use list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
            let asked = ListOffsetsPartition::default()
                .with_partition_index(0)
                .with_current_leader_epoch(-1)
                .with_timestamp(timestamp);
            let topic = ListOffsetsTopic::default().with_name(topic_name("t")).with_partitions(vec![asked]);
            ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic])
        };
        offered
            .each(position, |version, response: ListOffsetsResponse| {
                let found = &response.topics[0].partitions[0];
                // The greatest timestamp can be asked for since version 7.
                let expected = if timestamp == -3 && version < 7 { (35, -1) } else { (0, offset) };
                assert_eq!((found.error_code, found.offset), expected, "{timestamp} in {version}");
            })
            .await;
    }
    let epochs = |_| {
        use offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
        let asked =
            OffsetForLeaderPartition::default().with_partition(0).with_current_leader_epoch(-1).with_leader_epoch(0);
        let topic = OffsetForLeaderTopic::default().with_topic(topic_name("t")).with_partitions(vec![asked]);
        OffsetForLeaderEpochRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic])
    };
    offered
        .each(epochs, |version, response: OffsetForLeaderEpochResponse| {
            let end = &response.topics[0].partitions[0];
            assert_eq!((end.error_code, end.end_offset), (0, i64::from(written)), "{version}");
        })
        .await;
    offered
        .each(
            |_| InitProducerIdRequest::default().with_transactional_id(None),
            |version, response: InitProducerIdResponse| {
                assert_eq!((response.error_code, response.producer_epoch), (0, 0), "{version}");
            },
        )
        .await;
    let deletion = |_| {
        use delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
        let partition = DeleteRecordsPartition::default().with_partition_index(0).with_offset(1);
        let topic = DeleteRecordsTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
        DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(60_000)
    };
    offered
        .each(deletion, |version, response: DeleteRecordsResponse| {
            let partition = &response.topics[0].partitions[0];
            assert_eq!((partition.error_code, partition.low_watermark), (0, 1), "{version}");
        })
        .await;
}

async fn lookups(offered: &mut Offered, id: Uuid) {
    let port = i32::from(offered.client.port());
    let versions = offered.versions.clone();
    offered
        .each(
            |_| ApiVersionsRequest::default(),
            |_, response: ApiVersionsResponse| assert_eq!(response.api_keys.len(), versions.len()),
        )
        .await;
    let metadata = |version: i16| {
        let by_name = |name| MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        let mut topics = vec![by_name("t"), by_name("no.such.topic"), by_name("not/valid")];
        if version >= 12 {
            topics.push(MetadataRequestTopic::default().with_name(None).with_topic_id(id));
            topics.push(MetadataRequestTopic::default().with_name(None).with_topic_id(Uuid::from_u128(1)));
        }
        let request = MetadataRequest::default().with_topics(Some(topics));
        if version < 4 {
            // These versions always create; ask for all topics instead.
            return request.with_topics(if version == 0 { Some(vec![]) } else { None });
        }
        request.with_allow_auto_topic_creation(false)
    };
    offered
        .each(metadata, |version, response: MetadataResponse| {
            assert_eq!((response.brokers.len(), response.brokers[0].node_id, response.error_code), (1, BrokerId(1), 0));
            let topic = &response.topics[0];
            assert_eq!(
                (topic.error_code, topic.name.as_deref().map(|n| &**n), topic.partitions.len()),
                (0, Some("t"), 3)
            );
            assert!(version < 10 || topic.topic_id == id);
            let codes: Vec<i16> = response.topics.iter().map(|topic| topic.error_code).collect();
            match version {
                0..4 => assert_eq!(codes, [0]),
                4..12 => assert_eq!(codes, [0, 3, 17]),
                _ => assert_eq!(codes, [0, 3, 17, 0, 100]),
            }
        })
        .await;
    offered
        .each(
            |version| {
                let request = FindCoordinatorRequest::default();
                if version < 4 {
                    request.with_key(text("g"))
                } else {
                    request.with_coordinator_keys(vec![text("g"), text("h")])
                }
            },
            |version, response: FindCoordinatorResponse| {
                let codes: Vec<i16> = response.coordinators.iter().map(|found| found.error_code).collect();
                assert_eq!(response.error_code, 0, "{version}");
                assert_eq!(codes, if version < 4 { vec![] } else { vec![0, 0] });
                if version < 4 {
                    assert_eq!((response.node_id, response.port), (BrokerId(1), port), "{version}");
                } else {
                    assert_eq!((response.coordinators[1].node_id, response.coordinators[1].port), (BrokerId(1), port));
                }
            },
        )
        .await;
    offered
        .each(
            |version| {
                let request = DescribeClusterRequest::default();
                if version >= 2 { request.with_include_fenced_brokers(true) } else { request }
            },
            |_, response: DescribeClusterResponse| {
                assert_eq!((response.error_code, response.brokers.len(), response.cluster_id.len()), (0, 1, 22));
            },
        )
        .await;
    offered
        .each(
            |_| DescribeLogDirsRequest::default().with_topics(None),
            |version, response: DescribeLogDirsResponse| {
                assert_eq!((response.results.len(), response.results[0].error_code), (1, 0), "{version}");
                let topic = response.results[0].topics.iter().find(|topic| &**topic.name == "t").unwrap();
                assert_eq!(topic.partitions.len(), 3, "{version}");
                assert!(version < 4 || response.results[0].total_bytes > 0);
            },
        )
        .await;
    offered
        .each(
            |_| {
                let topic = describe_producers_request::TopicRequest::default()
                    .with_name(topic_name("t"))
                    .with_partition_indexes(vec![0, 9]);
                DescribeProducersRequest::default().with_topics(vec![topic])
            },
            |_, response: DescribeProducersResponse| {
                let codes: Vec<i16> = response.topics[0].partitions.iter().map(|p| p.error_code).collect();
                assert_eq!(codes, [0, 3]);
            },
        )
        .await;
    offered
        .each(
            |_| {
                let topic =
                    |name| describe_topic_partitions_request::TopicRequest::default().with_name(topic_name(name));
                DescribeTopicPartitionsRequest::default()
                    .with_topics(vec![topic("t"), topic("absent")])
                    .with_response_partition_limit(2)
            },
            |_, response: DescribeTopicPartitionsResponse| {
                let codes: Vec<(i16, usize)> =
                    response.topics.iter().map(|topic| (topic.error_code, topic.partitions.len())).collect();
                assert_eq!(codes, [(3, 0), (0, 2)], "in the order of names, up to the limit");
                let next = response.next_cursor.unwrap();
                assert_eq!((&**next.topic_name, next.partition_index), ("t", 2));
            },
        )
        .await;
}

async fn changes(offered: &mut Offered) {
    offered
        .each(
            |version| {
                let topic = CreatableTopic::default()
                    .with_name(topic_name(&format!("created.{version}")))
                    .with_num_partitions(1)
                    .with_replication_factor(1);
                CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(60_000)
            },
            |version, response: CreateTopicsResponse| {
                let result = &response.topics[0];
                assert_eq!((result.error_code, result.error_message.as_deref()), (0, None), "{version}");
                assert!(version < 5 || result.configs.as_ref().unwrap().len() > 20);
            },
        )
        .await;
    offered
        .each(
            |version| {
                let topic = create_partitions_request::CreatePartitionsTopic::default()
                    .with_name(topic_name("created.2"))
                    .with_count(i32::from(version) + 2)
                    .with_assignments(None);
                CreatePartitionsRequest::default().with_topics(vec![topic]).with_timeout_ms(60_000)
            },
            |version, response: CreatePartitionsResponse| assert_eq!(response.results[0].error_code, 0, "{version}"),
        )
        .await;
    offered
        .each(
            |version| {
                let name = topic_name(&format!("created.{}", version + 1));
                let topic = delete_topics_request::DeleteTopicState::default().with_name(Some(name.clone()));
                let request = DeleteTopicsRequest::default().with_timeout_ms(60_000);
                if version < 6 { request.with_topic_names(vec![name]) } else { request.with_topics(vec![topic]) }
            },
            |version, response: DeleteTopicsResponse| assert_eq!(response.responses[0].error_code, 0, "{version}"),
        )
        .await;
}

async fn configs(offered: &mut Offered) {
    let resources = [(2, "t"), (4, "1"), (4, ""), (2, "absent"), (16, "metrics"), (4, "2")];
    offered
        .each(
            |version| {
                let resources = resources.iter().map(|&(kind, name)| {
                    describe_configs_request::DescribeConfigsResource::default()
                        .with_resource_type(kind)
                        .with_resource_name(text(name))
                        .with_configuration_keys(None)
                });
                let request =
                    DescribeConfigsRequest::default().with_resources(resources.collect()).with_include_synonyms(true);
                if version >= 3 { request.with_include_documentation(true) } else { request }
            },
            |version, response: DescribeConfigsResponse| {
                let codes: Vec<i16> = response.results.iter().map(|result| result.error_code).collect();
                assert_eq!(codes, [0, 0, 0, 3, 42, 42], "{version}");
                let retention =
                    response.results[0].configs.iter().find(|config| &*config.name == "retention.ms").unwrap();
                assert_eq!((retention.value.as_deref(), retention.config_source), (Some("604800000"), 5));
                assert!(!retention.synonyms.is_empty());
                assert!(
                    version < 3
                        || (retention.config_type == 5 && !retention.documentation.as_ref().unwrap().is_empty())
                );
            },
        )
        .await;
    offered
        .each(
            |version| {
                use incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
                let config =
                    |name, value: &str| AlterableConfig::default().with_name(text(name)).with_value(Some(text(value)));
                let resource = |kind, name, config| {
                    AlterConfigsResource::default()
                        .with_resource_type(kind)
                        .with_resource_name(text(name))
                        .with_configs(vec![config])
                };
                IncrementalAlterConfigsRequest::default().with_resources(vec![
                    resource(2, "t", config("retention.ms", &format!("{}", 1_000 + i32::from(version)))),
                    resource(2, "t2", config("retention.ms", "1")),
                    resource(32, "group", config("a", "b")),
                ])
            },
            |version, response: IncrementalAlterConfigsResponse| {
                let codes: Vec<i16> = response.responses.iter().map(|result| result.error_code).collect();
                assert_eq!(codes, [0, 3, 42], "{version}");
            },
        )
        .await;
    offered
        .each(
            |_| {
                use alter_configs_request::{AlterConfigsResource, AlterableConfig};
                let config =
                    AlterableConfig::default().with_name(text("segment.bytes")).with_value(Some(text("1048576")));
                let resource = AlterConfigsResource::default()
                    .with_resource_type(2)
                    .with_resource_name(text("t"))
                    .with_configs(vec![config]);
                AlterConfigsRequest::default().with_resources(vec![resource])
            },
            |version, response: AlterConfigsResponse| assert_eq!(response.responses[0].error_code, 0, "{version}"),
        )
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defaults_are_told_as_they_are_here() {
    let node = Node::start().await;
    let mut client = node.client().await;
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4).to_string();
    let queued = DEFAULT_QUEUED_BYTES.to_string();
    let expected = [
        ("log.flush.scheduler.interval.ms", "1000"),
        ("max.connections", "10000"),
        ("max.connections.per.ip", "10000"),
        ("num.io.threads", threads.as_str()),
        ("queued.max.request.bytes", queued.as_str()),
        ("socket.listen.backlog.size", "1024"),
    ];
    let broker = describe_configs_request::DescribeConfigsResource::default()
        .with_resource_type(4)
        .with_resource_name(text("1"))
        .with_configuration_keys(Some(expected.iter().map(|(name, _)| text(name)).collect()));
    let request = DescribeConfigsRequest::default().with_resources(vec![broker]).with_include_synonyms(true);
    let response = client.call(4, &request).await;
    let told: Vec<(&str, Option<&str>)> =
        response.results[0].configs.iter().map(|config| (&*config.name, config.value.as_deref())).collect();
    assert_eq!(told, expected.map(|(name, value)| (name, Some(value))));
    for config in &response.results[0].configs {
        assert_eq!(config.config_source, 5, "{}: DEFAULT_CONFIG", &*config.name);
        let last = config.synonyms.last().map(|synonym| (synonym.value.as_deref(), synonym.source));
        assert_eq!(last, Some((config.value.as_deref(), 5)), "{}", &*config.name);
    }
    node.stop().await;
}
