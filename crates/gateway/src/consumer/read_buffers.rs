//! The buffers that all fetch streams read into: counted, and used again once the connection has sent them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use metrics::Gauge;
use parking_lot::Mutex;

/// Bytes of free buffers that are kept for the next read. A kept buffer's memory is mapped and initialised already, which
/// would cost about as much as reading into it.
const KEPT_BYTES: usize = 8 << 20;

/// Smaller buffers are cheaper to make than to keep.
const WORTH_KEEPING: usize = 64 << 10;

/// How large a response may be while too much is being sent.
const LARGEST_UNDER_PRESSURE: u32 = 64 << 10;

/// Where fetch streams get their buffers. Cheap to clone; clones are the same.
///
/// Clients that read slowly hold buffers for as long as they like. Nobody waits for them: at the bound
/// (`grpc.fetch.max.buffered.bytes`) responses become small instead, so that a stream can hold little more.
#[derive(Clone)]
pub(crate) struct ReadBuffers(Arc<Shared>);

struct Shared {
    limit: usize,
    in_use: AtomicUsize,
    free: Mutex<Free>,
    gauge: Gauge,
}

#[derive(Default)]
struct Free {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

/// A buffer of a certain length.
pub(super) struct ReadBuffer {
    /// At least `len` bytes.
    bytes: Vec<u8>,
    len: usize,
    shared: Arc<Shared>,
}

impl ReadBuffers {
    pub(crate) fn new(limit: usize) -> Self {
        let gauge = metrics::gauge!("levada_gateway_fetch_buffered_bytes");
        Self(Arc::new(Shared { limit, in_use: AtomicUsize::new(0), free: Mutex::default(), gauge }))
    }

    /// How large the next response may be, of at most `asked` bytes.
    pub(crate) fn response_limit(&self, asked: u32) -> u32 {
        let is_scarce = self.0.in_use.load(Ordering::Relaxed) >= self.0.limit;
        if is_scarce { asked.min(LARGEST_UNDER_PRESSURE) } else { asked }
    }

    /// A buffer of `len` bytes, whatever they are.
    pub(super) fn take(&self, len: usize) -> ReadBuffer {
        let mut bytes = self.0.free.lock().take(len).unwrap_or_default();
        if bytes.len() < len {
            if bytes.capacity() < len {
                bytes = vec![0; len];
            }
            bytes.resize(len, 0);
        }
        self.0.in_use.fetch_add(bytes.len(), Ordering::Relaxed);
        self.0.gauge.increment(bytes.len() as f64);
        ReadBuffer { bytes, len, shared: self.0.clone() }
    }
}

impl ReadBuffer {
    /// The buffer, to be filled.
    pub(super) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }

    /// The buffer, to be sent.
    pub(super) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for ReadBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.shared.in_use.fetch_sub(bytes.len(), Ordering::Relaxed);
        self.shared.gauge.decrement(bytes.len() as f64);
        self.shared.free.lock().keep(bytes);
    }
}

impl Free {
    /// The buffer that was freed last, which is the one most likely still in the processor's cache.
    fn take(&mut self, len: usize) -> Option<Vec<u8>> {
        if len < WORTH_KEEPING {
            return None;
        }
        let buffer = self.buffers.pop()?;
        self.bytes -= buffer.len();
        Some(buffer)
    }

    fn keep(&mut self, buffer: Vec<u8>) {
        if buffer.len() >= WORTH_KEEPING && self.bytes + buffer.len() <= KEPT_BYTES {
            self.bytes += buffer.len();
            self.buffers.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_use(buffers: &ReadBuffers) -> usize {
        buffers.0.in_use.load(Ordering::Relaxed)
    }

    #[test]
    fn a_buffer_is_used_again_once_every_part_of_it_is_sent() {
        let buffers = ReadBuffers::new(1 << 20);
        let mut first = buffers.take(100_000);
        first.as_mut_slice()[99_999] = 7;
        let sent = first.freeze();
        let (part, address) = (sent.slice(99_999..), sent.as_ptr());
        drop(sent);
        assert_ne!(buffers.take(100_000).as_ref().as_ptr(), address, "a part is still being sent");
        assert_eq!(part, [7][..]);
        drop(part);
        let again = buffers.take(70_000);
        assert_eq!((again.as_ref().as_ptr(), again.as_ref().len()), (address, 70_000));
        let larger = buffers.take(200_000);
        assert_eq!(larger.as_ref().len(), 200_000);
        drop((again, larger));
        assert_eq!(in_use(&buffers), 0);
    }

    #[test]
    fn responses_are_small_while_too_much_is_being_sent() {
        let buffers = ReadBuffers::new(150_000);
        let first = buffers.take(100_000);
        assert_eq!(buffers.response_limit(1 << 20), 1 << 20);
        let second = buffers.take(100_000);
        assert_eq!(buffers.response_limit(1 << 20), LARGEST_UNDER_PRESSURE);
        assert_eq!(buffers.response_limit(10), 10);
        drop((first, second));
        assert_eq!(buffers.response_limit(1 << 20), 1 << 20);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let buffers = ReadBuffers::new(usize::MAX);
        let many: Vec<_> = (0..20).map(|_| buffers.take(1 << 20)).collect();
        drop(many);
        drop(buffers.take(100));
        assert_eq!(buffers.0.free.lock().bytes, KEPT_BYTES);
        assert_eq!(buffers.0.free.lock().buffers.len(), KEPT_BYTES >> 20);
    }
}
