//! Requests of the Kafka protocol as any client may send them.

/// Reads `bytes` as a request frame without its length: header, shape and body of whatever API and version they name.
pub fn frame(bytes: &[u8]) {
    let _ = levada_kafka::fuzz_frame(bytes);
}
