//! Settings of topics and brokers.

use levada_broker::Broker;
use levada_broker::api::{DescribedConfig, DescribedResource, PartitionError};
use levada_metadata::config::{ConfigKind, ConfigSource, Scope};
use levada_metadata::{
    AlterConfigsMode, Command, ConfigAlteration, ConfigChange, ConfigResource as ImageResource, ConfigTarget, Image,
    Response,
};
use levada_proto::v1;
use levada_proto::v1::config_resource::Resource;
use levada_types::{BrokerId, ErrorCode, TopicName};

use super::{AdminService, unexpected};
use crate::refusal::{invalid, of_item};

/// Everything that has settings, or only what somebody has set something of.
pub(super) fn resources(image: &Image, configured_only: bool) -> v1::ListConfigResourcesResponse {
    let listed = |resource| !configured_only || image.overrides(resource).is_some_and(|set| !set.is_empty());
    let all = listed(ImageResource::DefaultBroker).then_some(Resource::AllBrokers(true));
    let brokers = image.brokers().filter(|broker| listed(ImageResource::Broker(broker.id)));
    let topics = image.topics().filter(|topic| listed(ImageResource::Topic(topic.id())));
    let resources = all
        .into_iter()
        .chain(brokers.map(|broker| Resource::BrokerId(broker.id.0)))
        .chain(topics.map(|topic| Resource::Topic(topic.name().to_string())))
        .map(|resource| v1::ConfigResource { resource: Some(resource) });
    v1::ListConfigResourcesResponse { resources: resources.collect() }
}

pub(super) fn describe(
    broker: &Broker,
    request: v1::DescribeConfigsRequest,
) -> Result<v1::DescribeConfigsResponse, PartitionError> {
    let resource = match resource(request.resource)? {
        Resource::Topic(name) => {
            let name = TopicName::new(&name)
                .map_err(|error| PartitionError::new(ErrorCode::InvalidTopicException, error.to_string()))?;
            DescribedResource::Topic(name)
        }
        Resource::BrokerId(id) if id == broker.id().0 => DescribedResource::Broker,
        Resource::BrokerId(id) => {
            return Err(invalid(format!("this is broker {}; ask broker {id} for its settings", broker.id())));
        }
        Resource::AllBrokers(_) => DescribedResource::BrokerDefault,
    };
    let names = (!request.names.is_empty()).then_some(request.names.as_slice());
    let mut configs: Vec<v1::ConfigEntry> = broker.describe_configs(&resource, names)?.into_iter().map(entry).collect();
    configs.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(v1::DescribeConfigsResponse { configs })
}

fn entry(config: DescribedConfig) -> v1::ConfigEntry {
    let synonym = |(name, value, from)| v1::ConfigSynonym { name, value, source: source(from).into() };
    v1::ConfigEntry {
        name: config.name.to_owned(),
        value: config.value,
        source: source(config.source).into(),
        r#type: kind(config.def.kind).into(),
        read_only: config.def.scope == Scope::ReadOnly,
        sensitive: false,
        documentation: config.def.doc.to_owned(),
        synonyms: config.synonyms.into_iter().map(synonym).collect(),
    }
}

fn source(source: ConfigSource) -> v1::ConfigSource {
    match source {
        ConfigSource::DynamicTopic => v1::ConfigSource::Topic,
        ConfigSource::DynamicBroker => v1::ConfigSource::Broker,
        ConfigSource::DynamicDefaultBroker => v1::ConfigSource::AllBrokers,
        ConfigSource::StaticBroker => v1::ConfigSource::Static,
        ConfigSource::Default => v1::ConfigSource::Default,
    }
}

fn kind(kind: ConfigKind) -> v1::ConfigType {
    match kind {
        ConfigKind::Boolean => v1::ConfigType::Boolean,
        ConfigKind::Int => v1::ConfigType::Int,
        ConfigKind::Long => v1::ConfigType::Long,
        ConfigKind::Double => v1::ConfigType::Double,
        ConfigKind::String => v1::ConfigType::String,
        ConfigKind::List => v1::ConfigType::List,
    }
}

pub(super) async fn alter(
    admin: &AdminService,
    request: v1::AlterConfigsRequest,
) -> Result<v1::AlterConfigsResponse, PartitionError> {
    let target = match resource(request.resource)? {
        Resource::Topic(name) => ConfigTarget::Topic(name),
        Resource::BrokerId(id) => ConfigTarget::Broker(BrokerId(id)),
        Resource::AllBrokers(_) => ConfigTarget::DefaultBroker,
    };
    let changes = request.changes.into_iter().map(change).collect::<Result<Vec<_>, _>>()?;
    let command = Command::AlterConfigs {
        resources: vec![ConfigAlteration { target, changes }],
        mode: AlterConfigsMode::Incremental,
        validate_only: request.validate_only,
    };
    let Response::AlterConfigs(altered) = admin.decide(command).await? else { return Err(unexpected()) };
    altered.into_iter().next().ok_or_else(unexpected)?.result.map_err(of_item)?;
    Ok(v1::AlterConfigsResponse {})
}

fn change(change: v1::ConfigChange) -> Result<(String, ConfigChange), PartitionError> {
    let operation = change.operation();
    let (name, value) = (change.name, change.value);
    let refused = |text: &str| PartitionError::new(ErrorCode::InvalidConfig, format!("{name}: {text}"));
    let needed = |value: Option<String>| value.ok_or_else(|| refused("the value is missing"));
    let change = match operation {
        v1::ConfigOperation::Unspecified | v1::ConfigOperation::Set => ConfigChange::Set(needed(value)?),
        v1::ConfigOperation::Delete if value.is_some() => return Err(refused("a value cannot be deleted")),
        v1::ConfigOperation::Delete => ConfigChange::Delete,
        v1::ConfigOperation::Append => ConfigChange::Append(needed(value)?),
        v1::ConfigOperation::Subtract => ConfigChange::Subtract(needed(value)?),
    };
    Ok((name, change))
}

fn resource(resource: Option<v1::ConfigResource>) -> Result<Resource, PartitionError> {
    resource.and_then(|resource| resource.resource).ok_or_else(|| invalid("the request names no resource"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(operation: v1::ConfigOperation, value: Option<&str>) -> Option<ConfigChange> {
        let value = value.map(str::to_owned);
        let message = v1::ConfigChange { name: "retention.ms".to_owned(), operation: operation.into(), value };
        change(message).ok().map(|(_, change)| change)
    }

    #[test]
    fn every_operation_but_delete_needs_a_value() {
        let text = || "1".to_owned();
        assert_eq!(read(v1::ConfigOperation::Unspecified, Some("1")), Some(ConfigChange::Set(text())));
        assert_eq!(read(v1::ConfigOperation::Set, Some("1")), Some(ConfigChange::Set(text())));
        assert_eq!(read(v1::ConfigOperation::Append, Some("1")), Some(ConfigChange::Append(text())));
        assert_eq!(read(v1::ConfigOperation::Subtract, Some("1")), Some(ConfigChange::Subtract(text())));
        assert_eq!(read(v1::ConfigOperation::Delete, None), Some(ConfigChange::Delete));
        assert_eq!(read(v1::ConfigOperation::Delete, Some("1")), None);
        assert_eq!(read(v1::ConfigOperation::Set, None), None);
        assert_eq!(read(v1::ConfigOperation::Append, None), None);
    }
}
