//! Partitions with three replicas while their brokers are killed: what acks=all acknowledged stays, what the others lack
//! goes, and the replicas become equal again.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use levada_end_to_end::{Admin, Outcome, Reader, Recorder, RecorderOptions, check_acknowledged, client_config, fail};
use levada_harness::{Corpus, Sandbox, SandboxOptions};
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::wire::{Batch, Connection, code};

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

/// How long the cluster may take to become what is waited for; a failure to come is what is tested, not the time.
const LIMIT: Duration = Duration::from_secs(60);

/// Leader and in-sync set of each partition, as one broker tells.
fn told_by(broker: u32, sandbox: &mut Sandbox) -> Outcome<Vec<(i32, BTreeSet<i32>)>> {
    let client: BaseConsumer = client_config(sandbox.broker(broker)?.kafka()?).set("group.id", "none").create()?;
    let metadata = client.fetch_metadata(Some(TOPIC), LIMIT)?;
    let topic = metadata.topics().first().ok_or("an answer without the topic")?;
    Ok(topic
        .partitions()
        .iter()
        .map(|partition| (partition.leader(), partition.isr().iter().copied().collect()))
        .collect())
}

/// Asks until the in-sync set of every partition is this; gives the leaders.
fn wait_until_in_sync(brokers: &[i32], asked: u32, sandbox: &mut Sandbox) -> Outcome<Vec<i32>> {
    let wanted: BTreeSet<i32> = brokers.iter().copied().collect();
    let begun = Instant::now();
    loop {
        let told = told_by(asked, sandbox)?;
        if !told.is_empty() && told.iter().all(|(leader, isr)| *isr == wanted && wanted.contains(leader)) {
            return Ok(told.iter().map(|(leader, _)| *leader).collect());
        }
        if begun.elapsed() > LIMIT {
            return fail(format!("after {LIMIT:?} broker {asked} tells of {told:?}, not of {wanted:?} in sync"));
        }
    }
}

/// The first segment of a partition's replica, as it is on the broker's disk.
fn segment(broker: u32, partition: i32, sandbox: &mut Sandbox) -> Outcome<Vec<u8>> {
    let logs = sandbox.broker(broker)?.directory().join("logs");
    Ok(fs::read(logs.join(format!("{TOPIC}-{partition}/00000000000000000000.log")))?)
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
    let file = |number: u64| corpus.in_turn(number).map(|file| (file.key.as_str(), file.text.as_slice()));
    let admin = Admin::connect(sandbox.broker(1)?.kafka()?)?;
    admin.create_replicated_topic(TOPIC, (PARTITIONS, 3), &[("min.insync.replicas", "2")])?;
    wait_until_in_sync(&[1, 2, 3], 1, &mut sandbox)?;

    let options = RecorderOptions { idempotent: true, ..RecorderOptions::default() };
    let mut recorder = Recorder::connect(sandbox.broker(2)?.kafka()?, &options)?;
    let send = |recorder: &mut Recorder| -> Outcome {
        let number = recorder.sent();
        let (key, value) = file(number).ok_or("the corpus is empty")?;
        recorder.send(TOPIC, Some(i32::try_from(number)? % PARTITIONS), key, value)?;
        Ok(())
    };
    for killed in BROKERS {
        let enough = recorder.acknowledged() + ACKNOWLEDGED_BEFORE_A_KILL;
        while recorder.acknowledged() < enough {
            send(&mut recorder)?;
        }
        for _ in 0..IN_FLIGHT {
            send(&mut recorder)?;
        }
        sandbox.broker(killed)?.kill()?;
        let enough = recorder.acknowledged() + ACKNOWLEDGED_BEFORE_A_KILL;
        while recorder.acknowledged() < enough {
            send(&mut recorder)?;
        }
        sandbox.broker(killed)?.start_again()?;
        wait_until_in_sync(&[1, 2, 3], killed % 3 + 1, &mut sandbox)?;
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
    wait_until_in_sync(&[1, 2, 3], 1, &mut sandbox)?;
    let options = RecorderOptions { idempotent: true, ..RecorderOptions::default() };
    let mut recorder = Recorder::connect(sandbox.broker(2)?.kafka()?, &options)?;
    let send_until = |recorder: &mut Recorder, acknowledged: usize| -> Outcome {
        while recorder.acknowledged() < acknowledged {
            let number = recorder.sent();
            recorder.send(TOPIC, Some(i32::try_from(number)? % PARTITIONS), &number.to_string(), b"a record")?;
        }
        Ok(())
    };
    for stopped in BROKERS {
        let enough = recorder.acknowledged() + ACKNOWLEDGED_BEFORE_A_KILL;
        send_until(&mut recorder, enough)?;
        sandbox.broker(stopped)?.terminate()?;
        // At once, without waiting for anything: nobody has to find out.
        let other = stopped % 3 + 1;
        for (leader, in_sync) in told_by(other, &mut sandbox)? {
            assert!(leader > 0 && leader != i32::try_from(stopped)?, "{leader} leads");
            assert!(!in_sync.contains(&i32::try_from(stopped)?) && in_sync.len() == 2, "{in_sync:?}");
        }
        let enough = recorder.acknowledged() + ACKNOWLEDGED_BEFORE_A_KILL;
        send_until(&mut recorder, enough)?;
        sandbox.broker(stopped)?.start_again()?;
        wait_until_in_sync(&[1, 2, 3], other, &mut sandbox)?;
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
    let leaders = wait_until_in_sync(&[1, 2, 3], 1, &mut sandbox)?;
    let old = u32::try_from(*leaders.first().ok_or("no partition")?)?;
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
    let others_ids: Vec<i32> = others.iter().map(|broker| i32::try_from(*broker)).collect::<Result<_, _>>()?;
    wait_until_in_sync(&others_ids, others[0], &mut sandbox)?;
    let mut recorder = Recorder::connect(sandbox.broker(others[0])?.kafka()?, &RecorderOptions::default())?;
    recorder.send(TOPIC, Some(0), "after", b"the new leader has this")?;
    let after = recorder.finish()?;
    assert_eq!(after.acknowledged.len(), 1, "{:?}", after.failed);

    sandbox.broker(old)?.start_again()?;
    wait_until_in_sync(&[1, 2, 3], others[0], &mut sandbox)?;
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
    let leaders = wait_until_in_sync(&[1, 2, 3], 1, &mut sandbox)?;
    let leader = u32::try_from(*leaders.first().ok_or("no partition")?)?;
    let mut connection = Connection::open(sandbox.broker(leader)?.kafka()?)?;
    assert_eq!(connection.produce(TOPIC, &Batch::sound().encode())?, (code::NONE, 0));

    for other in BROKERS.into_iter().filter(|broker| *broker != leader) {
        sandbox.broker(other)?.kill()?;
    }
    wait_until_in_sync(&[i32::try_from(leader)?], leader, &mut sandbox)?;
    assert_eq!(connection.produce(TOPIC, &Batch::sound().encode())?.0, NOT_ENOUGH_REPLICAS);
    let seen = Reader::connect(sandbox.broker(leader)?.kafka()?, TOPIC)?.read_at(0, 0)?;
    assert_eq!((seen.key.as_str(), seen.value.as_slice()), ("key", &b"value"[..]));

    for other in BROKERS.into_iter().filter(|broker| *broker != leader) {
        sandbox.broker(other)?.start_again()?;
    }
    wait_until_in_sync(&[1, 2, 3], leader, &mut sandbox)?;
    let mut connection = Connection::open(sandbox.broker(leader)?.kafka()?)?;
    assert_eq!(connection.produce(TOPIC, &Batch::sound().encode())?, (code::NONE, 1));
    Ok(())
}
