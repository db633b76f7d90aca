//! The machine in a world of one log, a few owners that are paused and late, and a leader that changes.

mod counters;
mod leader;
mod owner;
mod standby;
mod steps;
mod world;

use world::World;

use crate::{Defect, Rules};

/// Seeds that the shipped rules are tried with, and a broken one must be noticed within.
const SEEDS: u64 = 100;

#[test]
fn whatever_goes_wrong_nothing_answered_is_lost_or_done_twice() {
    for seed in 0..SEEDS {
        if let Err(violation) = World::new(seed, Rules::default()).run() {
            panic!("seed {seed}: {violation}");
        }
    }
}

#[test]
fn every_broken_rule_is_noticed() {
    for defect in Defect::ALL {
        let noticed = (0..SEEDS).find_map(|seed| Some((seed, World::new(seed, Rules::breaking(defect)).run().err()?)));
        assert!(noticed.is_some(), "{defect:?} was not noticed within {SEEDS} seeds");
    }
}

#[test]
fn the_world_is_as_wild_as_it_is_meant_to_be() {
    let mut seen = world::Seen::default();
    for seed in 0..SEEDS {
        let mut world = World::new(seed, Rules::default());
        drop(world.run());
        seen.add(&world.seen);
    }
    seen.check();
}
