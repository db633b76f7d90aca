//! What holds of whole batches: they come back as they were built, no damage goes unnoticed, hostile bytes do no harm,
//! and what validation refuses is refused for the reason that a client can act on.

#![allow(clippy::unwrap_used, reason = "the functions that tests share are tests, too")]

use bytes::Bytes;
use levada_records::{
    Attributes, BATCH_HEADER_LEN, BatchBuilder, BatchError, BatchHeader, Batches, Compression, Header, KeyRule, Limits,
    RecordBatch, RecordBuffer, STAMP_LEN, TimestampType, TimestampWindow, crc32c, recompress, stamp,
    with_log_append_time, with_max_timestamp, with_producer,
};
use levada_types::ErrorCode;
use proptest::prelude::*;

/// A record that owns its bytes.
#[derive(Debug, Clone, PartialEq)]
struct Owned {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

fn any_bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..max)
}

fn any_record() -> impl Strategy<Value = Owned> {
    let headers = proptest::collection::vec((any_bytes(20), proptest::option::of(any_bytes(20))), 0..4);
    (any::<i64>(), proptest::option::of(any_bytes(40)), proptest::option::of(any_bytes(300)), headers)
        .prop_map(|(timestamp, key, value, headers)| Owned { timestamp, key, value, headers })
}

fn any_records() -> impl Strategy<Value = Vec<Owned>> {
    proptest::collection::vec(any_record(), 1..30)
}

fn any_compression() -> impl Strategy<Value = Compression> {
    proptest::sample::select(Compression::ALL.to_vec())
}

fn append(builder: &mut BatchBuilder, record: &Owned) {
    let headers: Vec<Header<'_>> =
        record.headers.iter().map(|(key, value)| Header { key, value: value.as_deref() }).collect();
    builder.append(record.timestamp, record.key.as_deref(), record.value.as_deref(), &headers).unwrap();
}

fn build(records: &[Owned], compression: Compression) -> Bytes {
    let mut builder = BatchBuilder::new();
    for record in records {
        append(&mut builder, record);
    }
    builder.build(compression, None).unwrap()
}

fn read(batch: &RecordBatch<'_>) -> Result<Vec<Owned>, BatchError> {
    let mut buffer = RecordBuffer::new();
    let owned = |bytes: &[u8]| bytes.to_vec();
    batch
        .records(&mut buffer)?
        .map(|record| {
            let record = record?;
            Ok(Owned {
                timestamp: record.timestamp,
                key: record.key.map(owned),
                value: record.value.map(owned),
                headers: record.headers().map(|header| (owned(header.key), header.value.map(owned))).collect(),
            })
        })
        .collect()
}

/// A batch of `count` records with time 1,000 and up, key and value, that passes every check.
fn valid(count: u8) -> Bytes {
    let mut builder = BatchBuilder::new();
    builder.set_producer(9, 1, 5);
    for i in 0..count {
        builder.append(1_000 + i64::from(i), Some(&[i]), Some(b"value"), &[]).unwrap();
    }
    builder.build(Compression::None, None).unwrap()
}

/// `batch` with its header changed and its checksum made right again.
fn with_header(batch: &[u8], change: impl FnOnce(&mut BatchHeader)) -> Bytes {
    let mut header = BatchHeader::parse(batch).unwrap();
    change(&mut header);
    let mut bytes = batch.to_vec();
    header.write_to(bytes.first_chunk_mut().unwrap());
    let crc = crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes.into()
}

fn validated(batch: &[u8], limits: &Limits) -> Result<(), BatchError> {
    RecordBatch::parse_only(batch).and_then(|batch| batch.validate(limits))
}

proptest! {
    #[test]
    fn records_come_back_as_they_went_in(records in any_records(), compression in any_compression()) {
        let bytes = build(&records, compression);
        let batch = RecordBatch::parse_only(&bytes).unwrap();
        prop_assert_eq!(batch.verify_crc(), Ok(()));
        prop_assert_eq!(batch.header().compression(), Ok(compression));
        prop_assert_eq!(batch.header().records_count as usize, records.len());
        prop_assert_eq!(batch.header().max_timestamp, records.iter().map(|record| record.timestamp).max().unwrap());
        prop_assert_eq!(read(&batch).unwrap(), records);
    }

    #[test]
    fn recompression_changes_nothing_but_the_bytes(
        records in any_records(),
        from in any_compression(),
        to in any_compression(),
    ) {
        let bytes = build(&records, from);
        let before = RecordBatch::parse_only(&bytes).unwrap();
        let bytes = recompress(&before, to, None, &Limits::NONE).unwrap();
        let after = RecordBatch::parse_only(&bytes).unwrap();
        prop_assert_eq!(after.verify_crc(), Ok(()));
        prop_assert_eq!(read(&after).unwrap(), records);
        prop_assert_eq!(after.header().compression(), Ok(to));
        let same_but = BatchHeader {
            batch_length: after.header().batch_length,
            crc: after.header().crc,
            attributes: after.header().attributes,
            ..*before.header()
        };
        prop_assert_eq!(*after.header(), same_but);
    }

    #[test]
    fn no_flipped_bit_goes_unnoticed(
        records in any_records(),
        compression in any_compression(),
        bit in any::<prop::sample::Index>(),
    ) {
        let mut bytes = build(&records, compression).to_vec();
        let intact = BatchHeader::parse(&bytes).unwrap();
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let outcome = RecordBatch::parse_only(&bytes).and_then(|batch| batch.verify_crc().map(|()| *batch.header()));
        match outcome {
            Err(_) => {}
            // Base offset and leader epoch are the leader's to stamp, and outside the checksum for that.
            Ok(header) => {
                prop_assert!(bit / 8 < STAMP_LEN && !(8..12).contains(&(bit / 8)), "bit {} of {:?}", bit, header);
                let restored = BatchHeader {
                    base_offset: intact.base_offset,
                    partition_leader_epoch: intact.partition_leader_epoch,
                    ..header
                };
                prop_assert_eq!(restored, intact);
            }
        }
    }

    #[test]
    fn hostile_bytes_are_refused_or_read_but_never_more(bytes in any_bytes(400)) {
        for batch in Batches::new(&bytes).map_while(Result::ok) {
            prop_assert!(batch.bytes().len() <= bytes.len());
            let _ = read(&batch);
        }
    }

    #[test]
    fn hostile_records_behind_a_sound_header_end_in_an_error_or_records(
        payload in any_bytes(400),
        compression in any_compression(),
        count in 0..20i32,
        compress_it: bool,
    ) {
        let mut bytes = vec![0; BATCH_HEADER_LEN];
        if compress_it {
            compression.compress(None, &payload, &mut bytes).unwrap();
        } else {
            bytes.extend_from_slice(&payload);
        }
        let template = BatchHeader::parse(&valid(1)).unwrap();
        let header = BatchHeader {
            batch_length: bytes.len() as i32 - 12,
            records_count: count,
            last_offset_delta: count - 1,
            attributes: Attributes(compression.id()),
            ..template
        };
        header.write_to(bytes.first_chunk_mut().unwrap());
        let bytes = with_header(&bytes, |_| {});
        let batch = RecordBatch::parse_only(&bytes).unwrap();
        let mut buffer = RecordBuffer::with_limit(10_000);
        let _ = batch.validate(&Limits::NONE);
        let _ = batch.validate_records(&Limits::NONE, KeyRule::Required, &mut buffer);
        if let Ok(records) = read(&batch) {
            prop_assert_eq!(records.len(), count as usize);
        }
    }

    #[test]
    fn batches_are_walked_to_the_torn_end(sizes in proptest::collection::vec(1..20u8, 1..6), cut in any::<prop::sample::Index>()) {
        let batches: Vec<Bytes> = sizes.iter().map(|&count| valid(count)).collect();
        let whole = batches.concat();
        let mut walk = Batches::new(&whole);
        for batch in &batches {
            prop_assert_eq!(walk.next().unwrap().unwrap().bytes(), batch.as_ref());
        }
        prop_assert!(walk.next().is_none() && walk.remaining().is_empty());

        let torn = &whole[..cut.index(whole.len())];
        let mut walk = Batches::new(torn);
        let read: usize = walk.by_ref().map_while(Result::ok).map(|batch| batch.bytes().len()).sum();
        prop_assert_eq!(read + walk.remaining().len(), torn.len());
        prop_assert!(walk.next().is_none());
    }
}

#[test]
fn a_batch_of_kafka_is_read() {
    // A key, a value and a header as the format's documentation lays them out, byte by byte.
    let mut bytes = Vec::new();
    bytes.extend(7i64.to_be_bytes());
    bytes.extend(64i32.to_be_bytes());
    bytes.extend(3i32.to_be_bytes());
    bytes.push(2);
    bytes.extend([0; 4]);
    bytes.extend(0i16.to_be_bytes());
    bytes.extend(0i32.to_be_bytes());
    bytes.extend(1_500i64.to_be_bytes());
    bytes.extend(1_500i64.to_be_bytes());
    bytes.extend((-1i64).to_be_bytes());
    bytes.extend((-1i16).to_be_bytes());
    bytes.extend((-1i32).to_be_bytes());
    bytes.extend(1i32.to_be_bytes());
    bytes.extend([28, 0, 0, 0, 2, b'k', 4, b'v', b'w', 2, 4, b'h', b'1', 2, b'x']);
    let crc = crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());

    let batch = RecordBatch::parse_only(&bytes).unwrap();
    batch.validate(&Limits::NONE).unwrap();
    let mut buffer = RecordBuffer::new();
    let record = batch.records(&mut buffer).unwrap().next().unwrap().unwrap();
    assert_eq!((record.offset, record.timestamp, record.sequence), (7, 1_500, -1));
    assert_eq!((record.key, record.value), (Some(b"k".as_slice()), Some(b"vw".as_slice())));
    assert_eq!(record.headers().collect::<Vec<_>>(), [Header { key: b"h1", value: Some(b"x") }]);

    let mut builder = BatchBuilder::new();
    builder.set_position(7, 3);
    builder.append(1_500, Some(b"k"), Some(b"vw"), &[Header { key: b"h1", value: Some(b"x") }]).unwrap();
    assert_eq!(builder.build(Compression::None, None).unwrap(), bytes);
}

#[test]
fn stamping_leaves_the_checksum_right() {
    let bytes = valid(3);
    let length = RecordBatch::parse_only(&bytes).unwrap().header().batch_length;
    let stamped = [&stamp(1_000_000, length, 12), &bytes[STAMP_LEN..]].concat();
    let batch = RecordBatch::parse_only(&stamped).unwrap();
    batch.verify_crc().unwrap();
    assert_eq!((batch.header().base_offset, batch.header().partition_leader_epoch), (1_000_000, 12));
    assert_eq!((batch.header().last_offset(), batch.header().next_offset()), (1_000_002, 1_000_003));
    let mut buffer = RecordBuffer::new();
    let positions: Vec<_> = batch.records(&mut buffer).unwrap().map(|r| r.map(|r| (r.offset, r.sequence))).collect();
    assert_eq!(positions, [Ok((1_000_000, 5)), Ok((1_000_001, 6)), Ok((1_000_002, 7))]);
}

#[test]
fn log_append_time_is_the_time_of_every_record() {
    let bytes = valid(3);
    let bytes = with_log_append_time(&RecordBatch::parse_only(&bytes).unwrap(), 77_000);
    let batch = RecordBatch::parse_only(&bytes).unwrap();
    batch.verify_crc().unwrap();
    assert_eq!(batch.header().timestamp_type(), TimestampType::LogAppendTime);
    assert!(read(&batch).unwrap().iter().all(|record| record.timestamp == 77_000));
}

#[test]
fn a_batch_is_numbered_anew() {
    let bytes = valid(3);
    let before = RecordBatch::parse_only(&bytes).unwrap();
    let bytes = with_producer(&before, 77, 4, i32::MAX - 1);
    let after = RecordBatch::parse_only(&bytes).unwrap();
    after.verify_crc().unwrap();
    let header = after.header();
    assert_eq!((header.producer_id, header.producer_epoch, header.last_sequence()), (77, 4, 0));
    assert_eq!(read(&after), read(&before));
}

#[test]
fn a_builder_is_used_again() {
    let mut builder = BatchBuilder::with_capacity(100);
    assert_eq!(builder.build(Compression::None, None), Err(BatchError::Empty));
    for compression in Compression::ALL {
        for (timestamp, value) in [(5, b"first"), (3, b"other")] {
            builder.append(timestamp, None, Some(value), &[]).unwrap();
        }
        assert_eq!(builder.len(), 2);
        let bytes = builder.build(compression, None).unwrap();
        assert!(builder.is_empty() && builder.size_in_bytes() == BATCH_HEADER_LEN);
        let batch = RecordBatch::parse_only(&bytes).unwrap();
        assert_eq!((batch.header().base_timestamp, batch.header().max_timestamp), (5, 5));
        assert_eq!(read(&batch).unwrap().len(), 2);
    }
}

#[test]
fn gaps_that_compaction_leaves_are_read_and_disorder_is_not() {
    // Three records of which compaction dropped the middle one: the deltas are 0 and 2, the last delta stays 2.
    let whole = valid(3);
    let record = (whole.len() - BATCH_HEADER_LEN) / 3;
    let middle = BATCH_HEADER_LEN + record..BATCH_HEADER_LEN + 2 * record;
    let mut kept = whole.to_vec();
    kept.drain(middle);
    let length = kept.len() as i32 - 12;
    let kept = with_header(&kept, |header| {
        header.batch_length = length;
        header.records_count = 2;
    });
    let batch = RecordBatch::parse_only(&kept).unwrap();
    let mut buffer = RecordBuffer::new();
    let offsets: Vec<_> = batch.records(&mut buffer).unwrap().map(|record| record.unwrap().offset).collect();
    assert_eq!((offsets, batch.header().last_offset()), (vec![0, 2], 2));
    assert!(matches!(batch.validate(&Limits::NONE), Err(BatchError::InvalidCounts { .. })));
    let by_record = batch.validate_records(&Limits::NONE, KeyRule::Optional, &mut buffer);
    assert!(matches!(by_record, Err(BatchError::MalformedRecord { index: 1, .. })));

    let mut disordered = whole.to_vec();
    disordered.copy_within(BATCH_HEADER_LEN..BATCH_HEADER_LEN + record, BATCH_HEADER_LEN + record);
    let batch = RecordBatch::parse_only(&disordered).unwrap();
    assert!(matches!(read(&batch), Err(BatchError::MalformedRecord { index: 1, .. })));
}

#[test]
fn counts_must_be_those_of_the_records() {
    let whole = valid(3);
    for count in [2, 4] {
        let lying = with_header(&whole, |header| {
            header.records_count = count;
            header.last_offset_delta = 9;
        });
        let error = read(&RecordBatch::parse_only(&lying).unwrap()).unwrap_err();
        assert!(matches!(error, BatchError::MalformedRecord { .. }), "{count}: {error}");
    }
}

#[test]
fn a_valid_batch_passes_every_check() {
    let bytes = valid(3);
    let limits = Limits {
        max_batch_bytes: bytes.len(),
        max_decompressed_bytes: 1_000,
        timestamps: TimestampWindow { earliest: 1_000, latest: 1_002 },
    };
    assert_eq!(validated(&bytes, &limits), Ok(()));
    let batch = RecordBatch::parse_only(&bytes).unwrap();
    let summary = batch.validate_records(&limits, KeyRule::Required, &mut RecordBuffer::new()).unwrap();
    assert_eq!((summary.max_timestamp, summary.offset_of_max_timestamp), (1_002, 2));
}

#[test]
fn each_defect_has_its_error_code() {
    let bytes = valid(3);
    let size = bytes.len();
    let tight = |max_batch_bytes| Limits { max_batch_bytes, ..Limits::NONE };
    let changed = |change: fn(&mut BatchHeader)| validated(&with_header(&bytes, change), &Limits::NONE);
    let mut flipped = bytes.to_vec();
    flipped[size - 1] ^= 1;
    let mut old = bytes.to_vec();
    old[16] = 1;

    let cases = [
        ("too large", validated(&bytes, &tight(size - 1)), ErrorCode::MessageTooLarge),
        ("flipped", validated(&flipped, &Limits::NONE), ErrorCode::CorruptMessage),
        ("truncated", validated(&bytes[..size - 1], &Limits::NONE), ErrorCode::CorruptMessage),
        ("followed", validated(&[&bytes[..], &[0]].concat(), &Limits::NONE), ErrorCode::CorruptMessage),
        ("old format", validated(&old, &Limits::NONE), ErrorCode::UnsupportedForMessageFormat),
        ("no records", changed(|h| (h.records_count, h.last_offset_delta) = (0, -1)), ErrorCode::InvalidRecord),
        ("negative count", changed(|h| h.records_count = -3), ErrorCode::InvalidRecord),
        ("offset delta", changed(|h| h.last_offset_delta = 3), ErrorCode::InvalidRecord),
        (
            "impossible count",
            changed(|h| (h.records_count, h.last_offset_delta) = (i32::MAX, i32::MAX - 1)),
            ErrorCode::InvalidRecord,
        ),
        ("compression", changed(|h| h.attributes.0 |= 7), ErrorCode::UnsupportedCompressionType),
        ("control", changed(|h| h.attributes = h.attributes.with_control()), ErrorCode::InvalidRecord),
        ("delete horizon", changed(|h| h.attributes.0 |= 1 << 6), ErrorCode::InvalidRecord),
        ("append time", changed(|h| h.attributes.0 |= 1 << 3), ErrorCode::InvalidTimestamp),
        ("no epoch", changed(|h| h.producer_epoch = -1), ErrorCode::InvalidRecord),
        ("no sequence", changed(|h| h.base_sequence = -1), ErrorCode::InvalidRecord),
        ("strange producer", changed(|h| h.producer_id = -2), ErrorCode::InvalidRecord),
        (
            "transaction of nobody",
            changed(|h| (h.producer_id, h.attributes) = (-1, h.attributes.with_transactional(true))),
            ErrorCode::InvalidRecord,
        ),
    ];
    for (defect, outcome, code) in cases {
        assert_eq!(outcome.map_err(|error| error.code()), Err(code), "{defect}");
    }
}

#[test]
fn zeros_beside_no_producer_id_are_accepted() {
    // kafkajs leaves epoch and sequence at zero.
    let bytes = with_header(&valid(1), |h| (h.producer_id, h.producer_epoch, h.base_sequence) = (-1, 0, 0));
    assert_eq!(validated(&bytes, &Limits::NONE), Ok(()));
    assert_eq!(BatchHeader::parse(&bytes).unwrap().last_sequence(), -1);
}

#[test]
fn records_are_checked_where_the_topic_asks_for_it() {
    let mut builder = BatchBuilder::new();
    builder.append(1_000, Some(b"key"), None, &[]).unwrap();
    builder.append(2_000, None, Some(b"value"), &[]).unwrap();
    let bytes = builder.build(Compression::Zstd, None).unwrap();
    let batch = RecordBatch::parse_only(&bytes).unwrap();
    let mut buffer = RecordBuffer::new();
    let mut check = |limits: &Limits, keys| batch.validate_records(limits, keys, &mut buffer).map(|s| s.max_timestamp);
    assert_eq!(check(&Limits::NONE, KeyRule::Optional), Ok(2_000));
    assert_eq!(check(&Limits::NONE, KeyRule::Required), Err(BatchError::MissingKey { index: 1 }));

    let within = |earliest, latest| Limits { timestamps: TimestampWindow { earliest, latest }, ..Limits::NONE };
    for (limits, timestamp) in [(within(1_001, 9_000), 1_000), (within(0, 1_999), 2_000)] {
        let TimestampWindow { earliest, latest } = limits.timestamps;
        let refused = BatchError::TimestampOutOfRange { timestamp, earliest, latest };
        assert_eq!(check(&limits, KeyRule::Optional), Err(refused));
    }
}

#[test]
fn the_greatest_timestamp_is_that_of_the_records_whatever_the_header_claims() {
    let bytes = valid(3);
    let right = RecordBatch::parse_only(&bytes).unwrap();
    let mut buffer = RecordBuffer::new();
    for claimed in [-1, 0, i64::MAX] {
        let lying = with_header(&bytes, |header| header.max_timestamp = claimed);
        let lying = RecordBatch::parse_only(&lying).unwrap();
        assert_eq!(lying.validate(&Limits::NONE), Ok(()));
        let summary = lying.validate_records(&Limits::NONE, KeyRule::Optional, &mut buffer).unwrap();
        assert_eq!(summary.max_timestamp, right.header().max_timestamp);
        assert_eq!(with_max_timestamp(&lying, summary.max_timestamp), bytes);
    }
}

#[test]
fn a_bomb_is_refused_and_the_buffer_keeps_its_bound() {
    let mut builder = BatchBuilder::new();
    builder.append(0, None, Some(&vec![0; 8 << 20]), &[]).unwrap();
    let bytes = builder.build(Compression::Zstd, None).unwrap();
    assert!(bytes.len() < 10_000);
    let batch = RecordBatch::parse_only(&bytes).unwrap();
    let limit = 1 << 20;
    let refused = Err(BatchError::DecompressedTooLarge { limit });
    let mut buffer = RecordBuffer::with_limit(limit);
    assert_eq!(batch.records(&mut buffer).map(|_| ()), refused);
    let limits = Limits { max_decompressed_bytes: limit, ..Limits::NONE };
    assert_eq!(recompress(&batch, Compression::None, None, &limits).map(|_| ()), refused);
    assert_eq!(refused.map_err(|error| error.code()), Err(ErrorCode::MessageTooLarge));
}

#[test]
fn recompression_that_outgrows_the_topic_is_refused() {
    let mut builder = BatchBuilder::new();
    builder.append(0, None, Some(&[0; 5_000]), &[]).unwrap();
    let bytes = builder.build(Compression::Zstd, None).unwrap();
    let batch = RecordBatch::parse_only(&bytes).unwrap();
    let limits = Limits { max_batch_bytes: 1_000, ..Limits::NONE };
    assert_eq!(batch.validate(&limits), Ok(()));
    let outcome = recompress(&batch, Compression::None, None, &limits);
    assert!(matches!(outcome, Err(BatchError::TooLarge { limit: 1_000, .. })));
}
