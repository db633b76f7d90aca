//! Topics and settings, through librdkafka's admin client.

use std::{net::SocketAddr, time::Duration};

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
};
use tokio::runtime::Runtime;

use crate::{Outcome, client_config, fail};

/// How long an admin request may take, in milliseconds' worth of patience of a loaded machine.
const TIMEOUT: Duration = Duration::from_secs(30);

/// An admin client whose calls wait for their answer.
pub struct Admin {
    client: AdminClient<DefaultClientContext>,
    options: AdminOptions,
    runtime: Runtime,
}

impl Admin {
    /// Connects to `bootstrap`.
    pub fn connect(bootstrap: SocketAddr) -> Outcome<Self> {
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { client: client_config(bootstrap).create()?, options, runtime })
    }

    /// Creates a topic.
    pub fn create_topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Outcome {
        self.create_replicated_topic(name, (partitions, 1), configs)
    }

    /// Creates a topic of so many partitions, each with so many replicas.
    pub fn create_replicated_topic(
        &self,
        name: &str,
        (partitions, replicas): (i32, i32),
        configs: &[(&str, &str)],
    ) -> Outcome {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replicas));
        let topic = configs.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
        single(self.runtime.block_on(self.client.create_topics([&topic], &self.options))?)
    }

    /// Deletes a topic.
    pub fn delete_topic(&self, name: &str) -> Outcome {
        single(self.runtime.block_on(self.client.delete_topics(&[name], &self.options))?)
    }

    /// Raises the number of partitions of a topic to `count`.
    pub fn create_partitions(&self, name: &str, count: usize) -> Outcome {
        let partitions = NewPartitions::new(name, count);
        single(self.runtime.block_on(self.client.create_partitions([&partitions], &self.options))?)
    }

    /// The value of one setting of a topic; `None` if the topic has no such setting.
    pub fn topic_config(&self, name: &str, key: &str) -> Outcome<Option<String>> {
        let resource = ResourceSpecifier::Topic(name);
        let described = self.runtime.block_on(self.client.describe_configs([&resource], &self.options))?;
        match described.into_iter().next() {
            Some(Ok(resource)) => Ok(resource.get(key).and_then(|entry| entry.value.clone())),
            Some(Err(code)) => fail(format!("the settings of {name}: {code}")),
            None => fail("an answer without a result"),
        }
    }

    /// Deletes the records of one partition below `offset`.
    pub fn delete_records(&self, name: &str, partition: i32, offset: i64) -> Outcome {
        let mut list = rdkafka::TopicPartitionList::new();
        list.add_partition_offset(name, partition, rdkafka::Offset::Offset(offset))?;
        let answer = self.runtime.block_on(self.client.delete_records(&list, &self.options))?;
        answer.elements().iter().try_for_each(|element| Ok(element.error()?))
    }
}

/// The result of a request about one topic.
fn single(results: Vec<Result<String, (String, rdkafka::types::RDKafkaErrorCode)>>) -> Outcome {
    match results.into_iter().next() {
        Some(Ok(_)) => Ok(()),
        Some(Err((name, code))) => fail(format!("{name}: {code}")),
        None => fail("an answer without a result"),
    }
}
