//! From a request to record batches, one partition each. Pure.

use std::collections::BTreeMap;

use bytes::Bytes;
use levada_broker::api::PartitionError;
use levada_metadata::Topic;
use levada_proto::v1;
use levada_proto::v1::produce_batch::Content;
use levada_records::{BatchBuilder, BatchError, Batches, Compression, Header};
use levada_types::{ErrorCode, PartitionIndex, TimestampMs, TopicIdPartition, key_partition};

use super::identity::Identity;
use crate::refusal::invalid;
use crate::topics;

/// Raw batches that one message may hold; a bound on what is kept per message, beside its bytes.
const MAX_RAW_BATCHES: usize = 1_000;

/// One batch for one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) partition: TopicIdPartition,
    pub(super) batch: Bytes,
    pub(super) record_count: u32,
    /// Which of the request's records they are; empty if they are all, in their order.
    pub(super) record_indexes: Vec<u32>,
}

/// What the pieces of a message are made with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    pub(super) identity: Option<Identity>,
    /// For records without a timestamp.
    pub(super) now_ms: TimestampMs,
    /// Chooses the partition of records without a key: this number modulo the count of partitions.
    pub(super) spread: usize,
    /// Whether the request named its topic by id.
    pub(super) by_id: bool,
}

/// The batches of a message for `topic`, in the order in which they are to be appended.
pub(super) fn assemble(topic: &Topic, batch: v1::ProduceBatch, setting: &Setting) -> Result<Vec<Part>, PartitionError> {
    let partition = match batch.partition {
        Some(index) => Some(topics::partition(topic, index)?),
        None => None,
    };
    if setting.identity.is_some() && (partition.is_none() || !setting.by_id) {
        return Err(invalid("a batch of an idempotent producer names its topic by id, and its partition"));
    }
    match batch.content {
        Some(Content::Records(list)) => from_records(topic, partition, &list.records, batch.base_sequence, setting),
        Some(Content::RawBatches(bytes)) => {
            let partition = partition.ok_or_else(|| invalid("raw batches need an explicit partition"))?;
            from_raw(partition, &bytes, batch.base_sequence, setting.identity)
        }
        None => Err(invalid("the batch has neither records nor raw_batches")),
    }
}

fn from_records(
    topic: &Topic,
    partition: Option<TopicIdPartition>,
    records: &[v1::Record],
    base_sequence: Option<i32>,
    setting: &Setting,
) -> Result<Vec<Part>, PartitionError> {
    if records.is_empty() {
        return Err(invalid("the batch has no records"));
    }
    let producer = match (setting.identity, base_sequence) {
        (Some(identity), Some(sequence @ 0..)) => Some((identity, sequence)),
        (Some(_), _) => return Err(invalid("records of an idempotent producer need base_sequence, 0 or greater")),
        (None, _) => None,
    };
    if let Some(partition) = partition {
        return Ok(vec![build(partition, records, None, producer, setting.now_ms)?]);
    }
    let count = topic.partition_count().max(1);
    let unkeyed = (setting.spread % count.unsigned_abs() as usize) as PartitionIndex;
    let mut indexes: BTreeMap<PartitionIndex, Vec<u32>> = BTreeMap::new();
    for (index, record) in (0u32..).zip(records) {
        let partition = record.key.as_ref().map_or(unkeyed, |key| key_partition(key, count));
        indexes.entry(partition).or_default().push(index);
    }
    let only_one = indexes.len() == 1;
    indexes
        .into_iter()
        .map(|(index, records_of_it)| {
            let partition = topics::partition(topic, index)?;
            build(partition, records, (!only_one).then_some(records_of_it), producer, setting.now_ms)
        })
        .collect()
}

/// Builds one batch of the records with these indexes, or of all.
fn build(
    partition: TopicIdPartition,
    records: &[v1::Record],
    indexes: Option<Vec<u32>>,
    producer: Option<(Identity, i32)>,
    now_ms: TimestampMs,
) -> Result<Part, PartitionError> {
    let mut builder = BatchBuilder::new();
    if let Some((identity, base_sequence)) = producer {
        builder.set_producer(identity.producer_id, identity.producer_epoch, base_sequence);
    }
    let mut append = |record: &v1::Record| {
        let headers: Vec<Header<'_>> = record.headers.iter().map(header).collect();
        let timestamp = record.timestamp_ms.unwrap_or(now_ms);
        builder
            .append(timestamp, record.key.as_deref(), record.value.as_deref(), &headers)
            .map_err(|error| refused(&error))
    };
    match &indexes {
        None => records.iter().try_for_each(&mut append)?,
        Some(indexes) => {
            indexes.iter().filter_map(|&index| records.get(index as usize)).try_for_each(&mut append)?;
        }
    }
    let record_count = u32::try_from(builder.len()).unwrap_or(u32::MAX);
    let batch = builder.build(Compression::None, None).map_err(|error| refused(&error))?;
    Ok(Part { partition, batch, record_count, record_indexes: indexes.unwrap_or_default() })
}

fn header(header: &v1::Header) -> Header<'_> {
    Header { key: header.key.as_bytes(), value: header.value.as_deref() }
}

fn from_raw(
    partition: TopicIdPartition,
    bytes: &Bytes,
    base_sequence: Option<i32>,
    identity: Option<Identity>,
) -> Result<Vec<Part>, PartitionError> {
    let mut parts = Vec::new();
    for batch in Batches::new(bytes) {
        let batch = batch.map_err(|error| refused(&error))?;
        let header = batch.header();
        if let Some(identity) = identity {
            let own = Identity { producer_id: header.producer_id, producer_epoch: header.producer_epoch };
            if own != identity || base_sequence.is_some_and(|sequence| sequence != header.base_sequence) {
                return Err(invalid("the batch header bears another producer id, epoch or sequence than the request"));
            }
        }
        if parts.len() == MAX_RAW_BATCHES {
            return Err(invalid(format!("a message may hold {MAX_RAW_BATCHES} raw batches at most")));
        }
        parts.push(Part {
            partition,
            batch: bytes.slice_ref(batch.bytes()),
            record_count: header.records_count.max(0).unsigned_abs(),
            record_indexes: Vec::new(),
        });
    }
    match parts.len() {
        0 => Err(invalid("raw_batches is empty")),
        2.. if identity.is_some() => Err(invalid("a message of an idempotent producer holds exactly one batch")),
        _ => Ok(parts),
    }
}

fn refused(error: &BatchError) -> PartitionError {
    let code = error.code();
    let code = if code.is_none() { ErrorCode::InvalidRecord } else { code };
    PartitionError::new(code, error.to_string())
}

#[cfg(test)]
mod tests;
