//! Brings leaderships back to the preferred replicas from time to time, while this controller is active.

use std::time::Duration;

use levada_metadata::config::{Resolver, StaticConfigs};
use levada_metadata::{Command, Response, State};
use tokio_util::sync::CancellationToken;

use crate::active::Active;

/// The part of the partitions of a broker that others may lead before anything is moved, in percent; Kafka's default of
/// `leader.imbalance.per.broker.percentage`.
const ALLOWED_PERCENTAGE: u8 = 10;

/// How often it is looked at if the setting cannot be read: Kafka's default, in seconds.
const DEFAULT_INTERVAL_S: i64 = 300;

/// The pause before the next part of a balancing that was too much for one entry.
const NEXT_PART: Duration = Duration::from_secs(1);

/// How often to look, by these settings of the process; `None` if leaderships are to stay where they are.
pub(crate) fn interval(statics: &StaticConfigs) -> Option<Duration> {
    let state = State::new();
    let resolver = Resolver::new(&state, None, statics);
    let enabled = resolver.broker_bool("auto.leader.rebalance.enable").unwrap_or(true);
    let seconds = resolver.broker_long("leader.imbalance.check.interval.seconds").unwrap_or(DEFAULT_INTERVAL_S);
    enabled.then(|| Duration::from_secs(seconds.unsigned_abs().max(1)))
}

/// Balances every `interval`, until `stop`.
pub(crate) async fn balance(active: Active, interval: Duration, stop: CancellationToken) {
    let mut pause = interval;
    while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        pause = interval;
        if !active.is_active() {
            continue;
        }
        match active.submit(Command::BalanceLeaders { allowed_percentage: ALLOWED_PERCENTAGE }).await {
            Ok((Response::BalanceLeaders(balanced), _)) => {
                if balanced.moved > 0 {
                    tracing::info!(
                        moved = balanced.moved,
                        left = balanced.left,
                        "leaderships went to preferred replicas"
                    );
                }
                if balanced.moved > 0 && balanced.left > 0 {
                    pause = NEXT_PART;
                }
            }
            Ok((answer, _)) => tracing::warn!(?answer, "leaderships are not balanced"),
            Err(error) => tracing::debug!(%error, "leaderships are not balanced this time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn of(settings: &[(&str, &str)]) -> Option<Duration> {
        let settings: BTreeMap<String, String> =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        interval(&StaticConfigs::new(settings).unwrap())
    }

    #[test]
    fn the_settings_of_the_process_say_how_often() {
        assert_eq!(of(&[]), Some(Duration::from_secs(300)));
        assert_eq!(of(&[("leader.imbalance.check.interval.seconds", "7")]), Some(Duration::from_secs(7)));
        assert_eq!(of(&[("auto.leader.rebalance.enable", "false")]), None);
    }
}
