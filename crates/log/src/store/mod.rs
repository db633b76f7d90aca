//! The data directories of a broker and the logs in them.

mod checkpoints;
mod data_dir;
mod dir_name;
mod discovery;
mod log_store;
mod moving;
mod open;
mod options;
mod parallel;
mod remove;

pub use log_store::LogStore;
pub use options::{DEFAULT_MAX_OPEN_FILES, DirectoryInfo, FoundPartition, OpenLog, OpenedLog, StoreOptions};
