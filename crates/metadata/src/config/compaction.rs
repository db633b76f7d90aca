//! The setting that says how old records of a topic go.

use super::check::split_list;

/// Kafka's name for it.
pub const CLEANUP_POLICY: &str = "cleanup.policy";

/// The policy that keeps the newest record of every key.
pub const COMPACT: &str = "compact";

/// Whether a topic with this policy keeps the newest record of every key, however old it is.
pub(crate) fn only_compacts(policy: &str) -> bool {
    let mut policies = split_list(policy).peekable();
    policies.peek().is_some() && policies.all(|one| one == COMPACT)
}
