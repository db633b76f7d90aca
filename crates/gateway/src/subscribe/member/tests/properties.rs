//! Whatever happens, the member keeps what it promises.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// A client that keeps books, and a coordinator that has one member.
#[derive(Debug, Default)]
struct Books {
    /// What the client owns, with where the next record must be, and whether it is being revoked.
    owned: BTreeMap<i32, (Offset, bool)>,
    /// Everything before these offsets was acknowledged, at some time.
    acknowledged: BTreeMap<i32, Offset>,
    /// What is committed.
    committed: BTreeMap<i32, Offset>,
    /// Revocations that are not done.
    revocations: BTreeMap<u64, BTreeSet<i32>>,
    /// What the client has given up and was not given again.
    given_up: BTreeSet<i32>,
    /// What was looked at last of what is asked.
    checked: Option<Request>,
    epoch: i32,
}

impl Books {
    fn note(&mut self, scene: &mut Scene) {
        while let Some(told) = scene.told.pop_front() {
            match told {
                Told::Assigned(assigned) => {
                    for partition in partitions(&assigned.partitions) {
                        let start = self.committed.get(&partition).copied().unwrap_or(0);
                        assert_eq!(
                            self.owned.insert(partition, (start, false)),
                            None,
                            "{partition} was its own already"
                        );
                        self.given_up.remove(&partition);
                    }
                }
                Told::Revoke(revoke) => {
                    let revoked: BTreeSet<i32> = partitions(&revoke.partitions).into_iter().collect();
                    for partition in &revoked {
                        let (_, is_revoked) = self.owned.get_mut(partition).expect("only what is owned is revoked");
                        assert!(!std::mem::replace(is_revoked, true), "{partition} is revoked twice");
                    }
                    self.revocations.insert(revoke.number, revoked);
                }
                Told::Lost(lost) => {
                    for partition in partitions(&lost.partitions) {
                        let was_its_own = self.owned.remove(&partition).is_some();
                        assert!(self.given_up.remove(&partition) || was_its_own, "{partition} cannot be lost");
                    }
                    assert!(self.owned.is_empty(), "everything is lost");
                    self.revocations.clear();
                }
                Told::Records(records) => {
                    let (due, is_revoked) = self.owned.get_mut(&records.partition).expect("of what is owned");
                    assert!(!*is_revoked, "no record comes after the revocation");
                    assert_eq!(records.records.first().map(|record| record.offset), Some(*due), "there are no gaps");
                    *due = records.next_offset;
                }
                _ => {}
            }
        }
        if self.checked != scene.asked {
            self.checked.clone_from(&scene.asked);
            self.check(scene);
        }
    }

    /// Checks what is asked of the coordinator.
    fn check(&self, scene: &Scene) {
        match &scene.asked {
            Some(Request::OffsetCommit(_)) => {
                for (partition, offset) in scene.committing() {
                    let acknowledged = self.acknowledged.get(&partition).copied().unwrap_or(0);
                    assert!(offset <= acknowledged, "{partition} at {offset}, acknowledged up to {acknowledged}");
                }
            }
            Some(Request::ConsumerGroupHeartbeat(heartbeat)) if heartbeat.member_epoch > 0 => {
                let Some(topics) = &heartbeat.topic_partitions else { return };
                let reported: BTreeSet<i32> = topics.iter().flat_map(|topic| topic.partitions.clone()).collect();
                let kept: BTreeSet<i32> = self.owned.keys().copied().collect();
                assert!(kept.is_subset(&reported), "{kept:?} is not given up, {reported:?} is reported");
            }
            _ => {}
        }
    }

    /// The coordinator does something about what it is asked.
    fn answer(&mut self, scene: &mut Scene, how: u8, which: u8) {
        match scene.asked.clone() {
            None => {}
            Some(_) if how == 0 => scene.answer(Err(refusal(ErrorCode::CoordinatorNotAvailable))),
            Some(Request::ConsumerGroupHeartbeat(heartbeat)) => {
                if how == 1 && heartbeat.member_epoch > 0 {
                    return scene.unheard(ErrorCode::FencedMemberEpoch);
                }
                if how > 3 {
                    self.epoch += 1;
                }
                let target: Vec<i32> = (0..8).filter(|partition| which & (1 << partition) != 0).collect();
                let tells = heartbeat.member_epoch == 0 || heartbeat.rebalance_timeout_ms != -1 || how > 3;
                scene.heard(self.epoch.max(1), tells.then_some(&target));
            }
            Some(Request::OffsetCommit(_)) => {
                let code = match how {
                    1 => ErrorCode::UnknownMemberId,
                    2 => ErrorCode::StaleMemberEpoch,
                    _ => ErrorCode::None,
                };
                if code.is_none() {
                    self.committed.extend(scene.committing());
                }
                scene.committed(code);
            }
            Some(_) => {
                let committed = self.committed.clone();
                scene.told_offsets(|partition| Some(committed.get(&partition).copied().unwrap_or(0)));
            }
        }
    }

    /// The client does something.
    fn act(&mut self, scene: &mut Scene, how: u8, which: u8) {
        match how {
            0 => {
                if let Some((number, given_up)) = self.revocations.pop_first() {
                    self.owned.retain(|partition, _| !given_up.contains(partition));
                    self.given_up.extend(given_up);
                    scene.said(done(number));
                }
            }
            1 => scene.said(Kind::Commit(v1::CommitSubscription { request_id: 1, offsets: Vec::new() })),
            _ => {
                let partition = i32::from(which % 8);
                let Some((due, _)) = self.owned.get(&partition) else { return };
                let acknowledged = self.acknowledged.entry(partition).or_default();
                if *due > *acknowledged {
                    *acknowledged += 1 + i64::from(how) % (due - *acknowledged);
                    let kind = processed(partition, *acknowledged);
                    scene.said(kind);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn promises_are_kept(steps in proptest::collection::vec((0u8..5, 0u8..6, any::<u8>()), 1..200)) {
        let mut scene = Scene::new(settings(), None);
        let mut books = Books::default();
        for (what, how, which) in steps {
            match what {
                0 => scene.after(i64::from(which) * 20),
                1 => books.act(&mut scene, how, which),
                2 => {
                    let readings = scene.member.readings(scene.now);
                    if let Some(reading) = readings.get(usize::from(which) % readings.len().max(1)) {
                        scene.records(reading.partition.partition, i64::from(how) + 1);
                    }
                }
                _ => books.answer(&mut scene, how, which),
            }
            books.note(&mut scene);
            if scene.ended.is_some() {
                break;
            }
        }
    }
}
