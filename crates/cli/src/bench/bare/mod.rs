//! Bare loops: the least that any server must do to receive and store, or to read and send, the same bytes on this machine
//! at this moment. A server's CPU time is quoted as a ratio to theirs, since absolute figures change with the machine.
//!
//! Each loop is a thread of its own whose CPU time the system counts; its peer, which is not counted, is another thread.

mod receive;
mod send;
mod thread_cpu;

pub(super) use receive::receive_and_append;
pub(super) use send::send_file;

use std::time::Duration;

/// What a loop took for the bytes it moved.
#[derive(Debug, Clone, Copy)]
pub(super) struct BareRun {
    pub(super) bytes: u64,
    /// CPU time of the counted thread alone.
    pub(super) cpu: Duration,
    pub(super) elapsed: Duration,
}
