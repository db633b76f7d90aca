//! A leader that is stopped for longer than its session, with acks=all requests under way, acknowledges nothing when it goes
//! on that the others do not have.

use std::time::Duration;

use levada_end_to_end::{Admin, Outcome, Reader, Recorder, RecorderOptions, check_acknowledged, fail};
use levada_harness::{Corpus, Sandbox, SandboxOptions};

use crate::{
    patience::until,
    records,
    replicas::{told_by, wait_until_in_sync},
    wire::{Answer, Batch, Connection, code, framed, produce, record},
};

const TOPIC: &str = "paused";

/// How many records are acknowledged before the leader is stopped, under way when it is, and taken by the next one.
const RECORDS: u64 = 200;

/// How long an acknowledgement is waited for at a time.
const POLL: Duration = Duration::from_millis(10);

/// Asks until some broker leads, another than `not`.
fn wait_for_leader(not: Option<u32>, asked: u32, sandbox: &mut Sandbox) -> Outcome<u32> {
    let leader = || -> Outcome<Option<u32>> {
        let told = told_by(sandbox, asked, TOPIC)?;
        Ok(told.first().and_then(|partition| u32::try_from(partition.leader).ok()))
    };
    let told = until(leader, |leader| leader.is_some() && *leader != not)?;
    told.ok_or_else(|| "nobody leads".into())
}

#[test]
fn a_leader_that_slept_past_its_session_acknowledges_nothing_that_is_lost() -> Outcome {
    let options = SandboxOptions::new(1, 3).set_controllers("broker.session.timeout.ms", "6000");
    let mut sandbox = Sandbox::start(&options)?;
    let corpus = Corpus::load(1 << 20)?;
    let file = |number| corpus.record(number);
    let admin = Admin::connect(sandbox.broker(1)?.kafka()?)?;
    admin.create_replicated_topic(TOPIC, (1, 3), &[("min.insync.replicas", "2")])?;
    let old = wait_for_leader(None, 1, &mut sandbox)?;
    let other = old % 3 + 1;
    let idempotent = RecorderOptions { idempotent: true, ..RecorderOptions::default() };
    let send = |recorder: &mut Recorder, count: u64| -> Outcome {
        for _ in 0..count {
            let (key, value) = file(recorder.sent()).ok_or("the corpus is empty")?;
            recorder.send(TOPIC, Some(0), key, value)?;
        }
        Ok(())
    };
    let mut asleep = Recorder::connect(sandbox.broker(other)?.kafka()?, &idempotent)?;
    send(&mut asleep, RECORDS)?;
    while asleep.acknowledged() < usize::try_from(RECORDS)? {
        asleep.poll(POLL);
        if asleep.failed() > 0 {
            return fail(format!("records failed although nothing had happened: {:?}", asleep.said()));
        }
    }
    send(&mut asleep, RECORDS)?;
    sandbox.broker(old)?.freeze()?;
    wait_for_leader(Some(old), other, &mut sandbox)?;
    // The next one takes records where the old one may have others.
    let mut awake = Recorder::connect(sandbox.broker(other)?.kafka()?, &idempotent)?;
    send(&mut awake, RECORDS)?;
    let awake = awake.finish()?;
    assert_eq!(awake.acknowledged.len(), usize::try_from(RECORDS)?, "{:?}", awake.failed);
    sandbox.broker(old)?.thaw()?;
    let asleep = asleep.finish()?;
    let reader = Reader::connect(sandbox.broker(other)?.kafka()?, TOPIC)?;
    for history in [&asleep, &awake] {
        check_acknowledged(&reader, history, false, file)
            .map_err(|error| format!("{error}; they wrote:\n{}", sandbox.log()))?;
    }
    Ok(())
}

#[test]
fn what_waits_in_the_sockets_of_a_leader_that_slept_past_its_session_is_refused() -> Outcome {
    const WAITING: usize = 20;
    let options = SandboxOptions::new(1, 3).set_controllers("broker.session.timeout.ms", "6000");
    let mut sandbox = Sandbox::start(&options)?;
    let admin = Admin::connect(sandbox.broker(1)?.kafka()?)?;
    admin.create_replicated_topic(TOPIC, (1, 3), &[("min.insync.replicas", "2")])?;
    let old = wait_until_in_sync(&mut sandbox, 1, TOPIC, &[1, 2, 3])?[0];
    let other = old % 3 + 1;
    let batch = |value: &[u8]| Batch { records: record(b"key", value), ..Batch::sound() }.encode();
    let mut connection = Connection::open(sandbox.broker(old)?.kafka()?)?;
    assert_eq!(connection.produce(TOPIC, &batch(b"before"))?, (code::NONE, 0));
    sandbox.broker(old)?.freeze()?;
    for _ in 0..WAITING {
        connection.send(&framed(&produce(TOPIC, &batch(b"waiting"))))?;
    }
    let new = wait_for_leader(Some(old), other, &mut sandbox)?;
    let taken = Connection::open(sandbox.broker(new)?.kafka()?)?.produce(TOPIC, &batch(b"after"))?;
    assert_eq!(taken, (code::NONE, 1));
    sandbox.broker(old)?.thaw()?;
    for number in 0..WAITING {
        // It may also close the connection in place of answers.
        let Some(answer) = connection.receive()? else { break };
        let mut answer = Answer::new(answer);
        answer.skip(4 + 4 + 2 + TOPIC.len() + 4 + 4)?; // correlation id, one topic, its name, one partition, its index
        let told = answer.i16()?;
        assert_eq!(told, code::NOT_LEADER_OR_FOLLOWER, "request {number}; they wrote:\n{}", sandbox.log());
    }
    wait_until_in_sync(&mut sandbox, other, TOPIC, &[1, 2, 3])?;
    assert_eq!(records::values(sandbox.broker(other)?.kafka()?, TOPIC)?, ["before", "after"]);
    Ok(())
}
