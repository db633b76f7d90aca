//! The group coordinator role: consumer groups and committed offsets.
//!
//! It keeps nothing of its own: groups live on the partitions of `__consumer_offsets`, which brokers keep, and the controller
//! says whose shard each of them is. `levada-groups` decides, `levada-coordinator` loads and writes; here both are put
//! together: the session with the controller, the metadata, the gRPC service that brokers call, and stopping in order.

mod conversation;
mod group_settings;
mod lag;
mod options;
mod running;
mod service;

pub use options::GroupCoordinatorOptions;
pub use running::{GroupCoordinatorDeps, RunError, RunningGroupCoordinator, StartError, start};
