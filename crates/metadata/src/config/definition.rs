//! One row of the table of settings.

use super::Check;

/// The type of a setting's value, which every value is text of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConfigKind {
    /// `true` or `false`, in any case.
    Boolean,
    /// A decimal number of 32 bits.
    Int,
    /// A decimal number of 64 bits.
    Long,
    /// A decimal fraction.
    Double,
    /// Text.
    String,
    /// Texts, separated by commas.
    List,
}

impl ConfigKind {
    /// The number that DescribeConfigs (v3 and up, KIP-569) has for it.
    #[must_use]
    pub const fn kafka_code(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::String => 2,
            Self::Int => 3,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
        }
    }

    pub(super) const fn noun(self) -> &'static str {
        match self {
            Self::Boolean => "true or false",
            Self::Int => "a whole number of 32 bits",
            Self::Long => "a whole number of 64 bits",
            Self::Double => "a number",
            Self::String => "a text",
            Self::List => "a list separated by commas",
        }
    }
}

/// How a broker's setting may be changed while it runs (KIP-226).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Only in the configuration of the process.
    ReadOnly,
    /// For one broker, or for all.
    PerBroker,
    /// For all brokers alike; one broker's own value is accepted, and is used for nothing but that broker's work.
    ClusterWide,
}

/// How a synonym counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// As the setting itself does.
    Same,
    /// In hours, where the setting counts milliseconds.
    Hours,
}

/// A broker setting that stands for this one where this one is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synonym {
    /// The broker setting.
    pub name: &'static str,
    /// How it counts.
    pub unit: Unit,
}

/// One setting that can be made.
#[derive(Debug, Clone, Copy)]
pub struct ConfigDef {
    /// Kafka's name for it.
    pub name: &'static str,
    /// What its values are.
    pub kind: ConfigKind,
    /// The value that counts when nothing is set; `None` is "no value".
    pub default: Option<&'static str>,
    /// Which values it takes.
    pub check: Check,
    /// How it may be changed. A topic's settings always may; they bear [`Scope::ClusterWide`].
    pub scope: Scope,
    /// Where its value comes from when it is not set itself, first match wins.
    pub synonyms: &'static [Synonym],
    /// What it does, in a sentence.
    pub doc: &'static str,
}

const HOUR_MS: i64 = 3_600_000;

impl ConfigDef {
    /// Checks `value`.
    ///
    /// # Errors
    /// A sentence that says what the setting takes.
    pub fn validate(&self, value: &str) -> Result<(), String> {
        self.check
            .accepts(self.kind, value)
            .map_err(|expected| format!("Invalid value {value:?} for configuration {}: {expected}", self.name))
    }

    /// The default of a setting that has one; the empty text for one that has not.
    #[must_use]
    pub fn default_text(&self) -> &'static str {
        self.default.unwrap_or_default()
    }

    const fn new(kind: ConfigKind, name: &'static str, default: Option<&'static str>) -> Self {
        let check = Check::Any;
        Self { name, kind, default, check, scope: Scope::ClusterWide, synonyms: &[], doc: "" }
    }

    pub(super) const fn boolean(name: &'static str, default: &'static str) -> Self {
        Self::new(ConfigKind::Boolean, name, Some(default))
    }

    pub(super) const fn int(name: &'static str, default: &'static str) -> Self {
        Self::new(ConfigKind::Int, name, Some(default))
    }

    pub(super) const fn long(name: &'static str, default: &'static str) -> Self {
        Self::new(ConfigKind::Long, name, Some(default))
    }

    pub(super) const fn double(name: &'static str, default: &'static str) -> Self {
        Self::new(ConfigKind::Double, name, Some(default))
    }

    pub(super) const fn string(name: &'static str, default: &'static str) -> Self {
        Self::new(ConfigKind::String, name, Some(default))
    }

    pub(super) const fn list(name: &'static str, default: &'static str) -> Self {
        Self::new(ConfigKind::List, name, Some(default))
    }

    /// Nothing is set by default.
    pub(super) const fn unset(mut self) -> Self {
        self.default = None;
        self
    }

    pub(super) const fn at_least(mut self, min: i64) -> Self {
        self.check = Check::Range(min, i64::MAX);
        self
    }

    pub(super) const fn range(mut self, min: i64, max: i64) -> Self {
        self.check = Check::Range(min, max);
        self
    }

    pub(super) const fn check(mut self, check: Check) -> Self {
        self.check = check;
        self
    }

    pub(super) const fn read_only(mut self) -> Self {
        self.scope = Scope::ReadOnly;
        self
    }

    pub(super) const fn per_broker(mut self) -> Self {
        self.scope = Scope::PerBroker;
        self
    }

    pub(super) const fn from(mut self, synonyms: &'static [Synonym]) -> Self {
        self.synonyms = synonyms;
        self
    }

    pub(super) const fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }
}

impl Synonym {
    pub(super) const fn same(name: &'static str) -> Self {
        Self { name, unit: Unit::Same }
    }

    pub(super) const fn hours(name: &'static str) -> Self {
        Self { name, unit: Unit::Hours }
    }

    /// The synonym's value in the unit of the setting that it stands for.
    pub(super) fn convert(&self, value: &str) -> String {
        match self.unit {
            Unit::Same => value.to_owned(),
            // A negative number means "no limit" in either unit.
            Unit::Hours => match value.trim().parse::<i64>() {
                Ok(hours) if hours >= 0 => hours.saturating_mul(HOUR_MS).to_string(),
                _ => value.to_owned(),
            },
        }
    }
}
