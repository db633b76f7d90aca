//! Answers on their way out.
//!
//! Encoded bytes of several answers leave in one vectored write. Record bodies leave by `sendfile` from the page cache,
//! or, if that is switched off, through a buffer; a small body is read and joined to the bytes around it, since a copy
//! of a few kilobytes costs less than the system call it saves. A body that may not be in the page cache is read once
//! on a blocking thread before it is sent, so that no disk is waited for here.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd};

use bytes::Buf;
use levada_log::Slice;
use nix::libc;
use nix::sys::sendfile::sendfile64;
use nix::sys::socket::{MsgFlags, sendmsg};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::wire::answer::{Answer, Piece};

/// A body up to this size is read and written with what stands around it: below it, the copy costs less than a
/// `sendfile` call and the segment it would send on its own.
const SMALL_BODY: usize = 16 << 10;

/// How much one `sendfile` call is asked to send, so that one connection does not hold a worker for long.
const SENDFILE_STEP: usize = 1 << 20;

/// The buffer for reading and writing bodies: it stays in a core's cache between the two.
const COPY_STEP: usize = 256 << 10;

/// The most pieces in one vectored write.
const MAX_PIECES: usize = 64;

/// More answers are taken in only while fewer bytes than this wait to leave.
const ENOUGH: usize = 256 << 10;

/// What waits to be written to one socket.
#[derive(Debug)]
pub(crate) struct Outbox {
    pieces: VecDeque<Piece>,
    /// Bytes of `pieces` not yet sent.
    bytes: usize,
    /// How much of the body at the front has been sent or copied.
    body_done: usize,
    /// Part of the body at the front, read and not yet sent.
    copy: Vec<u8>,
    copied: std::ops::Range<usize>,
    warming: Option<JoinHandle<io::Result<()>>>,
    /// The body at the front is known to be in the page cache.
    warm: bool,
    sendfile: bool,
}

impl Outbox {
    /// An empty one; `sendfile` says how bodies leave.
    pub(crate) fn new(sendfile: bool) -> Self {
        Self {
            pieces: VecDeque::new(),
            bytes: 0,
            body_done: 0,
            copy: Vec::new(),
            copied: 0..0,
            warming: None,
            warm: false,
            sendfile,
        }
    }

    /// Whether everything has left.
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether more answers should be put in.
    pub(crate) fn wants_more(&self) -> bool {
        self.bytes < ENOUGH && self.pieces.len() < MAX_PIECES
    }

    /// Puts an answer behind the others; returns its size.
    pub(crate) fn push(&mut self, answer: Answer) -> usize {
        let before = self.bytes;
        match answer {
            Answer::Plain(bytes) => self.push_piece(Piece::Bytes(bytes)),
            Answer::Pieces(pieces) => pieces.into_iter().for_each(|piece| self.push_piece(piece)),
        }
        self.bytes - before
    }

    fn push_piece(&mut self, piece: Piece) {
        let len = match &piece {
            Piece::Bytes(bytes) => bytes.len(),
            Piece::Body(slice) => slice.len(),
        };
        if len > 0 {
            self.bytes += len;
            self.pieces.push_back(piece);
        }
    }

    /// Writes what the socket takes, up to a step's worth. May be dropped at any await without loss.
    ///
    /// # Errors
    /// What the socket or the disk says, and `UnexpectedEof` if a body is shorter than was announced. The connection
    /// must be closed, since the frame that has begun cannot be finished.
    pub(crate) async fn write_some(&mut self, socket: &TcpStream) -> io::Result<()> {
        self.warm_front().await?;
        socket.writable().await?;
        match self.step(socket) {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(()),
            result => result,
        }
    }

    /// Has the body at the front read on a blocking thread if reading it might wait for a device.
    async fn warm_front(&mut self) -> io::Result<()> {
        if self.warming.is_none() {
            let Some(Piece::Body(slice)) = self.pieces.front() else { return Ok(()) };
            if self.warm || self.body_done > 0 || slice.is_likely_cached() {
                return Ok(());
            }
            let slice = slice.clone();
            self.warming = Some(tokio::task::spawn_blocking(move || read_through(&slice)));
        }
        if let Some(warming) = &mut self.warming {
            let read = warming.await.map_err(io::Error::other)?;
            self.warming = None;
            self.warm = true;
            read?;
        }
        Ok(())
    }

    fn step(&mut self, socket: &TcpStream) -> io::Result<()> {
        match self.pieces.front() {
            None => Ok(()),
            Some(Piece::Body(slice)) if slice.len() > SMALL_BODY => {
                if self.sendfile && slice.as_file().is_some() {
                    self.send_file(socket)
                } else {
                    self.send_copy(socket)
                }
            }
            Some(_) => self.send_gathered(socket),
        }
    }

    /// Sends the encoded bytes and small bodies at the front in one call.
    fn send_gathered(&mut self, socket: &TcpStream) -> io::Result<()> {
        let mut count = 0;
        let mut followed = false;
        for piece in self.pieces.iter_mut().take(MAX_PIECES) {
            if let Piece::Body(slice) = piece {
                // The first one has been warmed; a later one that is cold becomes the first in its turn.
                if slice.len() > SMALL_BODY || (count > 0 && !slice.is_likely_cached()) {
                    followed = true;
                    break;
                }
                *piece = Piece::Bytes(slice.to_bytes()?);
            }
            count += 1;
        }
        let gathered: Vec<IoSlice<'_>> = self
            .pieces
            .iter()
            .take(count)
            .filter_map(|piece| match piece {
                Piece::Bytes(bytes) => Some(IoSlice::new(bytes)),
                Piece::Body(_) => None,
            })
            .collect();
        // A body follows at once, so the kernel need not send a segment for what stands before it.
        let more = if followed { MsgFlags::from_bits_retain(libc::MSG_MORE) } else { MsgFlags::empty() };
        let sent = socket.try_io(Interest::WRITABLE, || {
            Ok(sendmsg::<()>(socket.as_raw_fd(), &gathered, &[], more | MsgFlags::MSG_NOSIGNAL, None)?)
        })?;
        self.advance(sent);
        Ok(())
    }

    /// Drops `sent` bytes from the front, all of which are encoded bytes.
    fn advance(&mut self, mut sent: usize) {
        self.bytes -= sent;
        while let Some(Piece::Bytes(bytes)) = self.pieces.front_mut() {
            if sent < bytes.len() {
                bytes.advance(sent);
                return;
            }
            sent -= bytes.len();
            self.pieces.pop_front();
            self.warm = false;
        }
    }

    fn send_file(&mut self, socket: &TcpStream) -> io::Result<()> {
        let Some((file, position, len)) = self.front_file() else { return Ok(()) };
        let mut offset = i64::try_from(position + self.body_done as u64).map_err(io::Error::other)?;
        let count = (len - self.body_done).min(SENDFILE_STEP);
        let sent =
            socket.try_io(Interest::WRITABLE, || Ok(sendfile64(socket.as_fd(), file, Some(&mut offset), count)?))?;
        if sent == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the log is shorter than what was announced"));
        }
        self.body_sent(sent, len);
        Ok(())
    }

    fn front_file(&self) -> Option<(std::os::fd::BorrowedFd<'_>, u64, usize)> {
        match self.pieces.front() {
            Some(Piece::Body(slice)) => slice.as_file(),
            _ => None,
        }
    }

    fn send_copy(&mut self, socket: &TcpStream) -> io::Result<()> {
        let Some(Piece::Body(slice)) = self.pieces.front() else { return Ok(()) };
        let len = slice.len();
        if self.copied.is_empty() {
            self.copy.resize(COPY_STEP, 0);
            let count = slice.read_at(self.body_done, &mut self.copy)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.copied = 0..count;
        }
        let sent = socket.try_write(&self.copy[self.copied.clone()])?;
        self.copied.start += sent;
        self.body_sent(sent, len);
        Ok(())
    }

    fn body_sent(&mut self, sent: usize, len: usize) {
        self.bytes -= sent;
        self.body_done += sent;
        if self.body_done == len {
            self.pieces.pop_front();
            self.body_done = 0;
            self.copied = 0..0;
            self.warm = false;
        }
    }
}

/// Reads all of `slice`, so that it is in the page cache afterwards.
fn read_through(slice: &Slice) -> io::Result<()> {
    let mut buffer = vec![0; COPY_STEP.min(slice.len())];
    let mut done = 0;
    while done < slice.len() {
        match slice.read_at(done, &mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => done += count,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    async fn sockets() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let (client, server) =
            tokio::join!(TcpStream::connect(listener.local_addr().expect("bound")), listener.accept());
        (client.expect("connects"), server.expect("accepts").0)
    }

    fn body(len: usize, fill: u8) -> Piece {
        Piece::Body(Slice::of_bytes(Bytes::from(vec![fill; len])))
    }

    #[tokio::test]
    async fn everything_leaves_in_order() {
        let (mut client, server) = sockets().await;
        let mut outbox = Outbox::new(true);
        let sizes = [10, SMALL_BODY, 5, 3 * COPY_STEP + 17, 7];
        let pieces = vec![
            Piece::Bytes(Bytes::from(vec![1; sizes[0]])),
            body(sizes[1], 2),
            Piece::Bytes(Bytes::from(vec![3; sizes[2]])),
            body(sizes[3], 4),
        ];
        assert_eq!(outbox.push(Answer::Pieces(pieces)), sizes[..4].iter().sum::<usize>());
        outbox.push(Answer::Plain(Bytes::from(vec![5; sizes[4]])));
        let writing = async {
            while !outbox.is_empty() {
                outbox.write_some(&server).await.expect("writes");
            }
            assert_eq!(outbox.bytes, 0);
            drop(server);
        };
        let mut received = Vec::new();
        let (_, read) = tokio::join!(writing, client.read_to_end(&mut received));
        read.expect("reads");
        let expected: Vec<u8> = sizes.iter().zip(1u8..).flat_map(|(&len, fill)| vec![fill; len]).collect();
        assert!(received == expected);
    }

    #[tokio::test]
    async fn a_reader_that_does_not_read_blocks_only_the_writer() {
        let (_client, server) = sockets().await;
        let mut outbox = Outbox::new(true);
        outbox.push(Answer::Pieces(vec![body(64 << 20, 1)]));
        assert!(!outbox.wants_more());
        // The kernel takes some megabytes and no more.
        while let Some(result) = futures::FutureExt::now_or_never(outbox.write_some(&server)) {
            result.expect("writes");
        }
        assert!(!outbox.is_empty());
    }
}
