//! Variable-length integers: seven bits a byte, lowest first, zigzag for the sign (as Protocol Buffers' `sint`).

/// Bytes that a 32-bit integer takes at most.
pub(crate) const MAX_VARINT_LEN: usize = 5;

/// Bytes that a 64-bit integer takes at most.
const MAX_VARLONG_LEN: usize = 10;

/// Reads an `i32` at the start of `bytes`: the value and what follows it. `None` if the bytes end within it, if it is
/// longer than five bytes, or if it does not fit.
#[inline]
pub(crate) fn read_varint(bytes: &[u8]) -> Option<(i32, &[u8])> {
    // Lengths and deltas are mostly below 64.
    if let [first @ 0..0x80, rest @ ..] = bytes {
        return Some((unzigzag(u64::from(*first)) as i32, rest));
    }
    let (raw, rest) = read_unsigned(bytes, MAX_VARINT_LEN)?;
    let raw = u32::try_from(raw).ok()?;
    Some((unzigzag(u64::from(raw)) as i32, rest))
}

/// Reads an `i64` like [`read_varint`]; at most ten bytes.
#[inline]
pub(crate) fn read_varlong(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (raw, rest) = read_unsigned(bytes, MAX_VARLONG_LEN)?;
    Some((unzigzag(raw), rest))
}

fn read_unsigned(bytes: &[u8], max_len: usize) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (at, &byte) in bytes.iter().take(max_len).enumerate() {
        let bits = u64::from(byte & 0x7f);
        let shift = 7 * at as u32;
        // The tenth byte has room for one bit.
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(at + 1..)?));
        }
    }
    None
}

/// Appends `value` in as few bytes as it takes.
#[inline]
pub(crate) fn write_varlong(target: &mut Vec<u8>, value: i64) {
    let mut rest = zigzag(value);
    while rest >= 0x80 {
        target.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    target.push(rest as u8);
}

/// Bytes that [`write_varlong`] writes for `value`. A 32-bit value takes the same bytes in both widths.
#[inline]
pub(crate) const fn varlong_len(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

const fn unzigzag(raw: u64) -> i64 {
    (raw >> 1).cast_signed() ^ -((raw & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reads_what_it_wrote(value: i64, trailing: u8) {
            let mut bytes = Vec::new();
            write_varlong(&mut bytes, value);
            prop_assert_eq!(bytes.len(), varlong_len(value));
            bytes.push(trailing);
            let rest = [trailing];
            prop_assert_eq!(read_varlong(&bytes), Some((value, rest.as_slice())));
        }

        #[test]
        fn widths_agree_where_both_hold_the_value(value: i32) {
            let mut bytes = Vec::new();
            write_varlong(&mut bytes, i64::from(value));
            prop_assert_eq!(read_varint(&bytes), Some((value, [].as_slice())));
        }

        #[test]
        fn hostile_bytes_end_in_a_value_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..16)) {
            for rest in [read_varint(&bytes).map(|(_, rest)| rest), read_varlong(&bytes).map(|(_, rest)| rest)].into_iter().flatten() {
                prop_assert!(bytes.ends_with(rest));
            }
        }
    }

    #[test]
    fn known_encodings() {
        for (value, expected) in [(0, vec![0]), (-1, vec![1]), (1, vec![2]), (63, vec![0x7e]), (-65, vec![0x81, 0x01])]
        {
            let mut bytes = Vec::new();
            write_varlong(&mut bytes, value);
            assert_eq!(bytes, expected);
        }
    }

    #[test]
    fn overlong_and_oversized_are_refused() {
        assert_eq!(read_varint(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]), None);
        assert_eq!(read_varint(&[0xff, 0xff, 0xff, 0xff, 0x1f]), None);
        assert_eq!(read_varint(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Some((i32::MIN, [].as_slice())));
        assert_eq!(read_varlong(&[0xff; 11]), None);
        let mut widest = [0xff; 10];
        widest[9] = 0x02;
        assert_eq!(read_varlong(&widest), None);
        widest[9] = 0x01;
        assert_eq!(read_varlong(&widest), Some((i64::MIN, [].as_slice())));
        assert_eq!(read_varint(&[0x80]), None);
    }
}
