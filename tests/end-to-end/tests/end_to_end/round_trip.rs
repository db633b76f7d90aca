//! A real corpus goes in with every compression type and comes back byte for byte, before and after a clean restart.

use levada_end_to_end::{
    Admin, COMPRESSIONS, Outcome, Reader, Recorder, RecorderOptions, check_corpus, check_seek_by_offset,
    check_seek_by_time,
};
use levada_harness::{Corpus, Node};

/// How much of the corpus the gate uses for each compression type; `cargo xtask conformance` uses some 100 MB.
const CORPUS_BYTES: u64 = 3 << 20;

#[test]
fn a_corpus_comes_back_byte_for_byte_and_after_a_restart() -> Outcome {
    let corpus = Corpus::load(CORPUS_BYTES)?;
    let mut node = Node::start()?;
    let admin = Admin::connect(node.kafka()?)?;
    for compression in COMPRESSIONS {
        let topic = topic(compression);
        admin.create_topic(&topic, 3, &[])?;
        let mut recorder =
            Recorder::connect(node.kafka()?, &RecorderOptions { compression, ..RecorderOptions::default() })?;
        for file in corpus.files() {
            recorder.send(&topic, None, &file.key, &file.text)?;
        }
        let history = recorder.finish()?;
        assert_eq!(history.failed, std::collections::BTreeMap::new(), "{compression}");
        assert_eq!(history.acknowledged.len(), corpus.files().len(), "{compression}");
    }
    check(&node, &corpus)?;

    let status = node.terminate()?;
    assert!(status.success(), "SIGTERM is a clean way to end, not {status}");
    node.start_again()?;
    check(&node, &corpus)
}

fn topic(compression: &str) -> String {
    format!("corpus.{compression}")
}

fn check(node: &Node, corpus: &Corpus) -> Outcome {
    for compression in COMPRESSIONS {
        let reader = Reader::connect(node.kafka()?, &topic(compression))?;
        check_corpus(&reader, corpus).map_err(|error| format!("{compression}: {error}"))?;
        check_seek_by_offset(&reader).map_err(|error| format!("{compression}: {error}"))?;
        check_seek_by_time(&reader).map_err(|error| format!("{compression}: {error}"))?;
    }
    Ok(())
}
