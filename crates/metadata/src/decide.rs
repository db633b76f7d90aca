//! Decisions: a command against a state gives an answer and what changed. Only the active controller decides.

mod alter_configs;
mod alter_partition;
mod assign_directories;
mod brokers;
mod coordinators;
mod create_partitions;
mod create_shards;
mod create_topics;
mod delete_topics;
mod draft;
mod elect_from_logs;
mod elect_leaders;
mod elections;
mod features;
mod membership;
mod producer_ids;
mod reassign;
mod report_directories;
#[cfg(test)]
mod tests;
mod transition;

use levada_types::{ErrorCode, TimestampMs};
use uuid::Uuid;

use crate::config::{Resolver, StaticConfigs};
use crate::{Command, Delta, ItemError, Response, Rules, State};

use draft::Draft;

/// What a decision may know beside the state.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The time of the decision.
    pub now_ms: TimestampMs,
    /// Ids that nobody has used, at least [`Command::fresh_ids`] of them; the same ones when the same request comes again.
    pub ids: &'a [Uuid],
    /// The controller's own configuration, where defaults such as `num.partitions` may be set.
    pub configs: &'a StaticConfigs,
    /// The rules: `Rules::default()`, but in a simulation.
    pub rules: Rules,
}

impl Context<'_> {
    /// The value of a broker setting that is a whole number, as seen by no broker in particular.
    fn setting(&self, state: &State, name: &str) -> Option<i64> {
        Resolver::new(state, None, self.configs).broker_long(name)
    }
}

/// Decides `command` against `state`: the answer, and the deltas that make it true. No deltas means that nothing
/// changes, be it that everything was refused, that it was so already, or that the command only asked.
#[must_use]
pub fn decide(state: &State, command: &Command, context: &Context<'_>) -> (Response, Vec<Delta>) {
    let mut draft = Draft::new(state).by(context.rules);
    let response = match command {
        Command::RegisterBroker(new) => Response::RegisterBroker(brokers::register(&mut draft, new)),
        Command::UnfenceBroker { id, epoch } => Response::UnfenceBroker(brokers::unfence(&mut draft, *id, *epoch)),
        Command::FenceBroker { id, epoch } => Response::FenceBroker(brokers::fence(&mut draft, *id, *epoch)),
        Command::StopBroker { id, epoch } => Response::StopBroker(brokers::stop(&mut draft, *id, *epoch)),
        Command::DrainBroker { id, drain } => Response::DrainBroker(membership::drain(&mut draft, *id, *drain)),
        Command::SetRebalance { rebalance } => {
            Response::SetRebalance(membership::set_rebalance(&mut draft, *rebalance))
        }
        Command::UnregisterBroker { id } => Response::UnregisterBroker(membership::unregister(&mut draft, *id)),
        Command::UnregisterController { id } => {
            Response::UnregisterController(membership::unregister_controller(&mut draft, *id))
        }
        Command::SetVoters { voters } => Response::SetVoters(membership::set_voters(&mut draft, voters)),
        Command::RegisterCoordinator(new) => Response::RegisterCoordinator(coordinators::register(&mut draft, new)),
        Command::RemoveCoordinator { epoch } => Response::RemoveCoordinator(coordinators::remove(&mut draft, *epoch)),
        Command::CreateShards(new) => Response::CreateShards(create_shards::decide(&mut draft, new, context)),
        Command::AlterPartition { broker, epoch, partitions } => {
            Response::AlterPartition(alter_partition::decide(&mut draft, *broker, *epoch, partitions))
        }
        Command::ElectLeaders { election, partitions } => {
            Response::ElectLeaders(elect_leaders::decide(&mut draft, *election, partitions.as_deref()))
        }
        Command::BalanceLeaders { allowed_percentage } => {
            Response::BalanceLeaders(elect_leaders::balance(&mut draft, *allowed_percentage))
        }
        Command::ElectFromLogs { elections } => Response::ElectFromLogs(elect_from_logs::decide(&mut draft, elections)),
        Command::AlterPartitionReassignments { reassignments, allow_factor_change } => {
            Response::AlterPartitionReassignments(reassign::decide(&mut draft, reassignments, *allow_factor_change))
        }
        Command::UpdateFeatures { updates, validate_only } => {
            Response::UpdateFeatures(features::update(&mut draft, updates, *validate_only))
        }
        Command::ReportDirectories { id, epoch, online, has_offline_directory } => Response::ReportDirectories(
            report_directories::decide(&mut draft, *id, *epoch, online, *has_offline_directory),
        ),
        Command::RegisterController(registration) => {
            Response::RegisterController(membership::register_controller(&mut draft, registration))
        }
        Command::CreateTopics { topics, validate_only } => {
            Response::CreateTopics(create_topics::decide(&mut draft, topics, *validate_only, context))
        }
        Command::DeleteTopics { topics } => Response::DeleteTopics(delete_topics::decide(&mut draft, topics, context)),
        Command::CreatePartitions { topics, validate_only } => {
            Response::CreatePartitions(create_partitions::decide(&mut draft, topics, *validate_only))
        }
        Command::AlterConfigs { resources, mode, validate_only } => {
            Response::AlterConfigs(alter_configs::decide(&mut draft, resources, *mode, *validate_only))
        }
        Command::AllocateProducerIds { broker, epoch } => {
            Response::AllocateProducerIds(producer_ids::allocate(&mut draft, *broker, *epoch))
        }
        Command::AssignReplicasToDirs { broker, epoch, assignments } => {
            Response::AssignReplicasToDirs(assign_directories::decide(&mut draft, *broker, *epoch, assignments))
        }
    };
    (response, draft.into_deltas())
}

/// The result for each item of a request that names too many.
fn too_many(what: &str, count: usize, limit: usize) -> ItemError {
    ItemError::new(
        ErrorCode::InvalidRequest,
        format!("the request names {count} {what}; at most {limit} are allowed, so split it"),
    )
}
