//! A connection that its server can cut off.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::transport::server::Connected;

use super::owed::Owed;
use crate::net::{Connection, Peer};

/// A connection that fails as soon as its server severs it. The transport runs each connection in a task of its own
/// that outlives the server's future; this is the only handle on it.
pub(super) struct Severable {
    io: Connection,
    severed: Pin<Box<WaitForCancellationFutureOwned>>,
    dead: bool,
    /// Learns what is sent.
    owed: Owed,
    /// Its place among the connections that may be open.
    _place: OwnedSemaphorePermit,
}

impl Severable {
    pub(super) fn new(
        io: Connection,
        place: OwnedSemaphorePermit,
        severed: WaitForCancellationFutureOwned,
        owed: Owed,
    ) -> Self {
        Self { io, severed: Box::pin(severed), dead: false, owed, _place: place }
    }

    fn note_sent(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &written {
            self.owed.sent(*bytes);
        }
        written
    }
}

impl Connected for Severable {
    type ConnectInfo = Option<Peer>;

    fn connect_info(&self) -> Option<Peer> {
        self.io.connect_info()
    }
}

impl AsyncRead for Severable {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.dead && self.severed.as_mut().poll(cx).is_ready() {
            self.dead = true;
        }
        if self.dead {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Severable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.note_sent(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.note_sent(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
