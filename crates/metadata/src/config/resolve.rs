//! Finding the value that counts, and where it comes from.

use levada_types::{BrokerId, TopicId};

use super::check::parse_bool;
use super::{BROKER_CONFIGS, ConfigDef, Scope, StaticConfigs, TOPIC_CONFIGS, Unit, broker_config, topic_config};
use crate::{ConfigResource, State};

/// Where a value comes from, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConfigSource {
    /// Set on the topic.
    DynamicTopic,
    /// Set on this broker while it runs.
    DynamicBroker,
    /// Set on all brokers while they run.
    DynamicDefaultBroker,
    /// In the configuration that the process was started with.
    StaticBroker,
    /// Nothing is set.
    Default,
}

impl ConfigSource {
    /// The number that DescribeConfigs (KIP-226) has for it.
    #[must_use]
    pub const fn kafka_code(self) -> i8 {
        match self {
            Self::DynamicTopic => 1,
            Self::DynamicBroker => 2,
            Self::DynamicDefaultBroker => 3,
            Self::StaticBroker => 4,
            Self::Default => 5,
        }
    }
}

/// One of the values that a setting could have: its own or that of a setting which stands for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// Under which name it is set.
    pub name: &'static str,
    /// The value as set there; `None` is "no value".
    pub value: Option<String>,
    /// Where it is set.
    pub source: ConfigSource,
}

/// A setting with the value that counts.
#[derive(Debug, Clone)]
pub struct EffectiveConfig {
    /// Which setting.
    pub def: &'static ConfigDef,
    /// The value that counts, in the setting's own unit; `None` is "no value".
    pub value: Option<String>,
    /// Where it comes from.
    pub source: ConfigSource,
    /// Every value that is set for it, the one that counts first, its default last.
    pub synonyms: Vec<ConfigSynonym>,
}

/// Finds effective values: of an image, at one broker, in a process with this configuration.
#[derive(Debug, Clone, Copy)]
pub struct Resolver<'a> {
    state: &'a State,
    broker: Option<BrokerId>,
    statics: &'a StaticConfigs,
}

impl<'a> Resolver<'a> {
    /// For `broker`; `None` resolves as the controller does, for no broker in particular.
    #[must_use]
    pub fn new(state: &'a State, broker: Option<BrokerId>, statics: &'a StaticConfigs) -> Self {
        Self { state, broker, statics }
    }

    /// The setting `def` of `topic`, with everything there is to say about it.
    #[must_use]
    pub fn topic_config(&self, topic: TopicId, def: &'static ConfigDef) -> EffectiveConfig {
        let own = self.own(ConfigResource::Topic(topic), def.name);
        let own = own.map(|value| (def.name, value, Unit::Same, ConfigSource::DynamicTopic));
        self.effective(def, own.into_iter().chain(def.synonyms.iter().flat_map(|s| self.candidates(s.name, s.unit))))
    }

    /// The setting `def` of the broker, with everything there is to say about it.
    #[must_use]
    pub fn broker_config(&self, def: &'static ConfigDef) -> EffectiveConfig {
        let own = self.candidates(def.name, Unit::Same);
        self.effective(def, own.chain(def.synonyms.iter().flat_map(|s| self.candidates(s.name, s.unit))))
    }

    /// Every setting of `topic`, ordered by name.
    pub fn topic_configs(&self, topic: TopicId) -> impl Iterator<Item = EffectiveConfig> {
        TOPIC_CONFIGS.iter().map(move |def| self.topic_config(topic, def))
    }

    /// Every setting of the broker, ordered by name.
    pub fn broker_configs(&self) -> impl Iterator<Item = EffectiveConfig> {
        BROKER_CONFIGS.iter().map(|def| self.broker_config(def))
    }

    /// What is set for all brokers while they run, ordered by name: Kafka's broker resource with the empty name.
    pub fn default_broker_configs(&self) -> impl Iterator<Item = EffectiveConfig> {
        let set = self.state.overrides(ConfigResource::DefaultBroker);
        set.into_iter().flat_map(|overrides| overrides.iter()).filter_map(|(name, value)| {
            let def = broker_config(name)?;
            let source = ConfigSource::DynamicDefaultBroker;
            let synonyms = vec![ConfigSynonym { name: def.name, value: Some(value.clone()), source }];
            Some(EffectiveConfig { def, value: Some(value.clone()), source, synonyms })
        })
    }

    /// The text of a topic's setting; that of its default if the table does not know it.
    pub(super) fn topic_text(&self, topic: TopicId, name: &str) -> String {
        topic_config(name)
            .map(|def| {
                let own = self.own(ConfigResource::Topic(topic), name);
                let own = own.map(|value| (def.name, value, Unit::Same, ConfigSource::DynamicTopic));
                let synonyms = def.synonyms.iter().flat_map(|s| self.candidates(s.name, s.unit));
                first_value(def, own.into_iter().chain(synonyms)).unwrap_or_else(|| def.default_text().to_owned())
            })
            .unwrap_or_default()
    }

    /// The text of a broker's setting, if it has a value.
    #[must_use]
    pub fn broker_text(&self, name: &str) -> Option<String> {
        let def = broker_config(name)?;
        let own = self.candidates(def.name, Unit::Same);
        let synonyms = def.synonyms.iter().flat_map(|s| self.candidates(s.name, s.unit));
        first_value(def, own.chain(synonyms)).or_else(|| def.default.map(str::to_owned))
    }

    /// A broker's setting that is a whole number; `None` if it has no value or is no number.
    #[must_use]
    pub fn broker_long(&self, name: &str) -> Option<i64> {
        self.broker_text(name)?.trim().parse().ok()
    }

    /// A broker's setting that is true or false; `None` if it has no value or is neither.
    #[must_use]
    pub fn broker_bool(&self, name: &str) -> Option<bool> {
        parse_bool(&self.broker_text(name)?)
    }

    /// Whether a replica of `topic` that may lack acknowledged records may lead when nobody else can, as the metadata has it
    /// (`unclean.leader.election.enable`).
    #[must_use]
    pub fn unclean_election(&self, topic: TopicId) -> bool {
        parse_bool(&self.topic_text(topic, "unclean.leader.election.enable")).unwrap_or(false)
    }

    fn effective<'c>(
        &self,
        def: &'static ConfigDef,
        candidates: impl Iterator<Item = (&'static str, &'c str, Unit, ConfigSource)>,
    ) -> EffectiveConfig {
        let candidates: Vec<_> = candidates.collect();
        let mut synonyms: Vec<ConfigSynonym> = candidates
            .iter()
            .map(|(name, value, _, source)| ConfigSynonym { name, value: Some((*value).to_owned()), source: *source })
            .collect();
        let default_name = def.synonyms.first().filter(|s| s.unit == Unit::Same).map_or(def.name, |s| s.name);
        if let Some(default) = def.default {
            let value = Some(default.to_owned());
            synonyms.push(ConfigSynonym { name: default_name, value, source: ConfigSource::Default });
        }
        let source = candidates.first().map_or(ConfigSource::Default, |(.., source)| *source);
        let value = first_value(def, candidates.into_iter()).or_else(|| def.default.map(str::to_owned));
        EffectiveConfig { def, value, source, synonyms }
    }

    /// The values that are set for the broker setting `name`, the strongest first.
    fn candidates(
        &self,
        name: &'static str,
        unit: Unit,
    ) -> impl Iterator<Item = (&'static str, &'a str, Unit, ConfigSource)> + use<'a> {
        let dynamic = broker_config(name).is_some_and(|def| def.scope != Scope::ReadOnly);
        let of = |resource| if dynamic { self.own(resource, name) } else { None };
        let broker = self.broker.and_then(|id| of(ConfigResource::Broker(id)));
        let values = [
            (broker, ConfigSource::DynamicBroker),
            (of(ConfigResource::DefaultBroker), ConfigSource::DynamicDefaultBroker),
            (self.statics.get(name), ConfigSource::StaticBroker),
        ];
        values.into_iter().filter_map(move |(value, source)| Some((name, value?, unit, source)))
    }

    fn own(&self, resource: ConfigResource, name: &str) -> Option<&'a str> {
        self.state.overrides(resource).and_then(|overrides| overrides.get(name)).map(String::as_str)
    }
}

/// The first candidate's value, in the unit of `def`.
fn first_value<'c>(
    def: &ConfigDef,
    mut candidates: impl Iterator<Item = (&'static str, &'c str, Unit, ConfigSource)>,
) -> Option<String> {
    candidates.next().map(|(name, value, ..)| {
        let synonym = def.synonyms.iter().find(|s| s.name == name && name != def.name);
        synonym.map_or_else(|| value.to_owned(), |s| s.convert(value))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use levada_types::TopicName;
    use uuid::Uuid;

    use super::*;
    use crate::Delta;

    const TOPIC: TopicId = TopicId(Uuid::from_u128(7));

    fn set(state: &mut State, resource: ConfigResource, name: &str, value: &str) {
        let delta = Delta::ConfigSet { resource, name: name.to_owned(), value: Some(value.to_owned()) };
        state.apply(&delta).unwrap();
    }

    fn retention(state: &State, statics: &StaticConfigs) -> (Option<String>, ConfigSource) {
        let def = topic_config("retention.ms").unwrap();
        let found = Resolver::new(state, Some(BrokerId(1)), statics).topic_config(TOPIC, def);
        (found.value, found.source)
    }

    #[test]
    fn the_strongest_source_wins() {
        let mut state = State::new();
        state.apply(&Delta::TopicCreated { id: TOPIC, name: TopicName::new("t").unwrap() }).unwrap();
        let mut statics = StaticConfigs::default();
        assert_eq!(retention(&state, &statics), (Some("604800000".into()), ConfigSource::Default));
        statics = StaticConfigs::new([("log.retention.hours".into(), "2".into())]).unwrap();
        assert_eq!(retention(&state, &statics), (Some("7200000".into()), ConfigSource::StaticBroker));
        set(&mut state, ConfigResource::DefaultBroker, "log.retention.ms", "30");
        assert_eq!(retention(&state, &statics), (Some("30".into()), ConfigSource::DynamicDefaultBroker));
        set(&mut state, ConfigResource::Broker(BrokerId(2)), "log.retention.ms", "19");
        assert_eq!(retention(&state, &statics), (Some("30".into()), ConfigSource::DynamicDefaultBroker));
        set(&mut state, ConfigResource::Broker(BrokerId(1)), "log.retention.ms", "20");
        assert_eq!(retention(&state, &statics), (Some("20".into()), ConfigSource::DynamicBroker));
        set(&mut state, ConfigResource::Topic(TOPIC), "retention.ms", "10");
        assert_eq!(retention(&state, &statics), (Some("10".into()), ConfigSource::DynamicTopic));

        let def = topic_config("retention.ms").unwrap();
        let found = Resolver::new(&state, Some(BrokerId(1)), &statics).topic_config(TOPIC, def);
        let synonyms: Vec<_> = found.synonyms.iter().map(|s| (s.name, s.value.as_deref(), s.source)).collect();
        assert_eq!(
            synonyms,
            [
                ("retention.ms", Some("10"), ConfigSource::DynamicTopic),
                ("log.retention.ms", Some("20"), ConfigSource::DynamicBroker),
                ("log.retention.ms", Some("30"), ConfigSource::DynamicDefaultBroker),
                ("log.retention.hours", Some("2"), ConfigSource::StaticBroker),
                ("log.retention.ms", Some("604800000"), ConfigSource::Default),
            ]
        );
    }

    #[test]
    fn a_topic_setting_of_the_same_name_as_its_synonym_keeps_its_unit() {
        let mut state = State::new();
        set(&mut state, ConfigResource::DefaultBroker, "min.insync.replicas", "3");
        let statics = StaticConfigs::default();
        let resolver = Resolver::new(&state, None, &statics);
        assert_eq!(resolver.topic_text(TOPIC, "min.insync.replicas"), "3");
        assert_eq!(resolver.broker_long("min.insync.replicas"), Some(3));
    }

    #[test]
    fn every_default_is_valid_and_every_synonym_exists() {
        let all = TOPIC_CONFIGS.iter().chain(BROKER_CONFIGS.iter().copied());
        for def in all {
            if let Some(default) = def.default {
                assert_eq!(def.validate(default), Ok(()));
            }
            assert!(def.doc.ends_with('.'), "{} has no sentence", def.name);
            for synonym in def.synonyms {
                assert!(broker_config(synonym.name).is_some(), "{} is no broker setting", synonym.name);
            }
        }
    }

    #[test]
    fn tables_are_ordered_by_name() {
        assert!(TOPIC_CONFIGS.is_sorted_by(|a, b| a.name < b.name));
        assert!(BROKER_CONFIGS.is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn a_static_setting_that_nobody_knows_is_refused() {
        let error = StaticConfigs::new([("log.retention.weeks".into(), "2".into())]).unwrap_err();
        assert!(error.to_string().contains("log.retention.weeks"));
        assert!(StaticConfigs::new([("num.partitions".into(), "0".into())]).is_err());
    }

    #[test]
    fn removed_resources_have_no_settings() {
        let mut state = State::new();
        set(&mut state, ConfigResource::DefaultBroker, "log.retention.ms", "30");
        let delta =
            Delta::ConfigSet { resource: ConfigResource::DefaultBroker, name: "log.retention.ms".into(), value: None };
        state.apply(&delta).unwrap();
        assert_eq!(state.overrides(ConfigResource::DefaultBroker).map(Arc::as_ref), None);
    }
}
