//! The simulated world: runs repeat, the rules hold, and every rule that is broken on purpose is noticed.
//!
//! The gate runs fixed seeds. `LEVADA_SIM_SEED=<u64>` runs that one alone, `LEVADA_SIM_SEEDS=<n>` that many fresh ones.

mod noticed;

use std::time::SystemTime;

use levada_simulation::{Rules, run};

/// How many seeds the gate runs, from 0 on.
const SEEDS: u64 = 20;

/// Seeds that have failed once, which the gate runs too.
const FIXED: [u64; 11] = [
    191,
    216,
    2131,
    5_000_065,
    1_795_349_444_792_799_729,
    1_795_370_353_493_453_514,
    1_795_372_683_346_026_323,
    1_795_372_934_303_151_861,
    1_795_373_106_700_766_531,
    1_795_373_800_768_735_423,
    1_795_375_196_185_589_955,
];

/// How much of the trace a failure shows.
const LAST_LINES: usize = 80;

fn seeds() -> Vec<u64> {
    let number = |name: &str| {
        std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap_or_else(|_| panic!("{name}={text}")))
    };
    match (number("LEVADA_SIM_SEED"), number("LEVADA_SIM_SEEDS")) {
        (Some(seed), _) => vec![seed],
        (None, Some(count)) => {
            let start =
                SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
            (0..count).map(|number| start.wrapping_add(number)).collect()
        }
        (None, None) => (0..SEEDS).chain(FIXED).collect(),
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
            let trace = report.trace[last..].join("\n");
            let file = format!("{}/simulation-{seed}.txt", env!("CARGO_TARGET_TMPDIR"));
            let kept = std::fs::write(&file, report.trace.join("\n"));
            let whole = kept.map_or_else(|error| format!("not kept: {error}"), |()| file);
            panic!(
                "{trace}\nLEVADA_SIM_SEED={seed}: {failure}\nthe whole trace: {whole}\n\
                 `cargo xtask simulate --seed {seed}` replays it"
            );
        }
    }
}
