//! One fetch response on the wire, written around its record bytes instead of over them. Pure.
//!
//! A gRPC message is a byte that says whether it is compressed, four bytes of length, and the protobuf message. Here the
//! message is written in two pieces: a head with everything up to and including the tag and length of `raw_batches`, and
//! the batches themselves, which stay where the read put them. Any client reads it as an ordinary `FetchResponse`.

use bytes::{BufMut, Bytes, BytesMut};
use levada_proto::v1;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

/// The number of `FetchResponse.raw_batches`.
const RAW_BATCHES_TAG: u32 = 7;

/// A compression flag and a length.
const MESSAGE_PREFIX_LEN: usize = 5;

/// A message in pieces, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(super) head: Bytes,
    /// The last field's content; empty if the head is all.
    pub(super) payload: Bytes,
}

impl Frame {
    /// `response`, which has no content yet, with these raw batches. `None` if it is too long for a message.
    pub(super) fn with_raw_batches(response: &v1::FetchResponse, batches: Bytes) -> Option<Self> {
        let batches_len = batches.len() as u64;
        let field_len = key_len(RAW_BATCHES_TAG) + encoded_len_varint(batches_len);
        let head_len = response.encoded_len() + field_len;
        let mut head = prefixed(head_len.checked_add(batches.len())?, head_len)?;
        response.encode(&mut head).ok()?;
        encode_key(RAW_BATCHES_TAG, WireType::LengthDelimited, &mut head);
        encode_varint(batches_len, &mut head);
        Some(Self { head: head.freeze(), payload: batches })
    }

    /// `response` in one piece. `None` if it is too long for a message.
    pub(crate) fn whole(response: &impl Message) -> Option<Self> {
        let len = response.encoded_len();
        let mut head = prefixed(len, len)?;
        response.encode(&mut head).ok()?;
        Some(Self { head: head.freeze(), payload: Bytes::new() })
    }
}

/// A buffer with the prefix of a message of `message_len` bytes and room for `room` more.
fn prefixed(message_len: usize, room: usize) -> Option<BytesMut> {
    let announced = u32::try_from(message_len).ok()?;
    let mut buffer = BytesMut::with_capacity(MESSAGE_PREFIX_LEN + room);
    buffer.put_u8(0);
    buffer.put_u32(announced);
    Some(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response() -> v1::FetchResponse {
        v1::FetchResponse {
            topic_id: "AAECAwQFBgcICQoLDA0ODw".to_owned(),
            partition: 3,
            next_offset: 1_000_000,
            high_watermark: 1_000_001,
            log_start_offset: 5,
            content: None,
        }
    }

    fn read(frame: &Frame) -> v1::FetchResponse {
        let bytes = [&frame.head[..], &frame.payload[..]].concat();
        assert_eq!(bytes[0], 0, "not compressed");
        let announced = u32::from_be_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]) as usize;
        assert_eq!(announced, bytes.len() - MESSAGE_PREFIX_LEN);
        v1::FetchResponse::decode(&bytes[MESSAGE_PREFIX_LEN..]).expect("it is a FetchResponse")
    }

    #[test]
    fn pieces_are_the_message_that_prost_would_write() {
        for len in [0, 1, 127, 128, 300_000] {
            let batches = Bytes::from(vec![7; len]);
            let frame = Frame::with_raw_batches(&response(), batches.clone()).expect("it fits");
            assert_eq!(frame.payload.as_ptr(), batches.as_ptr(), "the batches are not copied");
            let content = Some(v1::fetch_response::Content::RawBatches(batches));
            let expected = v1::FetchResponse { content, ..response() };
            assert_eq!(read(&frame), expected);
            assert_eq!([&frame.head[MESSAGE_PREFIX_LEN..], &frame.payload[..]].concat(), expected.encode_to_vec());
        }
    }

    #[test]
    fn a_whole_response_reads_back() {
        let records = vec![v1::StoredRecord { offset: 9, value: Some(Bytes::from_static(b"v")), ..Default::default() }];
        let content = Some(v1::fetch_response::Content::Records(v1::StoredRecordList { records }));
        let response = v1::FetchResponse { content, ..response() };
        assert_eq!(read(&Frame::whole(&response).expect("it fits")), response);
    }
}
