//! Read buffers that are used again once the connection has sent them. Pure.

use bytes::{Bytes, BytesMut};

/// Buffers that a stream keeps: one being sent, one being filled, and some on their way through the connection's queue.
const KEPT: usize = 4;

/// Smaller buffers are cheaper to make than to keep.
const WORTH_KEEPING: usize = 64 << 10;

/// The last buffers of a stream. One that nobody else holds any more is filled again: then its memory is mapped and
/// initialised already, which costs about as much as reading into it.
#[derive(Debug, Default)]
pub(super) struct SpareBuffers(Vec<Bytes>);

impl SpareBuffers {
    /// A buffer of `len` bytes, whatever they are.
    pub(super) fn take(&mut self, len: usize) -> BytesMut {
        if len < WORTH_KEEPING {
            // A stream that carries little has no need of them.
            self.0.clear();
            return BytesMut::zeroed(len);
        }
        let Some(place) = self.0.iter().position(Bytes::is_unique) else { return BytesMut::zeroed(len) };
        match self.0.swap_remove(place).try_into_mut() {
            Ok(mut buffer) => {
                buffer.resize(len, 0);
                buffer
            }
            Err(_) => BytesMut::zeroed(len),
        }
    }

    /// Remembers a buffer that is about to be sent.
    pub(super) fn remember(&mut self, sent: &Bytes) {
        if sent.len() < WORTH_KEEPING {
            return;
        }
        if self.0.len() == KEPT {
            self.0.remove(0);
        }
        self.0.push(sent.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_once_it_is_sent() {
        let mut spares = SpareBuffers::default();
        let sent = spares.take(100_000).freeze();
        spares.remember(&sent);
        let address = sent.as_ptr();
        let meanwhile = spares.take(100_000);
        assert_ne!(meanwhile.as_ptr(), address, "the first is still being sent");
        drop(sent);
        let again = spares.take(70_000);
        assert_eq!((again.as_ptr(), again.len()), (address, 70_000));
    }

    #[test]
    fn what_is_kept_is_bounded_and_given_up_when_little_is_sent() {
        let mut spares = SpareBuffers::default();
        (0..10).for_each(|_| spares.remember(&Bytes::from(vec![0; 100_000])));
        assert_eq!(spares.0.len(), KEPT);
        spares.remember(&Bytes::from_static(b"small"));
        assert_eq!(spares.0.len(), KEPT);
        assert_eq!(spares.take(5).len(), 5);
        assert!(spares.0.is_empty());
    }
}
