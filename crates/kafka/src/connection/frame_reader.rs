//! Frames out of a stream of bytes.
//!
//! A length is checked before anything is done for it, and memory is taken as bytes arrive, not as they are announced:
//! a connection that has sent frames of a size before is trusted with a buffer of that size at once; for another the
//! buffer grows by doubling. Bytes are received straight into the place where the frame stays; a frame is a slice of
//! that buffer. This is the pure part: whoever owns the socket asks [`FrameReader::next`] what to do.

use std::sync::Arc;

use bytes::buf::Limit;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;

use super::budget::Share;
use super::buffer_pool::BufferPool;

/// The bytes of the length field.
const LENGTH_LEN: usize = 4;

/// What every connection may receive of a frame before it takes a share of the request memory: a pod's worth of small
/// requests, and what a connection costs that announces much and sends little.
pub(crate) const FREE_BYTES: usize = 16 << 10;

/// How many frames share a buffer, if they are not larger than a part of [`SHARED_BUFFER`].
const FRAMES_PER_BUFFER: usize = 4;

/// The size of a buffer that frames share: small enough to stay in a core's cache while it is filled, checked and
/// written, large enough to take what a socket holds in one call.
const SHARED_BUFFER: usize = 1 << 20;

/// A frame is announced that is longer than `socket.request.max.bytes`, or negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a frame of {announced} bytes was announced; socket.request.max.bytes is {max}")]
pub(crate) struct FrameError {
    announced: i32,
    max: usize,
}

/// A frame without its length field, and the share of request memory it holds.
#[derive(Debug)]
pub(crate) struct Frame {
    /// The bytes.
    pub(crate) bytes: Bytes,
    /// To be kept until the request has been answered.
    pub(crate) share: Share,
}

/// What the owner of the socket should do.
#[derive(Debug)]
pub(crate) enum Step {
    /// Handle this frame.
    Frame(Frame),
    /// Take a share of the request memory of so many bytes, and hand it to [`FrameReader::grant`].
    Grant(usize),
    /// Receive more into [`FrameReader::room`].
    Receive,
}

/// Cuts the bytes of one connection into frames.
#[derive(Debug)]
pub(crate) struct FrameReader {
    pool: Arc<BufferPool>,
    max_frame: usize,
    buffer: BytesMut,
    /// The bytes of the frame at the front that its share covers.
    granted: usize,
    share: Share,
    /// The size that this connection's frames had lately.
    largest: usize,
}

impl FrameReader {
    pub(crate) fn new(pool: Arc<BufferPool>, max_frame: usize) -> Self {
        Self { pool, max_frame, buffer: BytesMut::new(), granted: 0, share: Share::default(), largest: 0 }
    }

    /// What to do next.
    ///
    /// # Errors
    /// [`FrameError`] if the announced length is not acceptable; the connection must be closed.
    pub(crate) fn next(&mut self) -> Result<Step, FrameError> {
        let Some(len) = self.announced()? else {
            self.ensure_room(LENGTH_LEN);
            return Ok(Step::Receive);
        };
        let total = LENGTH_LEN + len;
        let arrived = self.buffer.len().min(total);
        // Small frames take their share when they are about to be whole, large ones ahead of their bytes: at once if
        // the connection has sent frames of that size, else in steps.
        let due = if total <= FREE_BYTES {
            total - 1
        } else if total <= self.largest {
            0
        } else {
            FREE_BYTES
        };
        if arrived >= self.granted.max(due) && self.granted < total {
            let trusted = self.largest.max(2 * arrived).max(FREE_BYTES);
            let wanted = if arrived == total { total } else { total.min(trusted) };
            return Ok(Step::Grant(wanted - self.granted));
        }
        if arrived < total {
            self.ensure_room(total);
            return Ok(Step::Receive);
        }
        // Trust fades, so that one large frame does not make large buffers for the small ones that follow.
        self.largest = total.max(self.largest - self.largest / 8);
        self.granted = 0;
        self.buffer.advance(LENGTH_LEN);
        let bytes = self.buffer.split_to(len).freeze();
        Ok(Step::Frame(Frame { bytes, share: std::mem::take(&mut self.share) }))
    }

    /// Takes in a share of `bytes`, as [`Step::Grant`] asked for.
    pub(crate) fn grant(&mut self, share: Share, bytes: usize) {
        self.share.merge(share);
        self.granted += bytes;
    }

    /// Where to receive: never beyond what is granted of a large frame. Valid after [`Step::Receive`].
    pub(crate) fn room(&mut self) -> Limit<&mut BytesMut> {
        let spare = self.buffer.capacity() - self.buffer.len();
        let limit = match self.announced() {
            Ok(Some(len)) if LENGTH_LEN + len > self.granted.max(FREE_BYTES) => {
                self.granted.max(FREE_BYTES) - self.buffer.len()
            }
            _ => spare,
        };
        (&mut self.buffer).limit(limit.min(spare))
    }

    /// Whether part of a frame has arrived.
    pub(crate) fn is_mid_frame(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Whether it holds a share of the request memory for a frame that has not arrived whole.
    pub(crate) fn holds_share(&self) -> bool {
        self.granted > 0
    }

    /// Lets go of the buffer if nothing is in it, so that a connection at rest holds none.
    pub(crate) fn release(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }

    /// Room for a few frames of the size that this connection sends. Frames of one size then end where the buffer ends,
    /// so that no part of one has to be moved to the next buffer.
    fn usual_capacity(&self) -> usize {
        let frames = (SHARED_BUFFER / self.largest.max(1)).clamp(1, FRAMES_PER_BUFFER);
        (frames * self.largest).max(FREE_BYTES)
    }

    /// Takes a buffer for the start of a frame.
    pub(crate) fn prepare(&mut self) {
        self.ensure_room(LENGTH_LEN);
    }

    /// The length of the frame at the front, if its length field has arrived.
    fn announced(&self) -> Result<Option<usize>, FrameError> {
        let Some(field) = self.buffer.first_chunk::<LENGTH_LEN>() else { return Ok(None) };
        let announced = i32::from_be_bytes(*field);
        match usize::try_from(announced) {
            Ok(len) if len <= self.max_frame => Ok(Some(len)),
            _ => Err(FrameError { announced, max: self.max_frame }),
        }
    }

    /// Sees to it that there is room behind what has arrived, and that the buffer can hold the frame of `total` bytes
    /// as far as it may be received.
    fn ensure_room(&mut self, total: usize) {
        let reach = total.min(self.granted.max(FREE_BYTES)).max(self.buffer.len() + 1);
        if self.buffer.capacity() >= reach {
            return;
        }
        let mut buffer = self.pool.take(reach.max(self.usual_capacity()));
        buffer.extend_from_slice(&self.buffer);
        self.buffer = buffer;
    }
}

#[cfg(test)]
#[path = "frame_reader_tests.rs"]
mod tests;
