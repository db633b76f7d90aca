//! How a replica is brought to stand still, so that its log can be opened anew.

use std::sync::Arc;

use crate::partition::Partition;
use crate::threads::{Gather, Job};

/// Ends the actor of a replica, unless it waits for the controller: what it has proposed and does not know the outcome of
/// must not be forgotten. Says whether it has ended. Blocks.
pub(super) fn stand_still(partition: &Arc<Partition>) -> bool {
    let (gather, mut slots) = Gather::new(vec![None], || false);
    if let Some(slot) = slots.pop() {
        partition.post(Job::HandOver(slot));
    }
    gather.wait();
    gather.give_up(|| false).into_iter().all(|ended| ended)
}
