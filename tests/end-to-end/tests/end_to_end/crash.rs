//! SIGKILL in the middle of producing: whatever was acknowledged is there, whole, in its place, and nothing is torn.

use std::time::Duration;

use levada_end_to_end::{
    Admin, History, Outcome, Reader, Recorder, RecorderOptions, check_acknowledged, check_seek_by_offset,
};
use levada_harness::{Corpus, Node};

const TOPIC: &str = "crash";
const CORPUS_BYTES: u64 = 2 << 20;

/// How often the node is killed in one test.
const KILLS: usize = 3;

/// How many more records must be acknowledged before each kill.
const ACKNOWLEDGED_BEFORE_A_KILL: usize = 300;

/// How many records are sent on top of those, so that the kill finds batches in flight.
const IN_FLIGHT: usize = 200;

#[test]
fn what_acks_1_acknowledged_survives() -> Outcome {
    killed_in_the_middle(&RecorderOptions { acks: "1", ..RecorderOptions::default() })
}

#[test]
fn what_acks_all_acknowledged_survives() -> Outcome {
    killed_in_the_middle(&RecorderOptions { acks: "all", compression: "lz4", ..RecorderOptions::default() })
}

#[test]
fn an_idempotent_producer_has_each_record_once_and_in_order() -> Outcome {
    killed_in_the_middle(&RecorderOptions { idempotent: true, ..RecorderOptions::default() })
}

fn killed_in_the_middle(options: &RecorderOptions) -> Outcome {
    let corpus = Corpus::load(CORPUS_BYTES)?;
    let file = |number| corpus.record(number);
    let mut node = Node::start()?;
    Admin::connect(node.kafka()?)?.create_topic(TOPIC, 3, &[])?;

    let mut recorder = Recorder::connect(node.kafka()?, options)?;
    for _ in 0..KILLS {
        recorder.send_until_acknowledged(ACKNOWLEDGED_BEFORE_A_KILL, |recorder| send(recorder, &file))?;
        for _ in 0..IN_FLIGHT {
            send(&mut recorder, &file)?;
        }
        node.kill()?;
        // Some of what was in flight fails or is sent again, as the client decides; the server only has to be there.
        recorder.poll(Duration::ZERO);
        node.start_again()?;
    }
    let history: History = recorder.finish()?;

    let reader = Reader::connect(node.kafka()?, TOPIC)?;
    check_acknowledged(&reader, &history, options.idempotent, file)
        .map_err(|error| format!("{error}; the node wrote:\n{}", node.log()))?;
    check_seek_by_offset(&reader)?;

    // And all of it again after one more crash, with nothing in flight.
    node.kill()?;
    node.start_again()?;
    check_acknowledged(&Reader::connect(node.kafka()?, TOPIC)?, &history, options.idempotent, file)
}

fn send<'a>(recorder: &mut Recorder, file: &impl Fn(u64) -> Option<(&'a str, &'a [u8])>) -> Outcome {
    let (key, value) = file(recorder.sent()).ok_or("the corpus is empty")?;
    recorder.send(TOPIC, None, key, value)?;
    Ok(())
}
