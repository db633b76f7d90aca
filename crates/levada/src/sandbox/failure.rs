//! Why a sandbox does not come up.

use std::io;
use std::path::{Path, PathBuf};

/// Why a sandbox does not come up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SandboxFailure {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another sandbox runs in the directory.
    #[error("a sandbox runs in {}; stop that one, or take another directory", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// The kept layout does not fit what was asked for.
    #[error("{}: {reason}", path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A process ended before it served.
    #[error("{member} ended before it was ready; {} tells why", log_file.display())]
    Ended {
        /// Which one.
        member: String,
        /// What it wrote.
        log_file: PathBuf,
    },
    /// The cluster's identity cannot be told.
    #[error("the cluster's identity: {0}")]
    Identity(String),
    /// The system refused something.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl SandboxFailure {
    /// A file could not be read or written.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }

    /// The system refused something.
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}
