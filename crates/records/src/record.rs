//! One record of a batch, in place.

use levada_types::{Offset, Sequence, TimestampMs};

use crate::input::Input;

/// A record header: a name and maybe a value. Names may repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// The name; UTF-8 by convention, which nobody checks on the way.
    pub key: &'a [u8],
    /// The value; `None` and empty are different.
    pub value: Option<&'a [u8]>,
}

impl<'a> Header<'a> {
    /// Reads one header. `None` if it is malformed.
    pub(crate) fn read(input: &mut Input<'a>) -> Option<Self> {
        Some(Self { key: input.sized()?, value: input.nullable()? })
    }
}

/// One record of a batch; its bytes lie in the batch, or in the [`crate::RecordBuffer`] if the batch is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its position in the partition.
    pub offset: Offset,
    /// Its time in milliseconds since 1970, the producer's or the broker's as the batch says; -1 means none.
    pub timestamp: TimestampMs,
    /// The producer's number for it, or -1.
    pub sequence: Sequence,
    /// The key, if there is one.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone on a compacted topic.
    pub value: Option<&'a [u8]>,
    /// The headers, which [`crate::Records`] has checked.
    pub(crate) headers: Headers<'a>,
}

impl<'a> Record<'a> {
    /// The headers in their order.
    #[must_use]
    pub const fn headers(&self) -> Headers<'a> {
        self.headers
    }
}

/// Iterates over the headers of a record. Holds only headers that were checked when the record was read.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a> {
    rest: Input<'a>,
    left: usize,
}

impl<'a> Headers<'a> {
    /// Checks that `input` holds a count and exactly so many headers.
    pub(crate) fn read(input: &mut Input<'a>) -> Option<Self> {
        let left = usize::try_from(input.varint()?).ok()?;
        let headers = Self { rest: *input, left };
        for _ in 0..left {
            Header::read(input)?;
        }
        input.is_empty().then_some(headers)
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Header::read(&mut self.rest)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Headers<'_> {}

impl PartialEq for Headers<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.eq_by_header(*other)
    }
}

impl Eq for Headers<'_> {}

impl Headers<'_> {
    fn eq_by_header(self, other: Headers<'_>) -> bool {
        self.len() == other.len() && self.zip(other).all(|(a, b)| a == b)
    }
}
