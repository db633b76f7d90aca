//! Every rule that is broken on purpose is noticed, within a stated number of seeds.
//!
//! Left out are those that this world puts to the test too rarely. Those of replication are noticed by the smaller world
//! beside the core (`crates/replication/src/chaos`). Of those who run shards `ConfirmedFromMemory` was noticed once in 150 worlds
//! with shards: the former owner must still be asked for what the new one has changed. Of the metadata `ProposalOnOldState` was
//! noticed once in 300 seeds, and `IncompleteStaysEligible` never: nothing is lost here of which the controllers do not hear
//! at the next registration. The tests of `crates/metadata` hold those two.

use levada_metadata::Defect as MetadataDefect;
use levada_replication::Defect;
use levada_shard::Defect as ShardDefect;
use levada_simulation::{Rules, RuntimeDefect, has_shards, run};

/// Rules of replication, and within how many seeds each is noticed.
const REPLICATION: [(Defect, u64); 16] = [
    (Defect::AckBeforeAppend, 20),
    (Defect::NoTruncation, 30),
    (Defect::OldSessionFrames, 30),
    (Defect::HighWatermarkIgnoresProposed, 20),
    (Defect::HighWatermarkSkipsUnknown, 20),
    (Defect::HighWatermarkUnderMinimum, 20),
    (Defect::HighWatermarkByUnflushedEnd, 20),
    (Defect::HighWatermarkBeyondOwnEnd, 20),
    (Defect::LeaderCommitsItsLog, 20),
    (Defect::EntryWithoutEpochStart, 20),
    (Defect::EntryBelowHighWatermark, 20),
    (Defect::EntryByUnflushedEnd, 20),
    (Defect::ShrinkWithoutController, 20),
    (Defect::AcknowledgeOwnAppend, 20),
    (Defect::DuplicateAtOnce, 20),
    (Defect::LatestBeforeEpochStart, 20),
];

/// Rules of the metadata, and within how many seeds each is noticed.
const METADATA: [(MetadataDefect, u64); 11] = [
    (MetadataDefect::DecidedOnRefused, 20),
    (MetadataDefect::RestartKeepsEpoch, 60),
    (MetadataDefect::LossUnnoticed, 30),
    (MetadataDefect::LeaderEpochNotRaised, 20),
    (MetadataDefect::AnybodyLeads, 20),
    (MetadataDefect::LastCompleteForgotten, 60),
    (MetadataDefect::EligibleOverNewMinimum, 200),
    (MetadataDefect::EligibleOverFullSet, 20),
    (MetadataDefect::EntryWithoutBrokerEpoch, 60),
    (MetadataDefect::ReassignedTooEarly, 20),
    (MetadataDefect::ShardPassedUnfenced, 20),
];

/// Rules of shards, and within how many worlds with shards each is noticed.
const SHARDS: [(ShardDefect, u64); 8] = [
    (ShardDefect::LateAppend, 20),
    (ShardDefect::AppendAnywhere, 40),
    (ShardDefect::LoadToEpochStart, 20),
    (ShardDefect::AnswerUncommitted, 20),
    (ShardDefect::UnknownMeansRefused, 40),
    (ShardDefect::UnknownMeansCommitted, 40),
    (ShardDefect::RefusedKeepsState, 20),
    (ShardDefect::NoLoadUnderNewEpoch, 20),
];

/// Rules of those who run shards, and within how many worlds with shards each is noticed.
const RUNTIME: [(RuntimeDefect, u64); 2] =
    [(RuntimeDefect::LeaseIgnored, 60), (RuntimeDefect::CommittedWhenAppended, 20)];

/// A seed that fails although no rule is broken shows nothing about a broken one.
fn is_noticed(rules: Rules, within: u64) -> bool {
    notice(rules, 0..within)
}

fn is_noticed_with_shards(rules: Rules, within: u64) -> bool {
    notice(rules, (0..).filter(|seed| has_shards(*seed)).take(within as usize))
}

fn notice(rules: Rules, mut seeds: impl Iterator<Item = u64>) -> bool {
    seeds.any(|seed| run(seed, rules).outcome.is_err() && run(seed, Rules::default()).outcome.is_ok())
}

#[test]
fn every_broken_rule_of_replication() {
    let rules = |defect| Rules { replication: levada_replication::Rules::breaking(defect), ..Rules::default() };
    let unnoticed: Vec<_> =
        REPLICATION.iter().filter(|(defect, within)| !is_noticed(rules(*defect), *within)).collect();
    assert!(unnoticed.is_empty(), "{unnoticed:?} went unnoticed");
}

#[test]
fn a_session_that_is_reused_after_a_restart() {
    assert!(is_noticed(Rules { reuses_sessions: true, ..Rules::default() }, 20), "it went unnoticed");
}

#[test]
fn every_broken_rule_of_the_metadata() {
    let rules = |defect| Rules { metadata: levada_metadata::Rules::breaking(defect), ..Rules::default() };
    let unnoticed: Vec<_> = METADATA.iter().filter(|(defect, within)| !is_noticed(rules(*defect), *within)).collect();
    assert!(unnoticed.is_empty(), "{unnoticed:?} went unnoticed");
}

#[test]
fn every_broken_rule_of_shards() {
    let rules = |defect| Rules { shards: levada_shard::Rules::breaking(defect), ..Rules::default() };
    let unnoticed: Vec<_> =
        SHARDS.iter().filter(|(defect, within)| !is_noticed_with_shards(rules(*defect), *within)).collect();
    assert!(unnoticed.is_empty(), "{unnoticed:?} went unnoticed");
}

#[test]
fn every_broken_rule_of_those_who_run_shards() {
    let rules = |defect| Rules { runtime: Some(defect), ..Rules::default() };
    let unnoticed: Vec<_> =
        RUNTIME.iter().filter(|(defect, within)| !is_noticed_with_shards(rules(*defect), *within)).collect();
    assert!(unnoticed.is_empty(), "{unnoticed:?} went unnoticed");
}
