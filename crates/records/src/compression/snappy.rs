//! Snappy, in the framing that the Java library gave it long before snappy had one of its own.
//!
//! A 16-byte head (magic, version, oldest compatible version), then chunks: a big-endian length and a raw snappy block.
//! librdkafka and others send one raw block without framing, so both are read; the framing is written, since every
//! client reads it.

use std::io;

use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::{Failure, bounded};

/// The first 8 bytes of the framing.
const MAGIC: [u8; 8] = *b"\x82SNAPPY\0";

/// Version and oldest compatible version, the only ones ever used: big-endian 1 each.
const VERSIONS: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];

/// Bytes that go into one chunk, as the Java library cuts them.
const CHUNK: usize = 32 << 10;

/// Bytes that one byte of a raw block yields at most: a copy element of three bytes yields 64; rounded up.
const MAX_EXPANSION: usize = 32;

pub(super) fn compress(input: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
    let mut encoder = Encoder::new();
    output.extend_from_slice(&MAGIC);
    output.extend_from_slice(&VERSIONS);
    for chunk in input.chunks(CHUNK) {
        let length_at = output.len();
        let start = length_at + size_of::<i32>();
        output.resize(start + max_compress_len(chunk.len()), 0);
        let written = encoder.compress(chunk, output.get_mut(start..).unwrap_or_default())?;
        output.truncate(start + written);
        // A chunk of 32 KiB compresses to less than 64 KiB.
        let length = (written as u32).to_be_bytes();
        if let Some(field) = output.get_mut(length_at..start) {
            field.copy_from_slice(&length);
        }
    }
    Ok(())
}

pub(super) fn decompress(input: &[u8], limit: usize, output: &mut Vec<u8>) -> Result<(), Failure> {
    let mut decoder = Decoder::new();
    let mut left = limit;
    let Some(mut rest) = after_head(input) else {
        return block(&mut decoder, input, &mut left, output);
    };
    while !rest.is_empty() {
        // Streams are concatenated by some writers, heads included; no chunk is long enough to look like the magic.
        if let Some(next) = after_head(rest) {
            rest = next;
            continue;
        }
        let torn = || Failure::Malformed("a chunk ends early".to_owned());
        let (length, after) = rest.split_first_chunk().ok_or_else(torn)?;
        let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| torn())?;
        let (chunk, after) = after.split_at_checked(length).ok_or_else(torn)?;
        block(&mut decoder, chunk, &mut left, output)?;
        rest = after;
    }
    Ok(())
}

/// What follows the head of the framing, if there is one.
fn after_head(bytes: &[u8]) -> Option<&[u8]> {
    bytes.strip_prefix(&MAGIC)?.get(VERSIONS.len()..)
}

/// Appends one raw block, decompressed, and takes its size from `left`.
fn block(decoder: &mut Decoder, block: &[u8], left: &mut usize, output: &mut Vec<u8>) -> Result<(), Failure> {
    let claimed = decompress_len(block)?;
    *left = left.checked_sub(claimed).ok_or(Failure::TooLarge)?;
    // The claim is believed only as far as the format can keep it, before memory is taken for it.
    if claimed / MAX_EXPANSION > block.len() {
        return Err(Failure::Malformed(format!("a block of {} bytes claims to hold {claimed}", block.len())));
    }
    let start = output.len();
    bounded::reserve(output, claimed, (start + claimed).saturating_add(*left));
    output.resize(start + claimed, 0);
    let written = decoder.decompress(block, output.get_mut(start..).unwrap_or_default());
    output.truncate(start + *written.as_ref().unwrap_or(&0));
    written?;
    Ok(())
}
