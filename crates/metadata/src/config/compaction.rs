//! The settings that say how old records of a topic go.

use super::check::split_list;
use super::{Resolver, StaticConfigs};
use crate::State;

/// How long a record stays uncompacted at least, and at most: of a topic, and of the cluster for topics that set nothing.
const LEAST_LAG: [&str; 2] = ["min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms"];
const MOST_LAG: [&str; 2] = ["max.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms"];

/// Kafka's name for it.
pub const CLEANUP_POLICY: &str = "cleanup.policy";

/// The policy that keeps the newest record of every key.
pub const COMPACT: &str = "compact";

/// Whether a topic with this policy keeps the newest record of every key, however old it is.
pub(crate) fn only_compacts(policy: &str) -> bool {
    let mut policies = split_list(policy).peekable();
    policies.peek().is_some() && policies.all(|one| one == COMPACT)
}

/// Whether a record of a topic with these settings of its own can be compacted in time (KIP-354); otherwise why not.
pub(crate) fn check_lags<'a>(state: &State, own: impl Fn(&str) -> Option<&'a str>) -> Result<(), String> {
    if LEAST_LAG.iter().chain(&MOST_LAG).all(|name| own(name).is_none()) {
        // Another setting is not refused for what the cluster's say.
        return Ok(());
    }
    let statics = StaticConfigs::default();
    let resolver = Resolver::new(state, None, &statics);
    let lag = |[topic, cluster]: [&str; 2]| {
        own(topic).and_then(|value| value.trim().parse().ok()).or_else(|| resolver.broker_long(cluster))
    };
    match (lag(LEAST_LAG), lag(MOST_LAG)) {
        (Some(least), Some(most)) if least > most => Err(format!(
            "{} is {least} and {} is {most}: a record cannot stay uncompacted for longer than it may",
            LEAST_LAG[0], MOST_LAG[0]
        )),
        _ => Ok(()),
    }
}
