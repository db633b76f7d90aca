//! An entry for fuzzing: everything that reads bytes from clients, without a socket.

use bytes::Bytes;

use crate::wire::request::Call;

/// Reads `data` as a request frame without its length field: header, shape and body of whatever API and version the
/// bytes name. Returns whether it is a request; must never panic nor take memory beyond a small multiple of `data`.
#[must_use]
pub fn fuzz_frame(data: &[u8]) -> bool {
    Call::read(Bytes::copy_from_slice(data)).is_ok()
}
