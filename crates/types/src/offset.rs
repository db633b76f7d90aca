//! Positions in a partition's log, and times as records bear them.

/// A record's position in its partition: 0 for the first record ever, one more for each that follows. Plain `i64`,
/// since offsets are added to and compared everywhere and Kafka's formats carry them so.
pub type Offset = i64;

/// Milliseconds since 1970-01-01T00:00:00Z, as records bear them; -1 means none.
pub type TimestampMs = i64;
