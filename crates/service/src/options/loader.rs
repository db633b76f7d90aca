//! Merges the sources of options, and gives each part of the process its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use figment::Figment;
use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::OptionsError;
use super::layer::Layer;

/// What the environment's option names begin with.
const ENVIRONMENT_PREFIX: &str = "LEVADA_";

/// How alike (0 to 1, Jaro-Winkler) an unknown name must be to a known one for that one to be suggested.
const NEAR: f64 = 0.8;

/// The options of one part of a process: a flat struct whose fields bear Kafka's dotted names by `serde(rename)`.
///
/// The default value gives the defaults and, by its serialised form, the names that are known; so no field may be left
/// out when it is serialised (`Option` fields are written as null, which counts). `#[serde(skip)]` hides a field.
pub trait Options: Default + Serialize + DeserializeOwned {}

impl<T: Default + Serialize + DeserializeOwned> Options for T {}

/// Collects the sources in ascending order of precedence, then gives out typed options.
///
/// ```
/// # use levada_service::options::{OptionsLoader, OptionsError};
/// #[derive(Default, serde::Serialize, serde::Deserialize)]
/// struct NetworkOptions {
///     #[serde(rename = "num.network.threads")]
///     threads: u32,
/// }
///
/// let mut loader = OptionsLoader::new().set(&["num.network.threads=3".to_owned()])?;
/// let options: NetworkOptions = loader.take()?;
/// loader.finish()?;
/// assert_eq!(options.threads, 3);
/// # Ok::<(), OptionsError>(())
/// ```
#[derive(Default)]
pub struct OptionsLoader {
    /// In ascending order of precedence.
    layers: Vec<Layer>,
    known: BTreeSet<String>,
}

impl OptionsLoader {
    /// A loader without any source: everything has its default.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds values that stand above the defaults of the options and below every other source; for a mode of the
    /// process, such as `dev`, that has defaults of its own. Add them first.
    #[must_use]
    pub fn presets<'a>(self, presets: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        let presets = presets.into_iter().map(|(name, text)| (name.to_owned(), text));
        self.merge(Layer::of_texts("the presets of this command", presets))
    }

    /// Adds a TOML file.
    pub fn file(self, path: &Path) -> Result<Self, OptionsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| OptionsError::Unreadable { path: path.to_owned(), source })?;
        let tables: Dict = Toml::from_str(&text)
            .map_err(|error| OptionsError::Malformed { path: path.to_owned(), reason: error.to_string() })?;
        Ok(self.merge(Layer::of_tables(&format!("the file {}", path.display()), tables)))
    }

    /// Adds the variables whose names begin with `LEVADA_`, such as `LEVADA_LOG__DIRS` for `log.dirs`. Takes the
    /// variables as a value, usually `std::env::vars_os()` made text, so that tests need no environment.
    #[must_use]
    pub fn environment(self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let named = variables.into_iter().filter_map(|(name, text)| {
            let name = name.strip_prefix(ENVIRONMENT_PREFIX)?;
            Some((name.to_ascii_lowercase().replace("__", "."), text))
        });
        self.merge(Layer::of_texts("the environment", named))
    }

    /// Adds `--set name=value` arguments; a later one wins.
    pub fn set(self, assignments: &[String]) -> Result<Self, OptionsError> {
        let values: Vec<(String, String)> = assignments
            .iter()
            .map(|argument| match argument.split_once('=') {
                Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
                _ => Err(OptionsError::NotAnAssignment { argument: argument.clone() }),
            })
            .collect::<Result<_, _>>()?;
        Ok(self.merge(Layer::of_texts("--set", values)))
    }

    fn merge(mut self, layer: Layer) -> Self {
        self.layers.push(layer);
        self
    }

    /// The options of one part of the process. Its names are known from here on; names of other parts are left alone.
    pub fn take<T: Options>(&mut self) -> Result<T, OptionsError> {
        let defaults = match Value::serialize(T::default()) {
            Ok(Value::Dict(_, dict)) => dict,
            Ok(_) => Dict::new(),
            Err(error) => return Err(invalid(&error)),
        };
        let figment = self.layers.iter().fold(Figment::from(Serialized::defaults(T::default())), |figment, layer| {
            figment.merge(layer.only(|name| defaults.contains_key(name)))
        });
        self.known.extend(defaults.into_keys());
        figment.extract_lossy().map_err(|error| invalid(&error))
    }

    /// The values given for any of `names`, as texts (a TOML array joined by commas), without defaults. For tables of
    /// settings that have their own types and validators. The names are known from here on.
    pub fn take_settings<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, String> {
        let mut taken = BTreeMap::new();
        for name in names {
            if let Some(value) = self.layers.iter().rev().find_map(|layer| layer.get(name)) {
                taken.insert(name.to_owned(), text_of(value));
            }
            self.known.insert(name.to_owned());
        }
        taken
    }

    /// Refuses what was given and nobody took.
    pub fn finish(self) -> Result<(), OptionsError> {
        for layer in &self.layers {
            if let Some(name) = layer.names().find(|name| !self.known.contains(*name)) {
                return Err(OptionsError::Unknown {
                    name: name.to_owned(),
                    origin: layer.origin().to_owned(),
                    nearest: self.nearest(name),
                });
            }
        }
        Ok(())
    }

    /// The known name that is most like `name`; of names equally like it the first in the alphabet.
    fn nearest(&self, name: &str) -> Option<String> {
        let dotted = name.replace(['_', '-'], ".");
        self.known
            .iter()
            .map(|known| (strsim::jaro_winkler(&dotted, known), known))
            .filter(|(likeness, _)| *likeness >= NEAR)
            .reduce(|best, next| if next.0 > best.0 { next } else { best })
            .map(|(_, known)| known.clone())
    }
}

fn invalid(error: &figment::Error) -> OptionsError {
    let origin = error.metadata.as_ref().map_or("the options", |from| &from.name).to_owned();
    OptionsError::Invalid { name: error.path.join("."), origin, reason: error.kind.to_string() }
}

/// The text of a scalar as it was given; an array is joined by commas, as Kafka writes lists.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(_, text) => text.clone(),
        Value::Char(_, c) => c.to_string(),
        Value::Bool(_, flag) => flag.to_string(),
        Value::Num(_, number) => match (number.to_i128(), number.to_u128(), number.to_f64()) {
            (Some(n), _, _) => n.to_string(),
            (_, Some(n), _) => n.to_string(),
            (_, _, Some(n)) => n.to_string(),
            _ => String::new(),
        },
        Value::Array(_, items) => items.iter().map(text_of).collect::<Vec<_>>().join(","),
        Value::Empty(..) | Value::Dict(..) => String::new(),
    }
}
