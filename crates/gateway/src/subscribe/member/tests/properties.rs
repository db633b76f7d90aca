//! Whatever happens, the member keeps what it promises.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// What the client has seen of a partition that it owns.
#[derive(Debug, Default)]
struct Seen {
    /// Where the next record must be; unknown before the first.
    next: Option<Offset>,
    /// Everything before it may be committed.
    acknowledged: Option<Offset>,
    /// It is to be given up.
    revoked: bool,
}

/// A client that keeps books, and a coordinator that has one member.
#[derive(Debug, Default)]
struct Books {
    owned: BTreeMap<i32, Seen>,
    /// What is committed.
    committed: BTreeMap<i32, Offset>,
    /// Revocations that are not done.
    revocations: BTreeMap<u64, BTreeSet<i32>>,
    epoch: i32,
}

impl Books {
    fn note(&mut self, scene: &mut Scene) {
        while let Some(told) = scene.told.pop_front() {
            match told {
                Told::Assigned(assigned) => {
                    for partition in partitions(&assigned.partitions) {
                        let acknowledged = self.committed.get(&partition).copied().or(Some(0));
                        let seen = Seen { next: acknowledged, acknowledged, revoked: false };
                        assert!(self.owned.insert(partition, seen).is_none(), "{partition} was its own already");
                    }
                }
                Told::Revoke(revoke) => {
                    let revoked: BTreeSet<i32> = partitions(&revoke.partitions).into_iter().collect();
                    for partition in &revoked {
                        let seen = self.owned.get_mut(partition).expect("only what is owned is revoked");
                        assert!(!std::mem::replace(&mut seen.revoked, true), "{partition} is revoked twice");
                    }
                    self.revocations.insert(revoke.number, revoked);
                }
                Told::Lost(lost) => {
                    for partition in partitions(&lost.partitions) {
                        assert!(self.owned.remove(&partition).is_some(), "only what is owned can be lost");
                    }
                    self.revocations.clear();
                }
                Told::Records(records) => {
                    let seen = self.owned.get_mut(&records.partition).expect("records are of what is owned");
                    assert!(!seen.revoked, "no record comes after the revocation");
                    let first = records.records.first().map(|record| record.offset);
                    assert_eq!(first, seen.next, "records come without gaps");
                    seen.next = Some(records.next_offset);
                }
                _ => {}
            }
        }
        self.check(scene);
    }

    /// Checks what is asked of the coordinator.
    fn check(&self, scene: &Scene) {
        match &scene.asked {
            Some(Request::OffsetCommit(_)) => {
                for (partition, offset) in scene.committing() {
                    let seen = self.owned.get(&partition).expect("only what is owned is committed");
                    assert!(Some(offset) <= seen.acknowledged, "{partition} is committed at {offset}: {seen:?}");
                }
            }
            Some(Request::ConsumerGroupHeartbeat(heartbeat)) if heartbeat.member_epoch > 0 => {
                let Some(topics) = &heartbeat.topic_partitions else { return };
                let reported: BTreeSet<i32> = topics.iter().flat_map(|topic| topic.partitions.clone()).collect();
                let owned: BTreeSet<i32> = self.owned.keys().copied().collect();
                assert_eq!(reported, owned, "what the client has not given up is reported");
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
                // Whatever was committed in between, it was given up before that.
                if let Some((number, given_up)) = self.revocations.pop_first() {
                    scene.said(done(number));
                    // Still its own as far as commits go, until the coordinator is told.
                    self.revocations.remove(&number);
                    self.give_up(scene, &given_up);
                }
            }
            1 => scene.said(Kind::Commit(v1::CommitSubscription { request_id: 1, offsets: Vec::new() })),
            _ => {
                let acknowledges = self.owned.iter_mut().find(|(partition, _)| **partition == i32::from(which % 8));
                if let Some((partition, seen)) = acknowledges
                    && let (Some(next), Some(acknowledged)) = (seen.next, seen.acknowledged)
                    && next > acknowledged
                {
                    let to = acknowledged + 1 + i64::from(how) % (next - acknowledged);
                    seen.acknowledged = Some(to);
                    let kind = processed(*partition, to);
                    scene.said(kind);
                }
            }
        }
    }

    /// The member lets go once everything is committed; until then the coordinator answers.
    fn give_up(&mut self, scene: &mut Scene, partitions: &BTreeSet<i32>) {
        while scene.told.is_empty() && matches!(scene.asked, Some(Request::OffsetCommit(_) | Request::FetchOffsets(_)))
        {
            self.answer(scene, 3, 0);
        }
        if !scene.told.iter().any(|told| matches!(told, Told::Lost(_))) {
            self.owned.retain(|partition, _| !partitions.contains(partition));
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
