//! All settings with defaults and sources.

use levada_metadata::config::{EffectiveConfig, Resolver};
use levada_types::{ErrorCode, TopicId};

use crate::Broker;
use crate::api::{DescribedConfig, DescribedResource, PartitionError};

impl Broker {
    /// See [`Broker::describe_configs`].
    pub(crate) fn list_configs(
        &self,
        resource: &DescribedResource,
        names: Option<&[String]>,
    ) -> Result<Vec<DescribedConfig>, PartitionError> {
        let image = self.image();
        let resolver = Resolver::new(image.state(), Some(self.id()), &self.options.statics);
        let wanted = |config: &EffectiveConfig| names.is_none_or(|names| names.iter().any(|n| n == config.def.name));
        Ok(match resource {
            DescribedResource::Topic(name) => {
                let topic = image.topic_id(name.as_str()).ok_or(ErrorCode::UnknownTopicOrPartition)?;
                resolver.topic_configs(topic).filter(wanted).map(described).collect()
            }
            DescribedResource::Broker => resolver.broker_configs().filter(wanted).map(described).collect(),
            DescribedResource::BrokerDefault => {
                resolver.default_broker_configs().filter(wanted).map(described).collect()
            }
        })
    }

    /// Whether a topic's records go by compaction alone, so that nobody may delete its head.
    pub(super) fn is_compacted_only(&self, topic: TopicId) -> bool {
        let settings = self.image().topic_settings(topic, self.id(), &self.options.statics);
        settings.cleanup_compact && !settings.cleanup_delete
    }
}

fn described(config: EffectiveConfig) -> DescribedConfig {
    DescribedConfig {
        name: config.def.name,
        value: config.value,
        def: config.def,
        source: config.source,
        synonyms: config.synonyms.into_iter().map(|s| (s.name.to_owned(), s.value, s.source)).collect(),
    }
}
