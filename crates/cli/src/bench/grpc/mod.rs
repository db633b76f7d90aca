//! The load generator over the public gRPC API: record batches through `levada-client`, and records one by one through the
//! stubs, as a program in any language would send them.

mod batches;
mod records;

pub(super) use batches::{consume as consume_batches, produce as produce_batches};
pub(super) use records::{consume as consume_records, produce as produce_records};

use std::future::Future;

use levada_client::{Client, NewTopic, OffsetTarget};
use levada_types::ErrorCode;

use super::plan::{ConsumePlan, TopicPlan};
use super::reading::Position;
use crate::CliError;
use crate::connect::runtime;

/// Threads that the client's futures run on: the machines that this measures on have two cores.
const THREADS: usize = 2;

/// Runs a future to its end.
fn run<T>(future: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    runtime(THREADS)?.block_on(future)
}

fn client(address: &str) -> Result<Client, CliError> {
    crate::connect::client(&[address.to_owned()])
}

/// Whether there is a topic of this name.
pub(super) fn exists(address: &str, topic: &str) -> Result<bool, CliError> {
    run(async {
        match client(address)?.admin().describe_topic(topic).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == ErrorCode::UnknownTopicOrPartition => Ok(false),
            Err(error) => Err(error.into()),
        }
    })
}

/// Whether no partition of an existing topic has a record.
pub(super) fn is_empty(address: &str, topic: &str) -> Result<bool, CliError> {
    run(async {
        let ends = client(address)?.admin().list_offsets(topic, &[], OffsetTarget::Latest).await?;
        Ok(ends.iter().all(|end| end.offset == 0))
    })
}

/// Creates a topic.
pub(super) fn create(address: &str, topic: &TopicPlan<'_>) -> Result<(), CliError> {
    run(async {
        let wanted = NewTopic::new(topic.name).partitions(topic.partitions);
        let wanted = match topic.replication_factor {
            Some(factor) => wanted.replication_factor(factor.into()),
            None => wanted,
        };
        let wanted = topic.settings.iter().fold(wanted, |wanted, (name, value)| wanted.config(*name, *value));
        client(address)?.admin().create_topic(wanted).await?;
        Ok(())
    })
}

/// Deletes a topic.
pub(super) fn delete(address: &str, topic: &str) -> Result<(), CliError> {
    run(async {
        client(address)?.admin().delete_topic(topic).await?;
        Ok(())
    })
}

/// Where the reading of each partition begins and ends.
async fn positions(client: &Client, plan: &ConsumePlan) -> Result<Vec<Position>, CliError> {
    let ends = client.admin().list_offsets(&plan.topic, &[], OffsetTarget::Latest).await?;
    let end = |now| plan.records_per_partition.unwrap_or(now);
    Ok(ends.iter().map(|found| Position { partition: found.partition, next: 0, end: end(found.offset) }).collect())
}
