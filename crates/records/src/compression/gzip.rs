//! gzip, by the Rust port of zlib-ng.

use std::io::{self, Write};

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{Failure, bounded};

pub(super) fn compress(level: Option<i32>, input: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
    // Kafka takes 1 to 9 and -1 for the default.
    let level = match level {
        Some(level @ 1..) => flate2::Compression::new(level.unsigned_abs().min(9)),
        _ => flate2::Compression::default(),
    };
    let mut encoder = GzEncoder::new(output, level);
    encoder.write_all(input)?;
    encoder.finish()?;
    Ok(())
}

/// Reads concatenated members as one stream, as Java does.
pub(super) fn decompress(input: &[u8], limit: usize, output: &mut Vec<u8>) -> Result<(), Failure> {
    bounded::read_all(MultiGzDecoder::new(input), limit, output)
}
