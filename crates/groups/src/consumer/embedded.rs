//! What consumers of the classic protocol say to each other, and here to the coordinator: Kafka's
//! `ConsumerProtocolSubscription` and `ConsumerProtocolAssignment`, versions 0 to 3. Later versions begin as these do.

use bytes::Bytes;
use levada_types::PartitionIndex;

use crate::records::{Reader, RecordError, Writer};

/// The newest version of both.
const NEWEST: i16 = 3;

/// Partitions by the names of their topics.
pub type NamedPartitions = Vec<(String, Vec<PartitionIndex>)>;

/// What a consumer subscribes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Subscription {
    /// In which version it said so; it understands assignments of the same one.
    pub(super) version: i16,
    /// The topics.
    pub(super) topics: Vec<String>,
    /// What it owns, since version 1; before that a consumer gives everything up before it joins.
    pub(super) owned: NamedPartitions,
    /// Where it stands, since version 3.
    pub(super) rack: Option<String>,
}

impl Subscription {
    /// Reads a subscription.
    ///
    /// # Errors
    /// [`RecordError`] for what is cut off or damaged.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes);
        let version = reader.i16()?;
        if version < 0 {
            return Err(RecordError::BadLength);
        }
        let mut topics = Vec::new();
        for _ in 0..reader.array_length(2)? {
            topics.push(reader.string()?.to_owned());
        }
        skip_user_data(&mut reader)?;
        let owned = if version >= 1 { read_topics(&mut reader)? } else { Vec::new() };
        if version >= 2 {
            // The generation in which it owned them.
            reader.i32()?;
        }
        let rack = if version >= 3 { reader.nullable_string()?.map(str::to_owned) } else { None };
        Ok(Self { version, topics, owned, rack: rack.filter(|rack| !rack.is_empty()) })
    }
}

/// Reads what a consumer of the classic protocol was assigned; nothing, where there are no bytes.
///
/// # Errors
/// [`RecordError`] for what is cut off or damaged.
pub fn read_assignment(bytes: &[u8]) -> Result<NamedPartitions, RecordError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut reader = Reader::new(bytes);
    if reader.i16()? < 0 {
        return Err(RecordError::BadLength);
    }
    read_topics(&mut reader)
}

/// Writes an assignment for a consumer that speaks `version`.
pub(super) fn write_assignment(topics: &NamedPartitions, version: i16) -> Bytes {
    let mut writer = Writer::new();
    writer.i16(version.clamp(0, NEWEST));
    writer.array_length(topics.len());
    for (topic, partitions) in topics {
        writer.string(topic);
        writer.array_length(partitions.len());
        for &partition in partitions {
            writer.i32(partition);
        }
    }
    // No user data.
    writer.i32(-1);
    writer.finish()
}

fn skip_user_data(reader: &mut Reader<'_>) -> Result<(), RecordError> {
    match reader.i32()? {
        -1 => Ok(()),
        length => reader.take(usize::try_from(length).map_err(|_| RecordError::BadLength)?).map(drop),
    }
}

fn read_topics(reader: &mut Reader<'_>) -> Result<NamedPartitions, RecordError> {
    let mut topics = Vec::new();
    for _ in 0..reader.array_length(6)? {
        let topic = reader.string()?.to_owned();
        let mut partitions = Vec::new();
        for _ in 0..reader.array_length(4)? {
            partitions.push(reader.i32()?);
        }
        topics.push((topic, partitions));
    }
    Ok(topics)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A subscription as Kafka's clients write it.
    fn subscription(version: i16) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.i16(version);
        writer.array_length(2);
        writer.string("orders");
        writer.string("payments");
        writer.bytes(b"user");
        if version >= 1 {
            writer.array_length(1);
            writer.string("orders");
            writer.array_length(2);
            writer.i32(0);
            writer.i32(3);
        }
        if version >= 2 {
            writer.i32(7);
        }
        if version >= 3 {
            writer.nullable_string(Some("b"));
        }
        writer.finish().to_vec()
    }

    #[test]
    fn every_version_of_a_subscription_is_read() {
        for version in 0..=4 {
            let read = Subscription::read(&subscription(version)).unwrap();
            assert_eq!(read.version, version);
            assert_eq!(read.topics, ["orders", "payments"]);
            assert_eq!(read.owned, if version >= 1 { vec![("orders".to_owned(), vec![0, 3])] } else { Vec::new() });
            assert_eq!(read.rack.as_deref(), (version >= 3).then_some("b"));
        }
    }

    #[test]
    fn a_subscription_that_is_cut_off_is_refused_wherever_it_ends() {
        let whole = subscription(3);
        for end in 0..whole.len() {
            assert!(Subscription::read(&whole[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn lengths_are_checked_before_they_are_believed() {
        // 2^31 - 1 topics, in six bytes.
        assert!(matches!(Subscription::read(&[0, 0, 0x7f, 0xff, 0xff, 0xff]), Err(RecordError::CutOff { .. })));
        assert!(matches!(read_assignment(&[0, 0, 0xff, 0xff, 0xff, 0xfe]), Err(RecordError::BadLength)));
        assert!(matches!(Subscription::read(&[0xff, 0xff]), Err(RecordError::BadLength)));
    }

    #[test]
    fn an_assignment_is_written_as_it_is_read() {
        let topics = vec![("orders".to_owned(), vec![0, 2]), ("payments".to_owned(), vec![1])];
        let written = write_assignment(&topics, 1);
        assert_eq!(written[..2], [0, 1]);
        assert_eq!(written[written.len() - 4..], [0xff; 4]);
        assert_eq!(read_assignment(&written).unwrap(), topics);
        assert_eq!(write_assignment(&topics, 9)[..2], [0, 3]);
        assert_eq!(read_assignment(&[]).unwrap(), Vec::new());
    }
}
