//! CRC-32C (Castagnoli), the checksum of record batches.

use crc_fast::CrcAlgorithm;

/// The CRC-32C of `bytes`, computed with whatever vector instructions this processor has.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    // The library computes checksums of up to 64 bits; those of 32 fill the lower half.
    crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn agrees_with_rfc_3720() {
        // Appendix B.4: 32 bytes of zeros, of ones, and ascending.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        let ascending: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&ascending), 0x46dd_794e);
    }

    proptest! {
        #[test]
        fn agrees_with_another_implementation(bytes in proptest::collection::vec(any::<u8>(), 0..5_000)) {
            prop_assert_eq!(crc32c(&bytes), ::crc32c::crc32c(&bytes));
        }
    }
}
