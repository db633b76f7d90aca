//! The 16 attribute bits of a batch.

use crate::{BatchError, Compression};

/// Bits 0 to 2: the compression type.
const COMPRESSION_MASK: i16 = 0b111;
/// Bit 3: timestamps were set by the broker.
const LOG_APPEND_TIME: i16 = 1 << 3;
/// Bit 4: part of a transaction.
const TRANSACTIONAL: i16 = 1 << 4;
/// Bit 5: holds control records, which no application sees.
const CONTROL: i16 = 1 << 5;
/// Bit 6: the base timestamp is a delete horizon (KIP-534).
const DELETE_HORIZON: i16 = 1 << 6;

/// Who set the timestamps of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer, record by record.
    CreateTime,
    /// The broker, one for the whole batch: its `max_timestamp`.
    LogAppendTime,
}

/// The attribute bits of a batch header. Bits 7 to 15 have no meaning yet and are kept as they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes(pub i16);

impl Attributes {
    /// How the records are compressed.
    ///
    /// # Errors
    /// [`BatchError::UnknownCompression`] if the bits name none of the five types.
    pub const fn compression(self) -> Result<Compression, BatchError> {
        let id = self.0 & COMPRESSION_MASK;
        match Compression::from_id(id) {
            Some(compression) => Ok(compression),
            None => Err(BatchError::UnknownCompression { id }),
        }
    }

    /// Who set the timestamps.
    #[must_use]
    pub const fn timestamp_type(self) -> TimestampType {
        if self.0 & LOG_APPEND_TIME == 0 { TimestampType::CreateTime } else { TimestampType::LogAppendTime }
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub const fn is_transactional(self) -> bool {
        self.0 & TRANSACTIONAL != 0
    }

    /// Whether the batch holds control records.
    #[must_use]
    pub const fn is_control(self) -> bool {
        self.0 & CONTROL != 0
    }

    /// Whether the base timestamp is a delete horizon (KIP-534).
    #[must_use]
    pub const fn has_delete_horizon(self) -> bool {
        self.0 & DELETE_HORIZON != 0
    }

    /// The same bits, the base timestamp being a delete horizon.
    #[must_use]
    pub const fn with_delete_horizon(self) -> Self {
        Self(self.0 | DELETE_HORIZON)
    }

    /// The same bits, the base timestamp being none.
    #[must_use]
    pub const fn without_delete_horizon(self) -> Self {
        Self(self.0 & !DELETE_HORIZON)
    }

    /// The same bits with another compression type.
    #[must_use]
    pub const fn with_compression(self, compression: Compression) -> Self {
        Self(self.0 & !COMPRESSION_MASK | compression.id())
    }

    /// The same bits with another timestamp type.
    #[must_use]
    pub const fn with_timestamp_type(self, timestamp_type: TimestampType) -> Self {
        match timestamp_type {
            TimestampType::CreateTime => Self(self.0 & !LOG_APPEND_TIME),
            TimestampType::LogAppendTime => Self(self.0 | LOG_APPEND_TIME),
        }
    }

    /// The same bits, in a transaction or not.
    #[must_use]
    pub const fn with_transactional(self, transactional: bool) -> Self {
        if transactional { Self(self.0 | TRANSACTIONAL) } else { Self(self.0 & !TRANSACTIONAL) }
    }

    /// The same bits, marked as holding control records.
    #[must_use]
    pub const fn with_control(self) -> Self {
        Self(self.0 | CONTROL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_where_kafka_has_them() {
        let bits = Attributes(0b0011_1100);
        assert_eq!(bits.compression(), Ok(Compression::Zstd));
        assert_eq!(bits.timestamp_type(), TimestampType::LogAppendTime);
        assert!(bits.is_transactional() && bits.is_control() && !bits.has_delete_horizon());
        assert!(Attributes(0b0100_0000).has_delete_horizon());
    }

    #[test]
    fn each_change_touches_its_own_bits_alone() {
        let all = Attributes(-1);
        assert_eq!(all.with_compression(Compression::Gzip).0, !0b110);
        assert_eq!(all.with_timestamp_type(TimestampType::CreateTime).0, !0b1000);
        assert_eq!(all.with_transactional(false).0, !0b1_0000);
        assert_eq!(Attributes(0).with_control().0, 0b10_0000);
        assert_eq!(Attributes(0).with_delete_horizon().0, 0b100_0000);
        assert_eq!(all.without_delete_horizon().0, !0b100_0000);
    }

    #[test]
    fn unassigned_compression_types_are_refused() {
        for id in 5..8 {
            assert_eq!(Attributes(id).compression(), Err(BatchError::UnknownCompression { id }));
        }
    }
}
