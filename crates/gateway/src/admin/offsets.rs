//! Offsets of partitions: found, and the head deleted before them.

use std::time::Duration;

use levada_broker::Broker;
use levada_broker::api::{DeleteRecords, ListOffset, OffsetSpec, PartitionError};
use levada_proto::v1;
use levada_proto::v1::list_offsets_request::Target;
use levada_types::{Isolation, TopicIdPartition};

use crate::consumer::offset_spec;
use crate::refusal::{invalid, message};
use crate::topics::{self, Wanted};

/// How long a deletion may take unless the client says otherwise; Kafka's default `request.timeout.ms`.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) async fn list(
    broker: &Broker,
    request: v1::ListOffsetsRequest,
) -> Result<v1::ListOffsetsResponse, PartitionError> {
    let image = broker.image();
    let wanted = Wanted::read(request.topic)?;
    let topic = wanted.find(&image)?;
    let spec = spec(request.target)?;
    let partitions = match request.partitions.is_empty() {
        true => (0..topic.partition_count()).collect(),
        false => request.partitions,
    };
    // A partition that does not exist is one result among the others.
    let question = |&partition: &i32| ListOffset {
        partition: TopicIdPartition { topic_id: topic.id(), partition },
        spec,
        current_leader_epoch: None,
    };
    let answers = broker.list_offsets(partitions.iter().map(question).collect(), Isolation::ReadUncommitted).await;
    let found = |(partition, answer): (i32, Result<_, PartitionError>)| match answer {
        Ok(levada_broker::api::FoundOffset { offset, timestamp, leader_epoch }) => v1::FoundOffset {
            partition,
            offset,
            timestamp_ms: timestamp,
            leader_epoch: leader_epoch.map(|epoch| epoch.0),
            error: None,
        },
        Err(error) => v1::FoundOffset {
            partition,
            offset: -1,
            timestamp_ms: -1,
            leader_epoch: None,
            error: Some(message(&image, error)),
        },
    };
    Ok(v1::ListOffsetsResponse { offsets: partitions.into_iter().zip(answers).map(found).collect() })
}

fn spec(target: Option<Target>) -> Result<OffsetSpec, PartitionError> {
    match target {
        Some(Target::TimestampMs(timestamp)) => Ok(OffsetSpec::Timestamp(timestamp)),
        Some(Target::Position(position)) => match v1::OffsetPosition::try_from(position) {
            Ok(position) => offset_spec(position),
            Err(_) => Err(invalid(format!("{position} is not a position"))),
        },
        None => Err(invalid("the request has no target: a position or a time")),
    }
}

pub(super) async fn delete_records(
    broker: &Broker,
    request: v1::DeleteRecordsRequest,
) -> Result<v1::DeleteRecordsResponse, PartitionError> {
    let image = broker.image();
    let wanted = Wanted::read(request.topic)?;
    let topic = wanted.find(&image)?;
    let mut deletions: Vec<DeleteRecords> = Vec::with_capacity(request.partitions.len());
    for asked in &request.partitions {
        let partition = topics::partition(topic, asked.partition)?;
        if deletions.iter().any(|deletion| deletion.partition == partition) {
            return Err(invalid(format!("partition {} occurs twice", asked.partition)));
        }
        deletions.push(DeleteRecords { partition, before: asked.before_offset });
    }
    let timeout = match request.timeout_ms {
        0 => DEFAULT_TIMEOUT,
        ms => Duration::from_millis(ms.into()),
    };
    let answers = broker.delete_records(deletions, timeout).await;
    let left = |(asked, answer): (v1::DeleteRecordsPartition, Result<i64, PartitionError>)| match answer {
        Ok(log_start_offset) => v1::DeletedRecords { partition: asked.partition, log_start_offset, error: None },
        Err(error) => {
            v1::DeletedRecords { partition: asked.partition, log_start_offset: -1, error: Some(message(&image, error)) }
        }
    };
    Ok(v1::DeleteRecordsResponse { results: request.partitions.into_iter().zip(answers).map(left).collect() })
}
