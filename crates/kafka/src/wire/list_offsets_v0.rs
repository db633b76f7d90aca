//! ListOffsets in version 0, which the message crate does not know any more (KIP-896): monitors such as Burrow ask for the
//! ends of partitions in it, and never ask which versions there are.
//!
//! It differs from version 1 in that a request says how many offsets it wants of each partition, and that an answer has a
//! list of offsets, without their timestamps. One offset at most is told: those before it would be the beginnings of
//! segments, which mean nothing to a client.

use bytes::{Buf, Bytes};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId, ListOffsetsRequest, ListOffsetsResponse, TopicName};
use kafka_protocol::protocol::buf::ByteBufMut;
use kafka_protocol::protocol::{Encodable, HeaderVersion, StrBytes};

/// What stands for no element, or no string.
const NOTHING: i32 = -1;

/// Reads a request whose lengths have been checked.
pub(super) fn read(body: &mut Bytes) -> Result<ListOffsetsRequest, String> {
    let replica = body.try_get_i32().map_err(ended)?;
    let topics = array(body, |body| {
        let name = string(body)?;
        let partitions = array(body, |body| {
            let index = body.try_get_i32().map_err(ended)?;
            let time = body.try_get_i64().map_err(ended)?;
            let _most = body.try_get_i32().map_err(ended)?;
            Ok(ListOffsetsPartition::default().with_partition_index(index).with_timestamp(time))
        })?;
        Ok(ListOffsetsTopic::default().with_name(TopicName(name)).with_partitions(partitions))
    })?;
    Ok(ListOffsetsRequest::default().with_replica_id(BrokerId(replica)).with_topics(topics))
}

/// An answer in version 0.
#[derive(Debug)]
pub(crate) struct Response(pub(crate) ListOffsetsResponse);

impl HeaderVersion for Response {
    fn header_version(_version: i16) -> i16 {
        0
    }
}

impl Encodable for Response {
    fn encode<B: ByteBufMut>(&self, out: &mut B, _version: i16) -> anyhow::Result<()> {
        out.put_i32(i32::try_from(self.0.topics.len())?);
        for topic in &self.0.topics {
            out.put_i16(i16::try_from(topic.name.len())?);
            out.put_slice(topic.name.as_bytes());
            out.put_i32(i32::try_from(topic.partitions.len())?);
            for partition in &topic.partitions {
                out.put_i32(partition.partition_index);
                out.put_i16(partition.error_code);
                let offset = (partition.offset >= 0).then_some(partition.offset);
                out.put_i32(i32::from(offset.is_some()));
                if let Some(offset) = offset {
                    out.put_i64(offset);
                }
            }
        }
        Ok(())
    }

    fn compute_size(&self, _version: i16) -> anyhow::Result<usize> {
        let topics =
            self.0.topics.iter().map(|topic| 2 + topic.name.len() + 4 + topic.partitions.len() * (4 + 2 + 4 + 8));
        Ok(4 + topics.sum::<usize>())
    }
}

fn array<T>(body: &mut Bytes, mut each: impl FnMut(&mut Bytes) -> Result<T, String>) -> Result<Vec<T>, String> {
    let count = body.try_get_i32().map_err(ended)?;
    // Nothing is reserved: the elements come as they are read.
    (0..count.max(NOTHING)).map(|_| each(body)).collect()
}

fn string(body: &mut Bytes) -> Result<StrBytes, String> {
    let len = usize::try_from(body.try_get_i16().map_err(ended)?).map_err(|_| "a topic without a name".to_owned())?;
    if len > body.len() {
        return Err(ended(()));
    }
    StrBytes::from_utf8(body.split_to(len)).map_err(|error| error.to_string())
}

fn ended<E>(_: E) -> String {
    "it ends in the middle of a field".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::{BufMut, BytesMut};
    use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};

    fn request() -> BytesMut {
        let mut body = BytesMut::new();
        body.put_i32(-1);
        body.put_i32(1);
        body.put_i16(2);
        body.put_slice(b"ab");
        body.put_i32(2);
        for (partition, time) in [(0, -1), (7, -2)] {
            body.put_i32(partition);
            body.put_i64(time);
            body.put_i32(1);
        }
        body
    }

    #[test]
    fn a_request_says_what_version_1_says() {
        let read = read(&mut request().freeze()).expect("a whole request");
        let asked: Vec<_> = read.topics[0].partitions.iter().map(|one| (one.partition_index, one.timestamp)).collect();
        assert_eq!((&*read.topics[0].name.0, asked), ("ab", vec![(0, -1), (7, -2)]));
    }

    #[test]
    fn a_request_that_is_cut_short_is_none() {
        let whole = request().freeze();
        for cut in 0..whole.len() {
            assert!(read(&mut whole.slice(..cut)).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn an_answer_lists_the_offset_or_nothing() {
        let partition = |index, offset, error| {
            ListOffsetsPartitionResponse::default()
                .with_partition_index(index)
                .with_offset(offset)
                .with_error_code(error)
        };
        let topic = ListOffsetsTopicResponse::default()
            .with_name(TopicName(StrBytes::from_static_str("ab")))
            .with_partitions(vec![partition(0, 5, 0), partition(7, -1, 3)]);
        let mut out = BytesMut::new();
        Response(ListOffsetsResponse::default().with_topics(vec![topic])).encode(&mut out, 0).expect("encoded");
        let expected: &[u8] = &[
            0, 0, 0, 1, 0, 2, b'a', b'b', 0, 0, 0, 2, //
            0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, //
            0, 0, 0, 7, 0, 3, 0, 0, 0, 0,
        ];
        assert_eq!(&out[..], expected);
    }
}
