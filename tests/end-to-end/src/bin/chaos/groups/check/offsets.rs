//! Committed offsets as they were shown, and as owners began by them: rules 3 and 4.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{event::Event, history::Commit},
    Checked, Findings, History, Processed, time,
};

/// An offset that was committed at some moment between the two.
#[derive(Debug, Clone, Copy)]
struct Reading {
    asked: u64,
    told: u64,
    offset: i64,
    /// The member that began there; `None` if it was shown.
    member: Option<usize>,
}

/// What the offset of a partition is at least, and since when.
#[derive(Debug, Clone, Copy)]
struct Floor {
    offset: i64,
    since: u64,
}

/// What happens in the order of time; at one time in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Asked(usize),
    Told(usize),
    Accepted(usize),
}

pub(super) fn check(
    history: &History,
    commits: &[Commit],
    processed: &Processed,
    checked: &mut Checked,
    findings: &mut Findings,
) {
    for (partition, readings) in readings(history, commits) {
        checked.readings += readings.len();
        for reading in &readings {
            let reached = processed.reached_before(partition, reading.told);
            if reading.offset > reached {
                findings.add(format!(
                    "{} offset {} of partition {partition} {}, and only those below {reached} were processed",
                    time(reading.told),
                    reading.offset,
                    reading.how()
                ));
            }
        }
        check_moves(partition, &readings, commits, checked, findings);
    }
}

impl Reading {
    fn how(&self) -> String {
        self.member.map_or("was shown".to_owned(), |member| format!("was where member {member} began"))
    }
}

/// What was shown of each partition, and where its owners began.
fn readings(history: &History, commits: &[Commit]) -> BTreeMap<i32, Vec<Reading>> {
    let mut readings: BTreeMap<i32, Vec<Reading>> = BTreeMap::new();
    // A partition of which nothing is shown is shown with nothing committed.
    let partitions: BTreeSet<i32> = commits.iter().flat_map(|commit| commit.offsets.keys().copied()).collect();
    for look in history.looks() {
        for partition in &partitions {
            let offset = look.offsets.get(partition).copied().unwrap_or(0);
            let reading = Reading { asked: look.asked, told: look.told, offset, member: None };
            readings.entry(*partition).or_default().push(reading);
        }
    }
    let mut assigned: BTreeMap<(usize, i32), u64> = BTreeMap::new();
    for (who, at, event) in history.happened() {
        match event {
            Event::Assigned { partitions, .. } => {
                assigned.extend(partitions.iter().map(|partition| ((who.member, *partition), at)));
            }
            Event::Revoked { partitions } => {
                assigned.retain(|(member, partition), _| *member != who.member || !partitions.contains(partition));
            }
            Event::Record { partition, offset, .. } => {
                if let Some(asked) = assigned.remove(&(who.member, *partition)) {
                    let reading = Reading { asked, told: at, offset: *offset, member: Some(who.member) };
                    readings.entry(*partition).or_default().push(reading);
                }
            }
            _ => {}
        }
    }
    readings
}

/// Nothing that was committed when it was asked for is told as less, but for a commit that began later.
fn check_moves(
    partition: i32,
    readings: &[Reading],
    commits: &[Commit],
    checked: &mut Checked,
    findings: &mut Findings,
) {
    let of_partition = || commits.iter().filter_map(|commit| Some((commit, *commit.offsets.get(&partition)?)));
    let accepted: Vec<(u64, u64, i64)> =
        of_partition().filter_map(|(commit, offset)| Some((commit.accepted()?, commit.begun, offset))).collect();
    let mut moments: Vec<(u64, Moment)> = Vec::new();
    moments.extend(accepted.iter().enumerate().map(|(index, (at, ..))| (*at, Moment::Accepted(index))));
    for (index, reading) in readings.iter().enumerate() {
        moments.extend([(reading.asked, Moment::Asked(index)), (reading.told, Moment::Told(index))]);
    }
    moments.sort_unstable();
    let mut floor = Floor { offset: 0, since: 0 };
    let mut moved: BTreeSet<usize> = BTreeSet::new();
    for (at, moment) in moments {
        match moment {
            Moment::Accepted(index) => {
                let Some((_, begun, offset)) = accepted.get(index) else { continue };
                let is_newer = *begun > floor.since;
                if *offset > floor.offset || *offset < floor.offset && is_newer {
                    checked.moved_back += usize::from(*offset < floor.offset);
                    floor = Floor { offset: *offset, since: at };
                }
            }
            Moment::Asked(index) => {
                let Some(reading) = readings.get(index).filter(|reading| reading.offset < floor.offset) else {
                    continue;
                };
                let by_a_newer = of_partition().any(|(commit, offset)| {
                    offset == reading.offset && commit.begun > floor.since && commit.begun < reading.told
                });
                if by_a_newer {
                    moved.insert(index);
                } else {
                    let late = of_partition().filter(|(_, offset)| *offset == reading.offset).map(|(commit, _)| {
                        let answer = commit.answer.as_ref().map(|(at, answer)| (time(*at), answer));
                        format!("member {} committed it at {}: {answer:?}", commit.who.member, time(commit.begun))
                    });
                    findings.add(format!(
                        "{} to {} offset {} of partition {partition} {}, and {} was committed at {}; {}",
                        time(reading.asked),
                        time(reading.told),
                        reading.offset,
                        reading.how(),
                        floor.offset,
                        time(floor.since),
                        late.collect::<Vec<_>>().join(", ")
                    ));
                }
            }
            Moment::Told(index) => {
                let Some(reading) = readings.get(index) else { continue };
                if reading.offset > floor.offset || moved.contains(&index) {
                    checked.moved_back += usize::from(reading.offset < floor.offset);
                    floor = Floor { offset: reading.offset, since: at };
                }
            }
        }
    }
}
