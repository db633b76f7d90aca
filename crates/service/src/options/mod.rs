//! Options of a process: defaults < TOML file < `LEVADA_…` environment < `--set`, under Kafka's dotted names.
//!
//! Option names are flat strings with dots in them (`log.retention.ms`), as in Kafka's own files, because one name may
//! be the beginning of another. A TOML file may write them as nested tables or as quoted keys. In the environment a dot
//! is `__`: `LEVADA_LOG__RETENTION__MS`. A name that no part of the process knows is an error that says which known
//! name is nearest.

mod comma_list;
mod layer;
mod loader;
mod options_error;

pub use comma_list::CommaList;
pub use loader::{Options, OptionsLoader};
pub use options_error::OptionsError;
