//! Output that stops at a limit.

use std::io::Read;

use super::Failure;

/// Bytes by which the output grows: what is asked of the decompressor at once.
const STEP: usize = 64 << 10;

/// Appends everything that `source` yields to `output`, or fails once it is more than `limit` bytes.
pub(super) fn read_all(mut source: impl Read, limit: usize, output: &mut Vec<u8>) -> Result<(), Failure> {
    let start = output.len();
    loop {
        let written = output.len() - start;
        // One byte more than allowed is asked for, to tell an output of exactly `limit` bytes from a longer one.
        let step = STEP.min(limit.saturating_sub(written).saturating_add(1));
        reserve(output, step, (start + 1).saturating_add(limit));
        output.resize(start + written + step, 0);
        let target = output.get_mut(start + written..).unwrap_or_default();
        let outcome = fill(&mut source, target);
        let read = *outcome.as_ref().unwrap_or(&0);
        output.truncate(start + (written + read).min(limit));
        if outcome? < step {
            return Ok(());
        }
        if written + read > limit {
            return Err(Failure::TooLarge);
        }
    }
}

/// Makes room for `additional` more bytes. Grows as a vector does, by doubling, but not past `most` bytes: what doubles
/// past the limit of a bomb is memory for nothing.
pub(super) fn reserve(output: &mut Vec<u8>, additional: usize, most: usize) {
    let needed = output.len() + additional;
    if output.capacity() < needed {
        let grown = output.capacity().saturating_mul(2).min(most).max(needed);
        output.reserve_exact(grown - output.len());
    }
}

/// Appends `bytes` to `output`, if they are at most `limit`.
pub(super) fn append(bytes: &[u8], limit: usize, output: &mut Vec<u8>) -> Result<(), Failure> {
    if bytes.len() > limit {
        return Err(Failure::TooLarge);
    }
    output.reserve_exact(bytes.len());
    output.extend_from_slice(bytes);
    Ok(())
}

/// Reads until `target` is full or `source` ends.
fn fill(source: &mut impl Read, target: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = target.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}
