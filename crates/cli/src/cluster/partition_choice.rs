//! Which partitions a command is about: all of them, those of a topic, or one.

use levada_client::Admin;
use levada_types::{TopicName, TopicPartition};

use crate::CliError;

/// The partition of this name and number.
pub(super) fn partition(topic: &str, partition: i32) -> Result<TopicPartition, CliError> {
    let topic = TopicName::new(topic).map_err(|error| CliError::Usage(error.to_string()))?;
    Ok(TopicPartition { topic, partition })
}

/// These partitions of `topic`; all that it has, if there are none.
pub(super) async fn partitions(admin: &Admin, topic: &str, numbers: &[i32]) -> Result<Vec<TopicPartition>, CliError> {
    if !numbers.is_empty() {
        return numbers.iter().map(|number| partition(topic, *number)).collect();
    }
    let described = admin.describe_topic(topic).await?;
    described.partitions.iter().map(|found| partition(topic, found.partition)).collect()
}
