//! Who owns what in which generation: rule 5.

use std::collections::{BTreeMap, BTreeSet};

use super::{super::event::Event, Findings, History, time};

/// No partition has two owners in one generation, as its members see it.
pub(super) fn check(history: &History, findings: &mut Findings) {
    let mut owned: BTreeMap<usize, BTreeSet<i32>> = BTreeMap::new();
    let mut owners: BTreeMap<(i32, i32), (usize, usize, u64)> = BTreeMap::new();
    for (who, at, event) in history.happened() {
        let own = owned.entry(who.member).or_default();
        match event {
            Event::Assigned { generation, partitions } => {
                own.extend(partitions);
                for partition in own.iter() {
                    let first = owners.entry((*generation, *partition)).or_insert((who.identity, who.member, at));
                    if first.0 != who.identity {
                        findings.add(format!(
                            "{} member {} owns partition {partition} in generation {generation}, and since {} member {} does",
                            time(at),
                            who.member,
                            time(first.2),
                            first.1
                        ));
                    }
                }
            }
            Event::Revoked { partitions } => own.retain(|partition| !partitions.contains(partition)),
            Event::Left | Event::Gone => own.clear(),
            _ => {}
        }
    }
}
