//! Moving a group's committed offsets.

use levada_broker::api::PartitionError;
use levada_groups::api::CommitPartition;
use levada_peers::{Place, ReaderLag};
use levada_proto::v1;
use levada_proto::v1::reset_offsets_request::Target as Asked;
use levada_types::{ErrorCode, Offset, TimestampMs, TopicId, TopicIdPartition};

use super::commit::{NewOffset, write};
use super::places::{self, NamedPartition, committed};
use super::{describe, lag};
use crate::gateway::Gateway;
use crate::refusal::{invalid, message};

/// Where offsets are moved to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Earliest,
    Latest,
    /// To the first record of at least this time, else the end.
    Time(TimestampMs),
    /// By so many records.
    Shift(i64),
    Offset(Offset),
    /// To where they are, or to the end where nothing is committed.
    Current,
}

/// A partition whose offset is moved.
struct Move {
    place: NamedPartition,
    topic_id: TopicId,
    old: Option<Offset>,
}

pub(super) async fn reset(
    gateway: &Gateway,
    request: v1::ResetOffsetsRequest,
) -> Result<v1::ResetOffsetsResponse, PartitionError> {
    let target = target(request.target)?;
    match describe::group(gateway, &request.group_id).await {
        Ok(group) if !group.members.is_empty() => {
            let text = format!("group {:?} has members; stop its consumers first", request.group_id);
            return Err(PartitionError::new(ErrorCode::NonEmptyGroup, text));
        }
        // A group comes into being with its first offset.
        Err(error) if error.code != ErrorCode::GroupIdNotFound || request.topics.is_empty() => return Err(error),
        Ok(_) | Err(_) => {}
    }
    let image = gateway.broker.image();
    let old = match committed(gateway, &request.group_id).await {
        Err(error) if error.code == ErrorCode::GroupIdNotFound => Default::default(),
        known => known?,
    };
    let moves: Vec<Move> = if request.topics.is_empty() {
        // A topic that is gone has no offsets to move to.
        let known = old.iter().filter_map(|(place, committed)| {
            Some(Move { place: place.clone(), topic_id: committed.topic_id?, old: committed.fetched.offset })
        });
        known.collect()
    } else {
        let named = places::named(&image, request.topics)?.into_iter();
        let with_old = |(place, topic_id)| {
            let old = old.get(&place).and_then(|committed: &places::Committed| committed.fetched.offset);
            Move { place, topic_id, old }
        };
        named.map(with_old).collect()
    };
    if moves.is_empty() {
        let text = format!("group {:?} has committed nothing; name the topics to be reset", request.group_id);
        return Err(PartitionError::new(ErrorCode::GroupIdNotFound, text));
    }
    let asked = moves.iter().map(|wanted| {
        let partition = TopicIdPartition { topic_id: wanted.topic_id, partition: wanted.place.1 };
        (partition, if let Target::Time(time) = target { Place::AtTime(time) } else { Place::Ends })
    });
    let lags = lag::ask(gateway, asked).await;
    let moved: Vec<Result<Offset, PartitionError>> = moves
        .iter()
        .zip(lags)
        .map(|(wanted, lag)| new_offset(target, wanted.old, &lag.map_err(PartitionError::from)?))
        .collect();
    let moved = if request.dry_run { moved } else { commit(gateway, &request.group_id, &moves, moved).await? };
    let results = moves.into_iter().zip(moved).map(|(wanted, moved)| {
        let (topic, partition) = wanted.place;
        let (new_offset, error) = match moved {
            Ok(offset) => (offset, None),
            Err(error) => (wanted.old.unwrap_or(-1), Some(message(&image, error))),
        };
        v1::ResetOffset { topic, partition, old_offset: wanted.old, new_offset, error }
    });
    Ok(v1::ResetOffsetsResponse { results: results.collect() })
}

/// Commits the new offsets of those that have one.
async fn commit(
    gateway: &Gateway,
    group_id: &str,
    moves: &[Move],
    moved: Vec<Result<Offset, PartitionError>>,
) -> Result<Vec<Result<Offset, PartitionError>>, PartitionError> {
    let new = moves.iter().zip(&moved).filter_map(|(wanted, moved)| {
        let offset = *moved.as_ref().ok()?;
        let (topic, partition) = wanted.place.clone();
        let offset = CommitPartition { partition, offset, leader_epoch: None, metadata: None };
        Some(NewOffset { topic, topic_id: Some(wanted.topic_id), offset })
    });
    let new: Vec<NewOffset> = new.collect();
    if new.is_empty() {
        return Ok(moved);
    }
    let mut codes = write(gateway, group_id, &new).await?.into_iter();
    let outcome = |moved: Result<Offset, PartitionError>| match moved {
        Ok(offset) => match codes.next() {
            Some(ErrorCode::None) => Ok(offset),
            // Somebody has joined meanwhile.
            Some(ErrorCode::UnknownMemberId) => Err(ErrorCode::NonEmptyGroup.into()),
            code => Err(code.unwrap_or(ErrorCode::UnknownServerError).into()),
        },
        refused => refused,
    };
    Ok(moved.into_iter().map(outcome).collect())
}

fn target(asked: Option<Asked>) -> Result<Target, PartitionError> {
    match asked {
        Some(Asked::Position(position)) => match v1::OffsetPosition::try_from(position) {
            Ok(v1::OffsetPosition::Earliest) => Ok(Target::Earliest),
            Ok(v1::OffsetPosition::Latest) => Ok(Target::Latest),
            _ => Err(invalid("offsets are moved to the earliest or the latest position")),
        },
        Some(Asked::TimestampMs(time)) => Ok(Target::Time(time)),
        Some(Asked::ShiftBy(by)) => Ok(Target::Shift(by)),
        Some(Asked::Offset(offset @ 0..)) => Ok(Target::Offset(offset)),
        Some(Asked::Offset(offset)) => Err(invalid(format!("there is no offset {offset}; offsets begin at 0"))),
        Some(Asked::Current(true)) => Ok(Target::Current),
        Some(Asked::Current(false)) | None => Err(invalid("the request does not say where to")),
    }
}

/// The new offset in a partition that holds what `lag` tells, of which `old` is committed.
fn new_offset(target: Target, old: Option<Offset>, lag: &ReaderLag) -> Result<Offset, PartitionError> {
    let (start, end) = (lag.log_start_offset, lag.high_watermark);
    let wanted = match target {
        Target::Earliest => start,
        Target::Latest => end,
        Target::Time(_) => lag.offset_at_time.unwrap_or(end),
        Target::Offset(offset) => offset,
        Target::Current => old.unwrap_or(end),
        Target::Shift(by) => {
            let old = old.ok_or_else(|| invalid("nothing is committed that could be shifted"))?;
            old.saturating_add(by)
        }
    };
    Ok(wanted.clamp(start, end.max(start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(target: Target, old: Option<Offset>) -> Option<Offset> {
        let lag =
            ReaderLag { log_start_offset: 10, high_watermark: 20, next_timestamp: None, offset_at_time: Some(17) };
        new_offset(target, old, &lag).ok()
    }

    #[test]
    fn every_target_lies_in_what_the_partition_holds() {
        assert_eq!(to(Target::Earliest, Some(15)), Some(10));
        assert_eq!(to(Target::Latest, None), Some(20));
        assert_eq!(to(Target::Time(5), None), Some(17));
        for (by, expected) in [(-3, 12), (-9, 10), (3, 18), (9, 20), (i64::MAX, 20), (i64::MIN, 10)] {
            assert_eq!(to(Target::Shift(by), Some(15)), Some(expected), "{by}");
        }
        assert_eq!(to(Target::Shift(1), None), None, "there is nothing to shift");
        for (offset, expected) in [(0, 10), (12, 12), (99, 20)] {
            assert_eq!(to(Target::Offset(offset), Some(15)), Some(expected));
            assert_eq!(to(Target::Current, Some(offset)), Some(expected));
        }
        assert_eq!(to(Target::Current, None), Some(20));
    }

    #[test]
    fn a_time_that_nothing_is_young_enough_for_is_the_end() {
        let lag = ReaderLag { log_start_offset: 0, high_watermark: 5, next_timestamp: None, offset_at_time: None };
        assert_eq!(new_offset(Target::Time(9), None, &lag), Ok(5));
    }

    #[test]
    fn a_target_that_makes_no_sense_is_refused() {
        let max = Asked::Position(v1::OffsetPosition::MaxTimestamp.into());
        for refused in [None, Some(max), Some(Asked::Offset(-1)), Some(Asked::Current(false))] {
            assert!(target(refused).is_err(), "{refused:?}");
        }
    }
}
