//! The client against a broker that can be told to do wrong: what it reports is what happened.

use levada_records::Compression;
use levada_types::ErrorCode;

use super::fake_broker::{Fault, start};
use super::*;
use crate::CliError;
use crate::bench::outcome::Outcome;
use crate::bench::plan::{ConsumePlan, ProducePlan};
use crate::bench::workload::Workload;

const TOPIC: &str = "t";

fn plans(address: &str) -> (ProducePlan, ConsumePlan) {
    let workload = Workload {
        record_size: 50,
        records_per_batch: 5,
        compression: Compression::None,
        distinct: true,
        timestamp: 1,
    };
    let producing = ProducePlan {
        address: address.to_owned(),
        topic: TOPIC.to_owned(),
        workload,
        batches_per_partition: 4,
        time_limit: None,
        acks: 1,
        in_flight: 3,
        connections: 2,
        batch_rate: None,
    };
    let consuming = ConsumePlan {
        address: address.to_owned(),
        topic: TOPIC.to_owned(),
        records_per_partition: None,
        max_bytes: 1_000,
        connections: 2,
        verify: Some(workload),
    };
    (producing, consuming)
}

/// Produces to three partitions and reads everything back.
fn round_trip(fault: Fault, acks: i16) -> Result<(Outcome, Outcome), CliError> {
    let address = start(fault);
    let (mut producing, consuming) = plans(&address);
    producing.acks = acks;
    create(&address, TOPIC, 3, &[("file.delete.delay.ms", "0")])?;
    assert!(exists(&address, TOPIC)? && is_empty(&address, TOPIC)?);
    let produced = produce(&producing)?;
    let consumed = consume(&consuming)?;
    delete(&address, TOPIC)?;
    assert!(!exists(&address, TOPIC)?);
    Ok((produced, consumed))
}

#[test]
fn everything_sent_is_counted_and_comes_back() {
    for acks in [1, -1, 0] {
        let (produced, consumed) = round_trip(Fault::None, acks).unwrap();
        assert_eq!((produced.records, consumed.records), (60, 60), "acks={acks}");
        assert!(produced.bytes > 60 * 50 && consumed.bytes >= produced.bytes);
    }
}

#[test]
fn a_refusal_is_reported_with_its_code() {
    let error = round_trip(Fault::Refuse, 1).unwrap_err();
    assert!(matches!(error, CliError::Kafka { code: ErrorCode::MessageTooLarge, .. }), "{error}");
}

#[test]
fn a_record_that_was_changed_is_noticed() {
    let error = round_trip(Fault::Forge, 1).unwrap_err();
    assert!(error.to_string().contains("not the one sent"), "{error}");
}

#[test]
fn a_batch_that_was_lost_is_noticed() {
    let error = round_trip(Fault::Lose, 1).unwrap_err();
    assert!(error.to_string().contains("not the one sent"), "{error}");
}

#[test]
fn a_topic_that_is_not_there_is_an_error() {
    let (producing, consuming) = plans(&start(Fault::None));
    assert!(produce(&producing).unwrap_err().to_string().contains("no topic"));
    assert!(consume(&consuming).unwrap_err().to_string().contains("no topic"));
}

#[test]
fn each_broker_gets_its_own_connections() {
    let leader = |partition, address: &str| Leader { partition, address: address.to_owned() };
    let leaders = [leader(0, "a:1"), leader(1, "b:1"), leader(2, "a:1"), leader(3, "a:1")];
    let lanes: Vec<_> =
        lanes(&leaders, &[0, 1, 2, 3], 2).into_iter().map(|lane| (lane.address, lane.partitions)).collect();
    let lane = |address: &str, partitions: &[i32]| (address.to_owned(), partitions.to_vec());
    assert_eq!(lanes, [lane("a:1", &[0, 3]), lane("a:1", &[2]), lane("b:1", &[1])]);
}
