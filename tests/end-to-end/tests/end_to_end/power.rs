//! The power goes while clients produce: what was acknowledged as synced is there, and so is the cluster's metadata.

use levada_end_to_end::{Admin, Outcome, Reader, Recorder, RecorderOptions, check_acknowledged};
use levada_harness::{Corpus, LossyVolume, Node, NodeOptions};

const TOPIC: &str = "synced";

/// How often the power goes.
const LOSSES: u64 = 3;

/// How many records must be acknowledged before each loss.
const ACKNOWLEDGED_BEFORE_A_LOSS: usize = 200;

#[test]
fn what_was_acknowledged_as_synced_survives_a_loss_of_power() -> Outcome {
    let volume = match LossyVolume::mount() {
        Ok(volume) => volume,
        Err(error) => {
            println!("not run: a volume that loses what is not synced takes FUSE and the right to mount: {error}");
            return Ok(());
        }
    };
    let corpus = Corpus::load(1 << 20)?;
    let file = |number| corpus.record(number);
    let data_dir = Some(volume.path().join("data"));
    let mut node = Node::start_with(NodeOptions { data_dir, ..NodeOptions::default() })?;
    Admin::connect(node.kafka()?)?.create_topic(TOPIC, 3, &[("flush.messages", "1")])?;
    let mut recorder =
        Recorder::connect(node.kafka()?, &RecorderOptions { idempotent: true, ..RecorderOptions::default() })?;
    for loss in 0..LOSSES {
        recorder.send_until_acknowledged(ACKNOWLEDGED_BEFORE_A_LOSS, |recorder| {
            let (key, value) = file(recorder.sent()).ok_or("the corpus is empty")?;
            recorder.send(TOPIC, None, key, value)?;
            Ok(())
        })?;
        node.kill()?;
        // Nothing of what was appended survives, then a third, then two thirds: torn in the middle of a batch.
        volume.lose_unsynced(|appended| appended * loss / LOSSES)?;
        node.start_again()?;
    }
    let history = recorder.finish()?;
    check_acknowledged(&Reader::connect(node.kafka()?, TOPIC)?, &history, true, file)
        .map_err(|error| format!("{error}; the node wrote:\n{}", node.log()).into())
}
