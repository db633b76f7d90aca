//! The simulated world: runs repeat, the rules hold.
//!
//! The gate runs fixed seeds. `LEVADA_SIM_SEED=<u64>` runs that one alone, `LEVADA_SIM_SEEDS=<n>` the first n.

use std::ops::Range;

use levada_replication::Rules;
use levada_simulation::run;

/// Seeds of the gate.
const SEEDS: u64 = 20;

/// How much of the trace a failure shows.
const LAST_LINES: usize = 80;

fn seeds() -> Range<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
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
