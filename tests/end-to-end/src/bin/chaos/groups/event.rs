//! What becomes known of a group: what its members tell, a line each, and what is done to them.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

/// Something that happened to a member, and when, in microseconds of the machine's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Happened {
    pub(super) at: u64,
    pub(super) event: Event,
}

/// What can happen to a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Event {
    /// These partitions are its own too, in this generation (the member epoch, in the next-generation protocol).
    Assigned { generation: i32, partitions: Vec<i32> },
    /// These are not any more.
    Revoked { partitions: Vec<i32> },
    /// It has processed a record, whose number and whose print of key and value these are.
    Record { partition: i32, offset: i64, number: u64, print: u64 },
    /// It begins to commit.
    Commits(BTreeMap<i32, i64>),
    /// The commit that it began last has ended.
    Committed(Answer),
    /// The generations under which the commits since the last such event were sent, one for each try.
    SentUnder(Vec<i32>),
    /// It has met something that passes.
    Met(String),
    /// What the client says of itself.
    Says(Vec<String>),
    /// It has closed its consumer, as it was asked to.
    Left,
    /// Its client has brought about a fatal error by itself, and ends. librdkafka 2.12 does that to a static member whose session
    /// is over by its own clock, since it goes on with heartbeats that bear no id: FENCED_INSTANCE_ID. It does it to a member of
    /// the next-generation protocol that was not polled in the middle of a rebalance, since it joins again without saying to
    /// what it subscribes: INVALID_REQUEST, as with Kafka.
    GaveUp,
    /// Something is wrong with it.
    Failed(String),
    /// Its process was killed, or has ended.
    Gone,
}

/// How a commit ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The group has the offsets.
    Accepted,
    /// The coordinator does not take them from this member.
    Refused(String),
    /// Nobody knows.
    Unknown(String),
}

/// Now, in microseconds of the machine's clock, which all processes of a run share.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// What stands for key and value of a record where the bytes themselves would be too many.
pub(crate) fn print(key: &str, value: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (key, value).hash(&mut hasher);
    hasher.finish()
}
