//! The data directories of a broker.

mod options;
mod store;

pub use options::{
    DEFAULT_MAX_OPEN_FILES, DirectoryInfo, DirectoryState, FoundPartition, OpenLog, OpenedLog, StoreOptions,
};
pub use store::LogStore;
