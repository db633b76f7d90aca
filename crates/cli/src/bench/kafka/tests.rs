//! The client against a broker that can be told to do wrong: what it reports is what happened.

use std::time::{Duration, Instant, SystemTime};

use levada_records::Compression;
use levada_types::ErrorCode;

use super::fake_broker::{Fault, start};
use super::*;
use crate::CliError;
use crate::bench::failover::{FailoverPlan, Gaps};
use crate::bench::outcome::Outcome;
use crate::bench::plan::{ConsumePlan, ProducePlan, TopicPlan};
use crate::bench::workload::Workload;

const TOPIC: &str = "t";

fn plans(address: &str) -> (ProducePlan, ConsumePlan) {
    let workload = Workload {
        record_size: 50,
        records_per_batch: 5,
        compression: Compression::None,
        distinct: true,
        keys: None,
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
    let settings = [("file.delete.delay.ms", "0")];
    create(&address, &TopicPlan { name: TOPIC, partitions: 3, replication_factor: None, settings: &settings })?;
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
fn a_producer_that_must_go_on_tries_again_until_it_is_acknowledged_and_tells_of_the_gap() {
    for (fault, error) in
        [(Fault::Refuse, ErrorCode::MessageTooLarge.to_string()), (Fault::Close, "end of file".into())]
    {
        let address = start(fault);
        create(&address, &TopicPlan { name: TOPIC, partitions: 2, replication_factor: None, settings: &[] }).unwrap();
        let plan = FailoverPlan {
            address: address.clone(),
            topic: TOPIC.to_owned(),
            workload: plans(&address).0.workload,
            acks: -1,
            interval: Duration::ZERO,
            retry: Duration::ZERO,
            duration: Duration::from_secs(600),
        };
        let mut told = Vec::new();
        // Every round is longer than nothing, so that each is told of; the first one with an error ends it.
        let ended = watch(&plan, Gaps::new(Duration::ZERO, Instant::now(), SystemTime::now()), |event| {
            told.push(serde_json::to_value(event).unwrap());
            let failed = told.last().unwrap()["errors"].as_object().is_some_and(|errors| !errors.is_empty());
            if failed { Err(CliError::Failed("enough".to_owned())) } else { Ok(()) }
        });
        assert_eq!(ended.unwrap_err().to_string(), "enough");
        assert_eq!(told[0]["event"], "begun");
        assert_eq!(told[0]["partitions"], 2);
        let gap = told.last().unwrap();
        assert!(gap["errors"].as_object().unwrap().keys().any(|met| met.contains(&error)), "{gap}");
        assert!(gap["last_acknowledged_us"].as_u64() <= gap["all_acknowledged_us"].as_u64());
    }
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
