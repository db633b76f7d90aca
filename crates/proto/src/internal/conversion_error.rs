//! Why a message of the internal protocol cannot be read as what it says it is.

use levada_metadata::ItemError;
use levada_types::{ErrorCode, TopicNameError};
use thiserror::Error;

/// A malformed message, or one from a newer version.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConversionError {
    /// A field that must be set is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A `oneof` holds no kind that this build knows. The sender is newer: finalise a metadata level only once every
    /// node supports it.
    #[error("{0} is of a kind that this version of Levada does not know; upgrade this node")]
    UnknownKind(&'static str),
    /// The envelope is of a newer version.
    #[error("{what} is of version {version}, and this version of Levada reads up to {newest}; upgrade this node")]
    UnknownVersion {
        /// What was to be read.
        what: &'static str,
        /// Its version.
        version: u32,
        /// The newest version that this build reads.
        newest: u32,
    },
    /// An identity is not 16 bytes long.
    #[error("{what} has {len} bytes; an identity has 16")]
    IdLength {
        /// Which identity.
        what: &'static str,
        /// Its length.
        len: usize,
    },
    /// A number is outside its range.
    #[error("{what} is {value}, which is out of range")]
    OutOfRange {
        /// Which number.
        what: &'static str,
        /// The number.
        value: i64,
    },
    /// A topic's name is none.
    #[error(transparent)]
    TopicName(#[from] TopicNameError),
    /// The bytes are no message.
    #[error("the bytes are no {what}: {source}")]
    Decode {
        /// What was to be read.
        what: &'static str,
        /// Why they are none.
        source: prost::DecodeError,
    },
}

impl ConversionError {
    /// What a client gets for it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownKind(_) | Self::UnknownVersion { .. } => ErrorCode::UnsupportedVersion,
            Self::TopicName(_) => ErrorCode::InvalidTopicException,
            _ => ErrorCode::InvalidRequest,
        }
    }
}

impl From<ConversionError> for ItemError {
    fn from(error: ConversionError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
