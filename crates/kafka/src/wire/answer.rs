//! An answer: the frame that goes back, with the places where record bodies belong.

use std::fmt::Display;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ResponseHeader;
use kafka_protocol::protocol::buf::ByteBufMut;
use kafka_protocol::protocol::{Encodable, HeaderVersion};
use levada_log::Slice;
use thiserror::Error;

use super::request::Head;
use super::rope::Rope;

/// The bytes of a frame's length field.
pub(crate) const LENGTH_LEN: usize = 4;

/// The bytes of the largest response header (version 1): correlation id and the count of tagged fields.
const MAX_HEADER_LEN: usize = 5;

/// An answer could not be encoded: a defect, or an answer of more than 2 GiB. The connection is closed.
#[derive(Debug, Error)]
#[error("the {api} answer of version {version} cannot be encoded: {reason}")]
pub(crate) struct EncodeError {
    api: &'static str,
    version: i16,
    reason: String,
}

/// A part of an answer.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Encoded bytes.
    Bytes(Bytes),
    /// Record batches, pinned in their segment.
    Body(Slice),
}

/// An encoded frame.
#[derive(Debug)]
pub(crate) enum Answer {
    /// All of it is in memory.
    Plain(Bytes),
    /// Encoded bytes and bodies in turn.
    Pieces(Vec<Piece>),
}

impl Answer {
    /// Encodes `response`.
    ///
    /// # Errors
    /// [`EncodeError`] if a field has a value that the version cannot express.
    pub(crate) fn encode<R: Encodable + HeaderVersion>(head: Head, response: &R) -> Result<Self, EncodeError> {
        let size = response.compute_size(head.version).map_err(|error| failed(head, error))?;
        let mut out = BytesMut::with_capacity(LENGTH_LEN + MAX_HEADER_LEN + size);
        out.put_i32(0);
        encode_message(head, response, &mut out)?;
        let len = frame_len(head, out.len())?;
        out[..LENGTH_LEN].copy_from_slice(&len.to_be_bytes());
        Ok(Self::Plain(out.freeze()))
    }

    /// Encodes `response`, whose byte fields hold a placeholder for each of `bodies`, in order. An empty body has none
    /// and must not be among them.
    ///
    /// # Errors
    /// [`EncodeError`] if a field has a value that the version cannot express.
    pub(crate) fn encode_around<R: Encodable + HeaderVersion>(
        head: Head,
        response: &R,
        bodies: Vec<Slice>,
    ) -> Result<Self, EncodeError> {
        if bodies.is_empty() {
            return Self::encode(head, response);
        }
        let in_bodies: usize = bodies.iter().map(Slice::len).sum();
        let size = response.compute_size(head.version).map_err(|error| failed(head, error))?;
        let mut rope = Rope::with_capacity(MAX_HEADER_LEN + size.saturating_sub(in_bodies));
        encode_message(head, response, &mut rope)?;
        let len = frame_len(head, LENGTH_LEN + rope.total_len())?;
        let heads = rope.into_pieces();
        if heads.len() != bodies.len() + 1 {
            return Err(failed(head, "the bodies and their places differ in number"));
        }
        let mut pieces = Vec::with_capacity(1 + heads.len() + bodies.len());
        pieces.push(Piece::Bytes(Bytes::copy_from_slice(&len.to_be_bytes())));
        let mut bodies = bodies.into_iter();
        for bytes in heads {
            if !bytes.is_empty() {
                pieces.push(Piece::Bytes(bytes));
            }
            pieces.extend(bodies.next().map(Piece::Body));
        }
        Ok(Self::Pieces(pieces))
    }
}

fn encode_message<R: Encodable + HeaderVersion>(
    head: Head,
    response: &R,
    out: &mut impl ByteBufMut,
) -> Result<(), EncodeError> {
    ResponseHeader::default()
        .with_correlation_id(head.correlation_id)
        .encode(out, R::header_version(head.version))
        .and_then(|()| response.encode(out, head.version))
        .map_err(|error| failed(head, error))
}

/// What the length field says of a frame of `total` bytes, that field included.
fn frame_len(head: Head, total: usize) -> Result<i32, EncodeError> {
    i32::try_from(total - LENGTH_LEN).map_err(|_| failed(head, "it is longer than 2 GiB"))
}

fn failed(head: Head, reason: impl Display) -> EncodeError {
    EncodeError { api: head.api().name, version: head.version, reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::fetch_response::{FetchResponse, FetchableTopicResponse, PartitionData};
    use kafka_protocol::messages::{ApiKey, ApiVersionsResponse};

    use super::*;
    use crate::wire::api;
    use crate::wire::rope::placeholder;

    fn head(key: ApiKey, version: i16) -> Head {
        Head { api: api::find(key as i16).expect("listed"), version, correlation_id: 7 }
    }

    fn bytes_of(answer: Answer) -> Vec<u8> {
        match answer {
            Answer::Plain(bytes) => bytes.to_vec(),
            Answer::Pieces(pieces) => pieces
                .into_iter()
                .flat_map(|piece| match piece {
                    Piece::Bytes(bytes) => bytes.to_vec(),
                    Piece::Body(slice) => slice.to_bytes().expect("in memory").to_vec(),
                })
                .collect(),
        }
    }

    fn fetch_response(records: Vec<Bytes>) -> FetchResponse {
        let partitions =
            records.into_iter().map(|records| PartitionData::default().with_records(Some(records))).collect();
        FetchResponse::default().with_responses(vec![FetchableTopicResponse::default().with_partitions(partitions)])
    }

    #[test]
    fn a_frame_around_bodies_equals_a_frame_with_them_inside() {
        let bodies: Vec<Bytes> = vec![Bytes::from(vec![1; 10]), Bytes::new(), Bytes::from(vec![2; 5_000])];
        let plain = Answer::encode(head(ApiKey::Fetch, 12), &fetch_response(bodies.clone())).expect("encodes");
        let places = bodies.iter().map(|body| placeholder(body.len()).expect("short")).collect();
        let slices = bodies.iter().filter(|body| !body.is_empty()).cloned().map(Slice::of_bytes).collect();
        let around = Answer::encode_around(head(ApiKey::Fetch, 12), &fetch_response(places), slices).expect("encodes");
        assert_eq!(bytes_of(around), bytes_of(plain));
    }

    #[test]
    fn bodies_without_places_are_refused() {
        let slices = vec![Slice::of_bytes(Bytes::from_static(b"lost"))];
        assert!(Answer::encode_around(head(ApiKey::Fetch, 12), &fetch_response(vec![]), slices).is_err());
    }

    #[test]
    fn the_header_of_api_versions_has_no_tagged_fields() {
        let answer = Answer::encode(head(ApiKey::ApiVersions, 3), &ApiVersionsResponse::default()).expect("encodes");
        // Length, correlation id, then at once the error code, the empty array (1), throttle time and no tags.
        assert_eq!(bytes_of(answer), [0, 0, 0, 12, 0, 0, 0, 7, 0, 0, 1, 0, 0, 0, 0, 0]);
    }
}
