//! Reads the primitive types of Kafka's formats out of bytes that nobody has checked.

use std::str;

use thiserror::Error;
use uuid::Uuid;

/// Why a record cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RecordError {
    /// It is of a kind that is not known here.
    #[error("records of kind {0} are not known; a newer release may have written them")]
    UnknownKind(i16),
    /// Its value is of a version that is not known here.
    #[error("version {version} of the value of kind {kind} is not known; a newer release may have written it")]
    UnknownVersion {
        /// The kind.
        kind: i16,
        /// The version.
        version: i16,
    },
    /// It ends too early.
    #[error("the record ends too early: {needed} more bytes are needed and {left} are left")]
    CutOff {
        /// How many bytes are needed.
        needed: usize,
        /// How many are left.
        left: usize,
    },
    /// A text is not UTF-8.
    #[error("a text in the record is not UTF-8")]
    NotText,
    /// A length is negative, or null where there must be something.
    #[error("a length in the record is not valid")]
    BadLength,
}

/// Reads one value after the other. Every length is checked before anything of that length is read or allocated.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// How many bytes have not been read.
    #[must_use]
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next `length` bytes.
    ///
    /// # Errors
    /// [`RecordError::CutOff`] if there are fewer.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], RecordError> {
        let Some((head, rest)) = self.rest.split_at_checked(length) else {
            return Err(RecordError::CutOff { needed: length, left: self.rest.len() });
        };
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let left = self.rest.len();
        let Some((head, rest)) = self.rest.split_first_chunk() else {
            return Err(RecordError::CutOff { needed: N, left });
        };
        self.rest = rest;
        Ok(*head)
    }

    /// A byte.
    ///
    /// # Errors
    /// [`RecordError::CutOff`].
    pub fn i8(&mut self) -> Result<i8, RecordError> {
        self.array().map(i8::from_be_bytes)
    }

    /// 16 bits.
    ///
    /// # Errors
    /// [`RecordError::CutOff`].
    pub fn i16(&mut self) -> Result<i16, RecordError> {
        self.array().map(i16::from_be_bytes)
    }

    /// 32 bits.
    ///
    /// # Errors
    /// [`RecordError::CutOff`].
    pub fn i32(&mut self) -> Result<i32, RecordError> {
        self.array().map(i32::from_be_bytes)
    }

    /// 64 bits.
    ///
    /// # Errors
    /// [`RecordError::CutOff`].
    pub fn i64(&mut self) -> Result<i64, RecordError> {
        self.array().map(i64::from_be_bytes)
    }

    /// A UUID.
    ///
    /// # Errors
    /// [`RecordError::CutOff`].
    pub fn uuid(&mut self) -> Result<Uuid, RecordError> {
        self.array().map(Uuid::from_bytes)
    }

    /// An unsigned number of variable length, of at most five bytes.
    ///
    /// # Errors
    /// [`RecordError::CutOff`], [`RecordError::BadLength`] if it has more bytes or bits than that.
    pub fn unsigned_varint(&mut self) -> Result<u32, RecordError> {
        let mut value = 0u32;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array()?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && bits > 0x0f {
                return Err(RecordError::BadLength);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(RecordError::BadLength)
    }

    fn text(bytes: &'a [u8]) -> Result<&'a str, RecordError> {
        str::from_utf8(bytes).map_err(|_| RecordError::NotText)
    }

    /// A text with a length of 16 bits.
    ///
    /// # Errors
    /// Any [`RecordError`] of texts.
    pub fn string(&mut self) -> Result<&'a str, RecordError> {
        self.nullable_string()?.ok_or(RecordError::BadLength)
    }

    /// The same, or null.
    ///
    /// # Errors
    /// Any [`RecordError`] of texts.
    pub fn nullable_string(&mut self) -> Result<Option<&'a str>, RecordError> {
        match self.i16()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| RecordError::BadLength)?;
                self.take(length).and_then(Self::text).map(Some)
            }
        }
    }

    /// Bytes with a length of 32 bits.
    ///
    /// # Errors
    /// [`RecordError::CutOff`], [`RecordError::BadLength`].
    pub fn bytes(&mut self) -> Result<&'a [u8], RecordError> {
        let length = usize::try_from(self.i32()?).map_err(|_| RecordError::BadLength)?;
        self.take(length)
    }

    /// The number of elements of an array whose elements have at least `least` bytes each.
    ///
    /// # Errors
    /// [`RecordError::CutOff`] if so many cannot follow, [`RecordError::BadLength`].
    pub fn array_length(&mut self, least: usize) -> Result<usize, RecordError> {
        let length = usize::try_from(self.i32()?).map_err(|_| RecordError::BadLength)?;
        self.check_array(length, least)
    }

    /// A text of the flexible formats.
    ///
    /// # Errors
    /// Any [`RecordError`] of texts.
    pub fn compact_string(&mut self) -> Result<&'a str, RecordError> {
        self.nullable_compact_string()?.ok_or(RecordError::BadLength)
    }

    /// The same, or null.
    ///
    /// # Errors
    /// Any [`RecordError`] of texts.
    pub fn nullable_compact_string(&mut self) -> Result<Option<&'a str>, RecordError> {
        self.nullable_compact_bytes()?.map(Self::text).transpose()
    }

    /// Bytes of the flexible formats.
    ///
    /// # Errors
    /// [`RecordError::CutOff`], [`RecordError::BadLength`].
    pub fn compact_bytes(&mut self) -> Result<&'a [u8], RecordError> {
        self.nullable_compact_bytes()?.ok_or(RecordError::BadLength)
    }

    /// The same, or null.
    ///
    /// # Errors
    /// [`RecordError::CutOff`], [`RecordError::BadLength`].
    pub fn nullable_compact_bytes(&mut self) -> Result<Option<&'a [u8]>, RecordError> {
        match self.unsigned_varint()? {
            0 => Ok(None),
            length => self.take(length as usize - 1).map(Some),
        }
    }

    /// The number of elements of an array of the flexible formats whose elements have at least `least` bytes each; `None`
    /// for null.
    ///
    /// # Errors
    /// [`RecordError::CutOff`] if so many cannot follow, [`RecordError::BadLength`].
    pub fn nullable_compact_array_length(&mut self, least: usize) -> Result<Option<usize>, RecordError> {
        match self.unsigned_varint()? {
            0 => Ok(None),
            length => self.check_array(length as usize - 1, least).map(Some),
        }
    }

    /// The same, but never null.
    ///
    /// # Errors
    /// [`RecordError::CutOff`] if so many cannot follow, [`RecordError::BadLength`].
    pub fn compact_array_length(&mut self, least: usize) -> Result<usize, RecordError> {
        self.nullable_compact_array_length(least)?.ok_or(RecordError::BadLength)
    }

    fn check_array(&self, length: usize, least: usize) -> Result<usize, RecordError> {
        let needed = length.saturating_mul(least);
        if needed > self.left() {
            return Err(RecordError::CutOff { needed, left: self.left() });
        }
        Ok(length)
    }

    /// The tagged fields that end a structure of the flexible formats: `known` is shown each with its number, and reads it
    /// or leaves it.
    ///
    /// # Errors
    /// Whatever `known` says, [`RecordError::CutOff`], [`RecordError::BadLength`].
    pub fn tagged_fields(
        &mut self,
        mut known: impl FnMut(u32, &mut Reader<'a>) -> Result<(), RecordError>,
    ) -> Result<(), RecordError> {
        // A field has two bytes at least.
        let count = self.unsigned_varint()? as usize;
        let count = self.check_array(count, 2)?;
        for _ in 0..count {
            let tag = self.unsigned_varint()?;
            let length = self.unsigned_varint()? as usize;
            let mut field = Reader::new(self.take(length)?);
            known(tag, &mut field)?;
        }
        Ok(())
    }

    /// The tagged fields that end a structure of which none is known.
    ///
    /// # Errors
    /// [`RecordError::CutOff`], [`RecordError::BadLength`].
    pub fn skip_tagged_fields(&mut self) -> Result<(), RecordError> {
        self.tagged_fields(|_, _| Ok(()))
    }
}
