//! The invariants that can be seen at one moment.

use levada_types::{LeaderEpoch, Offset};

use crate::IsrMember;

use super::{Batch, ReplicaState, Violation, World};

/// Invariant 2, of two replicas.
pub(super) fn agree(one: &ReplicaState, other: &ReplicaState) -> Result<(), Violation> {
    let from = one.ends.start.max(other.ends.start);
    let mut left = one.batches.iter().filter(|batch| batch.base >= from).peekable();
    let mut right = other.batches.iter().filter(|batch| batch.base >= from).peekable();
    let mut differs: Option<Offset> = None;
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        if a.base == b.base && a.epoch == b.epoch {
            if a != b {
                differs.get_or_insert(a.base);
            }
            if let Some(differs) = differs {
                return Err(Violation::HistoriesDiffer {
                    one: one.broker,
                    other: other.broker,
                    agreed: a.base,
                    differs,
                });
            }
        } else {
            differs.get_or_insert(a.base.min(b.base));
        }
        let (a, b) = (a.base, b.base);
        if a <= b {
            left.next();
        }
        if b <= a {
            right.next();
        }
    }
    Ok(())
}

/// Invariant 8, as far as leader epochs go.
pub(super) fn epochs_are_replayed(replica: &ReplicaState) -> Result<(), Violation> {
    let mut replayed: Vec<(LeaderEpoch, Offset)> = Vec::new();
    for batch in &replica.batches {
        if replayed.last().is_none_or(|(epoch, _)| *epoch != batch.epoch) {
            replayed.push((batch.epoch, batch.base));
        }
    }
    if replayed == replica.epochs { Ok(()) } else { Err(Violation::EpochsDiffer { broker: replica.broker }) }
}

/// Invariant 5: nobody's high watermark lies beyond its log.
pub(super) fn within_log(replica: &ReplicaState) -> Result<(), Violation> {
    match replica.high_watermark {
        Some(high_watermark) if high_watermark > replica.ends.end => {
            Err(Violation::BeyondEnd { broker: replica.broker, high_watermark, end: replica.ends.end })
        }
        _ => Ok(()),
    }
}

/// Invariants 5 and 6 of one leader.
pub(super) fn leads_by_its_image(replica: &ReplicaState) -> Result<(), Violation> {
    let Some(leading) = &replica.leading else { return Ok(()) };
    if leading.acts_on != leading.image.isr && leading.epoch == leading.image.leader_epoch {
        return Err(Violation::ChangedWithoutController { leader: replica.broker });
    }
    match leading.latest {
        Some(latest) if latest < leading.start => {
            Err(Violation::LatestUnknown { leader: replica.broker, latest, start: leading.start })
        }
        _ => Ok(()),
    }
}

/// Invariant 4: what a leader's high watermark needs when it moves.
pub(super) fn may_commit(world: &World, leader: &ReplicaState, high_watermark: Offset) -> Result<(), Violation> {
    let Some(leading) = &leader.leading else { return Ok(()) };
    let image = &leading.image;
    if !image.has_minimum() {
        return Err(Violation::CommittedUnderMinimum {
            leader: leader.broker,
            in_sync: image.isr.len(),
            minimum: image.minimum(),
        });
    }
    let is_current = world.committed.leader_epoch == leading.epoch;
    let committed = world.committed.isr.iter().filter(|_| is_current);
    for member in image.isr.iter().chain(&leading.proposed).chain(committed) {
        let Some(replica) = world.behind(member) else { continue };
        if !replica.reaches(high_watermark) || (image.fsync && replica.ends.flushed < high_watermark) {
            return Err(Violation::CommittedWithoutMember {
                leader: leader.broker,
                high_watermark,
                member: member.broker,
            });
        }
    }
    Ok(())
}

/// Invariant 6: what a member needs when its leader proposes it.
pub(super) fn may_enter(world: &World, leader: &ReplicaState, member: &IsrMember) -> Result<(), Violation> {
    let Some(leading) = &leader.leading else { return Ok(()) };
    if leading.image.replica(member.broker).and_then(|replica| replica.epoch) != Some(member.epoch) {
        return Err(Violation::OtherIncarnation { member: member.broker });
    }
    let Some(replica) = world.behind(member) else { return Ok(()) };
    let end = replica.ends.counted(leading.image.fsync);
    let needed = leader.high_watermark.unwrap_or(0).max(leading.start);
    if end < needed { Err(Violation::EnteredTooEarly { member: member.broker, end, needed }) } else { Ok(()) }
}

/// Invariants 1 and 7 of one replica that counts as complete: `committed` is all that ever was, ascending.
pub(super) fn holds(replica: &ReplicaState, committed: &[Batch]) -> Result<(), Violation> {
    let end = committed.last().map_or(0, |batch| batch.end);
    let broker = replica.broker;
    if replica.ends.end < end {
        let (end, committed) = (replica.ends.end, end);
        return Err(if replica.damaged {
            Violation::DamagedInSync { broker, end, committed }
        } else {
            Violation::CommittedMissing { broker, end, committed }
        });
    }
    same(replica, committed, end)
}

/// Invariant 1: what `replica` has below `end` is what was committed.
pub(super) fn same(replica: &ReplicaState, committed: &[Batch], end: Offset) -> Result<(), Violation> {
    let from = replica.ends.start;
    let mut own = replica.batches.iter().filter(|batch| batch.base >= from && batch.base < end);
    for batch in committed.iter().filter(|batch| batch.base >= from && batch.base < end) {
        if own.next() != Some(batch) {
            return Err(Violation::CommittedChanged { broker: replica.broker, offset: batch.base });
        }
    }
    Ok(())
}
