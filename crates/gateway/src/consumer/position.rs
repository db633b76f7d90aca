//! Where a fetch stream stands.

use std::collections::HashSet;

use levada_broker::api::{FetchPartition, ListOffset, OffsetSpec, PartitionError};
use levada_metadata::Image;
use levada_proto::v1;
use levada_types::{LeaderEpoch, Offset, TopicIdPartition};

use crate::refusal::invalid;
use crate::topics::{self, Wanted};

/// One partition of a stream, before its start is known as an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) partition: TopicIdPartition,
    /// The topic's name and id in text, for answers and errors.
    pub(super) topic: String,
    pub(super) topic_id: String,
    pub(super) at: StartAt,
    pub(super) current_leader_epoch: Option<LeaderEpoch>,
}

/// Where to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StartAt {
    Offset(Offset),
    /// Wherever this is; at the end, if there is no such place.
    Find(OffsetSpec),
}

/// One partition of a stream and how far it has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) partition: TopicIdPartition,
    pub(super) topic: String,
    pub(super) topic_id: String,
    pub(super) offset: Offset,
    /// Where the stream ends, if it ends at all.
    pub(super) end: Option<Offset>,
    /// Believed by the client; checked with every read.
    pub(super) current_leader_epoch: Option<LeaderEpoch>,
}

/// Reads a request's partitions.
pub(super) fn starts(
    image: &Image,
    partitions: Vec<v1::FetchPartition>,
    max_partitions: usize,
) -> Result<Vec<Start>, PartitionError> {
    if partitions.is_empty() {
        return Err(invalid("the request names no partition"));
    }
    if partitions.len() > max_partitions {
        return Err(invalid(format!(
            "a stream may read {max_partitions} partitions at most (grpc.fetch.max.partitions)"
        )));
    }
    let mut seen = HashSet::with_capacity(partitions.len());
    let mut starts = Vec::with_capacity(partitions.len());
    for asked in partitions {
        let wanted = Wanted::read(asked.topic)?;
        let topic = wanted.find(image)?;
        let partition = topics::partition(topic, asked.partition)?;
        if !seen.insert(partition) {
            return Err(invalid(format!("{}-{} occurs twice", topic.name(), asked.partition)));
        }
        starts.push(Start {
            partition,
            topic: topic.name().to_string(),
            topic_id: topic.id().to_string(),
            at: start_at(asked.start)?,
            current_leader_epoch: asked.current_leader_epoch.map(LeaderEpoch),
        });
    }
    Ok(starts)
}

fn start_at(start: Option<v1::fetch_partition::Start>) -> Result<StartAt, PartitionError> {
    use v1::fetch_partition::Start;
    match start {
        None => Ok(StartAt::Find(OffsetSpec::Earliest)),
        Some(Start::Offset(offset @ 0..)) => Ok(StartAt::Offset(offset)),
        Some(Start::Offset(offset)) => Err(invalid(format!("there is no offset {offset}; offsets begin at 0"))),
        Some(Start::TimestampMs(timestamp)) => Ok(StartAt::Find(OffsetSpec::Timestamp(timestamp))),
        Some(Start::Position(position)) => match v1::OffsetPosition::try_from(position) {
            Ok(position) => offset_spec(position).map(StartAt::Find),
            Err(_) => Err(invalid(format!("{position} is not a position"))),
        },
    }
}

/// A place without a fixed offset, in the broker's words.
pub(crate) fn offset_spec(position: v1::OffsetPosition) -> Result<OffsetSpec, PartitionError> {
    match position {
        v1::OffsetPosition::Unspecified => Err(invalid("the position is not specified")),
        v1::OffsetPosition::Earliest => Ok(OffsetSpec::Earliest),
        v1::OffsetPosition::Latest => Ok(OffsetSpec::Latest),
        v1::OffsetPosition::MaxTimestamp => Ok(OffsetSpec::MaxTimestamp),
    }
}

impl Start {
    /// The question for the offset of `spec` in this partition.
    pub(super) fn find(&self, spec: OffsetSpec) -> ListOffset {
        ListOffset { partition: self.partition, spec, current_leader_epoch: self.current_leader_epoch }
    }

    /// The position, once both are known.
    pub(super) fn at(self, offset: Offset, end: Option<Offset>) -> Position {
        Position {
            partition: self.partition,
            topic: self.topic,
            topic_id: self.topic_id,
            offset,
            end,
            current_leader_epoch: self.current_leader_epoch,
        }
    }
}

impl Position {
    /// What to read next.
    pub(super) fn fetch(&self, max_bytes: u32) -> FetchPartition {
        FetchPartition {
            partition: self.partition,
            offset: self.offset,
            max_bytes,
            current_leader_epoch: self.current_leader_epoch,
            last_fetched_epoch: None,
        }
    }

    /// Whether everything that was asked for has been read.
    pub(super) fn is_at_end(&self) -> bool {
        self.end.is_some_and(|end| self.offset >= end)
    }
}

#[cfg(test)]
mod tests {
    use levada_types::ErrorCode;

    use super::*;
    use crate::fixtures;

    fn asked(topic: &str, partition: i32, start: Option<v1::fetch_partition::Start>) -> v1::FetchPartition {
        let topic = Some(v1::TopicRef { topic: Some(v1::topic_ref::Topic::Name(topic.to_owned())) });
        v1::FetchPartition { topic, partition, start, current_leader_epoch: Some(4) }
    }

    fn code(partitions: Vec<v1::FetchPartition>) -> Option<ErrorCode> {
        starts(&fixtures::image(&[("t", 2)]), partitions, 2).err().map(|error| error.code)
    }

    #[test]
    fn every_way_to_start_is_understood() {
        use v1::fetch_partition::Start;
        let latest = v1::OffsetPosition::Latest.into();
        for (start, expected) in [
            (None, StartAt::Find(OffsetSpec::Earliest)),
            (Some(Start::Offset(5)), StartAt::Offset(5)),
            (Some(Start::TimestampMs(9)), StartAt::Find(OffsetSpec::Timestamp(9))),
            (Some(Start::Position(latest)), StartAt::Find(OffsetSpec::Latest)),
        ] {
            let image = fixtures::image(&[("t", 2)]);
            let starts = starts(&image, vec![asked("t", 1, start)], 1).expect("it is well-formed");
            assert_eq!(starts[0].at, expected);
            assert_eq!(starts[0].topic_id, fixtures::topic_id("t").to_string());
            assert_eq!(starts[0].current_leader_epoch, Some(LeaderEpoch(4)));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        use v1::fetch_partition::Start;
        let refused = Some(ErrorCode::InvalidRequest);
        assert_eq!(code(Vec::new()), refused);
        assert_eq!(code(vec![asked("t", 0, None), asked("t", 0, None)]), refused);
        assert_eq!(code(vec![asked("t", 0, None), asked("t", 1, None), asked("t", 2, None)]), refused, "too many");
        assert_eq!(code(vec![asked("t", 0, Some(Start::Offset(-1)))]), refused);
        assert_eq!(code(vec![asked("t", 0, Some(Start::Position(0)))]), refused);
        assert_eq!(code(vec![asked("t", 0, Some(Start::Position(99)))]), refused);
        assert_eq!(code(vec![asked("t", 2, None)]), Some(ErrorCode::UnknownTopicOrPartition));
        assert_eq!(code(vec![asked("u", 0, None)]), Some(ErrorCode::UnknownTopicOrPartition));
    }

    #[test]
    fn a_position_is_at_its_end_when_it_has_reached_it() {
        let start = starts(&fixtures::image(&[("t", 2)]), vec![asked("t", 0, None)], 1).expect("it is well-formed");
        let at = |offset, end| start[0].clone().at(offset, end).is_at_end();
        assert_eq!([at(0, Some(0)), at(4, Some(5)), at(6, Some(5)), at(6, None)], [true, false, true, false]);
    }
}
