//! Receive buffers, used again.
//!
//! The first touch of a memory page costs many times what receiving into it costs, so a buffer whose records have been
//! appended is filled again instead of freed. A buffer is handed out as [`BytesMut`]; the pool keeps an empty view of
//! the same allocation, and once every slice of it is gone that view can be turned into the whole buffer again.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

/// How many buffers a search looks at before it makes a new one.
const SEARCH: usize = 8;

/// The receive buffers of all connections.
#[derive(Debug)]
pub(crate) struct BufferPool {
    state: Mutex<State>,
    /// At most this many bytes are kept for reuse.
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    /// A view of each buffer with its capacity, the one that was handed out longest ago first.
    views: VecDeque<(Bytes, usize)>,
    bytes: usize,
}

impl BufferPool {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { state: Mutex::default(), max_bytes }
    }

    /// An empty buffer of at least `capacity` bytes.
    pub(crate) fn take(&self, capacity: usize) -> BytesMut {
        let mut buffer = self.reuse(capacity).unwrap_or_else(|| BytesMut::with_capacity(capacity));
        buffer.clear();
        let view = buffer.split_to(0).freeze();
        let size = buffer.capacity();
        let mut state = self.state.lock();
        if state.bytes + size <= self.max_bytes {
            state.bytes += size;
            state.views.push_back((view, size));
        }
        buffer
    }

    fn reuse(&self, capacity: usize) -> Option<BytesMut> {
        let mut state = self.state.lock();
        for _ in 0..state.views.len().min(SEARCH) {
            let (view, size) = state.views.pop_front()?;
            if size < capacity {
                state.views.push_back((view, size));
                continue;
            }
            match view.try_into_mut() {
                Ok(buffer) => {
                    state.bytes -= size;
                    return Some(buffer);
                }
                Err(view) => state.views.push_back((view, size)),
            }
        }
        None
    }

    /// Gives back to the system what nobody uses at this moment; called now and then. Returns the bytes still kept.
    pub(crate) fn trim(&self) -> usize {
        let mut state = self.state.lock();
        for _ in 0..state.views.len() {
            let Some((view, size)) = state.views.pop_front() else { break };
            match view.try_into_mut() {
                Ok(_unused) => state.bytes -= size,
                Err(view) => state.views.push_back((view, size)),
            }
        }
        state.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_once_its_slices_are_gone() {
        let pool = BufferPool::new(1 << 20);
        let mut buffer = pool.take(1_000);
        let address = buffer.as_ptr();
        buffer.extend_from_slice(&[1; 600]);
        let frame = buffer.split_to(500).freeze();
        drop(buffer);
        let other = pool.take(1_000);
        assert_ne!(other.as_ptr(), address, "still in use");
        drop(frame);
        let again = pool.take(1_000);
        assert_eq!((again.as_ptr(), again.len()), (address, 0));
        assert!(again.capacity() >= 1_000);
    }

    #[test]
    fn a_buffer_that_is_too_small_is_left_alone() {
        let pool = BufferPool::new(1 << 20);
        let small = pool.take(100).as_ptr();
        assert!(pool.take(10_000).capacity() >= 10_000);
        assert_eq!(pool.take(100).as_ptr(), small);
    }

    #[test]
    fn no_more_than_the_bound_is_kept() {
        let pool = BufferPool::new(1_000);
        drop(pool.take(4_000));
        assert_eq!(pool.state.lock().views.len(), 0);
        drop(pool.take(600));
        assert_eq!(pool.state.lock().bytes, 600);
        assert_eq!(pool.trim(), 0);
        assert!(pool.state.lock().views.is_empty());
    }
}
