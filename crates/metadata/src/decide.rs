//! Decisions: a command against a state gives an answer and what changed. Only the active controller decides.

use levada_types::TimestampMs;
use uuid::Uuid;

use crate::config::StaticConfigs;
use crate::{Command, Delta, Response, State};

/// What a decision may know beside the state.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The time of the decision.
    pub now_ms: TimestampMs,
    /// Ids that nobody has used, at least [`Command::fresh_ids`] of them.
    pub ids: &'a [Uuid],
    /// The controller's own configuration file, where defaults such as `num.partitions` may be set.
    pub configs: &'a StaticConfigs,
}
