//! A cursor over the bytes of records: every step says whether the bytes were there.

use crate::varint::{read_varint, read_varlong};

/// Bytes yet to be read. Each method takes from the front, or returns `None` and is not used further.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    pub(crate) const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn varint(&mut self) -> Option<i32> {
        let (value, rest) = read_varint(self.0)?;
        self.0 = rest;
        Some(value)
    }

    pub(crate) fn varlong(&mut self) -> Option<i64> {
        let (value, rest) = read_varlong(self.0)?;
        self.0 = rest;
        Some(value)
    }

    /// A length and that many bytes. A negative length is `None` for the caller to refuse.
    pub(crate) fn sized(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.varint()?).ok()?;
        self.take(len)
    }

    /// A length and that many bytes; length -1 means that there is no value. Kafka reads any negative length so.
    pub(crate) fn nullable(&mut self) -> Option<Option<&'a [u8]>> {
        match usize::try_from(self.varint()?) {
            Ok(len) => self.take(len).map(Some),
            Err(_) => Some(None),
        }
    }
}
