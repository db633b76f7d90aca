//! A log on a simulated disk against a model in memory: random work, and a crash at every write, every cut, every sync
//! and every change of a name.
//!
//! The gate runs fixed seeds. `LEVADA_SIM_SEED=<u64>` runs that one alone, `LEVADA_SIM_SEEDS=<n>` that many fresh ones;
//! a seed that fails is printed.

mod ageing;
mod model;
mod replica;
mod settings;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{SystemTime, UNIX_EPOCH};

use settings::Settings;
use world::{Stop, World};

/// Seeds that the gate runs: the first ones, and those that have found a defect.
const FIXED: [u64; 1] = [4];

/// Seeds that have found a defect when they were stopped in this way at this operation.
const MOMENTS: [(u64, Stop, u64); 15] = [
    (1_795_318_569_695_839_704, Stop::IoError, 76),
    (3_458_657_801_019_280_835, Stop::Full, 95),
    (6_150_025_622_953_828_955, Stop::Full, 262),
    (6_785_344_813_935_967_422, Stop::PowerLoss, 98),
    (7_813_346_942_414_211_977, Stop::Kill, 232),
    (9_476_687_055_593_129_077, Stop::Full, 83),
    (9_476_688_497_621_269_932, Stop::Kill, 89),
    (10_112_029_617_454_273_187, Stop::IoError, 182),
    (13_196_035_059_044_800_068, Stop::Full, 153),
    (13_831_373_441_427_393_913, Stop::Kill, 1),
    (14_709_392_702_547_350_977, Stop::Full, 241),
    (14_859_374_434_488_541_180, Stop::DroppedSync, 105),
    (17_550_718_944_871_869_239, Stop::Full, 85),
    (17_550_718_958_897_708_758, Stop::PowerLoss, 256),
    (18_428_738_205_979_487_021, Stop::IoError, 178),
];

/// Those that are older than replicas: as such they would not find again what they have found.
const TIMED: [u64; 6] = [
    2,
    374_651_890_470_174_583,
    3_458_657_801_019_280_835,
    9_476_683_012_817_106_800,
    12_168_027_361_632_417_381,
    17_550_715_841_130_607_713,
];

/// Those that are older than the settings that a seed draws.
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

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect(variable))
}

fn seeds() -> Vec<u64> {
    if let Some(seed) = number("LEVADA_SIM_SEED") {
        return vec![seed];
    }
    if let Some(count) = number("LEVADA_SIM_SEEDS") {
        let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        return (0..count).map(|i| start.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    }
    let timed = TIMED.into_iter().filter(|seed| MOMENTS.iter().all(|moment| moment.0 != *seed));
    PLAIN.into_iter().chain(timed).chain(FIXED).collect()
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
    let settings = match seed {
        _ if PLAIN.contains(&seed) => Settings::plain(),
        _ if TIMED.contains(&seed) => Settings::timed(seed),
        _ => Settings::drawn(seed),
    };
    let mut world = World::new(seed, settings);
    if let Some((operation, stop)) = stop {
        world.plan(operation, stop);
    }
    world.work(STEPS);
    let operations = world.operations();
    world.stop_and_check(false);
    world.work(STEPS / 4);
    world.stop_and_check(true);
    operations
}

/// Runs every seed with this stop at each of its operations; `LEVADA_SIM_OPERATION=<u64>` at that one alone.
fn stop_everywhere(stop: Stop) {
    let only = number("LEVADA_SIM_OPERATION");
    for_each_seed(|seed| {
        let operations = run(seed, None);
        for operation in (1..=operations).filter(|operation| only.is_none_or(|only| only == *operation)) {
            run(seed, Some((operation, stop)));
        }
    });
}

#[test]
fn nothing_durable_is_lost_when_power_fails_at_any_moment() {
    stop_everywhere(Stop::PowerLoss);
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed_at_any_moment() {
    stop_everywhere(Stop::Kill);
}

#[test]
fn a_full_disk_at_any_moment_leaves_nothing_half_done() {
    stop_everywhere(Stop::Full);
}

#[test]
fn an_io_error_at_any_moment_takes_nothing_acknowledged() {
    stop_everywhere(Stop::IoError);
}

#[test]
fn a_failed_sync_is_never_followed_by_one_that_hides_it() {
    stop_everywhere(Stop::DroppedSync);
}

#[test]
fn what_was_found_once_stays_mended() {
    for (seed, stop, operation) in MOMENTS {
        println!("seed={seed}");
        run(seed, None);
        run(seed, Some((operation, stop)));
    }
}
