//! Every rule that is broken on purpose is noticed, within a stated number of seeds.
//!
//! The few that this world puts to the test too rarely are noticed by the smaller world beside the core
//! (`crates/replication/src/chaos`), or by the tests of the decision that they break (`crates/metadata/src/decide/tests`).

use levada_metadata::Defect as MetadataDefect;
use levada_replication::Defect;
use levada_simulation::{Rules, run};

/// Rules of replication, and within how many seeds each is noticed.
const REPLICATION: [(Defect, u64); 18] = [
    (Defect::AckBeforeAppend, 10),
    (Defect::NoTruncation, 40),
    (Defect::OldSessionFrames, 60),
    (Defect::AttachKeepsPosition, 90),
    (Defect::PositionBeforeCheck, 40),
    (Defect::HighWatermarkIgnoresProposed, 40),
    (Defect::HighWatermarkSkipsUnknown, 10),
    (Defect::HighWatermarkUnderMinimum, 10),
    (Defect::HighWatermarkByUnflushedEnd, 20),
    (Defect::HighWatermarkBeyondOwnEnd, 10),
    (Defect::LeaderCommitsItsLog, 10),
    (Defect::EntryWithoutEpochStart, 10),
    (Defect::EntryBelowHighWatermark, 10),
    (Defect::EntryByUnflushedEnd, 20),
    (Defect::ShrinkWithoutController, 20),
    (Defect::UnknownMeansRefused, 90),
    (Defect::AcknowledgeOwnAppend, 10),
    (Defect::LatestBeforeEpochStart, 40),
];

/// Rules of the metadata, and within how many seeds each is noticed.
const METADATA: [(MetadataDefect, u64); 10] = [
    (MetadataDefect::DecidedOnRefused, 10),
    (MetadataDefect::RestartKeepsEpoch, 10),
    (MetadataDefect::LossUnnoticed, 10),
    (MetadataDefect::LeaderEpochNotRaised, 10),
    (MetadataDefect::AnybodyLeads, 10),
    (MetadataDefect::LastCompleteForgotten, 40),
    (MetadataDefect::EligibleOverNewMinimum, 20),
    (MetadataDefect::EligibleOverFullSet, 10),
    (MetadataDefect::ProposalOnOldState, 40),
    (MetadataDefect::ReassignedTooEarly, 60),
];

fn is_noticed(rules: Rules, within: u64) -> bool {
    (0..within).any(|seed| run(seed, rules).outcome.is_err())
}

#[test]
fn every_broken_rule_of_replication() {
    let rules = |defect| Rules { replication: levada_replication::Rules::breaking(defect), ..Rules::default() };
    let unnoticed: Vec<_> =
        REPLICATION.iter().filter(|(defect, within)| !is_noticed(rules(*defect), *within)).collect();
    assert!(unnoticed.is_empty(), "{unnoticed:?} went unnoticed");
}

#[test]
fn every_broken_rule_of_the_metadata() {
    let rules = |defect| Rules { metadata: levada_metadata::Rules::breaking(defect), ..Rules::default() };
    let unnoticed: Vec<_> = METADATA.iter().filter(|(defect, within)| !is_noticed(rules(*defect), *within)).collect();
    assert!(unnoticed.is_empty(), "{unnoticed:?} went unnoticed");
}
