//! What other roles ask for the sake of those who read from this broker.
//!
//! - `lags`: how far a reader is behind, for the coordinators of groups and for whoever describes a group.
//! - `reads`: records, for a broker that serves a member of a group.

mod lags;
mod reads;

use levada_types::{TopicId, TopicIdPartition};
use tonic::Status;
use uuid::Uuid;

#[cfg(test)]
pub(crate) use lags::lags;
pub(crate) use lags::lags_service;
#[cfg(test)]
pub(crate) use reads::reads;
pub(crate) use reads::reads_service;

/// The partition that a message names.
fn partition_of(topic_id: &[u8], partition: i32) -> Result<TopicIdPartition, Status> {
    let topic_id = Uuid::from_slice(topic_id).map_err(|_| Status::invalid_argument("a topic id has 16 bytes"))?;
    Ok(TopicIdPartition { topic_id: TopicId(topic_id), partition })
}
