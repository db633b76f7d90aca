//! What the leader of a cooperative group does, as Kafka's clients do it: everybody keeps what it has as far as that is even,
//! and nobody is given in this generation what another one has still to give up.

use std::collections::{BTreeMap, BTreeSet};

/// Assigns partitions `0..partitions` to members, by what each says that it owns.
pub(super) fn assign(partitions: i32, owned: &BTreeMap<String, BTreeSet<i32>>) -> BTreeMap<String, BTreeSet<i32>> {
    let count = usize::try_from(partitions).unwrap_or(0);
    let members = owned.len().max(1);
    let (least, mut fuller) = (count / members, count % members);
    let mut by_size: Vec<(&String, &BTreeSet<i32>)> = owned.iter().collect();
    by_size.sort_by_key(|(_, owned)| std::cmp::Reverse(owned.len()));
    let mut assigned: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
    let mut free: BTreeSet<i32> = (0..partitions).collect();
    let mut wanting = Vec::new();
    for (member, owned) in by_size {
        let quota = least + usize::from(fuller > 0);
        fuller = fuller.saturating_sub(1);
        let kept: BTreeSet<i32> =
            owned.iter().copied().filter(|partition| free.contains(partition)).take(quota).collect();
        free.retain(|partition| !kept.contains(partition));
        wanting.extend(std::iter::repeat_n(member, quota - kept.len()));
        assigned.insert(member.clone(), kept);
    }
    for (partition, member) in free.into_iter().zip(wanting) {
        let is_held = owned.values().any(|owned| owned.contains(&partition));
        if !is_held && let Some(assigned) = assigned.get_mut(member) {
            assigned.insert(partition);
        }
    }
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(owned: &[(&str, &[i32])]) -> BTreeMap<String, BTreeSet<i32>> {
        owned.iter().map(|(member, owned)| ((*member).to_owned(), owned.iter().copied().collect())).collect()
    }

    #[test]
    fn a_newcomer_gets_what_was_given_up_one_generation_later() {
        let first = assign(5, &told(&[("a", &[0, 1, 2]), ("b", &[3, 4]), ("c", &[])]));
        assert_eq!(first, told(&[("a", &[0, 1]), ("b", &[3, 4]), ("c", &[])]));
        assert_eq!(assign(5, &first), told(&[("a", &[0, 1]), ("b", &[3, 4]), ("c", &[2])]));
        assert_eq!(assign(5, &told(&[("a", &[0, 1]), ("b", &[3, 4])])), told(&[("a", &[0, 1, 2]), ("b", &[3, 4])]));
    }
}
