//! Settings of topics and brokers.

use levada_proto::v1;
use levada_types::BrokerId;

/// Whose settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigResource {
    /// A topic's, by its name.
    Topic(String),
    /// One broker's.
    Broker(BrokerId),
    /// The cluster-wide defaults of all brokers.
    AllBrokers,
}

impl ConfigResource {
    pub(super) fn to_message(&self) -> v1::ConfigResource {
        use v1::config_resource::Resource;
        let resource = match self {
            Self::Topic(name) => Resource::Topic(name.clone()),
            Self::Broker(id) => Resource::BrokerId(id.0),
            Self::AllBrokers => Resource::AllBrokers(true),
        };
        v1::ConfigResource { resource: Some(resource) }
    }

    /// `None` for a kind that this client does not know.
    pub(super) fn read(resource: v1::ConfigResource) -> Option<Self> {
        use v1::config_resource::Resource;
        resource.resource.map(|resource| match resource {
            Resource::Topic(name) => Self::Topic(name),
            Resource::BrokerId(id) => Self::Broker(BrokerId(id)),
            Resource::AllBrokers(_) => Self::AllBrokers,
        })
    }
}

/// Where a value comes from, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigSource {
    /// Set for this topic.
    Topic,
    /// Set for this broker in the cluster's metadata.
    Broker,
    /// Set for all brokers in the cluster's metadata.
    AllBrokers,
    /// From the broker's file, environment or command line.
    Static,
    /// Not set anywhere.
    Default,
    /// One that this client does not know.
    Unknown,
}

impl ConfigSource {
    fn read(source: v1::ConfigSource) -> Self {
        match source {
            v1::ConfigSource::Unspecified => Self::Unknown,
            v1::ConfigSource::Topic => Self::Topic,
            v1::ConfigSource::Broker => Self::Broker,
            v1::ConfigSource::AllBrokers => Self::AllBrokers,
            v1::ConfigSource::Static => Self::Static,
            v1::ConfigSource::Default => Self::Default,
        }
    }
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigKind {
    /// `true` or `false`.
    Boolean,
    /// Any text.
    String,
    /// A whole number of 32 bits.
    Int,
    /// A whole number of 16 bits.
    Short,
    /// A whole number of 64 bits.
    Long,
    /// A number.
    Double,
    /// Texts with commas between them.
    List,
    /// The name of a class.
    Class,
    /// A secret.
    Password,
    /// One that this client does not know.
    Unknown,
}

impl ConfigKind {
    fn read(kind: v1::ConfigType) -> Self {
        match kind {
            v1::ConfigType::Unspecified => Self::Unknown,
            v1::ConfigType::Boolean => Self::Boolean,
            v1::ConfigType::String => Self::String,
            v1::ConfigType::Int => Self::Int,
            v1::ConfigType::Short => Self::Short,
            v1::ConfigType::Long => Self::Long,
            v1::ConfigType::Double => Self::Double,
            v1::ConfigType::List => Self::List,
            v1::ConfigType::Class => Self::Class,
            v1::ConfigType::Password => Self::Password,
        }
    }
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Kafka's name for it.
    pub name: String,
    /// Its effective value; `None` if it has none or is sensitive.
    pub value: Option<String>,
    /// Where the effective value comes from.
    pub source: ConfigSource,
    /// How its value is written.
    pub kind: ConfigKind,
    /// Whether it cannot be changed while the broker runs.
    pub read_only: bool,
    /// Whether it is a secret.
    pub sensitive: bool,
    /// What it does.
    pub documentation: String,
    /// Every value that applies, the effective one first.
    pub synonyms: Vec<ConfigSynonym>,
}

/// One of the values that apply to a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// The name that it is set under.
    pub name: String,
    /// The value; `None` if it has none or is sensitive.
    pub value: Option<String>,
    /// Where it is set.
    pub source: ConfigSource,
}

impl ConfigEntry {
    pub(super) fn read(entry: v1::ConfigEntry) -> Self {
        let synonym = |synonym: v1::ConfigSynonym| ConfigSynonym {
            source: ConfigSource::read(synonym.source()),
            name: synonym.name,
            value: synonym.value,
        };
        Self {
            source: ConfigSource::read(entry.source()),
            kind: ConfigKind::read(entry.r#type()),
            name: entry.name,
            value: entry.value,
            read_only: entry.read_only,
            sensitive: entry.sensitive,
            documentation: entry.documentation,
            synonyms: entry.synonyms.into_iter().map(synonym).collect(),
        }
    }
}

/// One change of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigChange {
    name: String,
    operation: v1::ConfigOperation,
    value: Option<String>,
}

impl ConfigChange {
    /// Gives it this value.
    pub fn set(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), operation: v1::ConfigOperation::Set, value: Some(value.into()) }
    }

    /// Takes its value away, so that the next weaker one applies.
    pub fn delete(name: impl Into<String>) -> Self {
        Self { name: name.into(), operation: v1::ConfigOperation::Delete, value: None }
    }

    /// Adds items (with commas between them) to a list.
    pub fn append(name: impl Into<String>, items: impl Into<String>) -> Self {
        Self { name: name.into(), operation: v1::ConfigOperation::Append, value: Some(items.into()) }
    }

    /// Removes items (with commas between them) from a list.
    pub fn subtract(name: impl Into<String>, items: impl Into<String>) -> Self {
        Self { name: name.into(), operation: v1::ConfigOperation::Subtract, value: Some(items.into()) }
    }

    pub(super) fn to_message(&self) -> v1::ConfigChange {
        v1::ConfigChange { name: self.name.clone(), operation: self.operation.into(), value: self.value.clone() }
    }
}
