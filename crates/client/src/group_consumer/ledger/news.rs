//! What the program is to be told, in the order in which it happened.

use levada_types::TopicPartition;

use super::held::Key;

/// What became of partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Change {
    Assigned,
    Revoked,
    Lost,
}

/// Something to tell.
#[derive(Debug)]
pub(super) struct News {
    pub(super) change: Change,
    pub(super) partitions: Vec<(Key, TopicPartition)>,
}

/// A revocation of the present stream.
#[derive(Debug)]
pub(super) struct Revocation {
    pub(super) number: u64,
    pub(super) keys: Vec<Key>,
}
