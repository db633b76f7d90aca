//! Spreading shards over coordinators: evenly, and with as few moves as that allows.

use std::collections::BTreeMap;

use levada_types::CoordinatorEpoch;

/// Who is to own which shard instead of its present owner, by the number of the shard.
///
/// Afterwards every shard belongs to one of `live` (to nobody if there is none), and no two of these differ by more than one
/// shard. Those who own most keep the shards that do not come out even, so that no other choice moves fewer.
pub(crate) fn spread(
    owners: impl ExactSizeIterator<Item = Option<CoordinatorEpoch>>,
    live: impl IntoIterator<Item = CoordinatorEpoch>,
) -> Vec<(usize, Option<CoordinatorEpoch>)> {
    let owners: Vec<Option<CoordinatorEpoch>> = owners.collect();
    let mut held: BTreeMap<CoordinatorEpoch, usize> = live.into_iter().map(|epoch| (epoch, 0)).collect();
    for owner in owners.iter().flatten() {
        held.entry(*owner).and_modify(|count| *count += 1);
    }
    if held.is_empty() {
        return owners.iter().enumerate().filter_map(|(shard, owner)| owner.map(|_| (shard, None))).collect();
    }
    let (each, mut rest) = (owners.len() / held.len(), owners.len() % held.len());
    let mut by_count: Vec<(CoordinatorEpoch, usize)> = held.into_iter().collect();
    by_count.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    // How many more each may own.
    let mut room: BTreeMap<CoordinatorEpoch, usize> = BTreeMap::new();
    for (epoch, _) in by_count {
        room.insert(epoch, each + usize::from(rest > 0));
        rest = rest.saturating_sub(1);
    }
    let mut take = |epoch: CoordinatorEpoch| match room.get_mut(&epoch) {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        _ => false,
    };
    let is_kept: Vec<bool> = owners.iter().map(|owner| owner.is_some_and(&mut take)).collect();
    let moving = is_kept.iter().enumerate().filter(|(_, kept)| !**kept).map(|(shard, _)| shard);
    // Each in turn takes one, so that what one coordinator leaves is not one other's alone.
    let mut takers = Turns { left: room, last: None };
    moving.map(|shard| (shard, takers.next())).collect()
}

/// Who takes the next shard.
struct Turns {
    left: BTreeMap<CoordinatorEpoch, usize>,
    last: Option<CoordinatorEpoch>,
}

impl Turns {
    fn next(&mut self) -> Option<CoordinatorEpoch> {
        let has_room = |(_, left): &(&CoordinatorEpoch, &usize)| **left > 0;
        let after = self.left.iter().filter(|(epoch, _)| Some(**epoch) > self.last).find(has_room);
        let next = after.or_else(|| self.left.iter().find(has_room)).map(|(epoch, _)| *epoch)?;
        self.left.entry(next).and_modify(|left| *left -= 1);
        self.last = Some(next);
        self.last
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spread_over(owners: &[i64], live: &[i64]) -> Vec<(usize, i64)> {
        let owner = |n: &i64| (*n > 0).then_some(CoordinatorEpoch(*n));
        let moves = spread(owners.iter().map(owner), live.iter().copied().map(CoordinatorEpoch));
        moves.into_iter().map(|(shard, owner)| (shard, owner.map_or(0, |epoch| epoch.0))).collect()
    }

    #[test]
    fn new_shards_go_to_all_in_turn() {
        assert_eq!(spread_over(&[0, 0, 0, 0, 0], &[3, 7]), [(0, 3), (1, 7), (2, 3), (3, 7), (4, 3)]);
    }

    #[test]
    fn who_comes_gets_its_share_and_no_other_shard_moves() {
        assert_eq!(spread_over(&[1, 1, 1, 2, 2, 2], &[1, 2, 3]), [(2, 3), (5, 3)]);
        assert_eq!(spread_over(&[1, 1, 2, 2, 2], &[1, 2]), [], "the odd one stays where it is");
    }

    #[test]
    fn what_one_leaves_goes_to_all_others() {
        assert_eq!(spread_over(&[1, 1, 2, 2, 3, 3], &[2, 3]), [(0, 2), (1, 3)]);
        assert_eq!(spread_over(&[1, 0, 1], &[]), [(0, 0), (2, 0)], "nobody is left");
        assert_eq!(spread_over(&[], &[1]), []);
    }

    proptest! {
        #[test]
        fn it_is_even_and_nothing_moves_without_need(
            owners in prop::collection::vec(0..6i64, 0..60),
            live in prop::collection::btree_set(1..6i64, 0..6),
        ) {
            let live: Vec<i64> = live.into_iter().collect();
            let moves = spread_over(&owners, &live);
            let mut after = owners.clone();
            for (shard, owner) in &moves {
                prop_assert_ne!(after[*shard], *owner);
                after[*shard] = *owner;
            }
            let held = |owners: &[i64], who: i64| owners.iter().filter(|owner| **owner == who).count();
            if live.is_empty() {
                prop_assert!(after.iter().all(|owner| *owner == 0));
                return Ok(());
            }
            let counts: Vec<usize> = live.iter().map(|who| held(&after, *who)).collect();
            prop_assert_eq!(counts.iter().sum::<usize>(), after.len());
            prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{:?}", counts);
            // In an even spread nobody keeps more than the greater share, and only so many keep that.
            let (each, rest) = (owners.len() / live.len(), owners.len() % live.len());
            let more = live.iter().filter(|who| held(&owners, **who) > each).count().min(rest);
            let kept = live.iter().map(|who| held(&owners, *who).min(each)).sum::<usize>() + more;
            prop_assert_eq!(moves.len(), owners.len() - kept);
            prop_assert_eq!(spread_over(&after, &live), []);
        }
    }
}
