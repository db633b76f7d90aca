//! Partitions with three replicas while their brokers are killed: what acks=all acknowledged stays, what the others lack
//! goes, and the replicas become equal again.

use std::fs;

use levada_end_to_end::{Admin, Outcome, Reader, Recorder, RecorderOptions, check_acknowledged};
use levada_harness::{Corpus, Sandbox, SandboxOptions};

use crate::{
    replicas::{first_segment, told_by, wait_until_in_sync},
    wire::{Batch, Connection, code},
};

const TOPIC: &str = "replicated";
const PARTITIONS: i32 = 3;
const CORPUS_BYTES: u64 = 1 << 20;
const BROKERS: [u32; 3] = [1, 2, 3];

/// How many more records must be acknowledged before each kill.
const ACKNOWLEDGED_BEFORE_A_KILL: usize = 200;

/// How many records are sent on top of those, so that the kill finds batches in flight.
const IN_FLIGHT: usize = 100;

/// How many records more than a follower is sent without acknowledging any, in bytes: its credit is 1 MiB.
const BEYOND_ANY_CREDIT: usize = 4 << 20;

/// What is in the first segment of a partition's replica.
fn segment(broker: u32, partition: i32, sandbox: &mut Sandbox) -> Outcome<Vec<u8>> {
    Ok(fs::read(first_segment(sandbox, broker, TOPIC, partition)?)?)
}

fn check_equal_replicas(partitions: i32, sandbox: &mut Sandbox) -> Outcome {
    for partition in 0..partitions {
        let first = segment(1, partition, sandbox)?;
        assert!(!first.is_empty(), "partition {partition} has records");
        for broker in [2, 3] {
            assert!(
                segment(broker, partition, sandbox)? == first,
                "brokers 1 and {broker} differ in partition {partition}"
            );
        }
    }
    Ok(())
}

#[test]
fn what_acks_all_acknowledged_survives_the_kill_of_each_broker() -> Outcome {
    let mut sandbox = Sandbox::start(&SandboxOptions::new(1, 3))?;
    let corpus = Corpus::load(CORPUS_BYTES)?;
    let file = |number| corpus.record(number);
    let admin = Admin::connect(sandbox.broker(1)?.kafka()?)?;
    admin.create_replicated_topic(TOPIC, (PARTITIONS, 3), &[("min.insync.replicas", "2")])?;
    wait_until_in_sync(&mut sandbox, 1, TOPIC, &BROKERS)?;

    let options = RecorderOptions { idempotent: true, ..RecorderOptions::default() };
    let mut recorder = Recorder::connect(sandbox.broker(2)?.kafka()?, &options)?;
    let send = |recorder: &mut Recorder| -> Outcome {
        let number = recorder.sent();
        let (key, value) = file(number).ok_or("the corpus is empty")?;
        recorder.send(TOPIC, Some(i32::try_from(number)? % PARTITIONS), key, value)?;
        Ok(())
    };
    for killed in BROKERS {
        recorder.send_until_acknowledged(ACKNOWLEDGED_BEFORE_A_KILL, send)?;
        for _ in 0..IN_FLIGHT {
            send(&mut recorder)?;
        }
        sandbox.broker(killed)?.kill()?;
        recorder.send_until_acknowledged(ACKNOWLEDGED_BEFORE_A_KILL, send)?;
        sandbox.broker(killed)?.start_again()?;
        wait_until_in_sync(&mut sandbox, killed % 3 + 1, TOPIC, &BROKERS)?;
    }
    let history = recorder.finish()?;
    check_acknowledged(&Reader::connect(sandbox.broker(1)?.kafka()?, TOPIC)?, &history, true, file)?;
    check_equal_replicas(PARTITIONS, &mut sandbox)
}

#[test]
fn a_rolling_restart_under_load_fails_no_record_and_hands_over_before_each_stop() -> Outcome {
    let mut sandbox = Sandbox::start(&SandboxOptions::new(1, 3))?;
    let admin = Admin::connect(sandbox.broker(1)?.kafka()?)?;
    admin.create_replicated_topic(TOPIC, (PARTITIONS, 3), &[("min.insync.replicas", "2")])?;
    wait_until_in_sync(&mut sandbox, 1, TOPIC, &BROKERS)?;
    let options = RecorderOptions { idempotent: true, ..RecorderOptions::default() };
    let mut recorder = Recorder::connect(sandbox.broker(2)?.kafka()?, &options)?;
    let send = |recorder: &mut Recorder| -> Outcome {
        let number = recorder.sent();
        recorder.send(TOPIC, Some(i32::try_from(number)? % PARTITIONS), &number.to_string(), b"a record")?;
        Ok(())
    };
    for stopped in BROKERS {
        recorder.send_until_acknowledged(ACKNOWLEDGED_BEFORE_A_KILL, send)?;
        sandbox.broker(stopped)?.terminate()?;
        // At once, without waiting for anything: nobody has to find out.
        let other = stopped % 3 + 1;
        let told = told_by(&mut sandbox, other, TOPIC)?;
        assert!(!told.is_empty(), "broker {other} knows of no {TOPIC}");
        let gone = i32::try_from(stopped)?;
        for partition in told {
            assert!(partition.leader > 0 && partition.leader != gone, "{partition:?}");
            assert!(!partition.in_sync.contains(&gone) && partition.in_sync.len() == 2, "{partition:?}");
        }
        recorder.send_until_acknowledged(ACKNOWLEDGED_BEFORE_A_KILL, send)?;
        sandbox.broker(stopped)?.start_again()?;
        wait_until_in_sync(&mut sandbox, other, TOPIC, &BROKERS)?;
    }
    let history = recorder.finish()?;
    assert!(history.failed.is_empty(), "{:?}", history.failed);
    check_equal_replicas(PARTITIONS, &mut sandbox)
}

#[test]
fn a_leader_that_comes_back_gives_up_what_nobody_else_has() -> Outcome {
    let mut sandbox = Sandbox::start(&SandboxOptions::new(1, 3))?;
    let admin = Admin::connect(sandbox.broker(1)?.kafka()?)?;
    admin.create_replicated_topic(TOPIC, (1, 3), &[("min.insync.replicas", "2")])?;
    let old = wait_until_in_sync(&mut sandbox, 1, TOPIC, &BROKERS)?[0];
    let others: Vec<u32> = BROKERS.into_iter().filter(|broker| *broker != old).collect();

    let mut recorder = Recorder::connect(sandbox.broker(old)?.kafka()?, &RecorderOptions::default())?;
    recorder.send(TOPIC, Some(0), "before", b"everybody has this")?;
    let before = recorder.finish()?;
    assert_eq!(before.acknowledged.len(), 1);

    // The followers take nothing more, and the leader acknowledges more than was sent to them.
    for other in &others {
        sandbox.broker(*other)?.freeze()?;
    }
    let options = RecorderOptions { acks: "1", ..RecorderOptions::default() };
    let mut recorder = Recorder::connect(sandbox.broker(old)?.kafka()?, &options)?;
    let value = vec![b'x'; 64 << 10];
    for number in 0..BEYOND_ANY_CREDIT / value.len() {
        recorder.send(TOPIC, Some(0), &number.to_string(), &value)?;
    }
    let lost = recorder.finish()?;
    assert!(lost.failed.is_empty(), "{:?}", lost.failed);
    sandbox.broker(old)?.kill()?;
    let longest = segment(old, 0, &mut sandbox)?.len();
    for other in &others {
        sandbox.broker(*other)?.thaw()?;
    }

    // Another one leads and takes records where the old one had others.
    wait_until_in_sync(&mut sandbox, others[0], TOPIC, &others)?;
    let mut recorder = Recorder::connect(sandbox.broker(others[0])?.kafka()?, &RecorderOptions::default())?;
    recorder.send(TOPIC, Some(0), "after", b"the new leader has this")?;
    let after = recorder.finish()?;
    assert_eq!(after.acknowledged.len(), 1, "{:?}", after.failed);

    sandbox.broker(old)?.start_again()?;
    wait_until_in_sync(&mut sandbox, others[0], TOPIC, &BROKERS)?;
    check_equal_replicas(1, &mut sandbox)?;
    assert!(segment(old, 0, &mut sandbox)?.len() < longest, "what nobody else had is gone");
    let reader = Reader::connect(sandbox.broker(old)?.kafka()?, TOPIC)?;
    for (key, history) in [("before", &before), ("after", &after)] {
        let place = history.acknowledged.values().next().ok_or("nothing was acknowledged")?;
        let seen = reader.read_at(place.partition, place.offset)?;
        assert_eq!(seen.key, key);
    }
    Ok(())
}

#[test]
fn a_leader_that_is_alone_in_sync_refuses_acks_all_and_serves_what_there_is() -> Outcome {
    const NOT_ENOUGH_REPLICAS: i16 = 19;
    let mut sandbox = Sandbox::start(&SandboxOptions::new(1, 3))?;
    let admin = Admin::connect(sandbox.broker(1)?.kafka()?)?;
    admin.create_replicated_topic(TOPIC, (1, 3), &[("min.insync.replicas", "2")])?;
    let leader = wait_until_in_sync(&mut sandbox, 1, TOPIC, &BROKERS)?[0];
    let mut connection = Connection::open(sandbox.broker(leader)?.kafka()?)?;
    assert_eq!(connection.produce(TOPIC, &Batch::sound().encode())?, (code::NONE, 0));

    for other in BROKERS.into_iter().filter(|broker| *broker != leader) {
        sandbox.broker(other)?.kill()?;
    }
    wait_until_in_sync(&mut sandbox, leader, TOPIC, &[leader])?;
    assert_eq!(connection.produce(TOPIC, &Batch::sound().encode())?.0, NOT_ENOUGH_REPLICAS);
    let seen = Reader::connect(sandbox.broker(leader)?.kafka()?, TOPIC)?.read_at(0, 0)?;
    assert_eq!((seen.key.as_str(), seen.value.as_slice()), ("key", &b"value"[..]));

    for other in BROKERS.into_iter().filter(|broker| *broker != leader) {
        sandbox.broker(other)?.start_again()?;
    }
    wait_until_in_sync(&mut sandbox, leader, TOPIC, &BROKERS)?;
    let mut connection = Connection::open(sandbox.broker(leader)?.kafka()?)?;
    assert_eq!(connection.produce(TOPIC, &Batch::sound().encode())?, (code::NONE, 1));
    Ok(())
}
