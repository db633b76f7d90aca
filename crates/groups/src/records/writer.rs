//! Writes the primitive types of Kafka's formats.

use bytes::{BufMut, Bytes, BytesMut};
use uuid::Uuid;

/// Writes one value after the other.
///
/// Texts longer than Kafka's formats can say are cut at a character: whoever writes a record has checked lengths before,
/// so that this never happens to what a client sent.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: BytesMut,
}

impl Writer {
    /// Nothing written.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What was written.
    #[must_use]
    pub fn finish(self) -> Bytes {
        self.bytes.freeze()
    }

    /// Bytes as they are.
    pub fn raw(&mut self, value: &[u8]) {
        self.bytes.put_slice(value);
    }

    /// A byte.
    pub fn i8(&mut self, value: i8) {
        self.bytes.put_i8(value);
    }

    /// 16 bits.
    pub fn i16(&mut self, value: i16) {
        self.bytes.put_i16(value);
    }

    /// 32 bits.
    pub fn i32(&mut self, value: i32) {
        self.bytes.put_i32(value);
    }

    /// 64 bits.
    pub fn i64(&mut self, value: i64) {
        self.bytes.put_i64(value);
    }

    /// A UUID.
    pub fn uuid(&mut self, value: Uuid) {
        self.bytes.put_slice(value.as_bytes());
    }

    /// An unsigned number of variable length.
    pub fn unsigned_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            // The cast keeps the seven bits that are left of the mask.
            self.bytes.put_u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.put_u8(value as u8);
    }

    /// A text with a length of 16 bits.
    pub fn string(&mut self, value: &str) {
        let mut end = value.len().min(i16::MAX as usize);
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        // `end` is at most `i16::MAX`.
        self.bytes.put_i16(end as i16);
        self.bytes.put_slice(&value.as_bytes()[..end]);
    }

    /// The same, or null.
    pub fn nullable_string(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.string(value),
            None => self.bytes.put_i16(-1),
        }
    }

    /// Bytes with a length of 32 bits.
    pub fn bytes(&mut self, value: &[u8]) {
        self.i32(length_of(value.len()));
        self.bytes.put_slice(value);
    }

    /// The number of elements of an array that follows.
    pub fn array_length(&mut self, length: usize) {
        self.i32(length_of(length));
    }

    /// A text of the flexible formats.
    pub fn compact_string(&mut self, value: &str) {
        self.compact_bytes(value.as_bytes());
    }

    /// The same, or null.
    pub fn nullable_compact_string(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.compact_string(value),
            None => self.unsigned_varint(0),
        }
    }

    /// Bytes of the flexible formats.
    pub fn compact_bytes(&mut self, value: &[u8]) {
        self.compact_array_length(value.len());
        self.bytes.put_slice(value);
    }

    /// The number of elements of an array of the flexible formats that follows.
    pub fn compact_array_length(&mut self, length: usize) {
        self.unsigned_varint(length_of(length) as u32 + 1);
    }

    /// That a structure of the flexible formats ends without tagged fields.
    pub fn no_tagged_fields(&mut self) {
        self.unsigned_varint(0);
    }

    /// The tagged fields that end a structure of the flexible formats: numbers, ascending, with what each holds.
    pub fn tagged_fields(&mut self, fields: &[(u32, Bytes)]) {
        self.unsigned_varint(length_of(fields.len()) as u32);
        for (tag, value) in fields {
            self.unsigned_varint(*tag);
            self.unsigned_varint(length_of(value.len()) as u32);
            self.bytes.put_slice(value);
        }
    }
}

/// A record has at most 2 GiB, so that its parts have too.
fn length_of(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}
