//! The coordinators: each the shipped shard machine with the groups that ship, and the little that is around them, as the
//! product's runtime has it: a lease by the clock, one shard, one attempt at the leader of its partition at a time.

mod coordinator;
mod life;
mod shard;
mod turn;

pub(crate) use coordinator::Coordinator;
pub(crate) use shard::Shard;
