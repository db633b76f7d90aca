//! Who produced a batch, for idempotence and transactions (KIP-98).

/// A producer's id, handed out by the controller in blocks; -1 (none) marks a batch of a producer that is not idempotent.
pub type ProducerId = i64;

/// Counts the incarnations of a producer id; an older one is fenced. -1 means none.
pub type ProducerEpoch = i16;

/// A record's number within (producer id, epoch, partition): starts at 0 and wraps from `i32::MAX` to 0. -1 means none.
pub type Sequence = i32;
