//! A cluster of processes: clients reach every partition through any broker, and one that is killed is fenced and comes
//! back.

use std::collections::BTreeSet;

use levada_end_to_end::{Admin, Metadata, Outcome, Reader, Recorder, RecorderOptions, check_acknowledged};
use levada_harness::{Corpus, Sandbox, SandboxOptions};

use crate::patience::{LIMIT, until};

const TOPIC: &str = "spread";
const PARTITIONS: i32 = 6;
const CORPUS_BYTES: u64 = 1 << 20;

/// Asks a broker until what it says of the brokers and of the leaders of the topic's partitions is what is wanted; gives
/// the leaders.
fn wait_until_told(
    broker: u32,
    sandbox: &mut Sandbox,
    wanted: impl Fn(&BTreeSet<i32>, &[i32]) -> bool,
) -> Outcome<Vec<i32>> {
    let address = sandbox.broker(broker)?.kafka()?;
    let ask = || -> Outcome<(BTreeSet<i32>, Vec<i32>)> {
        let told = Metadata::told_by(address, LIMIT)?;
        let partitions = told.partitions.iter().filter(|partition| partition.topic == TOPIC);
        Ok((told.brokers, partitions.map(|partition| partition.leader).collect()))
    };
    Ok(until(ask, |(brokers, leaders)| wanted(brokers, leaders))?.1)
}

#[test]
fn a_killed_broker_is_fenced_and_comes_back_with_everything() -> Outcome {
    let mut sandbox = Sandbox::start(&SandboxOptions::new(1, 3))?;
    let corpus = Corpus::load(CORPUS_BYTES)?;
    let file = |number: u64| {
        let file = corpus.files().get(usize::try_from(number).ok()?)?;
        Some((file.key.as_str(), file.text.as_slice()))
    };
    Admin::connect(sandbox.broker(1)?.kafka()?)?.create_topic(TOPIC, PARTITIONS, &[])?;
    let everybody = BTreeSet::from([1, 2, 3]);
    let leaders = wait_until_told(2, &mut sandbox, |brokers, leaders| {
        *brokers == everybody && leaders.len() == 6 && leaders.iter().all(|leader| *leader > 0)
    })?;
    assert_eq!(leaders.iter().copied().collect::<BTreeSet<_>>(), everybody, "the partitions are spread");

    let mut recorder = Recorder::connect(sandbox.broker(2)?.kafka()?, &RecorderOptions::default())?;
    for (number, file) in corpus.files().iter().enumerate() {
        let partition = i32::try_from(number)? % PARTITIONS;
        recorder.send(TOPIC, Some(partition), &file.key, &file.text)?;
    }
    let history = recorder.finish()?;
    assert_eq!(history.acknowledged.len(), corpus.files().len(), "{:?}", history.failed);
    check_acknowledged(&Reader::connect(sandbox.broker(3)?.kafka()?, TOPIC)?, &history, true, file)?;

    sandbox.broker(1)?.kill()?;
    let left = BTreeSet::from([2, 3]);
    let now = wait_until_told(3, &mut sandbox, |brokers, _| *brokers == left)?;
    let expected: Vec<i32> = leaders.iter().map(|leader| if *leader == 1 { -1 } else { *leader }).collect();
    assert_eq!(now, expected, "what it led has no leader, and nothing else moved");

    sandbox.broker(1)?.start_again()?;
    let back = wait_until_told(3, &mut sandbox, |brokers, leaders| *brokers == everybody && !leaders.contains(&-1))?;
    assert_eq!(back, leaders);
    check_acknowledged(&Reader::connect(sandbox.broker(2)?.kafka()?, TOPIC)?, &history, true, file)
}
