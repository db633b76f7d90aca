//! The rules hold over many seeds, and every broken one is noticed.

use super::run::{Failure, run};
use crate::{Defect, Rules};

/// Seeds of the gate.
const SEEDS: u64 = 300;

/// Within how many seeds each broken rule is noticed.
const NOTICED_WITHIN: u64 = 2_000;

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [1, 42, 7_777] {
        let (one, other) = (run(seed, Rules::default()), run(seed, Rules::default()));
        assert_eq!(one, other);
        assert!(one.1.len() > 500, "something happens");
    }
}

#[test]
fn the_rules_hold() {
    for seed in 0..SEEDS {
        let (outcome, trace) = run(seed, Rules::default());
        if let Err(failure) = outcome {
            let last = trace.len().saturating_sub(60);
            panic!("seed {seed}: {failure:?}\n{}", trace[last..].join("\n"));
        }
    }
}

#[test]
fn every_broken_rule_is_noticed() {
    let unnoticed: Vec<Defect> = Defect::ALL.into_iter().filter(|defect| first_notice(*defect).is_none()).collect();
    assert!(unnoticed.is_empty(), "{unnoticed:?} went unnoticed for {NOTICED_WITHIN} seeds");
}

fn first_notice(defect: Defect) -> Option<(u64, Failure)> {
    (0..NOTICED_WITHIN).find_map(|seed| run(seed, Rules::breaking(defect)).0.err().map(|failure| (seed, failure)))
}

#[test]
fn zz_survey() {
    let var = |name: &str| std::env::var(name).ok();
    let from: u64 = var("FROM").and_then(|v| v.parse().ok()).unwrap_or(0);
    let to: u64 = var("TO").and_then(|v| v.parse().ok()).unwrap_or(0);
    let defects: Vec<Option<Defect>> = match var("DEFECT").as_deref() {
        None => vec![None],
        Some("all") => Defect::ALL.into_iter().map(Some).collect(),
        Some(name) => Defect::ALL.into_iter().filter(|d| format!("{d:?}") == name).map(Some).collect(),
    };
    for defect in defects {
        let rules = defect.map_or(Rules::default(), Rules::breaking);
        let mut failures = 0;
        let mut first = None;
        for seed in from..to {
            let (outcome, trace) = run(seed, rules);
            if let Err(failure) = outcome {
                failures += 1;
                let text = format!("{failure:?}");
                first.get_or_insert((seed, text[..text.len().min(300)].to_owned()));
                if var("TRACE").is_some() {
                    std::fs::write(format!("/tmp/levada/trace-{seed}.txt"), trace.join("\n") + "\n" + &text).unwrap();
                }
                if defect.is_none() {
                    println!("{seed}: {}", &text[..text.len().min(300)]);
                } else if var("ALLSEEDS").is_none() {
                    break;
                }
            }
        }
        println!("{defect:?}: {failures} of {}, first {first:?}", to - from);
    }
}
