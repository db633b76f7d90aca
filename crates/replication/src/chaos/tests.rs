//! The rules hold over many seeds, and every broken one is noticed.
//!
//! The gate runs fixed seeds. `LEVADA_SIM_SEED=<u64>` runs that one alone, `LEVADA_SIM_SEEDS=<n>` the first n.

use std::ops::Range;

use super::run::run;
use crate::{Defect, Rules};

/// Seeds of the gate.
const SEEDS: u64 = 200;

/// Within how many seeds each broken rule is noticed; the slowest takes 65.
const NOTICED_WITHIN: u64 = 150;

/// How much of the trace a failure shows.
const LAST_LINES: usize = 60;

fn seeds() -> Range<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    match (number("LEVADA_SIM_SEED"), number("LEVADA_SIM_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(count)) => 0..count,
        (None, None) => 0..SEEDS,
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [1, 42, 7_777] {
        let (one, other) = (run(seed, Rules::default()), run(seed, Rules::default()));
        assert_eq!(one, other);
        assert!(one.1.len() > 300, "something happens");
    }
}

#[test]
fn the_rules_hold() {
    for seed in seeds() {
        let (outcome, trace) = run(seed, Rules::default());
        if let Err(failure) = outcome {
            let last = trace.len().saturating_sub(LAST_LINES);
            panic!("{}\nLEVADA_SIM_SEED={seed}: {failure:?}", trace[last..].join("\n"));
        }
    }
}

#[test]
fn every_broken_rule_is_noticed() {
    let is_noticed = |defect: &Defect| (0..NOTICED_WITHIN).any(|seed| run(seed, Rules::breaking(*defect)).0.is_err());
    // Nobody here sends anything twice.
    let rules = Defect::ALL.into_iter().filter(|defect| *defect != Defect::DuplicateAtOnce);
    let unnoticed: Vec<Defect> = rules.filter(|defect| !is_noticed(defect)).collect();
    assert!(unnoticed.is_empty(), "{unnoticed:?} went unnoticed for {NOTICED_WITHIN} seeds");
}
