//! The bounds of cluster metadata, each with a name, so that nobody's request makes it grow without one.

/// Topics that one command may create, delete or extend. Larger requests are INVALID_REQUEST and can be split.
pub const MAX_TOPICS_PER_REQUEST: usize = 10_000;

/// Partitions of one topic. Kafka refuses to create more than 10,000 partitions at once; here it bounds the topic, so
/// that one topic's description stays a reasonable answer.
pub const MAX_PARTITIONS_PER_TOPIC: i32 = 10_000;

/// Partitions that one command may create over all its topics, so that its entry in the metadata log stays bounded.
pub const MAX_PARTITIONS_PER_REQUEST: usize = 10_000;

/// Replicas of one partition. Kafka's protocol carries an i16; no sensible cluster comes near this bound.
pub const MAX_REPLICATION_FACTOR: i16 = 128;

/// Settings that one resource may bear or one alteration may name.
pub const MAX_CONFIGS_PER_RESOURCE: usize = 500;

/// Bytes of one setting's value. The longest real ones are lists of throttled replicas.
pub const MAX_CONFIG_VALUE_BYTES: usize = 64 * 1024;

/// Resources that one alteration of settings may name.
pub const MAX_RESOURCES_PER_REQUEST: usize = 10_000;

/// Coordinators that may be live, of all kinds together. Each needs a session, and more of a kind than there are shards have
/// nothing to do.
pub const MAX_COORDINATORS: usize = 1_000;

/// Bytes of a host name, listener name, rack or boot id in a registration. DNS names end at 253.
pub const MAX_REGISTRATION_STRING_BYTES: usize = 255;

/// Endpoints in one broker's registration.
pub const MAX_ENDPOINTS: usize = 32;

/// Data directories in one broker's registration.
pub const MAX_DIRECTORIES: usize = 256;

/// Brokers that may be registered.
pub const MAX_BROKERS: usize = 10_000;

/// Commands that wait at the proposer before they are decided; the next one is refused as busy.
pub const MAX_WAITING_COMMANDS: usize = 10_000;

/// Entries that are proposed and not yet committed; further commands wait.
pub const MAX_OPEN_WRITES: usize = 1_024;

/// Leaderships that one round of balancing moves, so that its entry and the clients' refreshes stay bounded. Kafka's number.
pub const MAX_ELECTIONS_PER_BALANCE: usize = 1_000;

/// Partitions that one step of a broker's controlled shutdown takes out of its hands, so that the others of its clients do
/// not wait for the entry that moves them all.
pub const MAX_PARTITIONS_PER_STOP: usize = 1_000;

/// Controllers that may be registered, and that may vote. Raft clusters have 3 to 7 voters; observers may come on top.
pub const MAX_CONTROLLERS: usize = 64;
