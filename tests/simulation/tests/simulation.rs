//! The simulated world: runs repeat, the rules hold.
//!
//! The gate runs fixed seeds. `LEVADA_SIM_SEED=<u64>` runs that one alone, `LEVADA_SIM_SEEDS=<n>` the first n.

use std::ops::Range;

use levada_replication::{Defect, Rules};
use levada_simulation::run;

/// Seeds of the gate.
const SEEDS: u64 = 20;

/// Within how many seeds each broken rule of replication is noticed.
const NOTICED_WITHIN: u64 = 60;

/// Rules that this world puts to the test too rarely, since its disks append at once and its late messages are few. The
/// smaller world beside the core (`crates/replication/src/chaos`) notices them.
const RARE: [Defect; 6] = [
    Defect::AckBeforeAppend,
    Defect::OldSessionFrames,
    Defect::OldSessionAcks,
    Defect::OldSessionAttach,
    Defect::AttachKeepsPosition,
    Defect::PositionBeforeCheck,
];

/// How much of the trace a failure shows.
const LAST_LINES: usize = 80;

fn seeds() -> Range<u64> {
    let number = |name: &str| {
        std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap_or_else(|_| panic!("{name}={text}")))
    };
    match (number("LEVADA_SIM_SEED"), number("LEVADA_SIM_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(count)) => 0..count,
        (None, None) => 0..SEEDS,
    }
}

#[test]
fn a_seed_gives_the_same_trace_every_time() {
    for seed in [1, 42] {
        let (one, other) = (run(seed, Rules::default()), run(seed, Rules::default()));
        let differs = one.trace.iter().zip(&other.trace).position(|(a, b)| a != b);
        assert_eq!(differs.map(|line| (&one.trace[line], &other.trace[line])), None, "seed {seed}");
        assert_eq!(one.trace.len(), other.trace.len());
        assert!(one.acknowledged > 0, "seed {seed}: something is acknowledged");
    }
}

#[test]
fn the_rules_hold() {
    for seed in seeds() {
        let report = run(seed, Rules::default());
        if let Err(failure) = report.outcome {
            let last = report.trace.len().saturating_sub(LAST_LINES);
            panic!("{}\nLEVADA_SIM_SEED={seed}: {failure}", report.trace[last..].join("\n"));
        }
    }
}

#[test]
fn every_broken_rule_is_noticed() {
    let is_noticed =
        |defect: &Defect| (0..NOTICED_WITHIN).any(|seed| run(seed, Rules::breaking(*defect)).outcome.is_err());
    let rules = Defect::ALL.into_iter().filter(|defect| !RARE.contains(defect));
    let unnoticed: Vec<Defect> = rules.filter(|defect| !is_noticed(defect)).collect();
    assert!(unnoticed.is_empty(), "{unnoticed:?} went unnoticed for {NOTICED_WITHIN} seeds");
}
