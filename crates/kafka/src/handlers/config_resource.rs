//! The resources that settings belong to, as Kafka numbers them.

use kafka_protocol::protocol::StrBytes;
use levada_broker::api::PartitionError;
use levada_metadata::{AlterConfigsMode, Command, ConfigAlteration, ConfigTarget, Response};
use levada_types::{BrokerId, ErrorCode};

use super::{Handlers, REQUEST_TIMEOUT};

/// A topic, by name.
pub(super) const TOPIC: i8 = 2;

/// A broker, by number; an empty name stands for the default of all.
pub(super) const BROKER: i8 = 4;

/// Log levels of a broker, subscriptions to clients' metrics, and groups: Kafka has them, and here nothing can be set of them.
pub(super) const BROKER_LOGGER: i8 = 8;
pub(super) const CLIENT_METRICS: i8 = 16;
pub(super) const GROUP: i8 = 32;

/// Reads a resource.
///
/// # Errors
/// `InvalidRequest` for resources that this broker has not, or a broker's name that is no number.
pub(super) fn target(resource_type: i8, name: &StrBytes) -> Result<ConfigTarget, PartitionError> {
    match resource_type {
        TOPIC => Ok(ConfigTarget::Topic(name.to_string())),
        BROKER if name.is_empty() => Ok(ConfigTarget::DefaultBroker),
        BROKER => match name.parse() {
            Ok(id) => Ok(ConfigTarget::Broker(BrokerId(id))),
            Err(_) => Err(PartitionError::new(ErrorCode::InvalidRequest, format!("'{}' is no broker id", &**name))),
        },
        _ => {
            let message =
                format!("resource type {resource_type} has no settings here; topics (2) and brokers (4) have");
            Err(PartitionError::new(ErrorCode::InvalidRequest, message))
        }
    }
}

/// The value that a change must have.
///
/// # Errors
/// `InvalidConfig` if it has none.
pub(super) fn value(name: &StrBytes, value: Option<&StrBytes>) -> Result<String, PartitionError> {
    let missing = || PartitionError::new(ErrorCode::InvalidConfig, format!("the setting {} has no value", &**name));
    value.map(ToString::to_string).ok_or_else(missing)
}

/// Has the alterations that could be read decided; the results stand in the order of `alterations`.
pub(super) async fn alter(
    handlers: &Handlers,
    alterations: Vec<Result<ConfigAlteration, PartitionError>>,
    mode: AlterConfigsMode,
    validate_only: bool,
) -> Vec<Result<(), PartitionError>> {
    let resources: Vec<ConfigAlteration> =
        alterations.iter().filter_map(|alteration| alteration.as_ref().ok().cloned()).collect();
    let decided = if resources.is_empty() {
        Ok(Vec::new())
    } else {
        let command = Command::AlterConfigs { resources, mode, validate_only };
        match handlers.broker.submit(command, REQUEST_TIMEOUT).await {
            Ok(Response::AlterConfigs(results)) => Ok(results),
            Ok(_) => Err(ErrorCode::UnknownServerError.into()),
            Err(error) => Err(error),
        }
    };
    let mut decided = decided.map(Vec::into_iter);
    let results = alterations.into_iter().map(|alteration| {
        alteration?;
        let results = decided.as_mut().map_err(|error| error.clone())?;
        let altered = results.next().ok_or(ErrorCode::UnknownServerError)?;
        altered.result.map_err(|error| PartitionError::new(error.code, error.message))
    });
    results.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_topics_and_brokers() {
        let name = StrBytes::from_static_str;
        assert_eq!(target(TOPIC, &name("t")), Ok(ConfigTarget::Topic("t".to_owned())));
        assert_eq!(target(BROKER, &name("")), Ok(ConfigTarget::DefaultBroker));
        assert_eq!(target(BROKER, &name("7")), Ok(ConfigTarget::Broker(BrokerId(7))));
        for (kind, text) in
            [(BROKER, "seven"), (BROKER_LOGGER, "7"), (CLIENT_METRICS, "client"), (GROUP, "group"), (0, "")]
        {
            assert_eq!(target(kind, &name(text)).map_err(|error| error.code), Err(ErrorCode::InvalidRequest));
        }
    }
}
