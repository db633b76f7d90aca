//! Zstandard, by the reference library.

use std::io::{self, Write};

use zstd::stream::read::Decoder;
use zstd::stream::write::Encoder;

use super::{Failure, bounded};

/// The greatest window that a frame may ask the decoder to keep, as a power of two: what level 22 uses. The library's
/// own default, named here because it bounds memory (which the system backs only as far as output is written).
const WINDOW_LOG_MAX: u32 = 27;

pub(super) fn compress(level: Option<i32>, input: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
    let range = zstd::compression_level_range();
    let level = level.map_or(zstd::DEFAULT_COMPRESSION_LEVEL, |level| level.clamp(*range.start(), *range.end()));
    let mut encoder = Encoder::new(output, level)?;
    encoder.set_pledged_src_size(Some(input.len() as u64))?;
    encoder.write_all(input)?;
    encoder.finish()?;
    Ok(())
}

pub(super) fn decompress(input: &[u8], limit: usize, output: &mut Vec<u8>) -> Result<(), Failure> {
    let mut decoder = Decoder::with_buffer(input)?;
    decoder.window_log_max(WINDOW_LOG_MAX)?;
    bounded::read_all(decoder, limit, output)
}
