//! A buffer that encodes a message around bodies that are not in memory.
//!
//! Records leave by `sendfile`; only what stands around them is encoded. The messages are encoded by `kafka-protocol`,
//! which copies every byte field through [`BufMut::put_slice`]. So a body is put into the message as a slice of
//! [`placeholder`] of the body's length; this buffer recognises such a slice by where it lies in memory, not by its
//! length or contents, notes a cut instead of copying it, and the body is sent there.
#![allow(unsafe_code, reason = "BufMut is an unsafe trait; every unsafe method only delegates to BytesMut's own")]

use std::ops::Range;
use std::sync::OnceLock;

use bytes::buf::UninitSlice;
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::buf::ByteBufMut;

/// The longest body that can be cut out. Longer ones (a single batch beyond any request that this broker takes by
/// default) are read into memory and encoded as they are.
pub(crate) const MAX_CUT_LEN: usize = 256 << 20;

/// Address space for placeholders. Its pages are never touched, so it costs none.
fn region() -> &'static Bytes {
    static REGION: OnceLock<Bytes> = OnceLock::new();
    REGION.get_or_init(|| Bytes::from(vec![0; MAX_CUT_LEN]))
}

/// Stands for a body of `len` bytes; `None` if that is longer than [`MAX_CUT_LEN`].
pub(crate) fn placeholder(len: usize) -> Option<Bytes> {
    (len <= MAX_CUT_LEN).then(|| region().slice(..len))
}

/// Encoded bytes, with cuts where bodies belong.
#[derive(Debug, Default)]
pub(crate) struct Rope {
    head: BytesMut,
    /// Positions in `head` and lengths of the bodies that belong there, in order.
    cuts: Vec<(usize, usize)>,
}

impl Rope {
    /// An empty rope with room for `capacity` encoded bytes.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { head: BytesMut::with_capacity(capacity), cuts: Vec::new() }
    }

    /// All bytes, those of the bodies included.
    pub(crate) fn total_len(&self) -> usize {
        self.head.len() + self.cuts.iter().map(|(_, len)| len).sum::<usize>()
    }

    /// The pieces between the bodies: one more than there are bodies, and some may be empty.
    pub(crate) fn into_pieces(self) -> Vec<Bytes> {
        let mut head = self.head.freeze();
        let mut pieces = Vec::with_capacity(self.cuts.len() + 1);
        let mut done = 0;
        for (position, _) in self.cuts {
            pieces.push(head.split_to(position - done));
            done = position;
        }
        pieces.push(head);
        pieces
    }
}

fn is_placeholder(slice: &[u8]) -> bool {
    let region = region().as_ptr_range();
    !slice.is_empty() && region.contains(&slice.as_ptr())
}

// SAFETY: the three required methods are BytesMut's own, so its guarantees are this type's.
unsafe impl BufMut for Rope {
    fn remaining_mut(&self) -> usize {
        self.head.remaining_mut()
    }

    unsafe fn advance_mut(&mut self, count: usize) {
        // SAFETY: the caller's promise is handed on unchanged.
        unsafe { self.head.advance_mut(count) };
    }

    fn chunk_mut(&mut self) -> &mut UninitSlice {
        self.head.chunk_mut()
    }

    fn put_slice(&mut self, src: &[u8]) {
        if is_placeholder(src) {
            self.cuts.push((self.head.len(), src.len()));
        } else {
            self.head.put_slice(src);
        }
    }
}

impl ByteBufMut for Rope {
    fn offset(&self) -> usize {
        self.head.len()
    }

    fn seek(&mut self, offset: usize) {
        self.head.resize(offset, 0);
    }

    fn range(&mut self, range: Range<usize>) -> &mut [u8] {
        &mut self.head[range]
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::fetch_response::{FetchResponse, FetchableTopicResponse, PartitionData};
    use kafka_protocol::protocol::Encodable;
    use proptest::prelude::*;

    use super::*;

    fn response(bodies: &[Bytes]) -> FetchResponse {
        let partitions = bodies.iter().map(|body| PartitionData::default().with_records(Some(body.clone()))).collect();
        FetchResponse::default().with_responses(vec![FetchableTopicResponse::default().with_partitions(partitions)])
    }

    proptest! {
        #[test]
        fn the_pieces_and_bodies_are_what_would_have_been_encoded(
            lengths in proptest::collection::vec(0usize..3_000, 0..6), version in 4i16..=18,
        ) {
            let bodies: Vec<Bytes> = lengths.iter().map(|&len| Bytes::from(vec![0x5a; len])).collect();
            let mut expected = BytesMut::new();
            response(&bodies).encode(&mut expected, version).expect("encodes");

            let placeholders: Vec<Bytes> = lengths.iter().map(|&len| placeholder(len).expect("short")).collect();
            let mut rope = Rope::with_capacity(64);
            response(&placeholders).encode(&mut rope, version).expect("encodes");
            prop_assert_eq!(rope.total_len(), expected.len());

            let mut actual = BytesMut::new();
            let mut filled = bodies.iter().filter(|body| !body.is_empty());
            let pieces = rope.into_pieces();
            prop_assert_eq!(pieces.len(), filled.clone().count() + 1);
            for piece in &pieces {
                actual.extend_from_slice(piece);
                if let Some(body) = filled.next() {
                    actual.extend_from_slice(body);
                }
            }
            prop_assert_eq!(actual, expected);
        }
    }

    #[test]
    fn equal_bytes_from_elsewhere_are_copied() {
        let mut rope = Rope::default();
        rope.put_slice(&[0; 10]);
        assert_eq!((rope.total_len(), rope.into_pieces()), (10, vec![Bytes::from_static(&[0; 10])]));
    }

    #[test]
    fn a_body_that_is_too_long_has_no_placeholder() {
        assert!(placeholder(MAX_CUT_LEN + 1).is_none());
    }
}
