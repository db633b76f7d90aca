//! A log on a simulated disk against a model in memory: random work, and a crash at every write, every cut, every sync
//! and every change of a name.
//!
//! The gate runs fixed seeds. `LEVADA_SIM_SEED=<u64>` runs that one alone, `LEVADA_SIM_SEEDS=<n>` that many fresh ones;
//! a seed that fails is printed.

mod ageing;
mod model;
mod settings;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{SystemTime, UNIX_EPOCH};

use settings::Settings;
use world::{Stop, World};

/// Seeds that the gate runs: the first ones, and those that have found a defect.
const FIXED: [u64; 5] =
    [2, 374_651_890_470_174_583, 9_476_683_012_817_106_800, 12_168_027_361_632_417_381, 17_550_715_841_130_607_713];

/// Those that are older than the settings that a seed draws, and run with plain ones: with others they would not find
/// again what they have found.
const PLAIN: [u64; 9] = [
    1,
    3,
    5_121_993_274_452_521_319,
    6_149_992_621_649_806_961,
    10_504_678_180_008_026_698,
    13_196_021_412_650_038_062,
    13_196_021_869_464_902_026,
    13_438_702_970_730_033_212,
    14_859_367_184_936_201_610,
];

/// Operations of one run.
const STEPS: usize = 30;

fn seeds() -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    if let Some(seed) = number("LEVADA_SIM_SEED") {
        return vec![seed];
    }
    if let Some(count) = number("LEVADA_SIM_SEEDS") {
        let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        return (0..count).map(|i| start.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    }
    PLAIN.into_iter().chain(FIXED).collect()
}

fn for_each_seed(test: impl Fn(u64)) {
    for seed in seeds() {
        println!("seed={seed}");
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(seed))) {
            println!("failed: LEVADA_SIM_SEED={seed}");
            resume_unwind(panic);
        }
    }
}

/// Says what was going on when a run fails.
struct Context(Option<(u64, Stop)>);

impl Drop for Context {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("failed with (operation, stop) = {:?}", self.0);
        }
    }
}

/// Work, then `stop` in the middle of it, then more work on what is left.
fn run(seed: u64, stop: Option<(u64, Stop)>) -> u64 {
    let _context = Context(stop);
    let settings = if PLAIN.contains(&seed) { Settings::plain() } else { Settings::drawn(seed) };
    let mut world = World::new(seed, settings);
    if let Some((operation, stop)) = stop {
        world.plan(operation, stop);
    }
    world.work(STEPS);
    let operations = world.operations();
    world.stop_and_check();
    world.work(STEPS / 4);
    world.stop_and_check();
    operations
}

#[test]
fn nothing_durable_is_lost_when_power_fails_at_any_moment() {
    for_each_seed(|seed| {
        let operations = run(seed, None);
        for operation in 1..=operations {
            run(seed, Some((operation, Stop::PowerLoss)));
        }
    });
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed_at_any_moment() {
    for_each_seed(|seed| {
        let operations = run(seed, None);
        for operation in 1..=operations {
            run(seed, Some((operation, Stop::Kill)));
        }
    });
}

#[test]
fn a_full_disk_at_any_moment_leaves_nothing_half_done() {
    for_each_seed(|seed| {
        let operations = run(seed, None);
        for operation in 1..=operations {
            run(seed, Some((operation, Stop::Full)));
        }
    });
}

#[test]
fn an_io_error_at_any_moment_takes_nothing_acknowledged() {
    for_each_seed(|seed| {
        let operations = run(seed, None);
        for operation in 1..=operations {
            run(seed, Some((operation, Stop::IoError)));
        }
    });
}

#[test]
fn a_failed_sync_is_never_followed_by_one_that_hides_it() {
    for_each_seed(|seed| {
        let operations = run(seed, None);
        for operation in 1..=operations {
            run(seed, Some((operation, Stop::DroppedSync)));
        }
    });
}
