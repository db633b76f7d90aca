//! The five compression types of Kafka, each in its own file.
//!
//! Decompression is bounded: the output never grows past the caller's limit, whatever the input claims of itself.

mod bounded;
mod gzip;
mod lz4;
mod snappy;
mod zstandard;

use std::io;

use crate::BatchError;

/// How the records of a batch are compressed, as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy in the framing of the Java library; raw snappy is read too.
    Snappy,
    /// The LZ4 frame format.
    Lz4,
    /// Zstandard, since Kafka 2.1 (KIP-110).
    Zstd,
}

impl Compression {
    /// All of them, by id.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// Kafka's number for it, as the attributes of a batch bear it.
    #[must_use]
    pub const fn id(self) -> i16 {
        self as i16
    }

    /// The type with Kafka's number `id`, if there is one.
    #[must_use]
    pub const fn from_id(id: i16) -> Option<Self> {
        match id {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Kafka's name for it, as `compression.type` takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The type with Kafka's name `name`, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|compression| compression.name() == name)
    }

    /// Appends `input`, compressed, to `output`. `level` is the codec's own scale, brought into its range; `None` is
    /// its default, and snappy and lz4 have one level only.
    ///
    /// # Errors
    /// [`BatchError::Compression`]; `output` may then hold a part.
    pub fn compress(self, level: Option<i32>, input: &[u8], output: &mut Vec<u8>) -> Result<(), BatchError> {
        let outcome = match self {
            Self::None => {
                output.extend_from_slice(input);
                Ok(())
            }
            Self::Gzip => gzip::compress(level, input, output),
            Self::Snappy => snappy::compress(input, output),
            Self::Lz4 => lz4::compress(input, output),
            Self::Zstd => zstandard::compress(level, input, output),
        };
        outcome.map_err(|error| BatchError::Compression { compression: self, reason: error.to_string() })
    }

    /// Appends `input`, decompressed, to `output`, at most `limit` bytes.
    ///
    /// # Errors
    /// [`BatchError::Decompression`], or [`BatchError::DecompressedTooLarge`] if there is more than `limit` allows;
    /// `output` may then hold a part.
    pub fn decompress(self, input: &[u8], limit: usize, output: &mut Vec<u8>) -> Result<(), BatchError> {
        let outcome = match self {
            Self::None => bounded::append(input, limit, output),
            Self::Gzip => gzip::decompress(input, limit, output),
            Self::Snappy => snappy::decompress(input, limit, output),
            Self::Lz4 => lz4::decompress(input, limit, output),
            Self::Zstd => zstandard::decompress(input, limit, output),
        };
        outcome.map_err(|failure| match failure {
            Failure::TooLarge => BatchError::DecompressedTooLarge { limit },
            Failure::Malformed(reason) => BatchError::Decompression { compression: self, reason },
        })
    }
}

/// Why a codec gave up.
enum Failure {
    /// There is more output than the limit allows.
    TooLarge,
    /// The input is not what the codec reads.
    Malformed(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl From<snap::Error> for Failure {
    fn from(error: snap::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

#[cfg(test)]
mod tests;
