//! All settings with defaults and sources.

use levada_metadata::config::{ConfigSource, EffectiveConfig, Resolver};
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
            DescribedResource::Broker => {
                let own = |config| self.with_own_default(config);
                resolver.broker_configs().filter(wanted).map(own).map(described).collect()
            }
            DescribedResource::BrokerDefault => {
                resolver.default_broker_configs().filter(wanted).map(described).collect()
            }
        })
    }

    /// Puts the default that this process has chosen by itself in the place of the table's.
    fn with_own_default(&self, mut config: EffectiveConfig) -> EffectiveConfig {
        let own = match config.def.name {
            "num.io.threads" => self.options.io_threads.to_string(),
            "queued.max.request.bytes" => self.options.queued_bytes().to_string(),
            _ => return config,
        };
        for synonym in config.synonyms.iter_mut().filter(|synonym| synonym.source == ConfigSource::Default) {
            synonym.value = Some(own.clone());
        }
        if config.source == ConfigSource::Default {
            config.value = Some(own);
        }
        config
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
