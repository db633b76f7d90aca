//! What a message becomes.

use levada_metadata::Image;
use levada_records::{RecordBatch, RecordBuffer};

use super::*;
use crate::fixtures;

const IDENTITY: Identity = Identity { producer_id: 7, producer_epoch: 1 };

fn plain() -> Setting {
    Setting { identity: None, now_ms: 1_000, spread: 0, by_id: false }
}

fn idempotent() -> Setting {
    Setting { identity: Some(IDENTITY), by_id: true, ..plain() }
}

fn topic(image: &Image) -> &Topic {
    image.topic_by_name("t").expect("it was made")
}

fn record(key: Option<&'static str>, value: &'static str) -> v1::Record {
    v1::Record {
        key: key.map(|key| Bytes::from_static(key.as_bytes())),
        value: Some(Bytes::from_static(value.as_bytes())),
        headers: vec![v1::Header { key: "h".to_owned(), value: None }],
        timestamp_ms: None,
    }
}

fn records(partition: Option<i32>, base_sequence: Option<i32>, records: Vec<v1::Record>) -> v1::ProduceBatch {
    let content = Some(Content::Records(v1::RecordList { records }));
    v1::ProduceBatch { topic: None, partition, base_sequence, content }
}

fn raw(partition: Option<i32>, batches: &[Bytes]) -> v1::ProduceBatch {
    let content = Some(Content::RawBatches(Bytes::from(batches.concat())));
    v1::ProduceBatch { topic: None, partition, base_sequence: None, content }
}

fn batch(producer: Option<(Identity, i32)>, value: &str) -> Bytes {
    let mut builder = BatchBuilder::new();
    if let Some((identity, sequence)) = producer {
        builder.set_producer(identity.producer_id, identity.producer_epoch, sequence);
    }
    builder.append(5, None, Some(value.as_bytes()), &[]).expect("it fits");
    builder.build(Compression::None, None).expect("it has a record")
}

fn values(part: &Part) -> Vec<String> {
    let mut buffer = RecordBuffer::new();
    let batch = RecordBatch::parse_only(&part.batch).expect("it is one batch");
    batch.verify_crc().expect("the checksum is right");
    let records = batch.records(&mut buffer).expect("it is not compressed");
    records.map(|r| String::from_utf8_lossy(r.expect("a record").value.unwrap_or_default()).into_owned()).collect()
}

fn code(result: Result<Vec<Part>, PartitionError>) -> Option<ErrorCode> {
    result.err().map(|error| error.code)
}

#[test]
fn keyed_records_go_where_kafkas_java_client_sends_them() {
    let image = fixtures::image(&[("t", 4)]);
    let keys = ["a", "b", "c", "d", "e", "f"];
    let list = keys.iter().map(|key| record(Some(key), key)).collect();
    let parts = assemble(topic(&image), records(None, None, list), &plain()).expect("it is well-formed");
    assert!(parts.len() > 1 && parts.is_sorted_by_key(|part| part.partition.partition));
    for part in &parts {
        let index = part.partition.partition;
        let expected: Vec<&str> = keys.into_iter().filter(|key| key_partition(key.as_bytes(), 4) == index).collect();
        assert_eq!(values(part), expected);
        let told: Vec<&str> = part.record_indexes.iter().map(|&i| keys[i as usize]).collect();
        assert_eq!(told, expected);
        assert_eq!(part.record_count as usize, expected.len());
    }
}

#[test]
fn records_without_a_key_stay_together_and_move_with_the_next_message() {
    let image = fixtures::image(&[("t", 4)]);
    let place = |spread| {
        let message = records(None, None, vec![record(None, "x"), record(None, "y")]);
        let parts = assemble(topic(&image), message, &Setting { spread, ..plain() }).expect("it is well-formed");
        assert_eq!(parts.len(), 1);
        assert!(parts[0].record_indexes.is_empty(), "they are all of them");
        assert_eq!(values(&parts[0]), ["x", "y"]);
        parts[0].partition.partition
    };
    assert_eq!([place(0), place(1), place(5)], [0, 1, 1]);
}

#[test]
fn an_explicit_partition_takes_everything_and_the_broker_tells_the_time() {
    let image = fixtures::image(&[("t", 4)]);
    let late = v1::Record { timestamp_ms: Some(2_000), ..record(Some("b"), "y") };
    let message = records(Some(3), None, vec![record(Some("a"), "x"), late]);
    let parts = assemble(topic(&image), message, &plain()).expect("it is well-formed");
    assert_eq!((parts.len(), parts[0].partition.partition), (1, 3));
    let header = *RecordBatch::parse_only(&parts[0].batch).expect("it is one batch").header();
    assert_eq!((header.base_timestamp, header.max_timestamp), (1_000, 2_000));
    assert!(!header.has_producer_id());
}

#[test]
fn an_idempotent_message_bears_its_identity_and_says_where_it_goes() {
    let image = fixtures::image(&[("t", 4)]);
    let message = || records(Some(1), Some(40), vec![record(None, "x"), record(None, "y")]);
    let parts = assemble(topic(&image), message(), &idempotent()).expect("it is well-formed");
    let header = *RecordBatch::parse_only(&parts[0].batch).expect("it is one batch").header();
    assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (7, 1, 40));
    let refused = Some(ErrorCode::InvalidRequest);
    let by_name = Setting { by_id: false, ..idempotent() };
    assert_eq!(code(assemble(topic(&image), message(), &by_name)), refused);
    for (partition, sequence) in [(None, Some(0)), (Some(1), None), (Some(1), Some(-1))] {
        let message = records(partition, sequence, vec![record(None, "x")]);
        assert_eq!(code(assemble(topic(&image), message, &idempotent())), refused, "{partition:?} {sequence:?}");
    }
}

#[test]
fn raw_batches_stay_slices_of_the_message() {
    let image = fixtures::image(&[("t", 4)]);
    let message = raw(Some(2), &[batch(None, "x"), batch(None, "y")]);
    let Some(Content::RawBatches(bytes)) = message.content.clone() else { unreachable!("it was made so") };
    let parts = assemble(topic(&image), message, &plain()).expect("it is well-formed");
    assert_eq!(parts.iter().flat_map(values).collect::<Vec<_>>(), ["x", "y"]);
    assert_eq!(parts[0].batch.as_ptr(), bytes.as_ptr());
    assert!(parts.iter().all(|part| part.partition.partition == 2 && part.record_count == 1));
}

#[test]
fn a_raw_batch_of_an_idempotent_producer_is_one_and_its_own() {
    let image = fixtures::image(&[("t", 4)]);
    let own = |sequence| batch(Some((IDENTITY, sequence)), "x");
    assert!(assemble(topic(&image), raw(Some(0), &[own(5)]), &idempotent()).is_ok());
    let with_sequence = |sequence| v1::ProduceBatch { base_sequence: Some(sequence), ..raw(Some(0), &[own(5)]) };
    assert!(assemble(topic(&image), with_sequence(5), &idempotent()).is_ok());
    let foreign = batch(Some((Identity { producer_id: 8, ..IDENTITY }, 5)), "x");
    for message in
        [with_sequence(6), raw(Some(0), &[own(5), own(6)]), raw(Some(0), &[foreign]), raw(Some(0), &[batch(None, "x")])]
    {
        assert_eq!(code(assemble(topic(&image), message, &idempotent())), Some(ErrorCode::InvalidRequest));
    }
}

#[test]
fn what_cannot_be_appended_is_refused_with_its_reason() {
    let image = fixtures::image(&[("t", 4)]);
    let torn = Bytes::from(batch(None, "x")[..70.min(batch(None, "x").len() - 1)].to_vec());
    let empty = v1::ProduceBatch::default();
    for (message, expected) in [
        (records(None, None, Vec::new()), ErrorCode::InvalidRequest),
        (records(Some(4), None, vec![record(None, "x")]), ErrorCode::UnknownTopicOrPartition),
        (records(Some(-1), None, vec![record(None, "x")]), ErrorCode::UnknownTopicOrPartition),
        (raw(None, &[batch(None, "x")]), ErrorCode::InvalidRequest),
        (raw(Some(0), &[]), ErrorCode::InvalidRequest),
        (raw(Some(0), &[torn]), ErrorCode::CorruptMessage),
        (empty, ErrorCode::InvalidRequest),
    ] {
        assert_eq!(code(assemble(topic(&image), message.clone(), &plain())), Some(expected), "{message:?}");
    }
    let many = vec![batch(None, "x"); MAX_RAW_BATCHES + 1];
    assert_eq!(code(assemble(topic(&image), raw(Some(0), &many), &plain())), Some(ErrorCode::InvalidRequest));
}
