//! Hosts pure shards on the partitions of an internal topic.
//!
//! A shard is a [`levada_shard::Core`] and one partition: [`machine`] says what it does when something happens (loads, decides,
//! parks answers until they are committed, loads again), without I/O and without a clock; the rest does it.

pub mod machine;
