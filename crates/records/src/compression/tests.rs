//! What every codec must do, and what each reads from foreign writers.

use std::io::Write;

use proptest::prelude::*;

use super::*;

const CODECS: [Compression; 4] = [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fn compressed(compression: Compression, level: Option<i32>, input: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    compression.compress(level, input, &mut output).unwrap();
    output
}

fn decompressed(compression: Compression, input: &[u8], limit: usize) -> Result<Vec<u8>, BatchError> {
    let mut output = b"before".to_vec();
    let outcome = compression.decompress(input, limit, &mut output);
    assert!(output.starts_with(b"before") && output.len() <= 6 + limit, "the limit holds whatever happens");
    outcome.map(|()| output.split_off(6))
}

/// Text-like bytes of several blocks of every codec.
fn sample() -> Vec<u8> {
    (0..40_000u32).flat_map(|i| format!("line {} of the sample\n", i % 977).into_bytes()).collect()
}

#[test]
fn numbers_and_names_are_kafkas() {
    let table = [(0, "none"), (1, "gzip"), (2, "snappy"), (3, "lz4"), (4, "zstd")];
    for (compression, (id, name)) in Compression::ALL.into_iter().zip(table) {
        assert_eq!((compression.id(), compression.name()), (id, name));
        assert_eq!(Compression::from_id(id), Some(compression));
        assert_eq!(Compression::from_name(name), Some(compression));
    }
    assert_eq!((Compression::from_id(5), Compression::from_id(-1)), (None, None));
    assert_eq!(Compression::from_name("brotli"), None);
}

#[test]
fn a_limit_of_exactly_the_size_is_enough_and_one_byte_less_is_not() {
    let sample = sample();
    for compression in Compression::ALL {
        let bytes = compressed(compression, None, &sample);
        assert_eq!(decompressed(compression, &bytes, sample.len()).as_deref(), Ok(sample.as_slice()));
        let limit = sample.len() - 1;
        assert_eq!(decompressed(compression, &bytes, limit), Err(BatchError::DecompressedTooLarge { limit }));
    }
}

#[test]
fn text_gets_smaller() {
    let sample = sample();
    for compression in CODECS {
        assert!(compressed(compression, None, &sample).len() < sample.len() / 5, "{}", compression.name());
    }
}

#[test]
fn a_bomb_stops_at_the_limit() {
    let zeros = vec![0; 8 << 20];
    for compression in CODECS {
        let bomb = compressed(compression, None, &zeros);
        assert!(bomb.len() < zeros.len() / 15);
        let mut output = Vec::new();
        let limit = 1 << 20;
        let outcome = compression.decompress(&bomb, limit, &mut output);
        assert_eq!(outcome, Err(BatchError::DecompressedTooLarge { limit }));
        assert!(output.capacity() <= limit + 1, "{} took {}", compression.name(), output.capacity());
    }
}

#[test]
fn levels_are_honoured_and_brought_into_range() {
    let sample = sample();
    for compression in [Compression::Gzip, Compression::Zstd] {
        let fast = compressed(compression, Some(1), &sample);
        let best = compressed(compression, Some(i32::MAX), &sample);
        assert!(best.len() < fast.len(), "{}", compression.name());
        for bytes in [fast, best, compressed(compression, Some(i32::MIN), &sample)] {
            assert_eq!(decompressed(compression, &bytes, sample.len()).as_deref(), Ok(sample.as_slice()));
        }
    }
}

#[test]
fn java_snappy_framing_is_written() {
    let bytes = compressed(Compression::Snappy, None, b"levada");
    assert_eq!(&bytes[..16], b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01");
    assert_eq!(bytes[16..20], (bytes.len() as u32 - 20).to_be_bytes());
    assert_eq!(snap::raw::Decoder::new().decompress_vec(&bytes[20..]).unwrap(), b"levada");
}

#[test]
fn raw_and_concatenated_snappy_are_read() {
    let raw = snap::raw::Encoder::new().compress_vec(b"one raw block").unwrap();
    assert_eq!(decompressed(Compression::Snappy, &raw, 100).as_deref(), Ok(b"one raw block".as_slice()));
    let mut twice = compressed(Compression::Snappy, None, b"one, ");
    twice.extend(compressed(Compression::Snappy, None, b"two"));
    assert_eq!(decompressed(Compression::Snappy, &twice, 100).as_deref(), Ok(b"one, two".as_slice()));
}

#[test]
fn a_snappy_block_that_lies_about_its_size_takes_no_memory() {
    // A raw block is its size as a varint and then the elements: here 2^31 - 1 bytes and nothing.
    let lie = [0xff, 0xff, 0xff, 0xff, 0x07];
    let mut output = Vec::new();
    assert!(Compression::Snappy.decompress(&lie, usize::MAX, &mut output).is_err());
    assert_eq!(output.capacity(), 0);
}

#[test]
fn concatenated_gzip_members_are_read() {
    let mut twice = compressed(Compression::Gzip, None, b"one, ");
    twice.extend(compressed(Compression::Gzip, None, b"two"));
    assert_eq!(decompressed(Compression::Gzip, &twice, 100).as_deref(), Ok(b"one, two".as_slice()));
}

#[test]
fn zstd_frames_without_a_content_size_are_read() {
    // What streaming writers such as the Java client's send.
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    encoder.write_all(b"streamed").unwrap();
    let bytes = encoder.finish().unwrap();
    assert_eq!(decompressed(Compression::Zstd, &bytes, 100).as_deref(), Ok(b"streamed".as_slice()));
}

#[test]
fn a_torn_stream_is_an_error() {
    let sample = sample();
    for compression in CODECS {
        let bytes = compressed(compression, None, &sample);
        let torn = decompressed(compression, &bytes[..bytes.len() / 2], sample.len());
        assert!(!matches!(&torn, Ok(read) if read.len() == sample.len()), "{}", compression.name());
        // An LZ4 frame torn between two blocks reads as a shorter one; the record count notices that.
        if compression != Compression::Lz4 {
            assert!(matches!(torn, Err(BatchError::Decompression { .. })), "{}: {torn:?}", compression.name());
        }
    }
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(input in proptest::collection::vec(any::<u8>(), 0..300), repeat in 1..300usize) {
        let input = input.repeat(repeat);
        for compression in Compression::ALL {
            let bytes = compressed(compression, None, &input);
            let read = decompressed(compression, &bytes, input.len());
            prop_assert_eq!(read.as_deref(), Ok(input.as_slice()));
        }
    }

    #[test]
    fn hostile_input_ends_within_the_limit(input in proptest::collection::vec(any::<u8>(), 0..500), limit in 0..5_000usize) {
        for compression in CODECS {
            let _ = decompressed(compression, &input, limit);
        }
    }

    #[test]
    fn a_damaged_stream_ends_within_the_limit(
        input in proptest::collection::vec(0..4u8, 0..500),
        at in any::<prop::sample::Index>(),
        flip in 1..=255u8,
    ) {
        for compression in CODECS {
            let mut bytes = compressed(compression, None, &input);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            let _ = decompressed(compression, &bytes, 2_000);
        }
    }
}
