//! Settings of the logs: defaults for topics that have none of their own, and how logs are cared for.

use super::{Check, ConfigDef};
use crate::config::Synonym;
use crate::config::topic_configs::{CLEANUP_POLICIES, COMPRESSION_TYPES, TIMESTAMP_TYPES};

const NEVER: &str = "9223372036854775807";

/// Settings whose names begin with `log.`, and those of the topics' defaults that do not.
pub(super) static CONFIGS: &[ConfigDef] = &[
    ConfigDef::int("compression.gzip.level", "-1")
        .check(Check::Either(-1, 1, 9))
        .doc("The level of gzip compression of topics that set none."),
    ConfigDef::int("compression.lz4.level", "9")
        .range(1, 17)
        .doc("The level of lz4 compression of topics that set none."),
    ConfigDef::string("compression.type", "producer")
        .check(COMPRESSION_TYPES)
        .doc("How stored batches are compressed in topics that set nothing."),
    ConfigDef::int("compression.zstd.level", "3")
        .range(-131_072, 22)
        .doc("The level of zstd compression of topics that set none."),
    ConfigDef::boolean("log.acks.fsync", "false")
        .doc("Whether a record is committed only once every in-sync replica has fsynced it, in topics that set nothing. The same at every broker."),
    ConfigDef::long("log.cleaner.backoff.ms", "15000")
        .at_least(0)
        .per_broker()
        .doc("How long compaction sleeps when there is nothing to compact."),
    ConfigDef::long("log.cleaner.dedupe.buffer.size", "134217728")
        .at_least(1_048_576)
        .per_broker()
        .doc("How much memory compaction may use for the keys that it has seen, over all its threads."),
    ConfigDef::long("log.cleaner.delete.retention.ms", "86400000")
        .at_least(0)
        .doc("How long compacted topics that set nothing keep tombstones."),
    ConfigDef::boolean("log.cleaner.enable", "true").read_only().doc("Whether compacted topics are compacted."),
    ConfigDef::double("log.cleaner.io.buffer.load.factor", "0.9")
        .check(Check::Fraction(0.0, 1.0))
        .per_broker()
        .doc("How full compaction's table of keys may become."),
    ConfigDef::int("log.cleaner.io.buffer.size", "524288")
        .at_least(0)
        .per_broker()
        .doc("How much memory compaction may use to read and write, over all its threads."),
    ConfigDef::double("log.cleaner.io.max.bytes.per.second", "1.7976931348623157E308")
        .check(Check::Fraction(0.0, f64::MAX))
        .per_broker()
        .doc("How many bytes per second compaction may read and write together."),
    ConfigDef::long("log.cleaner.max.compaction.lag.ms", NEVER)
        .at_least(1)
        .doc("How long a record may stay uncompacted at most in topics that set nothing."),
    ConfigDef::double("log.cleaner.min.cleanable.ratio", "0.5")
        .check(Check::Fraction(0.0, 1.0))
        .doc("Which part of a log must be new before it is compacted again, in topics that set nothing."),
    ConfigDef::long("log.cleaner.min.compaction.lag.ms", "0")
        .at_least(0)
        .doc("How long a record stays uncompacted at least in topics that set nothing."),
    ConfigDef::int("log.cleaner.threads", "1").at_least(0).per_broker().doc("How many threads compact logs."),
    ConfigDef::list("log.cleanup.policy", "delete")
        .check(CLEANUP_POLICIES)
        .doc("How old records go in topics that set nothing."),
    ConfigDef::long("log.dir.failure.timeout.ms", "30000")
        .at_least(1)
        .read_only()
        .doc("How long a broker may fail to tell the controller of a directory that went offline before it stops."),
    ConfigDef::list("log.dirs", "").unset().read_only().doc("The data directories, separated by commas."),
    ConfigDef::long("log.flush.interval.messages", NEVER)
        .at_least(1)
        .doc("After how many records a log is flushed to the disk, in topics that set nothing."),
    ConfigDef::long("log.flush.interval.ms", NEVER)
        .at_least(0)
        .from(&[Synonym::same("log.flush.scheduler.interval.ms")])
        .doc("After how many milliseconds a record must be flushed to the disk, in topics that set nothing."),
    ConfigDef::int("log.flush.offset.checkpoint.interval.ms", "60000")
        .at_least(0)
        .read_only()
        .doc("How often it is written down up to where each log is flushed, which is where recovery begins."),
    ConfigDef::long("log.flush.scheduler.interval.ms", "1000")
        .at_least(0)
        .read_only()
        .doc("How often logs are checked for records that must be flushed."),
    ConfigDef::int("log.flush.start.offset.checkpoint.interval.ms", "60000")
        .at_least(0)
        .read_only()
        .doc("How often the start offset of each log is written down."),
    ConfigDef::int("log.index.interval.bytes", "4096")
        .at_least(0)
        .doc("How many bytes of records lie between two entries of the offset index, in topics that set nothing."),
    ConfigDef::int("log.index.size.max.bytes", "10485760")
        .at_least(4)
        .doc("How large a segment's index grows before a new segment begins, in topics that set nothing."),
    ConfigDef::long("log.local.retention.bytes", "-2")
        .at_least(-2)
        .doc("With tiered storage, how many bytes stay on the local disk; -2 is as log.retention.bytes."),
    ConfigDef::long("log.local.retention.ms", "-2")
        .at_least(-2)
        .doc("With tiered storage, how long records stay on the local disk; -2 is as log.retention.ms."),
    ConfigDef::long("log.message.timestamp.after.max.ms", "3600000")
        .at_least(0)
        .doc("How far a record's timestamp may lie after the broker's clock, in topics that set nothing."),
    ConfigDef::long("log.message.timestamp.before.max.ms", NEVER)
        .at_least(0)
        .doc("How far a record's timestamp may lie before the broker's clock, in topics that set nothing."),
    ConfigDef::string("log.message.timestamp.type", "CreateTime")
        .check(TIMESTAMP_TYPES)
        .doc("Whether records bear the time of their making or of their appending, in topics that set nothing."),
    ConfigDef::boolean("log.preallocate", "false")
        .doc("Whether a new segment's file takes its space on the disk at once, in topics that set nothing."),
    ConfigDef::long("log.remote.copy.lag.bytes", "-1")
        .at_least(-1)
        .doc("With tiered storage, how many bytes a segment may wait before it is copied."),
    ConfigDef::long("log.remote.copy.lag.ms", "0")
        .at_least(-1)
        .doc("With tiered storage, how long a segment may wait before it is copied."),
    ConfigDef::long("log.retention.bytes", "-1")
        .at_least(-1)
        .doc("How many bytes each partition keeps, in topics that set nothing; -1 is no limit."),
    ConfigDef::long("log.retention.check.interval.ms", "300000")
        .at_least(1)
        .read_only()
        .doc("How often logs are checked for segments that may be deleted."),
    ConfigDef::int("log.retention.hours", "168")
        .at_least(-1)
        .read_only()
        .doc("How many hours records are kept, in topics that set nothing; log.retention.ms goes before it."),
    ConfigDef::long("log.retention.ms", "")
        .unset()
        .at_least(-1)
        .from(&[Synonym::hours("log.retention.hours")])
        .doc("How long records are kept, in topics that set nothing; -1 is for ever."),
    ConfigDef::int("log.roll.hours", "168")
        .at_least(1)
        .read_only()
        .doc("After how many hours a new segment begins, in topics that set nothing; log.roll.ms goes before it."),
    ConfigDef::long("log.roll.jitter.ms", "0")
        .at_least(0)
        .doc("By how much at most log.roll.ms is shortened by chance."),
    ConfigDef::long("log.roll.ms", "")
        .unset()
        .at_least(1)
        .from(&[Synonym::hours("log.roll.hours")])
        .doc("After how long a new segment begins, in topics that set nothing."),
    ConfigDef::int("log.segment.bytes", "1073741824")
        .at_least(1_048_576)
        .doc("How large a segment's file grows before a new one begins, in topics that set nothing."),
    ConfigDef::long("log.segment.delete.delay.ms", "60000")
        .at_least(0)
        .doc("How long a deleted segment's file stays, in topics that set nothing."),
];
