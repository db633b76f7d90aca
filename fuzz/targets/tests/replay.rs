//! Replays the saved corpora: every input that was ever worth keeping runs through its target.

use std::fs;
use std::path::Path;

use levada_fuzz_targets::TARGETS;

#[test]
fn every_saved_input_passes() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    for (name, target) in TARGETS {
        let mut inputs: Vec<_> = fs::read_dir(corpora.join(name))
            .unwrap_or_else(|error| panic!("target {name} has no corpus: {error}"))
            .map(|entry| entry.unwrap().path())
            .collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "target {name} has an empty corpus");
        for input in inputs {
            let bytes = fs::read(&input).unwrap();
            // The name shows beside a panic, since output of a failing test is printed.
            println!("{name} {}", input.display());
            target(&bytes);
            // Torn and damaged variants come for free.
            for cut in [0, 1, bytes.len() / 2, bytes.len().saturating_sub(1)] {
                target(&bytes[..cut.min(bytes.len())]);
            }
            for at in (0..bytes.len()).step_by(bytes.len() / 64 + 1) {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << (at % 8);
                target(&damaged);
            }
        }
    }
}

#[test]
fn every_corpus_has_its_target() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    for entry in fs::read_dir(corpora).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(TARGETS.iter().any(|(target, _)| *target == name), "no target for the corpus {name:?}");
    }
}
