//! What differs between worlds.

use levada_metadata::CoordinatorKind;
use rand::Rng;
use rand::rngs::StdRng;

/// What a world is like, drawn from its seed before anything else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// Data directories of each broker, each on a disk of its own.
    pub(crate) directories: usize,
    /// `min.insync.replicas` at first.
    pub(crate) minimum: usize,
    /// Whether an acknowledgement means fsynced.
    pub(crate) fsync: bool,
    /// `unclean.leader.election.enable`.
    pub(crate) unclean: bool,
    /// `retention.bytes` of the topic.
    pub(crate) retention_bytes: Option<u64>,
    /// One message in so many arrives a second time.
    pub(crate) doubled: u32,
    /// How late a message may be that is late.
    pub(crate) late_ms: i64,
    /// How often something goes wrong, in milliseconds.
    pub(crate) fault_ms: i64,
    /// How often an operator does something, in milliseconds.
    pub(crate) operator_ms: i64,
    /// Whether the topic holds a shard, which passes between coordinators that come and go, in place of what producers make: its
    /// leader epoch grows then, whoever leads it.
    pub(crate) of_shards: bool,
}

impl Settings {
    pub(crate) fn draw(random: &mut StdRng) -> Self {
        // From a copy, so that the other worlds are as they were before there were such ones.
        let of_shards = random.clone().random_range(0..1_000) % 3 == 0;
        let is_bad_network = random.random_range(0..3) == 0;
        let drawn = Self {
            directories: random.random_range(1..=2),
            minimum: [1, 2, 2, 2, 3][random.random_range(0..5)],
            fsync: random.random_range(0..3) == 0,
            unclean: random.random_range(0..8) == 0,
            retention_bytes: (random.random_range(0..4) == 0).then_some(4_000),
            doubled: if is_bad_network { 4 } else { 30 },
            late_ms: if is_bad_network { 2_500 } else { 600 },
            fault_ms: random.random_range(150..1_500),
            operator_ms: random.random_range(500..4_000),
            of_shards,
        };
        // What a shard is made of is compacted, and never deleted for its age or size.
        Self { retention_bytes: drawn.retention_bytes.filter(|_| !of_shards), ..drawn }
    }

    /// The name of the topic of the run.
    pub(crate) fn topic(&self) -> &'static str {
        if self.of_shards { CoordinatorKind::Group.topic_name() } else { "orders" }
    }
}
