//! The resources that settings belong to, as Kafka numbers them.

use kafka_protocol::protocol::StrBytes;
use levada_broker::api::PartitionError;
use levada_metadata::{AlterConfigsMode, Command, ConfigAlteration, ConfigTarget, Response};
use levada_types::{BrokerId, ErrorCode};

use super::{Handlers, code_of, millis};
use crate::wire::request::Head;
use crate::wire::text::text;

/// A topic, by name.
pub(super) const TOPIC: i8 = 2;

/// A broker, by number; an empty name stands for the default of all.
pub(super) const BROKER: i8 = 4;

/// How long a change of settings may take; these requests bear no limit of their own. Kafka's `request.timeout.ms`.
const TIMEOUT_MS: i32 = 30_000;

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

/// What an answer says of a resource: an error's number, counted, and its text.
pub(super) fn told(head: Head, result: Result<(), PartitionError>) -> (i16, Option<StrBytes>) {
    match result {
        Ok(()) => (ErrorCode::None.code(), None),
        Err(error) => (code_of(head, error.code), error.message.map(text)),
    }
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
        match handlers.broker.submit(command, millis(TIMEOUT_MS)).await {
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
        for (kind, text) in [(BROKER, "seven"), (8, "7"), (16, "client"), (32, "group"), (0, "")] {
            assert_eq!(target(kind, &name(text)).map_err(|error| error.code), Err(ErrorCode::InvalidRequest));
        }
    }
}
