//! Settings of the broker itself, of its connections and of replication.

use super::{Check, ConfigDef};

/// How many connections a broker has open unless it is told otherwise. Kafka sets no limit.
const CONNECTIONS: &str = "10000";

/// A rate that limits nothing: Kafka's default of throttles.
const UNLIMITED: &str = "9223372036854775807";

/// Settings of the server, the network and replication.
pub(super) static CONFIGS: &[ConfigDef] = &[
    ConfigDef::list("advertised.listeners", "").unset().per_broker().doc("Where clients are told to connect, by listener."),
    ConfigDef::boolean("auto.create.topics.enable", "true")
        .read_only()
        .doc("Whether a topic that a client asks for by name is created if there is none."),
    ConfigDef::boolean("auto.leader.rebalance.enable", "true")
        .read_only()
        .doc("Whether leaderships return to the preferred replicas by themselves."),
    ConfigDef::long("auto.rebalance.delay.ms", "60000")
        .at_least(0)
        .read_only()
        .doc("How long the brokers must have stayed the same, all of them live, before replicas are evened out by themselves."),
    ConfigDef::boolean("auto.rebalance.enable", "false")
        .read_only()
        .doc("Whether replicas are evened out over the brokers by themselves when brokers come or go."),
    ConfigDef::int("broker.heartbeat.interval.ms", "500")
        .at_least(1)
        .read_only()
        .doc("How often a broker shows the controller that it lives."),
    ConfigDef::string("broker.rack", "").unset().read_only().doc("The failure domain that the broker stands in."),
    ConfigDef::int("broker.session.timeout.ms", "9000")
        .at_least(1)
        .read_only()
        .doc("After how long a silence the controller fences a broker."),
    ConfigDef::long("connections.max.idle.ms", "600000")
        .read_only()
        .doc("After how long an idle connection is closed."),
    ConfigDef::boolean("controlled.shutdown.enable", "true")
        .read_only()
        .doc("Whether a broker that stops hands its leaderships over first."),
    ConfigDef::int("default.replication.factor", "1")
        .range(1, 32_767)
        .read_only()
        .doc("How many replicas a topic has that does not say."),
    ConfigDef::boolean("delete.topic.enable", "true").read_only().doc("Whether topics can be deleted."),
    ConfigDef::int("fetch.max.bytes", "57671680")
        .at_least(1024)
        .read_only()
        .doc("The most bytes that one fetch returns, whatever the client asks for."),
    ConfigDef::long("follower.replication.throttled.rate", UNLIMITED)
        .at_least(0)
        .doc("Bytes per second that a broker takes in for throttled replicas that follow (KIP-73)."),
    ConfigDef::int("leader.imbalance.check.interval.seconds", "300")
        .at_least(1)
        .read_only()
        .doc("How often the controller checks whether leaderships should return to the preferred replicas."),
    ConfigDef::long("leader.replication.throttled.rate", UNLIMITED)
        .at_least(0)
        .doc("Bytes per second that a broker sends for throttled replicas that it leads (KIP-73)."),
    ConfigDef::list("listeners", "PLAINTEXT://:9092").per_broker().doc("Where the broker listens for clients."),
    ConfigDef::int("max.connections", CONNECTIONS)
        .at_least(0)
        .per_broker()
        .doc("How many connections the broker accepts."),
    ConfigDef::int("max.connections.per.ip", CONNECTIONS)
        .at_least(0)
        .per_broker()
        .doc("How many connections the broker accepts from one address."),
    ConfigDef::int("max.incremental.fetch.session.cache.slots", "1000")
        .at_least(0)
        .read_only()
        .doc("How many fetch sessions (KIP-227) the broker keeps."),
    ConfigDef::int("max.request.partition.size.limit", "2000")
        .at_least(1)
        .read_only()
        .doc("How many partitions one page of DescribeTopicPartitions holds at most."),
    ConfigDef::int("message.max.bytes", "1048588")
        .at_least(0)
        .doc("The size of the largest record batch that topics accept that set nothing."),
    ConfigDef::int("min.insync.replicas", "1")
        .at_least(1)
        .doc("How many replicas must be in sync for acks=all, in topics that set nothing."),
    ConfigDef::int("node.id", "-1").read_only().doc("The number of the node, unique in the cluster."),
    ConfigDef::int("num.io.threads", "4")
        .at_least(1)
        .read_only()
        .doc("How many threads append to the logs; by default one for each core, up to four."),
    ConfigDef::int("num.partitions", "1").at_least(1).read_only().doc("How many partitions a topic has that does not say."),
    ConfigDef::int("num.recovery.threads.per.data.dir", "2")
        .at_least(1)
        .read_only()
        .doc("How many threads per data directory check logs at the start."),
    ConfigDef::int("num.replica.fetchers", "1")
        .at_least(1)
        .per_broker()
        .doc("How many streams a follower replicates from each leader's broker with."),
    ConfigDef::int("producer.id.expiration.ms", "86400000")
        .at_least(1)
        .doc("How long a partition remembers an idempotent producer that has fallen silent."),
    ConfigDef::long("queued.max.request.bytes", "-1")
        .read_only()
        .doc("How many bytes of records may wait to be written before the broker stops reading further ones."),
    ConfigDef::int("rebalance.max.moves", "10")
        .at_least(1)
        .read_only()
        .doc(
            "How many partitions move at a time while brokers are evened out or emptied; what users reassign does not count.",
        ),
    ConfigDef::long("replica.alter.log.dirs.io.max.bytes.per.second", UNLIMITED)
        .at_least(0)
        .doc("Bytes per second that a broker copies between its data directories (KIP-113)."),
    ConfigDef::int("replica.fetch.backoff.ms", "1000")
        .at_least(0)
        .read_only()
        .doc("How long a follower waits after an error before it replicates a partition again."),
    ConfigDef::int("replica.fetch.max.bytes", "1048576")
        .at_least(0)
        .read_only()
        .doc("How many bytes of one partition a leader sends a follower at once; a larger batch goes alone."),
    ConfigDef::int("replica.fetch.min.bytes", "1")
        .at_least(0)
        .read_only()
        .doc("How many bytes a leader waits for before it sends to a follower."),
    ConfigDef::int("replica.fetch.response.max.bytes", "10485760")
        .at_least(0)
        .read_only()
        .doc("How many bytes a leader sends a follower at once over all partitions."),
    ConfigDef::int("replica.fetch.wait.max.ms", "500")
        .at_least(0)
        .read_only()
        .doc("How long a leader waits for records before it tells a follower that there are none."),
    ConfigDef::long("replica.high.watermark.checkpoint.interval.ms", "5000")
        .at_least(1)
        .read_only()
        .doc("How often high watermarks are written down."),
    ConfigDef::long("replica.lag.time.max.ms", "30000")
        .at_least(1)
        .read_only()
        .doc("How long a follower may lag behind before it is proposed for removal from the in-sync set."),
    ConfigDef::string("replica.selector.class", "")
        .unset()
        .read_only()
        .doc("How the replica that a consumer reads from is chosen (KIP-392)."),
    ConfigDef::int("replica.socket.receive.buffer.bytes", "65536")
        .at_least(-1)
        .read_only()
        .doc("The size of a follower's socket receive buffer; -1 is the operating system's."),
    ConfigDef::int("replica.socket.timeout.ms", "30000")
        .at_least(1)
        .read_only()
        .doc("How long a follower waits for a leader's answer."),
    ConfigDef::int("request.timeout.ms", "30000")
        .at_least(1)
        .read_only()
        .doc("How long a request to another node may take."),
    ConfigDef::int("socket.listen.backlog.size", "1024")
        .at_least(1)
        .read_only()
        .doc("How many connections the system holds before they are accepted."),
    ConfigDef::int("socket.receive.buffer.bytes", "102400")
        .at_least(-1)
        .read_only()
        .doc("The size of the receive buffer of a client's socket; -1 is the operating system's."),
    ConfigDef::int("socket.request.max.bytes", "104857600")
        .at_least(1)
        .read_only()
        .doc("The size of the largest request that the broker reads."),
    ConfigDef::int("socket.send.buffer.bytes", "102400")
        .at_least(-1)
        .read_only()
        .doc("The size of the send buffer of a client's socket; -1 is the operating system's."),
    ConfigDef::boolean("unclean.leader.election.enable", "false")
        .doc("Whether a replica that may lack acknowledged records may lead, in topics that set nothing."),
    ConfigDef::long("unclean.leader.election.wait.ms", "5000")
        .at_least(0)
        .read_only()
        .doc("How long a partition that may have such a leader waits for one that is complete."),
    ConfigDef::string("security.inter.broker.protocol", "PLAINTEXT")
        .check(Check::OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]))
        .read_only()
        .doc("Kept for tools that ask for it: nodes speak their internal services among themselves, not Kafka's protocol."),
];
