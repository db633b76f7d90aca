//! Why a command failed, and the exit code that says so.

use std::io;
use std::process::ExitCode;

use levada_records::BatchError;
use levada_types::ErrorCode;
use thiserror::Error;

/// Why a command failed. The text goes to standard error as one line.
#[derive(Debug, Error)]
pub enum CliError {
    /// The arguments contradict each other or make no sense: exit code 2, as for arguments that do not parse.
    #[error("{0}")]
    Usage(String),
    /// The cluster refused, or could not be reached.
    #[error("{0}")]
    Client(#[from] levada_client::ClientError),
    /// A file, a socket or a standard stream failed.
    #[error("{what}: {source}")]
    Io {
        /// What was done to which file or address.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A broker answered with an error over the Kafka protocol.
    #[error("{what}: {code}")]
    Kafka {
        /// What was asked of it.
        what: String,
        /// Its answer.
        code: ErrorCode,
    },
    /// A broker's bytes over the Kafka protocol make no sense.
    #[error("{what}: {reason}")]
    Protocol {
        /// What was asked of it.
        what: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// A record batch is not acceptable.
    #[error("{what}: {source}")]
    Batch {
        /// Where the batch came from.
        what: String,
        /// What is wrong with it.
        source: BatchError,
    },
    /// Something that was to be shown or checked is not as it should be.
    #[error("{0}")]
    Failed(String),
}

impl CliError {
    /// Makes an I/O error with what was done.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// Makes a batch error with where the batch came from.
    pub(crate) fn batch(what: impl Into<String>) -> impl FnOnce(BatchError) -> Self {
        let what = what.into();
        move |source| Self::Batch { what, source }
    }

    /// 2 for usage, 1 for everything else.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}
