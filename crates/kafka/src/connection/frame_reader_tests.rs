//! Framing: whole frames come out whatever the pieces they arrive in, and memory follows what arrives.

use proptest::prelude::*;

use super::super::budget::Budget;
use super::*;

const MAX: usize = 100 << 20;

fn reader() -> FrameReader {
    FrameReader::new(Arc::new(BufferPool::new(64 << 20)), MAX)
}

fn frame_of(len: usize, fill: u8) -> Vec<u8> {
    let mut frame = u32::try_from(len).expect("small").to_be_bytes().to_vec();
    frame.resize(LENGTH_LEN + len, fill);
    frame
}

/// Feeds `bytes` in pieces of at most `piece` and collects the frames.
fn feed(reader: &mut FrameReader, budget: &Budget, mut bytes: &[u8], piece: usize) -> Result<Vec<Frame>, FrameError> {
    let mut frames = Vec::new();
    loop {
        match reader.next()? {
            Step::Frame(frame) => frames.push(frame),
            Step::Grant(size) => reader.grant(budget.try_take(size).expect("within the budget"), size),
            Step::Receive if bytes.is_empty() => return Ok(frames),
            Step::Receive => {
                let mut room = reader.room();
                let count = bytes.len().min(piece).min(room.remaining_mut());
                assert!(count > 0, "there is always room to go on");
                room.put_slice(&bytes[..count]);
                bytes = &bytes[count..];
            }
        }
    }
}

proptest! {
    #[test]
    fn frames_come_out_as_they_went_in(
        lengths in proptest::collection::vec(prop_oneof![0usize..50, 0usize..100_000], 1..12), piece in 1usize..70_000,
    ) {
        let input: Vec<u8> = lengths.iter().zip(1u8..).flat_map(|(&len, fill)| frame_of(len, fill)).collect();
        let frames = feed(&mut reader(), &Budget::new(64 << 20), &input, piece.max(input.len() / 500)).expect("valid");
        prop_assert_eq!(frames.len(), lengths.len());
        for ((frame, &len), fill) in frames.iter().zip(&lengths).zip(1u8..) {
            prop_assert_eq!(frame.bytes.len(), len);
            prop_assert!(frame.bytes.iter().all(|&byte| byte == fill));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..5_000), piece in 1usize..600) {
        let _frames_or_refused = feed(&mut reader(), &Budget::new(256 << 20), &bytes, piece);
    }
}

#[test]
fn lengths_out_of_range_are_refused_before_anything_is_taken_for_them() {
    for announced in [-1i32, i32::MIN, i32::MAX, 100 * 1024 * 1024 + 1] {
        let mut reader = reader();
        let error = feed(&mut reader, &Budget::new(1 << 20), &announced.to_be_bytes(), 4).expect_err("out of range");
        assert_eq!(error, FrameError { announced, max: MAX });
        assert!(reader.buffer.capacity() <= FREE_BYTES);
    }
}

#[test]
fn an_announced_length_costs_nothing_until_its_bytes_arrive() {
    let budget = Budget::new(1 << 20);
    let announce = u32::try_from(MAX).expect("small").to_be_bytes();
    let mut readers: Vec<FrameReader> = (0..300).map(|_| reader()).collect();
    for reader in &mut readers {
        feed(reader, &budget, &announce, 4).expect("acceptable");
        assert!(reader.buffer.capacity() <= FREE_BYTES);
    }
    assert!(budget.try_take(1 << 20).is_some(), "no share is held");
}

#[test]
fn shares_grow_with_what_has_arrived_and_leave_with_the_frame() {
    let budget = Budget::new(1 << 20);
    let mut reader = reader();
    let frame = frame_of(600 << 10, 7);
    assert!(feed(&mut reader, &budget, &frame[..100 << 10], 4_096).expect("valid").is_empty());
    assert!(reader.granted >= 100 << 10 && reader.granted <= 256 << 10);
    assert!(reader.buffer.capacity() <= 256 << 10);
    let frames = feed(&mut reader, &budget, &frame[100 << 10..], 4_096).expect("valid");
    assert_eq!((frames.len(), reader.granted), (1, 0));
    assert!(budget.try_take(500 << 10).is_none(), "the frame holds its share");
    drop(frames);
    assert!(budget.try_take(1 << 20).is_some());
}

#[test]
fn a_connection_that_has_sent_a_size_is_trusted_with_it() {
    let mut reader = reader();
    let budget = Budget::new(1 << 20);
    let frame = frame_of(100 << 10, 3);
    drop(feed(&mut reader, &budget, &frame, 4_096).expect("valid"));
    assert!(feed(&mut reader, &budget, &frame[..10], 10).expect("valid").is_empty());
    assert!(reader.room().remaining_mut() >= frame.len() - 10, "the rest is received in one piece");
    assert!(reader.holds_share());
}

#[test]
fn frames_of_one_size_are_never_moved() {
    let mut reader = reader();
    let budget = Budget::new(16 << 20);
    let frame = frame_of(66_000, 3);
    let mut moved = 0;
    for _ in 0..40 {
        let held = feed(&mut reader, &budget, &frame[..9], 9).expect("valid");
        assert!(held.is_empty());
        let before = reader.buffer.as_ptr();
        let frames = feed(&mut reader, &budget, &frame[9..], usize::MAX).expect("valid");
        let after = frames[0].bytes.as_ptr() as usize - LENGTH_LEN;
        moved += usize::from(before as usize != after);
    }
    assert!(moved <= 1, "only while the size is not known: {moved}");
}

#[test]
fn a_connection_at_rest_holds_no_buffer() {
    let mut reader = reader();
    let frames = feed(&mut reader, &Budget::new(1 << 20), &frame_of(100, 1), 1_000).expect("valid");
    assert_eq!((frames.len(), reader.is_mid_frame()), (1, false));
    reader.release();
    assert_eq!(reader.buffer.capacity(), 0);
}
