//! What a member wants, as its first message says it.

use levada_broker::api::PartitionError;
use levada_proto::v1;
use levada_types::{Offset, TopicId, TopicIdPartition};

use crate::GatewayOptions;
use crate::refusal::invalid;

/// How often automatic commits are made unless the client says otherwise: Kafka's default `auto.commit.interval.ms`.
const DEFAULT_AUTO_COMMIT_MS: u32 = 5_000;

/// How many records may be with the client unless it says otherwise: Kafka's default `max.poll.records`.
const DEFAULT_UNPROCESSED: u32 = 500;

/// How long the client may say nothing unless it says otherwise: Kafka's default `max.poll.interval.ms`.
const DEFAULT_MAX_POLL_INTERVAL_MS: u32 = 300_000;

/// The size of a response unless the client says otherwise, in bytes.
const DEFAULT_RESPONSE_BYTES: u32 = 1 << 20;

/// The shortest interval of automatic commits, in milliseconds: each is a write.
const SHORTEST_AUTO_COMMIT_MS: u32 = 10;

/// Where to begin where nothing is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OffsetReset {
    Earliest,
    Latest,
    /// Nowhere: the stream ends.
    Never,
}

/// What a member wants. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) group_id: String,
    pub(super) topics: Vec<String>,
    /// By regular expression; `None` if there is none.
    pub(super) topic_pattern: Option<String>,
    pub(super) instance_id: Option<String>,
    pub(super) rack_id: Option<String>,
    pub(super) assignor: Option<String>,
    pub(super) client_id: String,
    pub(super) client_host: String,
    pub(super) reset: OffsetReset,
    /// How often to commit what is processed; `None` for manual commits.
    pub(super) auto_commit_interval: Option<i64>,
    pub(super) max_unprocessed: usize,
    pub(super) max_poll_interval: i64,
    pub(super) max_response_bytes: u32,
}

/// A member that goes on after a broken stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resumption {
    pub(super) member_id: String,
    pub(super) epoch: i32,
    /// The number of the stream that broke.
    pub(super) stream_number: u64,
    /// What the client still has of it.
    pub(super) held: Vec<Held>,
}

/// A partition that a client still has of a stream that broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) partition: TopicIdPartition,
    /// Behind what has reached the client; `None` if nothing has.
    pub(super) next_offset: Option<Offset>,
    /// Everything before it is processed; `None` if nothing is.
    pub(super) processed_offset: Option<Offset>,
}

impl Held {
    fn read(held: &v1::HeldPartition) -> Result<Self, PartitionError> {
        let text = &held.topic_id;
        let topic_id = TopicId::parse(text).ok_or_else(|| invalid(format!("{text:?} is not a topic id")))?;
        let (next_offset, processed_offset) = (held.next_offset, held.processed_offset);
        let is_sound = match (next_offset, processed_offset) {
            (Some(next), processed) => next >= 0 && processed.is_none_or(|processed| (0..=next).contains(&processed)),
            (None, processed) => processed.is_none(),
        };
        if !is_sound || held.partition < 0 {
            return Err(invalid("what is held begins at an offset, and no more of it is processed than has come"));
        }
        Ok(Self { partition: TopicIdPartition { topic_id, partition: held.partition }, next_offset, processed_offset })
    }
}

impl Settings {
    /// Reads a `join` of a client at `host`.
    pub(super) fn read(
        join: v1::JoinSubscription,
        host: String,
        options: &GatewayOptions,
    ) -> Result<(Self, Option<Resumption>), PartitionError> {
        if join.topics.is_empty() && join.topic_pattern.is_empty() {
            return Err(invalid("the join names neither topics nor a topic_pattern"));
        }
        if join.topics.len() > options.subscribe_max_topics {
            let most = options.subscribe_max_topics;
            return Err(invalid(format!("a member may name {most} topics at most (grpc.subscribe.max.topics)")));
        }
        let reset = match v1::OffsetPosition::try_from(join.auto_offset_reset) {
            _ if join.no_offset_reset => OffsetReset::Never,
            Ok(v1::OffsetPosition::Earliest) => OffsetReset::Earliest,
            Ok(v1::OffsetPosition::Latest | v1::OffsetPosition::Unspecified) => OffsetReset::Latest,
            _ => return Err(invalid("auto_offset_reset is either earliest or latest")),
        };
        let held = join.held.iter().map(Held::read).collect::<Result<Vec<_>, _>>()?;
        if held.len() > options.fetch_max_partitions {
            return Err(invalid("more partitions are held than a stream may read (grpc.fetch.max.partitions)"));
        }
        let resumption = match (join.member_id.is_empty(), join.member_epoch, join.stream_number) {
            (true, 0, 0) if held.is_empty() => None,
            (false, epoch @ 1.., stream_number) => {
                Some(Resumption { member_id: join.member_id, epoch, stream_number, held })
            }
            _ => {
                return Err(invalid(
                    "to go on, a join bears the member_id, member_epoch and stream_number of `joined`",
                ));
            }
        };
        let or_default = |asked: u32, default: u32| if asked == 0 { default } else { asked };
        let interval = or_default(join.auto_commit_interval_ms, DEFAULT_AUTO_COMMIT_MS).max(SHORTEST_AUTO_COMMIT_MS);
        let unprocessed = or_default(join.max_unprocessed_records, DEFAULT_UNPROCESSED);
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        let settings = Self {
            group_id: join.group_id,
            topics: join.topics,
            topic_pattern: given(join.topic_pattern),
            instance_id: given(join.instance_id),
            rack_id: given(join.rack_id),
            assignor: given(join.assignor),
            client_id: join.client_id,
            client_host: host,
            reset,
            auto_commit_interval: (!join.manual_commit).then_some(interval.into()),
            max_unprocessed: usize::try_from(unprocessed).unwrap_or(usize::MAX),
            max_poll_interval: or_default(join.max_poll_interval_ms, DEFAULT_MAX_POLL_INTERVAL_MS)
                .min(i32::MAX.unsigned_abs())
                .into(),
            max_response_bytes: or_default(join.max_response_bytes, DEFAULT_RESPONSE_BYTES)
                .min(options.fetch_max_response_bytes.max(1)),
        };
        Ok((settings, resumption))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(join: v1::JoinSubscription) -> Option<(Settings, Option<Resumption>)> {
        Settings::read(join, "/127.0.0.1".to_owned(), &GatewayOptions::default()).ok()
    }

    fn join() -> v1::JoinSubscription {
        v1::JoinSubscription { group_id: "g".to_owned(), topics: vec!["t".to_owned()], ..Default::default() }
    }

    #[test]
    fn what_is_left_out_is_as_in_kafka() {
        let (settings, resumption) = read(join()).expect("it is well-formed");
        assert_eq!(resumption, None);
        assert_eq!(settings.auto_commit_interval, Some(5_000));
        assert_eq!((settings.max_unprocessed, settings.max_poll_interval), (500, 300_000));
        assert_eq!((settings.reset, settings.max_response_bytes), (OffsetReset::Latest, 1 << 20));
        assert_eq!((settings.instance_id, settings.topic_pattern), (None, None));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let max_timestamp = v1::OffsetPosition::MaxTimestamp.into();
        for refused in [
            v1::JoinSubscription { topics: Vec::new(), ..join() },
            v1::JoinSubscription { topics: vec![String::new(); 100_000], ..join() },
            v1::JoinSubscription { auto_offset_reset: max_timestamp, ..join() },
            v1::JoinSubscription { auto_offset_reset: 99, ..join() },
            v1::JoinSubscription { member_id: "m".to_owned(), ..join() },
            v1::JoinSubscription { member_epoch: 3, ..join() },
            v1::JoinSubscription { stream_number: 3, ..join() },
        ] {
            assert_eq!(read(refused), None);
        }
        let resumed = v1::JoinSubscription { member_id: "m".to_owned(), member_epoch: 3, stream_number: 7, ..join() };
        let resumption = read(resumed).and_then(|(_, resumption)| resumption);
        let expected = Resumption { member_id: "m".to_owned(), epoch: 3, stream_number: 7, held: Vec::new() };
        assert_eq!(resumption, Some(expected));
    }
}
