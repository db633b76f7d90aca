//! The shape of every request, to check its lengths before anything is allocated for it.
//!
//! The decoder of `kafka-protocol` reserves room for as many elements as an array announces, so a frame of twenty bytes
//! can ask for hundreds of gigabytes. [`check`] walks a request first, without allocating: every array, string and byte
//! field must lie within the frame, and a request has at most [`MAX_ELEMENTS`] elements and tagged fields in all.

use kafka_protocol::messages::ApiKey;
use thiserror::Error;

/// The greatest number of array elements and tagged fields in one request. Decoded, an element takes up to some 150
/// bytes, so this bounds a request's memory beyond its frame to some 40 MB; a request that names each of 100,000
/// partitions stays within it.
pub(crate) const MAX_ELEMENTS: usize = 250_000;

/// Why a request's lengths are wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum ShapeError {
    /// Something reaches beyond the end of the frame.
    #[error("it ends in the middle of a field")]
    Truncated,
    /// A length is negative where it may not be, or a varint has too many bytes.
    #[error("a length in it is invalid")]
    InvalidLength,
    /// Too many elements.
    #[error("it has more than {MAX_ELEMENTS} array elements")]
    TooManyElements,
}

/// What a field is made of.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// So many bytes.
    Fixed(usize),
    /// A string, nullable or not.
    Text,
    /// A byte string, nullable or not.
    Blob,
    /// An array of values of so many bytes.
    FixedArray(usize),
    /// An array of strings.
    TextArray,
    /// An array of structures.
    Array(&'static [Field]),
    /// A structure that may be absent.
    Optional(&'static [Field]),
}

/// A field and the versions that have it.
#[derive(Debug, Clone, Copy)]
struct Field {
    kind: Kind,
    since: i16,
    until: i16,
}

// Literals rather than constant functions, since only literals live as long as the program.
macro_rules! field {
    ($since:literal.., $kind:expr) => {
        Field { kind: $kind, since: $since, until: i16::MAX }
    };
    (..=$until:literal, $kind:expr) => {
        Field { kind: $kind, since: 0, until: $until }
    };
    ($kind:expr) => {
        Field { kind: $kind, since: 0, until: i16::MAX }
    };
}

const I8: Field = field!(Kind::Fixed(1));
const I16: Field = field!(Kind::Fixed(2));
const I32: Field = field!(Kind::Fixed(4));
const I64: Field = field!(Kind::Fixed(8));
const TEXT: Field = field!(Kind::Text);

/// A request's fields and the first version with compact lengths and tagged fields.
struct Shape {
    flexible_since: i16,
    fields: &'static [Field],
}

/// The shapes, as Kafka's published message definitions describe them.
fn shape(key: ApiKey) -> Option<Shape> {
    use Kind::{Array, Blob, Fixed, FixedArray, Optional, Text, TextArray};
    let (flexible_since, fields): (i16, &'static [Field]) = match key {
        ApiKey::Produce => (
            9,
            &[
                field!(3.., Text),
                I16,
                I32,
                field!(Array(&[field!(..=12, Text), field!(13.., Fixed(16)), field!(Array(&[I32, field!(Blob)]))])),
            ],
        ),
        ApiKey::Fetch => (
            12,
            &[
                field!(..=14, Fixed(4)),
                I32,
                I32,
                I32,
                I8,
                field!(7.., Fixed(4)),
                field!(7.., Fixed(4)),
                field!(Array(&[
                    field!(..=12, Text),
                    field!(13.., Fixed(16)),
                    field!(Array(&[
                        I32,
                        field!(9.., Fixed(4)),
                        I64,
                        field!(12.., Fixed(4)),
                        field!(5.., Fixed(8)),
                        I32,
                    ])),
                ])),
                field!(7.., Array(&[field!(..=12, Text), field!(13.., Fixed(16)), field!(FixedArray(4))])),
                field!(11.., Text),
            ],
        ),
        ApiKey::ListOffsets => (
            6,
            &[
                I32,
                field!(2.., Fixed(1)),
                field!(Array(&[TEXT, field!(Array(&[I32, field!(4.., Fixed(4)), I64, field!(..=0, Fixed(4))]))])),
                field!(10.., Fixed(4)),
            ],
        ),
        ApiKey::Metadata => (
            9,
            &[
                field!(Array(&[field!(10.., Fixed(16)), TEXT])),
                field!(4.., Fixed(1)),
                Field { kind: Fixed(1), since: 8, until: 10 },
                field!(8.., Fixed(1)),
            ],
        ),
        ApiKey::OffsetCommit => (
            8,
            &[
                TEXT,
                I32,
                TEXT,
                field!(7.., Text),
                Field { kind: Fixed(8), since: 2, until: 4 },
                field!(Array(&[TEXT, field!(Array(&[I32, I64, field!(6.., Fixed(4)), TEXT]))])),
            ],
        ),
        ApiKey::OffsetFetch => (
            6,
            &[
                field!(..=7, Text),
                field!(..=7, Array(&[TEXT, field!(FixedArray(4))])),
                field!(
                    8..,
                    Array(&[
                        TEXT,
                        field!(9.., Text),
                        field!(9.., Fixed(4)),
                        field!(Array(&[TEXT, field!(FixedArray(4))]))
                    ])
                ),
                field!(7.., Fixed(1)),
            ],
        ),
        ApiKey::FindCoordinator => (3, &[field!(..=3, Text), field!(1.., Fixed(1)), field!(4.., TextArray)]),
        ApiKey::JoinGroup => (
            6,
            &[
                TEXT,
                I32,
                field!(1.., Fixed(4)),
                TEXT,
                field!(5.., Text),
                TEXT,
                field!(Array(&[TEXT, field!(Blob)])),
                field!(8.., Text),
            ],
        ),
        ApiKey::Heartbeat => (4, &[TEXT, I32, TEXT, field!(3.., Text)]),
        ApiKey::LeaveGroup => (4, &[TEXT, field!(..=2, Text), field!(3.., Array(&[TEXT, TEXT, field!(5.., Text)]))]),
        ApiKey::SyncGroup => (
            4,
            &[
                TEXT,
                I32,
                TEXT,
                field!(3.., Text),
                field!(5.., Text),
                field!(5.., Text),
                field!(Array(&[TEXT, field!(Blob)])),
            ],
        ),
        ApiKey::DescribeGroups => (5, &[field!(TextArray), field!(3.., Fixed(1))]),
        ApiKey::ListGroups => (3, &[field!(4.., TextArray), field!(5.., TextArray)]),
        ApiKey::ApiVersions => (3, &[field!(3.., Text), field!(3.., Text)]),
        ApiKey::CreateTopics => (
            5,
            &[
                field!(Array(&[
                    TEXT,
                    I32,
                    I16,
                    field!(Array(&[I32, field!(FixedArray(4))])),
                    field!(Array(&[TEXT, TEXT])),
                ])),
                I32,
                field!(1.., Fixed(1)),
            ],
        ),
        ApiKey::DeleteTopics => (4, &[field!(6.., Array(&[TEXT, field!(Fixed(16))])), field!(..=5, TextArray), I32]),
        ApiKey::DeleteRecords => (2, &[field!(Array(&[TEXT, field!(Array(&[I32, I64]))])), I32]),
        ApiKey::InitProducerId => (2, &[TEXT, I32, field!(3.., Fixed(8)), field!(3.., Fixed(2))]),
        ApiKey::OffsetForLeaderEpoch => {
            (4, &[field!(3.., Fixed(4)), field!(Array(&[TEXT, field!(Array(&[I32, field!(2.., Fixed(4)), I32]))]))])
        }
        ApiKey::DescribeConfigs => {
            (4, &[field!(Array(&[I8, TEXT, field!(TextArray)])), field!(1.., Fixed(1)), field!(3.., Fixed(1))])
        }
        ApiKey::AlterConfigs => (2, &[field!(Array(&[I8, TEXT, field!(Array(&[TEXT, TEXT]))])), I8]),
        ApiKey::AlterReplicaLogDirs => (2, &[field!(Array(&[TEXT, field!(Array(&[TEXT, field!(FixedArray(4))]))]))]),
        ApiKey::DescribeLogDirs => (2, &[field!(Array(&[TEXT, field!(FixedArray(4))]))]),
        ApiKey::CreatePartitions => {
            (2, &[field!(Array(&[TEXT, I32, field!(Array(&[field!(FixedArray(4))]))])), I32, I8])
        }
        ApiKey::DeleteGroups => (2, &[field!(TextArray)]),
        ApiKey::ElectLeaders => (2, &[field!(1.., Fixed(1)), field!(Array(&[TEXT, field!(FixedArray(4))])), I32]),
        ApiKey::IncrementalAlterConfigs => (1, &[field!(Array(&[I8, TEXT, field!(Array(&[TEXT, I8, TEXT]))])), I8]),
        ApiKey::AlterPartitionReassignments => {
            (0, &[I32, field!(1.., Fixed(1)), field!(Array(&[TEXT, field!(Array(&[I32, field!(FixedArray(4))]))]))])
        }
        ApiKey::ListPartitionReassignments => (0, &[I32, field!(Array(&[TEXT, field!(FixedArray(4))]))]),
        ApiKey::OffsetDelete => (i16::MAX, &[TEXT, field!(Array(&[TEXT, field!(Array(&[I32]))]))]),
        ApiKey::DescribeQuorum => (0, &[field!(Array(&[TEXT, field!(Array(&[I32]))]))]),
        // What a feature may do is one byte in every version: whether it may go down, then which way it goes.
        ApiKey::UpdateFeatures => (0, &[I32, field!(Array(&[TEXT, I16, I8])), field!(1.., Fixed(1))]),
        ApiKey::DescribeCluster => (0, &[I8, field!(1.., Fixed(1)), field!(2.., Fixed(1))]),
        ApiKey::DescribeProducers => (0, &[field!(Array(&[TEXT, field!(FixedArray(4))]))]),
        ApiKey::UnregisterBroker => (0, &[I32]),
        ApiKey::ConsumerGroupHeartbeat => (
            0,
            &[
                TEXT,
                TEXT,
                I32,
                TEXT,
                TEXT,
                I32,
                field!(TextArray),
                field!(1.., Text),
                TEXT,
                field!(Array(&[field!(Fixed(16)), field!(FixedArray(4))])),
            ],
        ),
        ApiKey::ConsumerGroupDescribe => (0, &[field!(TextArray), I8]),
        ApiKey::ListConfigResources => (0, &[field!(1.., FixedArray(1))]),
        ApiKey::DescribeTopicPartitions => (0, &[field!(Array(&[TEXT])), I32, field!(Optional(&[TEXT, I32]))]),
        ApiKey::AddRaftVoter => (0, &[TEXT, I32, I32, field!(Fixed(16)), field!(Array(&[TEXT, TEXT, I16]))]),
        ApiKey::RemoveRaftVoter => (0, &[TEXT, I32, field!(Fixed(16))]),
        _ => return None,
    };
    Some(Shape { flexible_since, fields })
}

/// Checks every length of the request in `body`, and tells how many bytes it takes.
///
/// # Errors
/// [`ShapeError`] says what is wrong. An API without a shape is [`ShapeError::InvalidLength`].
pub(crate) fn check(key: ApiKey, version: i16, body: &[u8]) -> Result<usize, ShapeError> {
    let shape = shape(key).ok_or(ShapeError::InvalidLength)?;
    let mut walk = Walk { rest: body, version, flexible: version >= shape.flexible_since, elements: 0 };
    walk.structure(shape.fields)?;
    Ok(body.len() - walk.rest.len())
}

/// Skips the tagged fields at the start of `rest` (those of a request header) and returns what follows.
pub(crate) fn skip_tags(rest: &[u8]) -> Result<&[u8], ShapeError> {
    let mut walk = Walk { rest, version: 0, flexible: true, elements: 0 };
    walk.tags()?;
    Ok(walk.rest)
}

struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
    elements: usize,
}

impl Walk<'_> {
    fn structure(&mut self, fields: &[Field]) -> Result<(), ShapeError> {
        let version = self.version;
        for field in fields.iter().filter(|field| (field.since..=field.until).contains(&version)) {
            self.field(field.kind)?;
        }
        if self.flexible { self.tags() } else { Ok(()) }
    }

    fn field(&mut self, kind: Kind) -> Result<(), ShapeError> {
        match kind {
            Kind::Fixed(len) => self.skip(len),
            Kind::Text => {
                let len = if self.flexible { self.compact_len()? } else { self.len16()? };
                self.skip(len.unwrap_or(0))
            }
            Kind::Blob => {
                let len = self.len()?;
                self.skip(len.unwrap_or(0))
            }
            Kind::FixedArray(size) => {
                let count = self.array()?;
                self.skip(count.saturating_mul(size))
            }
            Kind::TextArray => (0..self.array()?).try_for_each(|_| self.field(Kind::Text)),
            Kind::Array(fields) => (0..self.array()?).try_for_each(|_| self.structure(fields)),
            Kind::Optional(fields) => {
                let (&flag, rest) = self.rest.split_first().ok_or(ShapeError::Truncated)?;
                self.rest = rest;
                if flag.cast_signed() < 0 { Ok(()) } else { self.structure(fields) }
            }
        }
    }

    fn skip(&mut self, len: usize) -> Result<(), ShapeError> {
        self.rest = self.rest.get(len..).ok_or(ShapeError::Truncated)?;
        Ok(())
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], ShapeError> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or(ShapeError::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// The number of elements of an array, which are counted, and each of which takes a byte at least.
    fn array(&mut self) -> Result<usize, ShapeError> {
        let count = self.len()?.unwrap_or(0);
        if count > self.rest.len() {
            return Err(ShapeError::Truncated);
        }
        self.count(count)?;
        Ok(count)
    }

    fn count(&mut self, elements: usize) -> Result<(), ShapeError> {
        self.elements += elements;
        if self.elements > MAX_ELEMENTS { Err(ShapeError::TooManyElements) } else { Ok(()) }
    }

    /// The length of a byte string or an array; `None` if it is null.
    fn len(&mut self) -> Result<Option<usize>, ShapeError> {
        if self.flexible {
            return self.compact_len();
        }
        match i32::from_be_bytes(self.take()?) {
            -1 => Ok(None),
            len => usize::try_from(len).map(Some).map_err(|_| ShapeError::InvalidLength),
        }
    }

    fn len16(&mut self) -> Result<Option<usize>, ShapeError> {
        match i16::from_be_bytes(self.take()?) {
            -1 => Ok(None),
            len => usize::try_from(len).map(Some).map_err(|_| ShapeError::InvalidLength),
        }
    }

    fn compact_len(&mut self) -> Result<Option<usize>, ShapeError> {
        Ok((self.varint()? as usize).checked_sub(1))
    }

    fn varint(&mut self) -> Result<u32, ShapeError> {
        let mut value = 0u32;
        for shift in (0..35).step_by(7) {
            let [byte] = self.take()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ShapeError::InvalidLength)
    }

    fn tags(&mut self) -> Result<(), ShapeError> {
        let count = self.varint()? as usize;
        self.count(count)?;
        for _ in 0..count {
            self.varint()?;
            let len = self.varint()? as usize;
            self.skip(len)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "shape_tests.rs"]
mod tests;
