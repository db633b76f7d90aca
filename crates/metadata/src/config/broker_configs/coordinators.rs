//! Settings of consumer groups, of committed offsets and of transactions.

use super::{Check, ConfigDef};

const NO_LIMIT: &str = "2147483647";

/// Settings whose names begin with `group.`, `offset`, `transaction` or `transactional`.
pub(super) static CONFIGS: &[ConfigDef] = &[
    ConfigDef::list("group.consumer.assignors", "uniform,range")
        .check(Check::Among(&["uniform", "range"]))
        .read_only()
        .doc("The assignors of the consumer group protocol (KIP-848); the first is the default."),
    ConfigDef::int("group.consumer.heartbeat.interval.ms", "5000")
        .at_least(1)
        .doc("How often members of a consumer group (KIP-848) send heartbeats."),
    ConfigDef::int("group.consumer.max.heartbeat.interval.ms", "15000")
        .at_least(1)
        .read_only()
        .doc("The longest heartbeat interval that a consumer group may set."),
    ConfigDef::int("group.consumer.max.session.timeout.ms", "60000")
        .at_least(1)
        .read_only()
        .doc("The longest session timeout that a consumer group may set."),
    ConfigDef::int("group.consumer.max.size", NO_LIMIT)
        .at_least(1)
        .read_only()
        .doc("How many members a consumer group (KIP-848) may have."),
    ConfigDef::string("group.consumer.migration.policy", "bidirectional")
        .check(Check::OneOf(&["disabled", "upgrade", "downgrade", "bidirectional"]))
        .read_only()
        .doc("Whether a live group may move between the classic and the consumer protocol."),
    ConfigDef::int("group.consumer.min.heartbeat.interval.ms", "5000")
        .at_least(1)
        .read_only()
        .doc("The shortest heartbeat interval that a consumer group may set."),
    ConfigDef::int("group.consumer.min.session.timeout.ms", "45000")
        .at_least(1)
        .read_only()
        .doc("The shortest session timeout that a consumer group may set."),
    ConfigDef::int("group.consumer.session.timeout.ms", "45000")
        .at_least(1)
        .doc("How long a member of a consumer group (KIP-848) may be silent."),
    ConfigDef::int("group.coordinator.append.linger.ms", "-1")
        .at_least(-1)
        .read_only()
        .doc("How long a group coordinator collects records before it writes them; -1 writes as soon as it can."),
    ConfigDef::list("group.coordinator.rebalance.protocols", "classic,consumer")
        .check(Check::Among(&["classic", "consumer"]))
        .read_only()
        .doc("The group protocols that are offered."),
    ConfigDef::int("group.coordinator.threads", "4").at_least(1).read_only().doc("How many threads coordinate groups."),
    ConfigDef::int("group.initial.rebalance.delay.ms", "3000")
        .at_least(0)
        .read_only()
        .doc("How long the first rebalance of an empty classic group waits for further members."),
    ConfigDef::int("group.max.session.timeout.ms", "1800000")
        .at_least(1)
        .read_only()
        .doc("The longest session timeout that a member of a classic group may ask for."),
    ConfigDef::int("group.max.size", NO_LIMIT)
        .at_least(1)
        .read_only()
        .doc("How many members a classic group may have."),
    ConfigDef::int("group.min.session.timeout.ms", "6000")
        .at_least(1)
        .read_only()
        .doc("The shortest session timeout that a member of a classic group may ask for."),
    ConfigDef::int("offset.metadata.max.bytes", "4096")
        .at_least(0)
        .read_only()
        .doc("How long the text may be that comes with a committed offset."),
    ConfigDef::int("offsets.commit.timeout.ms", "5000")
        .at_least(1)
        .read_only()
        .doc("How long a commit of offsets waits until it is replicated."),
    ConfigDef::int("offsets.load.buffer.size", "5242880")
        .at_least(1)
        .read_only()
        .doc("How many bytes are read at once when committed offsets are loaded."),
    ConfigDef::long("offsets.retention.check.interval.ms", "600000")
        .at_least(1)
        .read_only()
        .doc("How often committed offsets are checked for those that have expired."),
    ConfigDef::int("offsets.retention.minutes", "10080")
        .at_least(1)
        .read_only()
        .doc("How many minutes the committed offsets of a group without members are kept."),
    ConfigDef::int("offsets.topic.compression.codec", "0")
        .range(0, 4)
        .read_only()
        .doc("How the topic of committed offsets is compressed, by Kafka's number of the codec."),
    ConfigDef::int("offsets.topic.num.partitions", "50")
        .at_least(1)
        .read_only()
        .doc("How many partitions the topic of committed offsets has."),
    ConfigDef::int("offsets.topic.replication.factor", "3")
        .range(1, 32_767)
        .read_only()
        .doc("How many replicas the topic of committed offsets has; with fewer live brokers, as many as there are."),
    // Not Kafka's 100 MiB: a coordinator that takes a shard over replays its log, and what is in the segment that is written
    // cannot be compacted. 2 MiB are about 20,000 commits, and twice what a batch may have.
    ConfigDef::int("offsets.topic.segment.bytes", "2097152")
        .at_least(1_048_576)
        .read_only()
        .doc("How large the segments of the topic of committed offsets are. Bounds what a coordinator has to replay."),
    ConfigDef::int("transaction.abort.timed.out.transaction.cleanup.interval.ms", "10000")
        .at_least(1)
        .read_only()
        .doc("How often transactions are checked for those that have timed out."),
    ConfigDef::int("transaction.max.timeout.ms", "900000")
        .at_least(1)
        .read_only()
        .doc("The longest transaction timeout that a producer may ask for."),
    ConfigDef::boolean("transaction.partition.verification.enable", "true")
        .doc("Whether a partition asks the coordinator before it opens a transaction (KIP-890)."),
    ConfigDef::int("transaction.remove.expired.transaction.cleanup.interval.ms", "3600000")
        .at_least(1)
        .read_only()
        .doc("How often transactional ids are checked for those that have expired."),
    ConfigDef::int("transaction.state.log.load.buffer.size", "5242880")
        .at_least(1)
        .read_only()
        .doc("How many bytes are read at once when transactions are loaded."),
    ConfigDef::int("transaction.state.log.min.isr", "2")
        .at_least(1)
        .read_only()
        .doc("How many replicas of the topic of transactions must be in sync; with fewer replicas, all of them."),
    ConfigDef::int("transaction.state.log.num.partitions", "50")
        .at_least(1)
        .read_only()
        .doc("How many partitions the topic of transactions has."),
    ConfigDef::int("transaction.state.log.replication.factor", "3")
        .range(1, 32_767)
        .read_only()
        .doc("How many replicas the topic of transactions has; with fewer live brokers, as many as there are."),
    ConfigDef::int("transaction.state.log.segment.bytes", "104857600")
        .at_least(1)
        .read_only()
        .doc("How large the segments of the topic of transactions are."),
    ConfigDef::boolean("transaction.two.phase.commit.enable", "false")
        .read_only()
        .doc("Whether producers may take part in two-phase commits of others (KIP-939)."),
    ConfigDef::int("transactional.id.expiration.ms", "604800000")
        .at_least(1)
        .read_only()
        .doc("How long a transactional id that has fallen silent is remembered."),
];
