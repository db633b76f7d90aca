//! Whether a page of a file is in the page cache: the one call that nix has no safe form of.
#![allow(unsafe_code, reason = "preadv2 with RWF_NOWAIT is bound by libc only")]

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::libc;

/// Whether the byte at `position` is in the page cache. A read that must not wait fails with `EAGAIN` when it would
/// have to go to the device; a file system that does not know the flag counts as cached, since then nothing is known.
pub(super) fn is_cached(fd: BorrowedFd<'_>, position: u64) -> bool {
    let mut byte = 0u8;
    let buffer = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let Ok(position) = libc::off_t::try_from(position) else {
        return true;
    };
    // SAFETY: `buffer` describes one writable byte that outlives the call, and the descriptor is borrowed for it.
    let read = unsafe { libc::preadv2(fd.as_raw_fd(), &raw const buffer, 1, position, libc::RWF_NOWAIT) };
    read >= 0 || std::io::Error::last_os_error().kind() != std::io::ErrorKind::WouldBlock
}
