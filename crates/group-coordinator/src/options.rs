//! What an operator may say about a group coordinator.

use levada_metadata::State;
use levada_metadata::config::{BROKER_CONFIGS, Resolver, StaticConfigs};
use levada_service::grpc::GrpcOptions;
use levada_service::options::{OptionsError, OptionsLoader};
use levada_shard::machine::Limits;
use serde::{Deserialize, Serialize};

use crate::group_settings::group_config;

/// The options of the group coordinator role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupCoordinatorOptions {
    /// What operators see this process called. By default the address of its internal services.
    #[serde(rename = "coordinator.name")]
    pub name: Option<String>,
    /// Requests that may wait for one shard; more are refused, and the brokers repeat them.
    #[serde(rename = "coordinator.queued.max.requests")]
    pub queued_requests: usize,
    /// Bytes of records that one shard may have decided on and not committed; beyond, requests are refused.
    #[serde(rename = "coordinator.parked.max.bytes")]
    pub parked_bytes: usize,
    /// Whether to follow the shards that this process would take over from others: it then has their groups and offsets in its
    /// memory too, and serves them at once.
    #[serde(rename = "coordinator.standby.enable")]
    pub is_standby: bool,
    /// Milliseconds between two rounds in which the lag of groups is found out for `/metrics`; 0 for never.
    #[serde(rename = "coordinator.lag.refresh.interval.ms")]
    pub lag_refresh_interval_ms: u64,
    /// Partitions of groups whose lag is told one by one at `/metrics`, the largest first. The sums of groups are always told.
    #[serde(rename = "coordinator.lag.max.partitions")]
    pub lag_max_partitions: usize,
    /// Milliseconds that handing the shards over, and answering what is under way, may take each when the process stops.
    #[serde(rename = "shutdown.drain.timeout.ms")]
    pub drain_timeout_ms: u64,
    /// Settings of groups and offsets that the process was given.
    #[serde(skip)]
    pub statics: StaticConfigs,
    /// The limits of the gRPC server.
    #[serde(skip)]
    pub grpc: GrpcOptions,
}

impl Default for GroupCoordinatorOptions {
    fn default() -> Self {
        Self {
            name: None,
            // Several times the members of the largest groups that are usual, each with one request.
            queued_requests: 16_384,
            parked_bytes: Limits::default().max_parked_bytes,
            is_standby: true,
            // As fresh as what is scraped every 15 s, Prometheus' usual interval, can be of use.
            lag_refresh_interval_ms: 10_000,
            // Three series each, about 3 MB of text: what one target of Prometheus commonly has at most.
            lag_max_partitions: 10_000,
            drain_timeout_ms: 10_000,
            statics: StaticConfigs::default(),
            grpc: GrpcOptions::default(),
        }
    }
}

impl GroupCoordinatorOptions {
    /// Takes the role's options, the limits of its server and the settings of groups that may stand in the same file.
    ///
    /// # Errors
    /// [`OptionsError`] names the option that is wrong.
    pub fn load(loader: &mut OptionsLoader) -> Result<Self, OptionsError> {
        let mut options: Self = loader.take()?;
        options.grpc = loader.take()?;
        let given = loader.take_settings(BROKER_CONFIGS.iter().map(|def| def.name));
        options.statics =
            StaticConfigs::new(given).map_err(|error| OptionsError::invalid(error.name(), error.to_string()))?;
        let state = State::new();
        group_config(&Resolver::new(&state, None, &options.statics))
            .check()
            .map_err(|error| OptionsError::invalid(error.name, error.to_string()))?;
        Ok(options)
    }

    /// The limits of the server.
    pub(crate) fn server(&self) -> GrpcOptions {
        GrpcOptions { drain_timeout_ms: self.drain_timeout_ms, ..self.grpc.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(settings: &[&str]) -> Result<GroupCoordinatorOptions, OptionsError> {
        let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
        GroupCoordinatorOptions::load(&mut OptionsLoader::new().set(&settings)?)
    }

    #[test]
    fn settings_of_groups_that_contradict_each_other_are_refused() {
        let seldom = "group.consumer.heartbeat.interval.ms=60000";
        let error = loaded(&[seldom]).map_err(|error| error.to_string()).err().unwrap_or_default();
        assert!(error.contains("group.consumer.heartbeat.interval.ms"), "{error}");
        assert!(error.contains("at most group.consumer.max.heartbeat.interval.ms, 15000"), "{error}");
        let soon = ["group.consumer.min.heartbeat.interval.ms=100", "group.consumer.heartbeat.interval.ms=100"];
        assert!(loaded(&soon).is_ok());
    }
}
