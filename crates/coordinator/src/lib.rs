//! Hosts pure shards on the partitions of an internal topic.
//!
//! A shard is a [`levada_shard::Core`] and one partition. [`levada_shard::machine`] says what it does when something happens;
//! [`Shards`] does it: one task for each shard that the metadata give to this process, append sessions at the leaders of the
//! partitions, and the way of a request to its shard.

mod clock;
mod host;
mod leader;
mod loads;
mod place;
mod shard_actor;
mod shards;
mod telemetry;

pub use shards::{Shards, ShardsOptions};
