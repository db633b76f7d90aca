//! A leader that is stopped for longer than its session, with acks=all requests under way, acknowledges nothing when it goes
//! on that the others do not have.

use std::time::{Duration, Instant};

use levada_end_to_end::{Admin, Outcome, Reader, Recorder, RecorderOptions, check_acknowledged, client_config, fail};
use levada_harness::{Corpus, Sandbox, SandboxOptions};
use rdkafka::consumer::{BaseConsumer, Consumer};

const TOPIC: &str = "paused";

/// How many records are acknowledged before the leader is stopped, under way when it is, and taken by the next one.
const RECORDS: u64 = 200;

/// How long an acknowledgement is waited for at a time.
const POLL: Duration = Duration::from_millis(10);

/// How long another leader may take to come; a failure to come is what is tested, not the time.
const LIMIT: Duration = Duration::from_secs(60);

fn leader_told_by(broker: u32, sandbox: &mut Sandbox) -> Outcome<Option<u32>> {
    let client: BaseConsumer = client_config(sandbox.broker(broker)?.kafka()?).set("group.id", "none").create()?;
    let metadata = client.fetch_metadata(Some(TOPIC), LIMIT)?;
    let partition = metadata.topics().first().and_then(|topic| topic.partitions().first());
    Ok(partition.and_then(|partition| u32::try_from(partition.leader()).ok()))
}

/// Asks until some other broker than `not` leads.
fn wait_for_leader(not: Option<u32>, asked: u32, sandbox: &mut Sandbox) -> Outcome<u32> {
    let begun = Instant::now();
    loop {
        match leader_told_by(asked, sandbox)? {
            Some(leader) if leader > 0 && Some(leader) != not => return Ok(leader),
            told if begun.elapsed() > LIMIT => return fail(format!("after {LIMIT:?} {told:?} leads")),
            _ => {}
        }
    }
}

#[test]
fn a_leader_that_slept_past_its_session_acknowledges_nothing_that_is_lost() -> Outcome {
    let options = SandboxOptions::new(1, 3).set_controllers("broker.session.timeout.ms", "2000");
    let mut sandbox = Sandbox::start(&options)?;
    let corpus = Corpus::load(1 << 20)?;
    let file = |number: u64| corpus.in_turn(number).map(|file| (file.key.as_str(), file.text.as_slice()));
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
