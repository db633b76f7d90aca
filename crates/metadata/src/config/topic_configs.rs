//! What can be set on a topic: Kafka's complete list, and `acks.fsync`.

use super::{Check, ConfigDef, Synonym};

/// The setting of a topic with this name.
#[must_use]
pub fn topic_config(name: &str) -> Option<&'static ConfigDef> {
    TOPIC_CONFIGS.iter().find(|def| def.name == name)
}

/// The largest value of a 64-bit setting that means "never" or "no limit".
const NEVER: &str = "9223372036854775807";

/// Why nothing of tiered storage can be switched on.
const NOT_TIERED: &str = "tiered storage is not available";

/// The smallest segment, as in Kafka: smaller ones would cost more files than they are worth.
const MIN_SEGMENT_BYTES: i64 = 1024 * 1024;

pub(super) const COMPRESSION_TYPES: Check =
    Check::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]);

pub(super) const TIMESTAMP_TYPES: Check = Check::OneOf(&["CreateTime", "LogAppendTime"]);

pub(super) const CLEANUP_POLICIES: Check = Check::Among(&["compact", "delete"]);

/// Every setting of a topic, ordered by name.
pub static TOPIC_CONFIGS: &[ConfigDef] = &[
    ConfigDef::boolean("acks.fsync", "false")
        .from(&[Synonym::same("log.acks.fsync")])
        .doc("Whether a record is committed, so that acks=all is answered and consumers see it, only once every in-sync replica has fsynced it."),
    ConfigDef::list("cleanup.policy", "delete")
        .check(CLEANUP_POLICIES)
        .from(&[Synonym::same("log.cleanup.policy")])
        .doc("How old records go: 'delete' by age and size, 'compact' keeps the newest record of each key, both do both, and the empty list keeps everything."),
    ConfigDef::int("compression.gzip.level", "-1")
        .check(Check::Either(-1, 1, 9))
        .from(&[Synonym::same("compression.gzip.level")])
        .doc("The level of gzip compression where compression.type is gzip; -1 is gzip's own default."),
    ConfigDef::int("compression.lz4.level", "9")
        .range(1, 17)
        .from(&[Synonym::same("compression.lz4.level")])
        .doc("The level of lz4 compression where compression.type is lz4."),
    ConfigDef::string("compression.type", "producer")
        .check(COMPRESSION_TYPES)
        .from(&[Synonym::same("compression.type")])
        .doc("How stored batches are compressed: 'producer' keeps them as they came, everything else recompresses those that differ."),
    ConfigDef::int("compression.zstd.level", "3")
        .range(-131_072, 22)
        .from(&[Synonym::same("compression.zstd.level")])
        .doc("The level of zstd compression where compression.type is zstd."),
    ConfigDef::long("delete.retention.ms", "86400000")
        .at_least(0)
        .from(&[Synonym::same("log.cleaner.delete.retention.ms")])
        .doc("How long a compacted topic keeps tombstones, so that a consumer that reads from the start sees every deletion."),
    ConfigDef::boolean("errors.deadletterqueue.group.enable", "false")
        .check(Check::Unavailable("false", "share groups are not available"))
        .doc("Whether share groups may send records that they reject to this topic."),
    ConfigDef::long("file.delete.delay.ms", "60000")
        .at_least(0)
        .from(&[Synonym::same("log.segment.delete.delay.ms")])
        .doc("How long a deleted segment's file stays, so that fetches that read it can end."),
    ConfigDef::long("flush.messages", NEVER)
        .at_least(1)
        .from(&[Synonym::same("log.flush.interval.messages")])
        .doc("After how many records the log is flushed to the disk; by default the operating system decides."),
    ConfigDef::long("flush.ms", NEVER)
        .at_least(0)
        .from(&[Synonym::same("log.flush.interval.ms")])
        .doc("After how many milliseconds a record must be flushed to the disk; by default the operating system decides."),
    ConfigDef::list("follower.replication.throttled.replicas", "")
        .check(Check::ThrottledReplicas)
        .doc("The replicas whose replication is throttled at the follower: partition:broker pairs, or * for all."),
    ConfigDef::int("index.interval.bytes", "4096")
        .at_least(0)
        .from(&[Synonym::same("log.index.interval.bytes")])
        .doc("How many bytes of records lie between two entries of the offset index."),
    ConfigDef::list("leader.replication.throttled.replicas", "")
        .check(Check::ThrottledReplicas)
        .doc("The replicas whose replication is throttled at the leader: partition:broker pairs, or * for all."),
    ConfigDef::long("local.retention.bytes", "-2")
        .at_least(-2)
        .from(&[Synonym::same("log.local.retention.bytes")])
        .doc("With tiered storage, how many bytes stay on the local disk; -2 is as retention.bytes."),
    ConfigDef::long("local.retention.ms", "-2")
        .at_least(-2)
        .from(&[Synonym::same("log.local.retention.ms")])
        .doc("With tiered storage, how long records stay on the local disk; -2 is as retention.ms."),
    ConfigDef::long("max.compaction.lag.ms", NEVER)
        .at_least(1)
        .from(&[Synonym::same("log.cleaner.max.compaction.lag.ms")])
        .doc("How long a record of a compacted topic may stay uncompacted at most."),
    ConfigDef::int("max.message.bytes", "1048588")
        .at_least(0)
        .from(&[Synonym::same("message.max.bytes")])
        .doc("The size of the largest record batch that the topic accepts, as it arrives and, where it is recompressed, as it is stored."),
    ConfigDef::long("message.timestamp.after.max.ms", "3600000")
        .at_least(0)
        .from(&[Synonym::same("log.message.timestamp.after.max.ms")])
        .doc("How far a record's timestamp may lie after the broker's clock, where message.timestamp.type is CreateTime."),
    ConfigDef::long("message.timestamp.before.max.ms", NEVER)
        .at_least(0)
        .from(&[Synonym::same("log.message.timestamp.before.max.ms")])
        .doc("How far a record's timestamp may lie before the broker's clock, where message.timestamp.type is CreateTime."),
    ConfigDef::string("message.timestamp.type", "CreateTime")
        .check(TIMESTAMP_TYPES)
        .from(&[Synonym::same("log.message.timestamp.type")])
        .doc("Whether records bear the time at which they were made (CreateTime) or appended (LogAppendTime)."),
    ConfigDef::double("min.cleanable.dirty.ratio", "0.5")
        .check(Check::Fraction(0.0, 1.0))
        .from(&[Synonym::same("log.cleaner.min.cleanable.ratio")])
        .doc("Which part of a compacted log must be new before it is compacted again."),
    ConfigDef::long("min.compaction.lag.ms", "0")
        .at_least(0)
        .from(&[Synonym::same("log.cleaner.min.compaction.lag.ms")])
        .doc("How long a record of a compacted topic stays uncompacted at least."),
    ConfigDef::int("min.insync.replicas", "1")
        .at_least(1)
        .from(&[Synonym::same("min.insync.replicas")])
        .doc("How many replicas must be in sync for acks=all to be accepted; more than there are replicas counts as all of them."),
    ConfigDef::boolean("preallocate", "false")
        .from(&[Synonym::same("log.preallocate")])
        .doc("Whether a new segment's file takes its space on the disk at once."),
    ConfigDef::long("remote.copy.lag.bytes", "-1")
        .at_least(-2)
        .from(&[Synonym::same("log.remote.copy.lag.bytes")])
        .doc("With tiered storage, how many bytes a segment may wait before it is copied."),
    ConfigDef::long("remote.copy.lag.ms", "0")
        .at_least(-2)
        .from(&[Synonym::same("log.remote.copy.lag.ms")])
        .doc("With tiered storage, how long a segment may wait before it is copied."),
    ConfigDef::boolean("remote.log.copy.disable", "false")
        .check(Check::Unavailable("false", NOT_TIERED))
        .doc("With tiered storage, whether no further segments are copied."),
    ConfigDef::boolean("remote.log.delete.on.disable", "false")
        .check(Check::Unavailable("false", NOT_TIERED))
        .doc("With tiered storage, whether what was copied is deleted when it is switched off."),
    ConfigDef::boolean("remote.storage.enable", "false")
        .check(Check::Unavailable("false", NOT_TIERED))
        .doc("Whether the topic's older segments move to tiered storage."),
    ConfigDef::long("retention.bytes", "-1")
        .at_least(-1)
        .from(&[Synonym::same("log.retention.bytes")])
        .doc("How many bytes each partition keeps before its oldest segments are deleted; -1 is no limit."),
    ConfigDef::long("retention.ms", "604800000")
        .at_least(-1)
        .from(&[Synonym::same("log.retention.ms"), Synonym::hours("log.retention.hours")])
        .doc("How long records are kept before their segments are deleted; -1 is for ever."),
    ConfigDef::int("segment.bytes", "1073741824")
        .at_least(MIN_SEGMENT_BYTES)
        .from(&[Synonym::same("log.segment.bytes")])
        .doc("How large a segment's file grows before a new one begins. Only whole segments are deleted or compacted."),
    ConfigDef::int("segment.index.bytes", "10485760")
        .at_least(4)
        .from(&[Synonym::same("log.index.size.max.bytes")])
        .doc("How large a segment's index grows before a new segment begins."),
    ConfigDef::long("segment.jitter.ms", "0")
        .at_least(0)
        .from(&[Synonym::same("log.roll.jitter.ms")])
        .doc("By how much at most segment.ms is shortened by chance, so that many logs do not roll at once."),
    ConfigDef::long("segment.ms", "604800000")
        .at_least(1)
        .from(&[Synonym::same("log.roll.ms"), Synonym::hours("log.roll.hours")])
        .doc("After how long a new segment begins even if this one is not full, so that retention can take it."),
    ConfigDef::boolean("unclean.leader.election.enable", "false")
        .from(&[Synonym::same("unclean.leader.election.enable")])
        .doc("Whether a replica that may lack acknowledged records may lead when no other can."),
];
