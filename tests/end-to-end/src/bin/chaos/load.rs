//! The producers of a chaos run, and the check of what they were told.

use std::time::{Duration, Instant};

use levada_end_to_end::{Admin, Outcome, Reader, Recorder, RecorderOptions, check_acknowledged};
use levada_harness::{Corpus, Node};

/// How much of each file is a record's value: small records make many batches, and leave the disk some room.
const VALUE_BYTES: usize = 256;

/// How many records of one producer may be unanswered.
const IN_FLIGHT: u64 = 2_000;

/// One producer and its topic.
struct Producer {
    topic: &'static str,
    idempotent: bool,
    recorder: Recorder,
}

/// The producers of a chaos run.
pub(crate) struct Load {
    corpus: Corpus,
    producers: Vec<Producer>,
}

impl Load {
    /// Creates the topics and connects the producers.
    pub(crate) fn start(node: &Node) -> Outcome<Self> {
        let admin = Admin::connect(node.kafka()?)?;
        let kinds: [(&str, RecorderOptions); 3] = [
            ("acks-1", RecorderOptions { acks: "1", ..RecorderOptions::default() }),
            ("acks-all", RecorderOptions { compression: "zstd", ..RecorderOptions::default() }),
            ("idempotent", RecorderOptions { idempotent: true, ..RecorderOptions::default() }),
        ];
        let mut producers = Vec::new();
        for (topic, options) in kinds {
            admin.create_topic(topic, 3, &[])?;
            let recorder = Recorder::connect(node.kafka()?, &options)?;
            producers.push(Producer { topic, idempotent: options.idempotent, recorder });
        }
        Ok(Self { corpus: Corpus::load(4 << 20)?, producers })
    }

    /// Produces for a while, whatever the node does meanwhile.
    pub(crate) fn run_for(&mut self, duration: Duration) -> Outcome {
        let begun = Instant::now();
        while begun.elapsed() < duration {
            let mut all_full = true;
            for producer in &mut self.producers {
                let known = producer.recorder.acknowledged() as u64 + producer.recorder.failed() as u64;
                if producer.recorder.sent() - known < IN_FLIGHT {
                    all_full = false;
                    let (key, value) = record(&self.corpus, producer.recorder.sent()).ok_or("the corpus is empty")?;
                    producer.recorder.send(producer.topic, None, key, value)?;
                } else {
                    producer.recorder.poll(Duration::ZERO);
                }
            }
            if all_full && let Some(producer) = self.producers.first() {
                producer.recorder.poll(Duration::from_millis(5));
            }
        }
        Ok(())
    }

    /// Waits for every answer and checks them all against what the node has.
    pub(crate) fn check(self, node: &Node) -> Outcome {
        for producer in self.producers {
            let history = producer.recorder.finish()?;
            println!(
                "chaos: {}: {} records acknowledged, {} failed",
                producer.topic,
                history.acknowledged.len(),
                history.failed.len()
            );
            let reader = Reader::connect(node.kafka()?, producer.topic)?;
            check_acknowledged(&reader, &history, producer.idempotent, |number| record(&self.corpus, number))
                .map_err(|error| format!("{}: {error}", producer.topic))?;
        }
        Ok(())
    }
}

fn record(corpus: &Corpus, number: u64) -> Option<(&str, &[u8])> {
    let index = usize::try_from(number).ok()?.checked_rem(corpus.files().len())?;
    let file = corpus.files().get(index)?;
    Some((&file.key, file.text.get(..VALUE_BYTES.min(file.text.len()))?))
}
